"""What the cross-modal samplers look at: the weights they compute with, and the paper's equations written plainly."""

from __future__ import annotations

import pytest
import torch
from cross_modal import BOTH, prepared
from torch.nn.functional import leaky_relu

from pictokg.fusion.cross_modal import CrossModalAttention
from pictokg.graph.query import Side, ask
from pictokg.sampling.mmrns import MMRNS
from pictokg.sampling.mmrns_plus import MMRNSPlus

SIDES = pytest.mark.parametrize("side", [Side.HEAD, Side.TAIL])


def trained_alike(sampler, context):
    """A prepared sampler whose parameters are not where they start, so that no part of a formula is 0 or 1."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in prepared(sampler, context).parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return sampler


def slots_by_hand(sampler, entity):
    """V', T' of one entity: the slots that the attention has, and which of them are rows of the tables."""
    attention, found = sampler.attention, []
    layers = (attention.picture_layer, attention.text_layer)
    for number, (rows, layer) in enumerate(zip((sampler.pictures, sampler.words), layers, strict=True)):
        raw, mask = rows(torch.tensor([entity]))
        hidden = leaky_relu(layer(raw[0]), attention.sizes.slope)
        if isinstance(sampler, MMRNS):
            found.append((hidden, mask[0], torch.ones_like(mask[0])))
        elif mask.any():
            found.append((hidden, mask[0], mask[0]))
        else:
            hidden = torch.cat([sampler.absent[[number]], hidden[1:]])
            found.append((hidden, mask[0], torch.arange(len(hidden)) == 0))
    return found


def gates_by_hand(sampler, entity, relation, side, context):
    """G_v and G_t, (picture slots, text slots), of one entity under one relation."""
    attention, model = sampler.attention, context.model
    shape = attention.sizes.pictures[0], attention.sizes.words[0]

    def gates(vector):
        raw = attention.picture_gate(vector), attention.text_gate(vector)
        return torch.stack([torch.sigmoid(one).view(shape) for one in raw])

    rows = model.relations.weight
    if isinstance(sampler, MMRNS):
        return gates(rows[relation])

    def directed(number, way):
        reciprocal = model.num_relations if model.inverse and way is Side.HEAD else 0
        return gates(rows[number + reciprocal] + sampler.direction[int(way is Side.HEAD)])

    train = context.data.graph.split("train").tolist()
    others = {(r, Side.TAIL) for _, r, t in train if t == entity} | {(r, Side.HEAD) for h, r, _ in train if h == entity}
    mean = torch.stack([directed(*other) for other in sorted(others)]).mean(dim=0)
    share = torch.sigmoid(sampler.others)
    return (1 - share) * directed(relation, side) + share * mean


@SIDES
@BOTH
def test_weights_are_those_of_the_equations(make, side, context):
    sampler = trained_alike(make(3), context)
    ids, relation = torch.arange(12), torch.arange(12) % 3
    looks = sampler.look(ids, relation, side, context)
    for entity in range(12):
        (V, shown, seeing), (T, told, hearing) = slots_by_hand(sampler, entity)
        G = gates_by_hand(sampler, entity, entity % 3, side, context)
        C = V @ T.T
        for affinity, gate, keys, queries, found in (
            (C.T, G[0].T, seeing, hearing, looks[0]),
            (C, G[1], hearing, seeing, looks[1]),
        ):
            powers = affinity.exp() * keys
            alone = (powers / powers.sum(dim=1, keepdim=True))[queries]
            torch.testing.assert_close(found.independent[entity][queries], alone)
            torch.testing.assert_close(found.guided[entity][queries], (gate * affinity * keys)[queries])
            assert torch.allclose(found.independent[entity].sum(dim=1), torch.ones(len(queries)))
            if make is MMRNSPlus:
                assert found.independent[entity][queries][:, ~keys].abs().sum() == 0
                assert found.guided[entity][queries][:, ~keys].abs().sum() == 0
        assert torch.equal(looks[0].keys[entity], shown)
        assert torch.equal(looks[1].keys[entity], told)
        for look, own, all_ in ((looks[0], told, hearing), (looks[1], shown, seeing)):
            assert torch.equal(look.queries[entity], own if own.any() else all_)


@SIDES
@BOTH
def test_a_draw_of_the_sampler_has_weighed_its_answers_so(make, side, context, triples, monkeypatch):
    """What `look` says against what went into the attention when negatives were drawn, and the z that came out."""
    sampler = trained_alike(make(3, two_paths=False) if make is MMRNS else make(3), context)
    calls, forward = [], CrossModalAttention.forward

    def listening(attention, entities, relations):
        z = forward(attention, entities, relations)
        calls.append((entities, z))
        return z

    monkeypatch.setattr(CrossModalAttention, "forward", listening)
    query, answer = ask(triples, side)
    sampler(query, answer, context)
    (entities, z), *_ = calls  # the answers come first, each under its relation
    pairs = torch.stack([sampler.directed(query.relation, side, context), answer]).unique(dim=1)
    relation, ids = pairs[0] % context.model.num_relations, pairs[1]
    looks = sampler.look(ids, relation, side, context)
    norm, out = sampler.attention.norm, (sampler.attention.picture_out, sampler.attention.text_out)
    halves = entities.pictures, entities.words
    for place, layer, look, half, own in zip(range(2), out, looks, halves, z[:2], strict=True):
        assert torch.equal(look.independent, half.weights)
        for row in range(len(ids)):
            keys, queries = (slots_by_hand(sampler, int(ids[row]))[number] for number in (place, 1 - place))
            both = norm(look.guided[row] @ keys[0]) + norm(look.independent[row] @ keys[0])
            both = both * queries[2].unsqueeze(1)
            torch.testing.assert_close(layer(both.flatten()), own[row, 0], atol=2e-5, rtol=1e-4)


def test_sides_differ_where_relations_have_a_direction(context):
    ids, relation = torch.tensor([1]), torch.tensor([1])
    released, corrected = (trained_alike(make(3), context) for make in (MMRNS, MMRNSPlus))
    for sampler, differs in ((released, False), (corrected, True)):
        one, other = (sampler.look(ids, relation, side, context)[0].guided for side in (Side.HEAD, Side.TAIL))
        assert torch.equal(one, other) != differs


@BOTH
def test_looking_draws_nothing_and_leaves_nothing_to_learn(make, context):
    sampler, state = trained_alike(make(3), context), context.generator.get_state()
    looks = sampler.look(torch.arange(12), torch.zeros(12, dtype=torch.long), Side.TAIL, context)
    assert torch.equal(context.generator.get_state(), state)
    assert not any(part.requires_grad for look in looks for part in (look.independent, look.guided))
