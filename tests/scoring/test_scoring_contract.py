"""What every scoring function owes, asked of each file in pictokg/scoring without naming any."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass, field

import jaxtyping
import pytest
import torch
from beartype import beartype
from jaxtyping import jaxtyped
from torch import nn

import pictokg.scoring
from pictokg.errors import ConfigError
from pictokg.graph.query import Side
from pictokg.scoring.base import ScoringFunction

BATCH, CANDIDATES, DIM = 4, 5, 12
SIDES = (Side.HEAD, Side.TAIL)


def scoring_functions():
    for module in pkgutil.iter_modules(pictokg.scoring.__path__, "pictokg.scoring."):
        for value in vars(importlib.import_module(module.name)).values():
            local = isinstance(value, type) and value.__module__ == module.name
            if local and issubclass(value, ScoringFunction) and not inspect.isabstract(value):
                yield value


@dataclass
class Case:
    """A scoring function with options, and rows it can score."""

    kind: type[ScoringFunction]
    options: dict[str, int] = field(default_factory=dict)
    dtype: torch.dtype = torch.float64

    def __str__(self):
        return "-".join([self.kind.__name__, *(f"{name}{value}" for name, value in self.options.items())])

    def build(self, **more):
        function = self.kind(DIM, **self.options, **more).to(self.dtype)
        generator = torch.Generator().manual_seed(1)
        initialised = [torch.empty(3, function.entity_width), torch.empty(3, function.relation_width)]
        function.initialise(*(rows.to(self.dtype) for rows in initialised), generator)
        return function.eval()

    def rows(self, function, batch=BATCH, scale=1.0):
        generator = torch.Generator().manual_seed(2)

        def draw(*shape):
            return scale * torch.randn(*shape, generator=generator, dtype=self.dtype)

        anchor, relation = draw(batch, function.entity_width), draw(1, function.relation_width)
        # One relation for the batch: what shared candidates of a function that projects are scored with.
        relation = relation.expand(batch, -1).clone() if function.projects else draw(batch, relation.shape[1])
        return anchor, relation, draw(CANDIDATES, function.entity_width)

    def sides(self):
        return (Side.TAIL,) if self.kind.tail_only else SIDES


def cases():
    for kind in scoring_functions():
        known = inspect.signature(kind).parameters
        yield Case(kind)
        for name, value in (("norm", 1), ("norm", 2), ("relation_dim", 5), ("relation_dim", 17)):
            if name in known:
                yield Case(kind, {name: value})


@pytest.fixture(params=list(cases()), ids=str)
def case(request):
    return request.param


def cases_where(tail_only):
    return pytest.mark.parametrize("case", [case for case in cases() if case.kind.tail_only is tail_only], ids=str)


def own(candidates, batch=BATCH):
    return candidates.expand(batch, -1, -1)


def test_every_file_with_a_formula_holds_exactly_one_function():
    modules = [kind.__module__ for kind in scoring_functions()]
    assert len(modules) == len(set(modules)) >= 10


def test_options_have_types_and_defaults_and_the_rank_comes_first(case):
    rank, *options = inspect.signature(case.kind).parameters.values()
    assert rank.name == "dim"
    assert all(option.kind is option.KEYWORD_ONLY for option in options)
    assert all(option.default is not option.empty and option.annotation for option in options)


def test_own_and_shared_candidates_score_alike(case):
    function = case.build()
    anchor, relation, candidates = case.rows(function)
    for side in case.sides():
        shared = function.score(anchor, relation, candidates, side)
        assert shared.shape == (BATCH, CANDIDATES)
        torch.testing.assert_close(shared, function.score(anchor, relation, own(candidates), side))


def test_single_precision_agrees_for_own_and_shared(case):
    case = Case(case.kind, case.options, torch.float32)
    function = case.build()
    anchor, relation, candidates = case.rows(function)
    for side in case.sides():
        shared = function.score(anchor, relation, candidates, side)
        close = function.score(anchor, relation, own(candidates), side)
        torch.testing.assert_close(shared, close, rtol=1e-5, atol=1e-4)


@cases_where(tail_only=False)
def test_a_triple_has_one_score_whichever_side_asks(case):
    function = case.build()
    heads, relation, tails = case.rows(function, batch=CANDIDATES)
    tail_query = function.score(heads, relation, tails.unsqueeze(1), Side.TAIL)
    head_query = function.score(tails, relation, heads.unsqueeze(1), Side.HEAD)
    torch.testing.assert_close(tail_query, head_query)


@cases_where(tail_only=True)
def test_a_head_query_of_a_tail_only_function_names_the_remedy(case):
    function = case.build()
    with pytest.raises(ConfigError, match="reciprocal relations"):
        function.score(*case.rows(function), Side.HEAD)


def test_each_query_is_scored_with_its_own_relation(case):
    function = case.build()
    anchor, _, candidates = case.rows(function)
    relations = torch.randn(BATCH, function.relation_width, dtype=case.dtype)
    together = function.score(anchor, relations, own(candidates), Side.TAIL)
    for row in range(BATCH):
        one = slice(row, row + 1)
        alone = function.score(anchor[one], relations[one], candidates, Side.TAIL)
        torch.testing.assert_close(together[one], alone)


def test_projection_broadcasts_one_relation_over_shared_entities(case):
    function = case.build()
    _, relation, candidates = case.rows(function)
    for slot in SIDES:
        shared = function.project(candidates, relation[:1], slot)
        each = [function.project(row.unsqueeze(0), relation[:1], slot)[0] for row in candidates]
        torch.testing.assert_close(shared, torch.stack(each))
        torch.testing.assert_close(
            function.project(own(candidates), relation.unsqueeze(1), slot), shared.expand(BATCH, -1, -1)
        )
    if not function.projects:
        assert function.project(candidates, relation[:1], Side.TAIL) is candidates


def test_gradients_equal_finite_differences(case):
    function = case.build().requires_grad_(False)
    anchor, relation, candidates = (rows[:2].requires_grad_() for rows in case.rows(function))
    for side in case.sides():
        for pool in (candidates, own(candidates, 2).detach().clone().requires_grad_()):

            def score(a, r, c, side=side):
                return function.score(a, r[:1].expand(2, -1), c, side)

            assert torch.autograd.gradcheck(score, (anchor, relation, pool), fast_mode=True)


@pytest.mark.parametrize("scale", [0.0, 1e4, -1e4])
def test_scores_and_gradients_stay_finite(case, scale):
    case = Case(case.kind, case.options, torch.float32)
    function = case.build()
    for make_own in (False, True):
        anchor, relation, candidates = (rows.requires_grad_() for rows in case.rows(function, scale=scale))
        for side in case.sides():
            pool = own(candidates) if make_own else candidates
            scores = function.score(anchor, relation, pool, side)
            scores.sum().backward()
            assert scores.isfinite().all()
        for rows in (anchor, relation, candidates, *function.parameters()):
            assert rows.grad is None or rows.grad.isfinite().all()


def test_no_queries_and_no_candidates_give_empty_scores(case):
    function = case.build()
    anchor, relation, candidates = case.rows(function)
    for side in case.sides():
        assert function.score(anchor[:0], relation[:0], candidates, side).shape == (0, CANDIDATES)
        assert function.score(anchor, relation, candidates[:0], side).shape == (BATCH, 0)
        assert function.score(anchor, relation, own(candidates)[:, :0], side).shape == (BATCH, 0)


def test_constraints_hold_at_once_and_leave_what_satisfies_them(case):
    function = case.build()
    for rows, constrain in (
        (torch.randn(6, function.entity_width, dtype=case.dtype), function.constrain_entities),
        (torch.randn(6, function.relation_width, dtype=case.dtype), function.constrain_relations),
    ):
        once = constrain(rows)
        assert once.shape == rows.shape
        torch.testing.assert_close(constrain(once), once)
        assert constrain(torch.zeros_like(rows)).isfinite().all()


def test_initial_rows_satisfy_the_constraints_and_come_from_the_generator_alone(case):
    function = case.kind(DIM, **case.options)
    before = torch.get_rng_state()

    def draw(seed):
        rows = (torch.empty(40, function.entity_width), torch.empty(7, function.relation_width))
        function.initialise(*rows, torch.Generator().manual_seed(seed))
        return [*rows, *(values.detach().clone() for values in function.parameters())]

    first, again, other = draw(3), draw(3), draw(4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(torch.get_rng_state(), before)
    assert all(values.isfinite().all() for values in first)
    torch.testing.assert_close(function.constrain_entities(first[0]), first[0])
    torch.testing.assert_close(function.constrain_relations(first[1]), first[1])


def test_every_parameter_is_drawn_by_initialise(case):
    function = case.kind(DIM, **case.options)
    norms = [layer for layer in function.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    fixed = {id(values) for layer in norms for values in layer.parameters()}
    with torch.no_grad():
        for values in function.parameters():
            values.fill_(0.0)
    rows = (torch.empty(4, function.entity_width), torch.empty(4, function.relation_width))
    function.initialise(*rows, torch.Generator().manual_seed(0))
    assert all(values.abs().sum() > 0 for values in function.parameters() if id(values) not in fixed)


def test_moduli_are_absolute_values_with_finite_gradients(case):
    function = case.build()
    for width in (function.entity_width, function.relation_width):
        rows = torch.cat([torch.zeros(1, width), torch.randn(3, width)]).requires_grad_()
        moduli = function.moduli(rows)
        assert moduli.shape[:-1] == rows.shape[:-1]
        assert (moduli >= 0).all()
        moduli.pow(3).sum().backward()
        assert rows.grad.isfinite().all()


def test_dropout_acts_in_training_only(case):
    function = case.build()
    rows = case.rows(function)
    drops = any(isinstance(layer, nn.Dropout | nn.Dropout2d) and layer.p > 0 for layer in function.modules())
    assert torch.equal(function.score(*rows, Side.TAIL), function.score(*rows, Side.TAIL))
    function.train()
    torch.manual_seed(0)
    assert torch.equal(function.score(*rows, Side.TAIL), function.score(*rows, Side.TAIL)) is not drops


def test_a_training_batch_of_one_query_is_scored(case):
    function = case.build().train()
    anchor, relation, candidates = case.rows(function, batch=1)
    assert function.score(anchor, relation, candidates, Side.TAIL).isfinite().all()


def test_shapes_are_what_the_annotations_say(case, monkeypatch):
    for kind in (ScoringFunction, case.kind):
        module = importlib.import_module(kind.__module__)
        monkeypatch.setattr(module, "Float", jaxtyping.Float, raising=False)
        for name in ("project", "expect_tail", "expect_head", "similarity", "score", "moduli"):
            if name in vars(kind) and not getattr(vars(kind)[name], "__isabstractmethod__", False):
                monkeypatch.setattr(kind, name, jaxtyped(typechecker=beartype)(vars(kind)[name]))
    function = case.build()
    anchor, relation, candidates = case.rows(function)
    for side in case.sides():
        function.score(anchor, relation, candidates, side)
        function.score(anchor, relation, own(candidates), side)
    function.moduli(anchor)
    function.moduli(relation)
