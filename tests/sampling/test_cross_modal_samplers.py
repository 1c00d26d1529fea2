"""MMRNS as released and corrected: formulas written plainly, distributions, gradients, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pictokg.assembly import build_model, build_trainer
from pictokg.config import configure
from pictokg.errors import ConfigError, DataWarning
from pictokg.features.table import FeatureTable
from pictokg.fusion.cross_modal import Slots
from pictokg.graph.query import Query, Side, ask
from pictokg.models.distmult import build as build_distmult
from pictokg.models.ikrl import build as build_ikrl
from pictokg.sampling._gumbel import BARRED, gumbel_like, successive_draws, top_k_draws
from pictokg.sampling.base import Context
from pictokg.sampling.mmrns import MMRNS, Drawn, annealed
from pictokg.sampling.mmrns_plus import Compared, MMRNSPlus, filled, incident_relations
from pictokg.training.fit import fit

BOTH = pytest.mark.parametrize("make", [MMRNS, MMRNSPlus])


def with_slots(data, most=3):
    """The data with up to three rows an entity in both tables, as the attention wants them."""
    generator = np.random.default_rng(5)
    tables = {}
    for name, width, every in (("image", 6, 3), ("text", 5, 4)):
        counts = [0 if entity % every == 0 else 1 + entity % most for entity in range(data.graph.num_entities)]
        values = generator.normal(size=(sum(counts), width)).astype("float32")
        offsets = np.concatenate([[0], np.cumsum(counts)])
        tables[name] = FeatureTable(name, values, offsets, [str(row) for row in range(sum(counts))])
    return replace(data, tables=tables)


@pytest.fixture
def slotted(data):
    return with_slots(data)


def context_of(data, build=build_distmult, **options):
    model = build(data, dim=4, **options)
    with torch.no_grad():  # vectors of everyday size: those of DistMult start near 0, where cosines round
        for rows in (model.encoder.structure.weight, model.relations.weight):
            rows.normal_(generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(0)
    return Context(model, data, data.known("train"), generator, torch.arange(model.num_entities), model.encode)


def prepared(sampler, context):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sampler.prepare(context)
    return sampler


@pytest.fixture
def context(slotted):
    return context_of(slotted)


@pytest.fixture
def triples(slotted):
    return torch.from_numpy(slotted.graph.split("train").astype(np.int64))


def tails(triples):
    return ask(triples, Side.TAIL)


# Drawing


def brute_force_pairs(q):
    """The chance of drawing i first and j second, without replacement."""
    pairs = q[:, None] * q[None, :] / (1 - q[:, None])
    return pairs.fill_diagonal_(0)


@pytest.mark.parametrize("how", ["successive", "top_k"])
def test_draws_without_replacement_have_the_chances_of_a_brute_force_count(how, generator):
    q = torch.tensor([0.5, 0.25, 0.15, 0.1, 0.0])
    logits = q.clamp_min(1e-30).log().masked_fill(q == 0, BARRED).expand(60_000, -1)
    if how == "top_k":
        columns, allowed = top_k_draws(logits, 2, generator)
    else:
        columns, allowed, _ = successive_draws(logits, (q == 0).expand(60_000, -1), torch.zeros(5, 1), 2, generator)
    assert allowed.all()
    counts = torch.bincount(columns[:, 0] * 5 + columns[:, 1], minlength=25).double()
    expected = brute_force_pairs(q.double()).flatten() * 60_000
    assert counts[expected == 0].sum() == 0
    there = expected > 0
    statistic = float(((counts - expected)[there] ** 2 / expected[there]).sum())
    freedom = int(there.sum()) - 1
    assert abs(statistic - freedom) < 5 * (2 * freedom) ** 0.5


def test_nothing_left_to_draw_is_said(generator):
    logits, barred = torch.zeros(3, 4), torch.tensor([True, True, True, False]).expand(3, -1)
    columns, allowed, _ = successive_draws(logits, barred, torch.zeros(4, 2), 3, generator)
    assert columns[:, 0].tolist() == [3, 3, 3]
    assert allowed.tolist() == [[True, False, False]] * 3
    columns, allowed = top_k_draws(logits.masked_fill(barred, BARRED), 3, generator)
    assert (columns[:, 0].tolist(), allowed.sum().item()) == ([3, 3, 3], 3)


def test_gumbel_noise_has_its_mean_and_variance(generator):
    noise = gumbel_like(torch.empty(200_000), generator).double()
    assert noise.isfinite().all()
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, rel=0.03)


def test_a_drawn_vector_is_its_row_and_its_gradient_that_of_the_soft_choice():
    logits = torch.randn(4, 6, requires_grad=True)
    barred = torch.zeros(4, 6, dtype=torch.bool)
    barred[:, 0] = True
    vectors, direction = torch.randn(6, 3, requires_grad=True), torch.randn(4, 2, 3)
    generator = torch.Generator().manual_seed(7)
    columns, _, drawn = successive_draws(logits, barred, vectors, 2, generator)
    assert torch.equal(drawn, vectors[columns])
    ours = torch.autograd.grad((drawn * direction).sum(), [logits, vectors])
    generator.manual_seed(7)
    blocked, soft = barred.clone(), []
    for draw in range(2):  # the same noise, the soft choice alone
        noisy = (logits + gumbel_like(logits, generator)).masked_fill(blocked.clone(), -torch.inf)
        soft.append(noisy.softmax(dim=1) @ vectors.detach())
        blocked[torch.arange(4), columns[:, draw]] = True
    theirs = torch.autograd.grad((torch.stack(soft, dim=1) * direction).sum(), logits)[0]
    torch.testing.assert_close(ours[0], theirs)
    hard = torch.zeros(6, 3).index_put((columns,), direction, accumulate=True)
    torch.testing.assert_close(ours[1], hard)


@BOTH
@pytest.mark.parametrize("side", [Side.HEAD, Side.TAIL])
def test_negatives_are_distinct_and_never_known(make, side, context, triples):
    sampler = prepared(make(8, pool=10), context)
    query, answer = ask(triples, side)
    for _ in range(40):
        drawn = sampler(query, answer, context)
        counts = drawn.weight > 0
        assert counts.any()
        assert not (context.known.contains(query, drawn.ids) & counts).any()
        assert not ((drawn.ids == answer.unsqueeze(1)) & counts).any()
        for row, there in zip(drawn.ids.tolist(), counts.tolist(), strict=True):
            kept = [entity for entity, counted in zip(row, there, strict=True) if counted]
            assert len(kept) == len(set(kept))


@pytest.mark.parametrize(
    "sampler", [MMRNS(1, temperature=1e9), MMRNS(1, pool=5, temperature=1e9), MMRNSPlus(1, mix=1.0, guard=0.0)]
)
def test_at_an_infinite_temperature_every_unknown_entity_is_drawn_alike(sampler, context):
    prepared(sampler, context)
    query = Query(relation=torch.zeros(200, dtype=torch.long), tail=torch.full((200,), 6))
    counts = torch.zeros(len(context.pool))
    for _ in range(40):
        drawn = sampler(query, torch.full((200,), 5), context)
        counts += torch.bincount(drawn.ids[drawn.weight > 0], minlength=len(counts))
    one = query[:1]
    open_ = ~context.known.contains(one, context.pool.unsqueeze(0))[0]
    open_[5] = False
    assert open_[0]
    assert open_[-1]
    assert counts[~open_].sum() == 0
    expected = counts.sum() / open_.sum()
    spread = 200 if sampler.pool < 12 else 1  # a small pool is shared by 200 questions: draws come in clumps
    statistic = float(((counts[open_] - expected) ** 2 / expected).sum()) / spread
    freedom = int(open_.sum()) - 1
    assert counts[open_].min() > 0
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


@BOTH
def test_both_sides_of_a_step_share_one_pool_and_the_next_step_has_another(make, context, triples):
    options = {"alternate": False} if make is MMRNS else {}
    sampler = prepared(make(5, pool=5, **options), context)
    seen = []
    for step in range(12):
        context.step = step
        questions = sampler.questions(triples, context)
        assert [query.side for query, _ in questions] == [Side.HEAD, Side.TAIL]
        drawn = [set(sampler(query, answer, context).ids.flatten().tolist()) for query, answer in questions]
        assert all(len(ids) <= 5 for ids in (drawn[0] | drawn[1], *drawn))
        seen.append(frozenset(drawn[0] | drawn[1]))
    assert len(set(seen)) > 3


@BOTH
def test_where_all_is_known_padding_has_weight_0_and_the_loss_is_finite(make, context):
    sampler = prepared(make(20), context)
    query = Query(head=torch.tensor([0]), relation=torch.tensor([0]))
    context.pool = context.known.answers(query)[1]
    drawn = sampler(query, context.pool[:1], context)
    assert drawn.weight.tolist() == [[0.0] * len(context.pool)]
    loss = sampler.feedback(drawn, torch.zeros(drawn.ids.shape), context)
    assert loss.isfinite()
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in sampler.parameters())


@BOTH
def test_relation_questions_draw_relations_and_mask_known_ones(make, context, triples):
    query, answer = ask(triples, Side.RELATION)
    sampler = prepared(make(6), context)
    drawn = sampler(query, answer, context)
    assert int(drawn.ids.max()) < context.model.num_relations
    assert torch.equal(drawn.weight == 0, context.known.contains(query, drawn.ids))
    assert sampler.feedback(drawn, torch.zeros(len(query), 6), context) is None


# The sampler as released


def cosines_by_hand(sampler, query, answer, context):
    """s_m of every question and entity, one pair at a time."""
    attention, model = sampler.attention, context.model

    def encode(entity, relation, answers):
        ids = torch.tensor([entity])
        shown, told = Slots(sampler.pictures(ids)[0]), Slots(sampler.words(ids)[0])
        entities = attention.independent(
            shown, told, model.encode(ids), norm_attention=not (answers and sampler.two_paths)
        )
        return [z[0, 0] for z in attention(entities, attention.guide(model.relations.weight[[relation]]))]

    rows = []
    for relation, own in zip(query.relation.tolist(), answer.tolist(), strict=True):
        anchor = encode(own, relation, True)
        rows.append(
            [
                [torch.cosine_similarity(a, b, dim=0) for a, b in zip(anchor, encode(c, relation, False), strict=True)]
                for c in range(len(context.pool))
            ]
        )
    return torch.stack([torch.stack([torch.stack(c) for c in row]) for row in rows]).permute(2, 0, 1)


def test_similarities_chances_and_loss_are_those_of_the_formulas(context, triples):
    sampler = prepared(MMRNS(5), context)
    query, answer = tails(triples[:9])
    context.step = 50
    drawn = sampler(query, answer, context)
    with torch.no_grad():
        alike = cosines_by_hand(sampler, query, answer, context)
    torch.testing.assert_close(drawn.memory.alike, alike, atol=1e-5, rtol=0)
    tau = 10 / (1 + math.log(51))
    q = sum((alike[m] / tau).softmax(dim=1) for m in range(3)) / 3
    torch.testing.assert_close(sampler.logits(drawn.memory.alike, 50).softmax(dim=1), q)

    scores = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    facts = set(map(tuple, triples.tolist()))
    alpha = (0.5 * scores).masked_fill(drawn.weight == 0, -torch.inf).softmax(dim=1)
    expected = 0.0
    for m in range(3):
        positive = negative = 0.0
        for row, (head, relation, _) in enumerate(triples[:9].tolist()):
            weights = {
                int(entity): float(a)
                for entity, a, counts in zip(drawn.ids[row], alpha[row], drawn.weight[row], strict=True)
                if counts
            }
            for entity in range(12):
                power = math.exp(alike[m, row, entity].item()) / 12
                if (head, relation, entity) in facts:
                    positive += power
                else:
                    negative += power * weights.get(entity, 1.0)
        expected += -math.log(positive / negative)
    ours = sampler.feedback(drawn, scores, context)
    assert ours.item() == pytest.approx(expected / (3 * 100), abs=1e-6)


def test_questions_are_weighted_by_the_rarity_of_their_pairs(context, triples):
    query, answer = ask(triples, Side.HEAD)
    weight = prepared(MMRNS(2), context)(query, answer, context).question_weight
    train = triples.tolist()
    for row, (head, relation, tail) in enumerate(train):
        count = sum(t[:2] == [head, relation] for t in train) + sum(t[1:] == [relation, tail] for t in train)
        assert float(weight[row]) == pytest.approx((6 + count) ** -0.5)
    assert prepared(MMRNS(2, subsampling=False), context)(query, answer, context).question_weight is None


def test_the_temperature_falls_as_released():
    assert [round(annealed(10.0, step), 2) for step in (0, 1_000, 10_000, 100_000)] == [10.0, 1.26, 0.98, 0.8]


def test_sides_alternate_and_relation_questions_come_along(context, triples):
    sampler = prepared(MMRNS(2), context)
    context.sides = (Side.HEAD, Side.TAIL, Side.RELATION)
    asked = []
    for context.step in range(4):
        asked.append([query.side for query, _ in sampler.questions(triples, context)])
    assert asked == [[Side.TAIL, Side.RELATION], [Side.HEAD, Side.RELATION]] * 2


def test_a_step_without_a_known_answer_in_its_pool_has_no_contrastive_loss(context):
    sampler = prepared(MMRNS(2), context)
    nobody = torch.zeros(4, 6, dtype=torch.bool)
    drawn = Drawn(torch.rand(3, 4, 6, requires_grad=True), nobody, torch.zeros(4, 2, dtype=torch.long), nobody[:, :2])
    loss = sampler.contrast(drawn, torch.zeros(4, 2))
    assert loss.item() == 0.0


def test_norms_are_constants_to_the_gradient(context):
    sampler = prepared(MMRNS(2), context)
    vector = torch.tensor([[3.0, 4.0]], requires_grad=True)
    torch.autograd.grad(sampler.unit(vector).sum(), vector)[0].tolist()
    gradient = torch.autograd.grad(sampler.unit(vector).sum(), vector)[0]
    torch.testing.assert_close(gradient, torch.full((1, 2), 0.2))


def test_the_released_sampler_moves_the_model_and_the_corrected_one_does_not(context, triples):
    query, answer = tails(triples)
    for make, moves in ((MMRNS, True), (MMRNSPlus, False)):
        sampler = prepared(make(3), context)
        drawn = sampler(query, answer, context)
        loss = sampler.feedback(drawn, torch.zeros(drawn.ids.shape), context)
        found = torch.autograd.grad(loss, list(context.model.parameters()), allow_unused=True)
        assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in found) == moves


# The corrected sampler


def test_an_answer_is_entirely_alike_to_itself(context, triples):
    query, answer = tails(triples)
    itself = torch.arange(len(query)), answer
    compared = prepared(MMRNSPlus(3), context)(query, answer, context).memory
    present = compared.both[:, itself[0], itself[1]]
    assert torch.equal(present, compared.own)
    torch.testing.assert_close(compared.alike[:, itself[0], itself[1]][present], torch.ones(int(present.sum())))
    released = prepared(MMRNS(3), context)(query, answer, context).memory.alike[:, itself[0], itself[1]]
    torch.testing.assert_close(released[1:], torch.ones_like(released[1:]))
    assert (released[0] < 0.9999).any()  # the answer's own path, spec of the released code
    same = prepared(MMRNS(3, two_paths=False), context)(query, answer, context).memory.alike[:, itself[0], itself[1]]
    torch.testing.assert_close(same, torch.ones_like(same))


def test_chances_follow_the_order_of_the_pool(context):
    sampler = prepared(MMRNSPlus(3, guard=0.2), context)
    torch.manual_seed(0)
    alike, both = torch.rand(3, 4, 12), torch.rand(3, 4, 12) > 0.3
    both[2] = True
    known = torch.rand(4, 12) > 0.8
    order = torch.randperm(12)
    q = sampler.distribution(alike, both, known)
    permuted = sampler.distribution(alike[..., order], both[..., order], known[..., order])
    torch.testing.assert_close(permuted, q[:, order])
    released = prepared(MMRNS(3), context)
    torch.testing.assert_close(released.logits(alike[..., order], 3), released.logits(alike, 3)[:, order])


def test_chances_by_hand(context):
    sampler = prepared(MMRNSPlus(3, temperature=0.5, mix=0.1, guard=0.25), context)
    alike = torch.tensor([[[0.2, 0.4, 0.0, 0.9, 0.5]], [[0.0, 0.8, 0.0, 0.9, 0.5]], [[0.6, 0.1, 0.3, 0.9, 0.5]]])
    both = torch.tensor([[[True, True, False, True, True]], [[False, True, False, True, True]], [[True] * 5]])
    known = torch.tensor([[False, False, False, False, True]])
    # Means over what both have: 0.4, 1.3/3, 0.3, 0.9; the last is known, and of four a quarter, the 0.9, is guarded.
    powers = torch.tensor([0.4, 1.3 / 3, 0.3]).div(0.5).exp()
    expected = torch.cat([0.9 * powers / powers.sum() + 0.1 / 3, torch.zeros(2)])
    torch.testing.assert_close(sampler.distribution(alike, both, known)[0], expected)


def test_the_guard_keeps_the_most_alike_from_being_drawn(context, triples):
    query, answer = tails(triples)
    sampler = prepared(MMRNSPlus(6, guard=0.3), context)
    for _ in range(20):
        drawn = sampler(query, answer, context)
        compared = drawn.memory
        mean = (compared.alike * compared.both).sum(dim=0) / compared.both.sum(dim=0)
        for row in range(len(query)):
            order = [c for c in mean[row].argsort(descending=True).tolist() if not compared.known[row, c]]
            guarded = set(order[: int(0.3 * len(order))])
            assert not guarded & set(drawn.ids[row][drawn.weight[row] > 0].tolist())


def test_contrastive_loss_by_hand(context, triples):
    sampler = prepared(MMRNSPlus(3, contrast=0.1), context)
    query, answer = tails(triples[:6])
    compared = sampler(query, answer, context).memory
    losses = []
    for m in range(3):
        for row in range(6):
            if not compared.own[m, row]:
                continue
            s = {c: compared.alike[m, row, c].item() for c in range(12) if compared.both[m, row, c]}
            positive = [1.0] + [value for c, value in s.items() if compared.known[row, c]]
            everyone = math.log(sum(math.exp(v / 0.1) for v in [1.0, *s.values()]))
            losses.append(sum(everyone - v / 0.1 for v in positive) / len(positive))
    assert sampler.contrastive(compared).item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_an_entity_without_pictures_is_compared_by_what_it_has(context, triples):
    sampler = prepared(MMRNSPlus(3), context)
    query, answer = tails(triples)
    compared = sampler(query, answer, context).memory
    has = torch.from_numpy(context.data.table("image").present)
    assert torch.equal(compared.own[0], has[answer])
    assert torch.equal(compared.both[0], has[answer].unsqueeze(1) & has.unsqueeze(0))
    assert compared.both[2].all()


def test_a_learned_slot_stands_where_there_is_none():
    slots = Slots(torch.ones(2, 3, 4), torch.tensor([[True, True, False], [False, False, False]]))
    shown = filled(slots, torch.full((4,), 7.0))
    assert shown.mask.tolist() == [[True, True, False], [True, False, False]]
    assert shown.rows[1, 0].tolist() == [7.0] * 4
    assert shown.rows[0].tolist() == [[1.0] * 4] * 3


def test_relations_have_a_direction_in_the_corrected_sampler_alone(context, triples):
    tail_query, answer = tails(triples)
    head_query = Query(
        relation=tail_query.relation, tail=tail_query.head
    )  # the same relation, asked from the other end
    for make, differs in ((MMRNS, False), (MMRNSPlus, True)):
        sampler = prepared(make(3), context)
        one, other = (sampler(query, answer, context).memory.alike for query in (tail_query, head_query))
        assert torch.allclose(one, other) != differs


def test_reciprocal_relations_are_the_directions_where_the_model_has_them(slotted):
    context = context_of(slotted, inverse=True)
    sampler = prepared(MMRNSPlus(3), context)
    rows = context.model.relations.weight
    vectors = sampler.relation_vectors(context.model)
    torch.testing.assert_close(vectors - sampler.direction.repeat_interleave(3, dim=0), rows)


def test_the_other_relations_of_an_entity_guide_its_attention(context, triples):
    sampler = prepared(MMRNSPlus(3), context)
    ids = context.pool
    pictures, words = sampler.other_gates(ids, context.model)
    gates = sampler.attention.gates(sampler.relation_vectors(context.model))
    for entity in ids.tolist():
        directed = {r for _, r, t in triples.tolist() if t == entity} | {
            r + 3 for h, r, _ in triples.tolist() if h == entity
        }
        for ours, of_relation in zip((pictures, words), gates, strict=True):
            torch.testing.assert_close(ours[entity], of_relation[sorted(directed)].mean(dim=0) / 2)


def test_incident_relations_of_an_entity_in_no_triple_are_none():
    offsets, relations = incident_relations(np.array([[0, 1, 2], [0, 1, 2], [0, 0, 2]]), entities=4, relations=2)
    assert offsets.tolist() == [0, 2, 2, 4, 4]
    assert relations.tolist() == [2, 3, 0, 1]


def step_against(sampler, context, query, answer):
    """The expected score of a negative under q before and after the sampler descends the mean score of its draws."""

    def expected():
        compared = sampler(query, answer, context).memory
        q = sampler.distribution(compared.alike, compared.both, compared.known)
        return (q * context.model.score(query, context.pool)).sum(dim=1).mean().item()

    before = expected()
    parameters = list(sampler.parameters())
    for _ in range(30):
        drawn = sampler(query, answer, context)
        scores = context.model.score(query, drawn.ids, partial(encode, drawn=drawn, context=context))
        gradients = torch.autograd.grad(scores.mean(), parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter -= 0.3 * gradient
    return before, expected()


def encode(ids, drawn, context):
    """What training scores: the sampler's own vectors for its negatives."""
    return drawn.vectors if ids is drawn.ids and drawn.vectors is not None else context.encode(ids)


@pytest.mark.parametrize("gradient", ["cooperative", "adversarial", "stopped"])
def test_the_gradient_of_a_loss_makes_negatives_easier_harder_or_leaves_them(gradient, context, triples):
    sampler = prepared(MMRNSPlus(4, gradient=gradient), context)
    before, after = step_against(sampler, context, *tails(triples))
    if gradient == "cooperative":
        assert after < before - 1e-3
    elif gradient == "adversarial":
        assert after > before + 1e-3
    else:
        assert after == before


def test_the_gradient_of_the_corrected_choice_is_that_of_the_soft_mixture(context, triples):
    sampler = prepared(MMRNSPlus(4, gradient="cooperative"), context)
    query, answer = tails(triples)
    direction = torch.randn(4)
    drawn = sampler(query, answer, context)
    assert torch.equal(drawn.vectors, context.encode(drawn.ids))
    ours = torch.autograd.grad((drawn.vectors @ direction).sum(), list(sampler.parameters()), allow_unused=True)
    compared = sampler(query, answer, context).memory
    q = sampler.distribution(compared.alike, compared.both, compared.known)
    soft = 4 * (q @ context.model.encoder.structure.weight.detach() @ direction).sum()
    theirs = torch.autograd.grad(soft, list(sampler.parameters()), allow_unused=True)
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@BOTH
def test_the_contrastive_loss_reaches_the_attention(make, context, triples):
    sampler = prepared(make(4), context)
    drawn = sampler(*tails(triples), context)
    sampler.feedback(drawn, torch.zeros(drawn.ids.shape), context).backward()
    for name in ("picture_layer", "text_layer", "picture_gate", "text_gate", "picture_out", "text_out", "norm"):
        assert getattr(sampler.attention, name).weight.grad.abs().sum() > 0, name


# Training


def config_of(model="transe", sampler="mmrns", **settings):
    settings = {"dim": 6, "epochs": 4, "batch_size": 16, "validate_every": 0, **settings}
    return configure(model, parts={"sampler": sampler, "loss": "self_adversarial"}, settings=list(settings.items()))


def trainer_of(data, **choices):
    config = config_of(**choices)
    return build_trainer(config, build_model(config, data), data)


CHOICES = [{"sampler": "mmrns"}, {"sampler": "mmrns_plus"}, {"sampler": "mmrns_plus", "gradient": "adversarial"}]


@pytest.mark.parametrize("choices", CHOICES)
def test_a_resumed_run_equals_an_unbroken_one(choices, slotted, tmp_path, monkeypatch):
    whole = trainer_of(slotted, **choices)
    fit(whole, slotted)

    def stop(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("pictokg.training.fit.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        fit(trainer_of(slotted, **choices), slotted, folder=tmp_path, on_epoch=stop)
    resumed = trainer_of(slotted, **choices)
    fit(resumed, slotted, folder=tmp_path, resume=True)
    for one, other in ((whole.model, resumed.model), (whole.objective.sampler, resumed.objective.sampler)):
        state = other.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())
    before = dict(trainer_of(slotted, **choices).objective.sampler.named_parameters())
    moved = [name for name, value in whole.objective.sampler.named_parameters() if not torch.equal(value, before[name])]
    assert "attention.picture_layer.weight" in moved


@pytest.mark.parametrize("choices", CHOICES)
@pytest.mark.parametrize(
    "settings",
    [
        {"model": "ikrl", "precision": "bf16"},
        {"model": "gated", "scoring": "tucker", "relation_questions": True},
        {"model": "transr", "sparse": True},
        {"model": "rotate", "inverse": True, "precision": "bf16", "sparse": True},
    ],
)
def test_trains_with_views_inverses_projections_bf16_and_sparse_rows(choices, settings, slotted):
    trainer = trainer_of(slotted, **choices, **settings)
    before = trainer.model.relations.weight.detach().clone()
    losses = [report.loss for report in trainer.epochs()]
    assert all(math.isfinite(loss) for loss in losses)
    assert not torch.equal(before, trainer.model.relations.weight)


def test_models_with_views_are_given_vectors_of_each_view(slotted, triples):
    context = context_of(slotted, build_ikrl)
    for sampler in (MMRNS(3), MMRNSPlus(3, gradient="cooperative")):
        drawn = prepared(sampler, context)(*tails(triples), context)
        assert drawn.vectors.shape == (len(triples), 3, 2, 4)
        torch.testing.assert_close(drawn.vectors, context.model.encode(drawn.ids))
    assert prepared(MMRNSPlus(3), context)(*tails(triples), context).vectors is None


def test_more_negatives_than_entities_are_as_many_as_there_are(context, triples):
    for make in (MMRNS, MMRNSPlus):
        assert prepared(make(500, pool=9999), context)(*tails(triples), context).ids.shape[1] == 12


# What is refused, and what is done without


@pytest.mark.parametrize("sampler", ["mmrns", "mmrns_plus"])
def test_data_without_pictures_and_words_are_refused_with_what_to_do(sampler, data):
    bare = replace(data, tables={})
    with pytest.raises(ConfigError, match=r"no feature table 'image' or 'text' \(there are: none\); add images/"):
        trainer_of(bare, sampler=sampler)


@pytest.mark.parametrize("choices", CHOICES)
@pytest.mark.parametrize("has", ["image", "text"])
def test_one_of_the_two_tables_is_enough_and_is_said(choices, has, slotted):
    single = replace(slotted, tables={has: slotted.table(has)})
    with pytest.warns(DataWarning, match="compared by"):
        trainer = trainer_of(single, **choices)
    assert all(math.isfinite(report.loss) for report in trainer.epochs())


def test_the_term_of_a_table_that_is_not_there_is_left_out(slotted, triples):
    single = replace(slotted, tables={"text": slotted.table("text")})
    context = context_of(single)
    with pytest.warns(DataWarning):
        sampler = prepared(MMRNS(3), context)
    alike = torch.rand(3, 5, 12)
    q = sum((alike[m] / 10).softmax(dim=1) for m in (1, 2)) / 2
    torch.testing.assert_close(sampler.logits(alike, 0).softmax(dim=1), q)


def test_tables_may_have_other_names(slotted):
    renamed = replace(slotted, tables={"clip": slotted.table("image"), "bert": slotted.table("text")})
    trainer = trainer_of(renamed, picture_table="clip", text_table="bert")
    assert trainer.objective.sampler.attention.sizes.pictures == (3, 6)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"sampler": "mmrns", "pool": 0}, "pool must be at least 1; got 0"),
        ({"sampler": "mmrns", "sampler.negatives": 0}, "negatives must be at least 1"),
        ({"sampler": "mmrns", "sampler.temperature": 0.0}, "temperature must be above 0"),
        ({"sampler": "mmrns", "loss_rate": 0.0}, "loss_rate must be above 0"),
        ({"sampler": "mmrns_plus", "mix": 1.5}, r"mix is a fraction in \[0, 1\]; got 1.5"),
        ({"sampler": "mmrns_plus", "guard": -1.0}, "guard is a fraction"),
        ({"sampler": "mmrns_plus", "sampler.temperature": 2.0}, "temperature must be between 0.05 and 1.0"),
        ({"sampler": "mmrns_plus", "contrast": 0.0}, "contrast must be above 0"),
        ({"sampler": "mmrns_plus", "gradient": "reversed"}, "gradient"),
    ],
)
def test_options_out_of_range_are_refused(options, problem, slotted):
    with pytest.raises(ConfigError, match=problem):
        trainer_of(slotted, **options)


def test_unknown_gradients_are_refused_in_python_too():
    with pytest.raises(ConfigError, match="cooperative, stopped or adversarial; got 'reversed'"):
        MMRNSPlus(gradient="reversed")


def test_contrast_counts_nothing_of_rows_that_lack_the_modality(context):
    sampler = prepared(MMRNSPlus(3), context)
    alike = torch.rand(3, 2, 4, requires_grad=True)
    own = torch.tensor([[True, False], [True, True], [True, True]])
    both = own.unsqueeze(2).expand(3, 2, 4)
    sampler.contrastive(Compared(alike, both, torch.zeros(2, 4, dtype=torch.bool), own)).backward()
    assert alike.grad[0, 1].abs().sum() == 0
    assert alike.grad[1, 1].abs().sum() > 0
