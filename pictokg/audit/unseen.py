"""What a split asks about that training never shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pictokg.graph.graph import KnowledgeGraph


@dataclass(frozen=True)
class Unseen:
    """Entities and relations of a split that no train triple has, and the rows that touch one."""

    entities: int
    relations: int
    triples_with_unseen_entity: int
    triples_with_unseen_relation: int


def count_unseen(graph: KnowledgeGraph, split: str, train: str = "train") -> Unseen:
    """Count the entities and relations of `split` that are not in `train`, and the rows they are in."""
    past, asked = graph.split(train), graph.split(split)
    entity_is_new = ~graph.seen_entities(train)
    relation_is_new = np.ones(graph.num_relations, dtype=bool)
    relation_is_new[past[:, 1]] = False
    ends, relations = asked[:, [0, 2]], asked[:, 1]
    return Unseen(
        entities=len(np.unique(ends[entity_is_new[ends]])),
        relations=len(np.unique(relations[relation_is_new[relations]])),
        triples_with_unseen_entity=int(entity_is_new[ends].any(axis=1).sum()),
        triples_with_unseen_relation=int(relation_is_new[relations].sum()),
    )
