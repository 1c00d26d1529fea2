"""Samplers by their distributions; the contract runs over every sampler in the catalogue."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pictokg import catalogue
from pictokg.assembly import build_objective, give_generators
from pictokg.config import configure
from pictokg.graph.query import Query, Side, ask
from pictokg.models.ikrl import build as build_ikrl
from pictokg.models.transe import build as build_transe
from pictokg.sampling.base import Context
from pictokg.sampling.bernoulli import Bernoulli, head_probability
from pictokg.sampling.k_vs_all import KVsAll
from pictokg.sampling.one_vs_all import OneVsAll
from pictokg.sampling.uniform import Uniform
from pictokg.sampling.unknown import Unknown

SAMPLERS = catalogue.names("sampler")
SETTINGS = {"together": [("parts", "unknown,sans,nscaching,kbgan,igan")]}
MASKING = {"one_vs_all": [("mask_known", True)]}  # what must be set for known answers to be kept out
UNMASKED = {"uniform", "bernoulli", "k_vs_all"}


def context_of(build, data, generator):
    model = build(data, dim=4)
    everyone = torch.arange(model.num_entities)
    return Context(model, data, data.known("train"), generator, everyone, model.encode)


@pytest.fixture
def context(data, generator):
    return context_of(build_transe, data, generator)


def prepared(name, context, settings=(), pool=None):
    """A sampler of the catalogue as training has it before the first step; a context with a model that it takes."""
    config = configure("gated", parts={"sampler": name}, settings=[*SETTINGS.get(name, []), *settings])
    sampler = build_objective(config).sampler
    if "views" in sampler.needs:
        context = context_of(build_ikrl, context.data, context.generator)
    if pool is not None:
        context.pool = pool
    context.sides = tuple(Side)
    give_generators(sampler, context.model, context.data)
    sampler.prepare(context)
    return sampler, context


@pytest.fixture
def triples(data):
    return torch.from_numpy(data.graph.split("train").astype(np.int64))


def chi_square_is_plausible(counts: torch.Tensor) -> bool:
    """Whether counts look uniform: within five standard deviations of what chance gives."""
    expected = counts.sum() / len(counts)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    return abs(statistic - freedom) < 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("side", list(Side))
def test_contract_shapes_pools_and_determinism(name, side, context, triples):
    sampler, context = prepared(name, context)
    query, answer = ask(triples, side)

    def draw():
        context.generator.manual_seed(3)
        return sampler(query, answer, context)

    first, again = draw(), draw()
    assert torch.equal(first.ids, again.ids)
    high = context.model.num_relations if side is Side.RELATION else len(context.pool)
    assert int(first.ids.min()) >= 0
    assert int(first.ids.max()) < high
    assert first.ids.dim() == 1 or len(first.ids) == len(query)
    width = first.ids.shape[-1]
    assert first.weight is None or first.weight.shape == (len(query), width)
    if first.labelled is not None:
        assert first.labelled[0].tolist() == sorted(first.labelled[0].tolist())
        assert int(first.labelled[1].max()) < width
    if first.answer_column is not None:
        assert torch.equal(first.ids.expand(len(query), -1)[torch.arange(len(query)), first.answer_column], answer)


@pytest.mark.parametrize("name", SAMPLERS)
def test_contract_draws_only_from_the_pool(name, context, triples):
    sampler, context = prepared(name, context, pool=torch.arange(2, 9))
    inside = triples[((triples[:, [0, 2]] >= 2) & (triples[:, [0, 2]] < 9)).all(dim=1)]
    query, answer = ask(inside, Side.TAIL)
    for _ in range(3):
        drawn = sampler(query, answer, context)
        assert set(drawn.ids.flatten().tolist()) <= set(range(2, 9))
        sampler.feedback(drawn, torch.zeros(len(query), drawn.ids.shape[-1]), context)


@pytest.mark.parametrize("name", SAMPLERS)
def test_contract_the_first_and_the_last_entity_are_reached(name, context, triples):
    sampler, context = prepared(name, context)
    facts, last = set(map(tuple, triples.tolist())), len(context.pool) - 1
    unknown = [row for row in triples.tolist() if not facts & {(*row[:2], 0), (*row[:2], last)}]
    query, answer = ask(torch.tensor(unknown), Side.TAIL)
    seen: set[int] = set()
    for context.step in range(60):
        drawn = sampler(query, answer, context)
        ids = drawn.ids.expand(len(query), -1)
        seen.update(ids[torch.ones(ids.shape).bool() if drawn.weight is None else drawn.weight > 0].tolist())
        sampler.feedback(drawn, torch.zeros(ids.shape), context)
    assert {0, last} <= seen


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("side", list(Side))
def test_contract_masked_answers_are_never_drawn(name, side, context, triples):
    """What claims to keep known answers out keeps them out, the answer's own column aside."""
    if name in UNMASKED:
        pytest.skip("draws known answers, as published")
    sampler, context = prepared(name, context, settings=MASKING.get(name, []))
    query, answer = ask(triples, side)
    for _ in range(10):
        drawn = sampler(query, answer, context)
        ids = drawn.ids.expand(len(query), -1)
        counted = (torch.ones(ids.shape) if drawn.weight is None else drawn.weight) > 0
        if drawn.answer_column is not None:
            counted = counted.scatter(1, drawn.answer_column.unsqueeze(1), False)
        assert not (context.known.contains(query, ids) & counted).any()
        sampler.feedback(drawn, torch.zeros(ids.shape), context)


@pytest.mark.parametrize("name", SAMPLERS)
def test_contract_where_everything_is_known_padding_has_weight_0(name, context):
    if name in UNMASKED:
        pytest.skip("draws known answers, as published")
    query = Query(head=torch.tensor([0]), relation=torch.tensor([0]))
    pool = context.known.answers(query)[1]
    sampler, context = prepared(name, context, settings=MASKING.get(name, []), pool=pool)
    drawn = sampler(query, pool[:1], context)
    weight = drawn.weight
    if drawn.answer_column is not None:
        weight = weight.scatter(1, drawn.answer_column.unsqueeze(1), 0.0)
    assert weight.sum() == 0
    assert torch.isfinite(weight).all()


@pytest.mark.parametrize("sampler", [Uniform(50), Bernoulli(50), Uniform(400, shared=True)])
def test_uniform_reaches_every_entity_alike_first_and_last_included(sampler, context, triples):
    query, answer = ask(triples[:20], Side.TAIL)
    counts = torch.zeros(len(context.pool))
    for _ in range(40):
        ids = sampler(query, answer, context).ids
        counts += torch.bincount(ids.flatten(), minlength=len(counts))
    assert counts.min() > 0
    assert chi_square_is_plausible(counts)


def test_bernoulli_asks_sides_with_the_published_probability(context, triples):
    sampler = Bernoulli(1)
    probability = head_probability(triples, 3)
    asked = torch.zeros(3)
    rounds = 400
    for _ in range(rounds):
        for query, _ in sampler.questions(triples, context):
            if query.side is Side.HEAD:
                asked += torch.bincount(query.relation, minlength=3)
    frequency = asked / (rounds * torch.bincount(triples[:, 1], minlength=3))
    torch.testing.assert_close(frequency, probability, atol=0.03, rtol=0)


def test_head_probability_by_hand():
    # relation 0: heads {0, 1}, tails {5, 6, 7}, 4 triples: tph = 2, hpt = 4/3; relation 1 is unused
    triples = torch.tensor([[0, 0, 5], [0, 0, 6], [0, 0, 7], [1, 0, 5], [1, 0, 5]])
    assert head_probability(triples, 2).tolist() == pytest.approx([2 / (2 + 4 / 3), 0.0])


@pytest.mark.parametrize("side", ["both", "bernoulli", "coin"])
def test_every_triple_is_asked_and_only_its_own_answer_is_expected(side, context, triples):
    questions = Unknown(4, side=side).questions(triples, context)
    rebuilt = torch.cat([query.with_answer(answer) for query, answer in questions])
    assert len(rebuilt) == len(triples) * (2 if side == "both" else 1)
    assert set(map(tuple, rebuilt.tolist())) == set(map(tuple, triples.tolist()))


@pytest.mark.parametrize("side", list(Side))
def test_unknown_never_draws_a_known_answer(side, context, triples):
    query, answer = ask(triples, side)
    for _ in range(30):
        drawn = Unknown(20)(query, answer, context)
        known = context.known.contains(query, drawn.ids)
        assert not (known & (drawn.weight > 0)).any()


def test_unknown_masks_what_it_cannot_replace(context):
    """Where every candidate is known, padding has weight 0 and nothing fails."""
    query = Query(head=torch.tensor([0]), relation=torch.tensor([0]))
    context.pool = context.known.answers(query)[1]
    drawn = Unknown(5)(query, context.pool[:1], context)
    assert drawn.weight.tolist() == [[0.0] * 5]


def test_one_vs_all_masks_other_known_answers_but_not_the_own(context, triples):
    query, answer = ask(triples, Side.TAIL)
    drawn = OneVsAll(mask_known=True)(query, answer, context)
    facts = set(map(tuple, triples.tolist()))
    for row, (head, relation, tail) in enumerate(triples.tolist()):
        for entity in range(len(context.pool)):
            known_and_other = (head, relation, entity) in facts and entity != tail
            assert drawn.weight[row, entity] == (0.0 if known_and_other else 1.0)


def test_k_vs_all_asks_each_question_once_an_epoch_and_labels_every_known_answer(context, triples):
    sampler = KVsAll()
    facts = set(map(tuple, triples.tolist()))
    asked = []
    for batch in triples.split(7):
        for query, answer in sampler.questions(batch, context):
            label = torch.zeros(len(query), len(context.pool)).index_put(
                sampler(query, answer, context).labelled, torch.ones(())
            )
            given = zip(*(slot.tolist() for slot in query.given), strict=True)
            asked += [(query.side, pair) for pair in given]
            for row, triple in enumerate(query.with_answer(answer).tolist()):
                answers = {fact[query.side] for fact in facts if _same_question(fact, triple, query.side)}
                assert {entity for entity in range(len(context.pool)) if label[row, entity] == 1} == answers
    assert len(asked) == len(set(asked))
    assert len(asked) == len({fact[:2] for fact in facts}) + len({fact[1:] for fact in facts})


def _same_question(fact, triple, side):
    return all(fact[slot] == triple[slot] for slot in Side if slot is not side)
