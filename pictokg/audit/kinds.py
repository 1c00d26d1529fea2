"""How many relations join one or many heads with one or many tails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.audit.keys import distinct
from pictokg.evaluation.slices import KINDS, relation_kinds

if TYPE_CHECKING:
    from pictokg.graph.graph import KnowledgeGraph

CUTOFF = 1.5


def count_kinds(graph: KnowledgeGraph, split: str = "train") -> dict[str, Any]:
    """Count relations and distinct triples of the kinds 1-1, 1-n, n-1 and n-n, and give each relation's own.

    A side is "n" when an entity has more than 1.5 of it on average (Bordes et al., 2013). A relation without
    triples in the split has the kind None.

    >>> from pictokg.graph.graph import KnowledgeGraph
    >>> from pictokg.graph.vocabulary import Vocabulary
    >>> train = np.array([[0, 0, 1], [0, 0, 2]])
    >>> counts = count_kinds(KnowledgeGraph(Vocabulary("abc"), Vocabulary("r"), {"train": train}))
    >>> counts["1-n"], counts["by_relation"]
    ({'relations': 1, 'triples': 2}, {'r': {'kind': '1-n', 'triples': 2}})
    """
    triples = distinct(graph.split(split), graph.num_entities, graph.num_relations)
    kinds = relation_kinds(triples, graph.num_entities, graph.num_relations, CUTOFF)
    count = np.bincount(triples[:, 1], minlength=graph.num_relations)
    groups = {
        name: {"relations": int((kinds == code).sum()), "triples": int(count[kinds == code].sum())}
        for code, name in enumerate(KINDS)
    }
    by_relation = {
        name: {"kind": None if kind < 0 else KINDS[kind], "triples": int(number)}
        for name, kind, number in zip(graph.relations.names, kinds, count, strict=True)
    }
    return {"cutoff": CUTOFF, **groups, "by_relation": by_relation}
