"""A model whose scores are a table, and small graphs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from pictokg.datasets.dataset import Dataset
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.query import Side
from pictokg.graph.vocabulary import Vocabulary


class TableModel(nn.Module):
    """Scores a triple by looking it up in a table (N, R, N); notes the shape of every block it scores."""

    depends_on_relation = False
    term_names = ("ee",)
    scoring = SimpleNamespace(kernel="")
    encoder = SimpleNamespace(views=("entity",))

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(table, requires_grad=False)
        self.relations = nn.Embedding(table.shape[1], 2)
        self.part = nn.Dropout()
        self.blocks, self.encodings = [], 0

    num_entities = property(lambda self: self.table.shape[0])
    num_relations = property(lambda self: self.table.shape[1])
    device = property(lambda self: self.table.device)

    def encode_all(self):
        self.encodings += 1
        return torch.arange(self.num_entities, dtype=torch.float32)[:, None].__getitem__

    def score(self, query, candidates, encode=None):
        assert not self.training
        self.blocks.append((query.side, len(query), len(candidates)))
        if query.side is not Side.RELATION:
            assert encode(candidates).squeeze(1).tolist() == candidates.tolist()
        slots = [slot if slot is None else slot[:, None] for slot in (query.head, query.relation, query.tail)]
        return self.table[tuple(candidates[None] if slot is None else slot for slot in slots)]

    def score_triples(self, triples, encode=None):
        head, relation, tail = triples.unbind(1)
        return self.table[head, relation, tail]


def graph_of(splits, num_entities, num_relations):
    entities = Vocabulary([f"e{number}" for number in range(num_entities)])
    return KnowledgeGraph(entities, Vocabulary([f"r{number}" for number in range(num_relations)]), splits)


@pytest.fixture
def make_graph():
    return graph_of


@pytest.fixture
def table_model():
    return TableModel


@pytest.fixture
def tied():
    """A model and a graph with many ties, repeated test triples, and entities that no training triple has."""
    generator = np.random.default_rng(7)
    entities, relations = 23, 4
    triples = generator.integers(0, [entities - 3, relations, entities - 3], (160, 3))
    test = generator.integers(0, [entities, relations, entities], (40, 3))
    test = np.concatenate([test, test[:5], [[entities - 1, 0, entities - 2]]])
    graph = graph_of({"train": triples[:130], "valid": triples[130:], "test": test}, entities, relations)
    table = torch.from_numpy(generator.integers(0, 6, (entities, relations, entities))).float()
    return TableModel(table), Dataset("tied", graph)


def brute_force(model, data, split, side, *, filtered=True, offered=None):
    """Ranks by the definition, one question at a time: (optimistic, pessimistic, candidates), each (n,)."""
    known = {tuple(triple) for triple in data.graph.triples().tolist()}
    everything = range(model.num_relations if side is Side.RELATION else model.num_entities)
    result = []
    for triple in data.graph.split(split).tolist():
        own = model.table[tuple(triple)].item()
        others = []
        for candidate in everything if offered is None else offered:
            changed = [*triple[:side], candidate, *triple[side + 1 :]]
            if changed != triple and not (filtered and tuple(changed) in known):
                others.append(model.table[tuple(changed)].item())
        optimistic = 1 + sum(score > own for score in others)
        pessimistic = 1 + sum(score >= own for score in others)
        result.append((optimistic, pessimistic, len(others) + 1))
    return np.array(result).T


@pytest.fixture
def by_definition():
    return brute_force
