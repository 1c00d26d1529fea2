"""MMRNS corrected: formulas written plainly, and whom each gradient serves."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from cross_modal import BOTH, context_of, prepared, tails

from pictokg.fusion.cross_modal import Slots
from pictokg.graph.query import Query
from pictokg.sampling.mmrns import MMRNS
from pictokg.sampling.mmrns_plus import MMRNSPlus, filled, incident_relations


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
