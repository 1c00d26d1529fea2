"""Generated graphs of any size, whose entities are as unevenly used as those of real ones."""

from __future__ import annotations

from typing import Any


def zipf_triples(entities: int, count: int, relations: int, seed: int = 0, exponent: float = 1.0) -> Any:
    """Triples (count, 3) whose heads and tails are drawn ∝ 1/rank^exponent, and relations too; int32."""
    import numpy as np

    generator = np.random.default_rng(seed)
    triples = np.empty((count, 3), np.int32)
    for slot, high in ((0, entities), (1, relations), (2, entities)):
        share = np.cumsum(np.arange(1, high + 1, dtype=np.float64) ** -exponent)
        drawn = np.searchsorted(share, generator.random(count) * share[-1]).astype(np.int32)
        names = generator.permutation(high).astype(np.int32) if slot != 1 else np.arange(high, dtype=np.int32)
        triples[:, slot] = names[np.minimum(drawn, high - 1)]
    return triples


def zipf_graph(entities: int, count: int, relations: int = 200, seed: int = 0, held_out: int = 0) -> Any:
    """A data set of such triples; the last `held_out` are its test split."""
    from pictokg.datasets.dataset import Dataset
    from pictokg.graph.graph import KnowledgeGraph
    from pictokg.graph.vocabulary import Vocabulary

    triples = zipf_triples(entities, count, relations, seed)
    names = [Vocabulary([f"{kind}{n}" for n in range(high)]) for kind, high in (("e", entities), ("r", relations))]
    splits = {"train": triples[: count - held_out]} | ({"test": triples[count - held_out :]} if held_out else {})
    return Dataset("generated", KnowledgeGraph(*names, splits))
