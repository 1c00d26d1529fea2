"""A random graph with two modalities, some of them missing, for tests that make their own."""

from __future__ import annotations

import numpy as np

from pictokg.datasets.dataset import Dataset
from pictokg.features.table import FeatureTable
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.vocabulary import Vocabulary


def make_table(name: str, counts: list[int], width: int, seed: int) -> FeatureTable:
    """A table of random rows with so many instances an entity."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    values = np.random.default_rng(seed).normal(size=(int(offsets[-1]), width)).astype(np.float32)
    keys = [f"{entity}/{number}" for entity, count in enumerate(counts) for number in range(count)]
    return FeatureTable(name, values, offsets, keys, fingerprint=f"test-{name}-{seed}")


def make_data(entities: int = 12, relations: int = 3, triples: int = 60, seed: int = 0) -> Dataset:
    """A random graph whose splits cover every entity and relation in training; every third entity has no picture."""
    generator = np.random.default_rng(seed)
    drawn = np.stack(
        [
            generator.integers(entities, size=triples),
            generator.integers(relations, size=triples),
            generator.integers(entities, size=triples),
        ],
        axis=1,
    ).astype(np.int32)
    drawn = np.unique(drawn, axis=0)
    generator.shuffle(drawn)
    cover = np.array([[e, e % relations, (e + 1) % entities] for e in range(entities)], dtype=np.int32)
    rest = drawn[: len(drawn) // 3]
    train = np.unique(np.concatenate([cover, drawn[len(drawn) // 3 :]]), axis=0)
    known = {tuple(triple) for triple in train.tolist()}
    rest = np.array([triple for triple in rest.tolist() if tuple(triple) not in known], dtype=np.int32)
    graph = KnowledgeGraph(
        Vocabulary([f"e{number}" for number in range(entities)]),
        Vocabulary([f"r{number}" for number in range(relations)]),
        {"train": train, "valid": rest[::2], "test": rest[1::2]},
    )
    image = make_table("pixels", [0 if e % 3 == 0 else 1 + e % 4 for e in range(entities)], width=6, seed=seed)
    text = make_table("tfidf", [1 if e % 4 else 0 for e in range(entities)], width=5, seed=seed + 1)
    labels = {f"e{number}": f"entity {number}" for number in range(entities)}
    return Dataset("random", graph, tables={"image": image, "text": text}, labels=labels)
