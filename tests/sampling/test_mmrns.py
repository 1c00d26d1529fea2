"""MMRNS as released: its formulas written plainly, its temperature, and what its loss moves."""

from __future__ import annotations

import math

import pytest
import torch
from cross_modal import prepared, tails

from pictokg.fusion.cross_modal import Slots
from pictokg.graph.query import Side, ask
from pictokg.sampling.mmrns import MMRNS, Drawn, annealed
from pictokg.sampling.mmrns_plus import MMRNSPlus


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
    counted_from_1 = prepared(MMRNS(2, first_count=1), context)(query, answer, context).question_weight
    torch.testing.assert_close(counted_from_1**-2, weight**-2 - 6, atol=1e-3, rtol=0)
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
