"""Gated fusion: presence is a mask, contributions add up, dropout of modalities leaves every entity something."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pictokg.errors import ConfigError
from pictokg.features.table import FeatureTable
from pictokg.fusion.base import EntityTable
from pictokg.fusion.gating import STRUCTURE, DiagonalGating, Gating
from pictokg.fusion.lookup import Lookup
from pictokg.fusion.rows import PooledRows, rows_of


@pytest.fixture
def make(data):
    def make_encoder(kind=Gating, **options):
        torch.manual_seed(0)
        structure = EntityTable(data.graph.num_entities, 4)
        with torch.no_grad():
            structure.weight.normal_(generator=torch.Generator().manual_seed(1))
        tables = {name: PooledRows(table) for name, table in data.tables.items()}
        return kind(structure, tables, **options)

    return make_encoder


def everyone(data):
    return torch.arange(data.graph.num_entities)


def test_the_vector_is_the_sum_of_gated_parts_written_out(make, data):
    encoder = make().eval()
    encoded = encoder.encode_static(everyone(data)).detach().numpy()
    for entity in range(data.graph.num_entities):
        expected = np.zeros(4)
        parts = {STRUCTURE: encoder.structure.weight[entity]}
        for name, table in data.tables.items():
            if table.present[entity]:
                mean = table.values[table.offsets[entity] : table.offsets[entity + 1]].mean(axis=0)
                there = np.stack([table.mean()[other] for other in np.flatnonzero(table.present)])
                row = (mean - there.mean(axis=0)) / there.std(axis=0)
                parts[name] = encoder.project[name](torch.from_numpy(row.astype(np.float32)))
        for name, part in parts.items():
            gate = 1 / (1 + np.exp(-encoder.gate[name](part).detach().numpy()))
            expected += gate * part.detach().numpy()
        np.testing.assert_allclose(encoded[entity], expected, atol=1e-5)


def test_what_is_missing_contributes_nothing_whatever_its_rows_hold(make, data):
    encoder = make().eval()
    rows, presence = encoder.rows(everyone(data))
    structure = encoder.structure(everyone(data))
    before = encoder.fuse(structure, rows, presence)
    missing = presence["image"] == 0
    rows["image"][missing] = 1e6
    torch.testing.assert_close(encoder.fuse(structure, rows, presence), before)
    parts = encoder.contributions(structure, rows, presence)
    assert not parts["image"][missing].any()
    torch.testing.assert_close(sum(parts.values()), before)


def test_an_entity_without_an_id_is_encoded_from_its_rows_by_the_same_code(make, data):
    encoder, other = make().eval(), make(use_structure=False).eval()
    other.load_state_dict({name: value for name, value in encoder.state_dict().items() if "gate.structure" not in name})
    rows, presence = encoder.rows(everyone(data))
    torch.testing.assert_close(encoder.fuse(None, rows, presence), other.encode_static(everyone(data)))


def test_dropping_modalities_never_takes_the_last(make, data):
    encoder = make(modality_dropout=0.9).train()
    rows, presence = encoder.rows(everyone(data))
    seen = {name: torch.zeros(data.graph.num_entities) for name in (STRUCTURE, *rows)}
    for _ in range(200):
        parts = encoder.contributions(encoder.structure(everyone(data)), rows, presence)
        left = torch.stack([part.any(dim=1) for part in parts.values()]).sum(dim=0)
        assert left.min() >= 1
        for name, part in parts.items():
            seen[name] += part.any(dim=1)
    both = (presence["image"] > 0) & (presence["text"] > 0)
    assert all((count[both] > 0).all() for count in seen.values())
    assert all((count[both] < 200).all() for count in seen.values())


def test_structure_dropout_spares_entities_that_have_nothing_else(make, data):
    encoder = make(structure_dropout=0.5).train()
    rows, presence = encoder.rows(everyone(data))
    structure = encoder.structure(everyone(data))
    alone = (presence["image"] == 0) & (presence["text"] == 0)
    assert alone.any()
    part = encoder.contributions(structure, rows, presence)[STRUCTURE].detach()
    assert (part[alone] != 0).all()
    assert (part[~alone] == 0).float().mean() > 0.2


def test_dropout_takes_numbers_of_several_rows_an_entity_as_of_one(make):
    encoder = make(dropout=0.25).train()
    torch.manual_seed(0)
    rows = torch.ones(500, 4, 6)
    dropped = encoder._dropped(encoder.dropout, rows)
    assert dropped.shape == rows.shape
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    for along in ((0, 1), (0, 2)):  # neither a column nor a slot is dropped more than another
        gone = (dropped == 0).float().mean(dim=along)
        assert (gone - 0.25).abs().max() < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_numbers_do_not_stand_in_for_structure(data):
    """A birth date says too little of an entity to do without its row; words or pictures beside it say enough."""
    entities, half = data.graph.num_entities, data.graph.num_entities // 2
    numbers = FeatureTable(
        "numbers",
        np.ones((entities, 2), dtype=np.float32),
        np.arange(entities + 1),
        ["born"] * entities,
        by_attribute=True,
    )
    words = data.tables["text"]
    structure = EntityTable(entities, 64)
    with torch.no_grad():
        structure.weight.fill_(1.0)
    encoder = Gating(structure, {"numeric": rows_of(numbers), "text": rows_of(words)}, structure_dropout=0.5).train()
    rows, presence = encoder.rows(everyone(data))
    part = encoder.contributions(structure(everyone(data)), rows, presence)[STRUCTURE].detach()
    spared = torch.from_numpy(~words.present)
    assert 0 < spared.sum() < half
    assert (part[spared] != 0).all()
    assert ((part[~spared] == 0).float().mean() - 0.5).abs() < 0.1


def test_standardised_rows_have_mean_0_and_deviation_1_where_present_and_0_elsewhere(data):
    rows = PooledRows(data.tables["image"])
    values, count = rows(everyone(data))
    there = values[count > 0]
    torch.testing.assert_close(there.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(there.std(dim=0, correction=0), torch.ones(6), atol=1e-4, rtol=0)
    assert not values[count == 0].any()
    assert {"centre", "scale"} == set(rows.state_dict())  # the scale is saved, the rows are data


def test_lookup_refuses_entities_without_a_row():
    with pytest.raises(ConfigError, match="unseen"):
        Lookup(3, 2).fuse(None, {}, {})


def test_a_diagonal_gate_is_a_matrix_that_is_diagonal(make, data):
    encoder, matrices = make(DiagonalGating).eval(), make().eval()
    assert all(not gate.weight.any() and not gate.bias.any() for gate in encoder.gate.values())
    matrices.project.load_state_dict(encoder.project.state_dict())
    with torch.no_grad():
        for name, gate in encoder.gate.items():
            gate.weight.normal_()
            gate.bias.normal_()
            matrices.gate[name].weight.copy_(torch.diag(gate.weight))
            matrices.gate[name].bias.copy_(gate.bias)
    found, expected = (one.encode_static(everyone(data)) for one in (encoder, matrices))
    torch.testing.assert_close(found, expected)
    for one, value in ((encoder, found), (matrices, expected)):
        value.square().sum().backward()
        assert one.structure.weight.grad is not None
    torch.testing.assert_close(encoder.structure.weight.grad, matrices.structure.weight.grad)
    for name, gate in encoder.gate.items():
        torch.testing.assert_close(gate.weight.grad, matrices.gate[name].weight.grad.diagonal())
    encoder.kernels = False
    torch.testing.assert_close(encoder.encode_static(everyone(data)), found)
