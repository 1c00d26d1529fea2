"""Cross-modal attention against the paper's equations, written plainly for one entity and one relation at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import leaky_relu, normalize, softmax

from pictokg.features.table import FeatureTable
from pictokg.fusion.cross_modal import CrossModalAttention, Sizes, Slots
from pictokg.fusion.slots import SlotRows
from pictokg.sampling import _cross_modal
from pictokg.sampling._cross_modal import similarities

SIZES = Sizes(pictures=(6, 7), words=(3, 5), entity=8, relation=4, hidden=9, gate=10)


@pytest.fixture
def attention():
    torch.manual_seed(0)
    made = CrossModalAttention(SIZES)
    with torch.no_grad():  # an affine part that is not the identity, as after training
        made.norm.weight.normal_(1.0, 0.3)
        made.norm.bias.normal_(0.0, 0.3)
    return made


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    return {
        "pictures": torch.randn(11, 6, 7, requires_grad=True),
        "words": torch.randn(11, 3, 5, requires_grad=True),
        "structure": torch.randn(11, 8, requires_grad=True),
        "relation": torch.randn(4, 4, requires_grad=True),
    }


def table_of(counts, width):
    offsets = np.concatenate([[0], np.cumsum(counts)])
    values = np.random.default_rng(0).normal(size=(sum(counts), width)).astype("float32")
    return FeatureTable("table", values, offsets, [str(row) for row in range(sum(counts))])


def by_the_equations(made, inputs, entity, relation, *, norm_attention=True, keep=(slice(None), slice(None))):
    """z_v, z_t, z_s of one entity under one relation, slots outside `keep` left out of every sum."""
    shown, told = keep
    pictures = leaky_relu(made.picture_layer(inputs["pictures"][entity]), 0.1)
    words = leaky_relu(made.text_layer(inputs["words"][entity]), 0.1)
    r = inputs["relation"][relation]
    gate_v = torch.sigmoid(made.picture_gate(r)).view(6, 3)[shown][:, told]
    gate_t = torch.sigmoid(made.text_gate(r)).view(6, 3)[shown][:, told]
    V, T = pictures[shown], words[told]
    C = V @ T.T
    A_v, A_t = softmax(C.T, dim=1) @ V, softmax(C, dim=1) @ T
    R_v, R_t = (gate_v * C).T @ V, (gate_t * C) @ T
    M_v = torch.zeros(3, 9).index_copy(
        0, torch.arange(3)[told], made.norm(R_v) + (made.norm(A_v) if norm_attention else A_v)
    )
    M_t = torch.zeros(6, 9).index_copy(0, torch.arange(6)[shown], made.norm(R_t) + made.norm(A_t))
    e = inputs["structure"][entity]
    hidden = leaky_relu(made.structure_in(torch.cat([e, r])), 0.1)
    return made.picture_out(M_v.view(-1)), made.text_out(M_t.view(-1)), e * torch.sigmoid(made.structure_out(hidden))


def whole(made, inputs):
    entities = made.independent(Slots(inputs["pictures"]), Slots(inputs["words"]), inputs["structure"])
    return made(entities, made.guide(inputs["relation"]))


def gradients(loss, made, inputs):
    wanted = [*made.parameters(), *inputs.values()]
    return torch.autograd.grad(loss, wanted)


def test_pairs_equal_the_equations_in_values_and_gradients(attention, inputs):
    fast = whole(attention, inputs)
    pairs = [(entity, relation) for entity in range(11) for relation in range(4)]
    plain = [
        torch.stack(z).view(11, 4, -1)
        for z in zip(*(by_the_equations(attention, inputs, *p) for p in pairs), strict=True)
    ]
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    weights = [torch.randn_like(z) for z in fast]
    ours = gradients(sum((z * w).sum() for z, w in zip(fast, weights, strict=True)), attention, inputs)
    theirs = gradients(sum((z * w).sum() for z, w in zip(plain, weights, strict=True)), attention, inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 * float(other.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("pairs", [1 << 15, 8])
def test_similarities_once_a_relation_equal_those_of_every_triple(pairs, attention, inputs, monkeypatch):
    monkeypatch.setattr(_cross_modal, "PAIRS", pairs)  # 8: chunks of two candidates, computed again backwards
    asked = [(0, 2), (0, 5), (1, 2), (3, 0), (3, 10)]  # (relation, answer), as a batch of five triples has them
    relation_of, answer = (torch.tensor(part) for part in zip(*asked, strict=True))
    distinct, place = relation_of.unique(return_inverse=True)
    entities = attention.independent(Slots(inputs["pictures"]), Slots(inputs["words"]), inputs["structure"])
    guidance = attention.guide(inputs["relation"][distinct])
    anchors = attention(entities[answer], guidance[place].one_each())
    anchors = tuple(normalize(z.squeeze(1), dim=-1) for z in anchors)
    fast = similarities(attention, entities, guidance, anchors, place, lambda z: normalize(z, dim=-1))
    plain = []
    for relation, own in asked:
        of_answer = by_the_equations(attention, inputs, own, relation)
        for entity in range(11):
            z = by_the_equations(attention, inputs, entity, relation)
            plain.append([torch.cosine_similarity(a, b, dim=0) for a, b in zip(of_answer, z, strict=True)])
    plain = torch.stack([torch.stack(row) for row in plain]).view(5, 11, 3).permute(2, 0, 1)
    torch.testing.assert_close(fast, plain, atol=1e-5, rtol=0)
    assert torch.allclose(fast[:, torch.arange(5), answer], torch.ones(3, 5), atol=1e-6)  # alike to itself
    weight = torch.randn_like(fast)
    ours = gradients((fast * weight).sum(), attention, inputs)
    theirs = gradients((plain * weight).sum(), attention, inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 * max(1.0, float(other.abs().max())), rtol=1e-4)


def test_masked_slots_count_as_if_they_were_not_there(attention, inputs):
    shown, told = torch.ones(11, 6, dtype=torch.bool), torch.ones(11, 3, dtype=torch.bool)
    shown[4, 2:], told[4, 1:] = False, False
    entities = attention.independent(
        Slots(inputs["pictures"], shown), Slots(inputs["words"], told), inputs["structure"]
    )
    ours = attention(entities, attention.guide(inputs["relation"]))
    plain = by_the_equations(attention, inputs, 4, 3, keep=(slice(0, 2), slice(0, 1)))
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one[4, 3], other, atol=1e-5, rtol=1e-5)
    assert torch.allclose(entities.pictures.weights.sum(dim=2), torch.ones(11, 3))
    assert entities.pictures.weights[4, :, 2:].sum() == 0


def test_the_released_path_of_answers_leaves_their_image_attention_as_it_is(attention, inputs):
    released = attention.independent(
        Slots(inputs["pictures"]), Slots(inputs["words"]), inputs["structure"], norm_attention=False
    )
    ours = attention(released, attention.guide(inputs["relation"]))
    plain = by_the_equations(attention, inputs, 7, 1, norm_attention=False)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one[7, 1], other, atol=1e-5, rtol=1e-5)


def test_weights_over_slots_are_the_softmax_of_the_affinity(attention, inputs):
    entities = attention.independent(Slots(inputs["pictures"]), Slots(inputs["words"]), inputs["structure"])
    V = leaky_relu(attention.picture_layer(inputs["pictures"][0]), 0.1)
    T = leaky_relu(attention.text_layer(inputs["words"][0]), 0.1)
    torch.testing.assert_close(entities.pictures.weights[0], softmax(T @ V.T, dim=1))
    torch.testing.assert_close(entities.words.weights[0], softmax(V @ T.T, dim=1))


def test_slots_are_the_first_rows_of_an_entity_and_say_which_are_filled():
    table = table_of([2, 0, 3], width=4)
    rows, mask = SlotRows(table, 2)(torch.tensor([2, 0, 1]))
    assert mask.tolist() == [[True, True], [True, True], [False, False]]
    assert torch.equal(rows[0], torch.from_numpy(table.values[2:4]))
    assert torch.equal(rows[1], torch.from_numpy(table.values[:2]))
    assert rows[2].abs().sum() == 0


def test_standardised_slots_have_mean_0_and_deviation_1_and_empty_ones_stay_empty():
    table = table_of([3, 0, 4], width=5)
    rows, mask = SlotRows(table, standardise=True)(torch.arange(3))
    filled = rows[mask]
    torch.testing.assert_close(filled.mean(dim=0), torch.zeros(5), atol=1e-6, rtol=0)
    torch.testing.assert_close(filled.std(dim=0, correction=0), torch.ones(5))
    assert rows[~mask].abs().sum() == 0


def test_a_table_of_nobody_is_one_empty_slot():
    rows, mask = SlotRows(table_of([0, 0], width=3))(torch.arange(2))
    assert rows.shape == (2, 1, 3)
    assert not mask.any()


def test_a_table_of_half_precision_gives_single(tmp_path):
    table = table_of([1, 2], width=3)
    half = FeatureTable("half", table.values.astype("float16"), table.offsets, table.keys)
    assert SlotRows(half)(torch.arange(2))[0].dtype == torch.float32
