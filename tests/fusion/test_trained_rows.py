"""Structure rows of entities without a training triple: in training none, in use the mean of the others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from random_data import make_data

import pictokg
from pictokg.assembly import build
from pictokg.datasets.dataset import Dataset
from pictokg.evaluation.ranking import evaluate
from pictokg.features.table import FeatureTable
from pictokg.fusion.trained_rows import TrainedRows
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary

STRANGERS = [3, 17]


def make_table() -> TrainedRows:
    trained = torch.ones(40, dtype=torch.bool)
    trained[:10] = False
    table = TrainedRows(trained, 3)
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


def test_what_stands_in_no_triple_has_the_mean_of_what_does():
    table = make_table().eval()
    expected = table.weight[10:].mean(dim=0).expand(10, -1)
    torch.testing.assert_close(table(torch.arange(10)), expected)
    assert torch.equal(table(torch.arange(10, 40)), table.weight[10:])
    assert table(torch.zeros(2, 5, dtype=torch.long)).shape == (2, 5, 3)


def test_the_mean_follows_the_weights():
    table = make_table().eval()
    before = table(torch.tensor([0]))
    with torch.no_grad():
        table.weight += 1.0
    torch.testing.assert_close(table(torch.tensor([0])), before + 1.0)
    table.load_state_dict({"weight": torch.full((40, 3), 5.0)})
    assert (table(torch.tensor([0])) == 5.0).all()
    assert (table.double()(torch.tensor([0])) == 5.0).all()


def test_in_training_it_is_0():
    table = make_table().train()
    assert not table(torch.arange(10)).any()
    assert torch.equal(table(torch.arange(10, 40)), table.weight[10:])
    assert list(table.state_dict()) == ["weight"]  # a run is the same file whoever is trained


def test_where_everyone_or_nobody_is_trained_there_is_no_mean_to_take():
    everyone, nobody = (TrainedRows(torch.full((4,), trained), 2).eval() for trained in (True, False))
    for table in (everyone, nobody):
        torch.nn.init.constant_(table.weight, 3.0)
    assert (everyone(torch.arange(4)) == 3.0).all()
    assert not nobody(torch.arange(4)).any()


@pytest.mark.parametrize("name", ["gated", "patches"])
def test_training_teaches_strangers_nothing_of_their_own(data, name):
    model = build(name, data, dim=4)
    table = model.encoder.structure
    before = table.weight.detach().clone()
    pictokg.fit(model, data, epochs=2, batch_size=50)
    moved = (table.weight != before).any(dim=1)
    assert not moved[STRANGERS].any()
    assert moved.sum() == data.graph.num_entities - len(STRANGERS)


@pytest.mark.parametrize("name", ["gated", "patches"])
def test_a_stranger_is_encoded_from_the_mean_row_and_what_is_known_of_it(data, name):
    model = build(name, data, dim=4).eval()
    table, ids = model.encoder.structure, torch.tensor(STRANGERS)
    trained = np.setdiff1d(np.arange(data.graph.num_entities), STRANGERS)
    mean = table.weight.detach()[trained].mean(dim=0).expand(len(ids), -1)
    torch.testing.assert_close(model.encode(ids), model.encoder.fuse(mean, *model.encoder.rows(ids)))
    own = model.encode(ids)
    with torch.no_grad():
        table.weight[STRANGERS] = 9.0
    torch.testing.assert_close(model.encode(ids), own)


def test_words_answer_with_strangers_where_rows_of_their_own_learn_to_be_wrong():
    """Entities 0 … 99 are of five kinds that their words name; those of the last ten stand in no training triple."""
    kind = np.arange(100) % 5
    triples = np.stack([np.arange(100), np.zeros(100), 100 + kind], axis=1).astype(np.int32)
    words = FeatureTable("tfidf", np.eye(5, dtype=np.float32)[kind], np.array([*range(101), *[100] * 5]), [""] * 100)
    vocabularies = Vocabulary([f"e{number}" for number in range(105)]), Vocabulary(["is"])
    graph = KnowledgeGraph(*vocabularies, {"train": triples[:90], "valid": triples[90:95], "test": triples[95:]})
    data = Dataset("kinds", graph, tables={"text": words})
    model = build("gated", data, dim=8, structure_dropout=0.0)
    pictokg.fit(model, data, epochs=60, batch_size=30, validate_every=0)
    assert evaluate(model, data, "test").metrics["mrr"] > 0.4
