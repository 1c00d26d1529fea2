"""Structure rows of entities without a training triple: one that all share, and that training teaches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from random_data import make_data

import pictokg
from pictokg.assembly import build
from pictokg.datasets.dataset import Dataset
from pictokg.errors import ConfigError
from pictokg.evaluation.ranking import evaluate
from pictokg.features.table import FeatureTable
from pictokg.fusion.trained_rows import TrainedRows
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary

STRANGERS = [3, 17]


def make_table(missing: float) -> TrainedRows:
    trained = torch.ones(4000, dtype=torch.bool)
    trained[:1000] = False
    table = TrainedRows(trained, 3, missing=missing)
    torch.nn.init.normal_(table.weight, generator=torch.Generator().manual_seed(0))
    return table


@pytest.fixture
def data():
    """A random graph; two entities stand in no training triple."""
    whole = make_data(entities=40, relations=3, triples=300, seed=0)
    kept = {"train": whole.graph.split("train")}
    kept["train"] = kept["train"][~np.isin(kept["train"][:, [0, 2]], STRANGERS).any(axis=1)]
    rest = {name: split for name, split in whole.graph.splits.items() if name != "train"}
    graph = KnowledgeGraph(whole.graph.entities, whole.graph.relations, kept | rest)
    return dataclasses.replace(whole, graph=graph)


def test_what_stands_in_no_triple_has_the_shared_row_in_use():
    table = make_table(missing=0.4).eval()
    torch.nn.init.constant_(table.shared, 7.0)
    assert (table(torch.arange(1000)) == 7.0).all()
    assert torch.equal(table(torch.arange(1000, 4000)), table.weight[1000:])


def test_in_training_others_count_as_such_at_random():
    table = make_table(missing=0.4).train()
    torch.nn.init.constant_(table.shared, 7.0)
    torch.manual_seed(0)
    shared = (table(torch.arange(4000)) == 7.0).all(dim=1)
    assert shared[:1000].all()
    drawn = int(shared[1000:].sum())
    assert abs(drawn - 1200) < 4 * (3000 * 0.4 * 0.6) ** 0.5


def test_without_missing_the_shared_row_is_zero_and_stays_so():
    table = make_table(missing=0.0).train()
    assert [name for name, _ in table.named_parameters()] == ["weight"]
    assert "shared" not in table.state_dict()  # runs with and without are the same files
    assert not table(torch.arange(1000)).any()
    assert torch.equal(table(torch.arange(1000, 4000)), table.weight[1000:])


@pytest.mark.parametrize("missing", [-0.1, 1.0])
def test_a_chance_that_is_none_is_refused(missing):
    with pytest.raises(ConfigError, match="structure_missing"):
        make_table(missing)


@pytest.mark.parametrize("name", ["gated", "patches"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_training_teaches_strangers_nothing_of_their_own(data, name, missing):
    model = build(name, data, dim=4, structure_missing=missing)
    table = model.encoder.structure
    before = table.weight.detach().clone()
    pictokg.fit(model, data, epochs=2, batch_size=50)
    moved = (table.weight != before).any(dim=1)
    assert not moved[STRANGERS].any()
    assert moved.sum() == data.graph.num_entities - len(STRANGERS)
    assert table.shared.any() == (missing > 0)


@pytest.mark.parametrize("name", ["gated", "patches"])
def test_a_stranger_is_encoded_as_an_entity_without_an_id(data, name):
    model = build(name, data, dim=4, structure_missing=0.3).eval()
    torch.nn.init.normal_(model.encoder.structure.shared, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor(STRANGERS)
    without_id = model.encoder.fuse(None, *model.encoder.rows(ids))
    torch.testing.assert_close(model.encode(ids), without_id)
    torch.nn.init.constant_(model.encoder.structure.weight, 9.0)
    torch.testing.assert_close(model.encode(ids), without_id)


def test_words_answer_with_strangers_where_rows_of_their_own_learn_to_be_wrong():
    """Entities 0 … 99 are of five kinds that their words name; those of the last ten stand in no training triple."""
    kind = np.arange(100) % 5
    triples = np.stack([np.arange(100), np.zeros(100), 100 + kind], axis=1).astype(np.int32)
    words = FeatureTable("tfidf", np.eye(5, dtype=np.float32)[kind], np.array([*range(101), *[100] * 5]), [""] * 100)
    vocabularies = Vocabulary([f"e{number}" for number in range(105)]), Vocabulary(["is"])
    graph = KnowledgeGraph(*vocabularies, {"train": triples[:90], "valid": triples[90:95], "test": triples[95:]})
    data = Dataset("kinds", graph, tables={"text": words})
    model = build("gated", data, dim=8, structure_missing=0.3, structure_dropout=0.0)
    pictokg.fit(model, data, epochs=60, batch_size=30, validate_every=0)
    assert evaluate(model, data, "test").metrics["mrr"] > 0.4
