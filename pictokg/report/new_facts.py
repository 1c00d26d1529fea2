"""New facts worth showing: answers to questions the graph has no answer to, where it is odd that it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pictokg.graph.query import Side
from pictokg.report.content import Entity, NewFact
from pictokg.report.pictures import thumbnails

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.prediction.predictor import Predictor


def find_new_facts(predictor: Predictor, at_most: int = 24, a_relation: int = 2) -> list[NewFact]:
    """Ask the open questions of every relation and keep the best-scored answers of each.

    Args:
        predictor: what answers.
        at_most: facts in all.
        a_relation: facts of one relation; scores of different relations cannot be compared, so each gives its best.
    """
    data = predictor.data
    entities, relations = data.graph.entities.names, data.graph.relations.names
    facts: list[NewFact] = []
    for relation, heads in open_questions(data.graph.triples()).items():
        questions = [(entities[head], relations[relation], None) for head in heads]
        answered = predictor.answers(questions, k=2, new_only=True)
        found = [
            (answer, head)
            for answers, (head, _, _) in zip(answered, questions, strict=True)
            for answer in [answer for answer in answers if answer.name != head][:1]  # itself says nothing
        ]
        found.sort(key=lambda pair: (-pair[0].score, pair[1]))
        words = data.relation_labels.get(relations[relation]) or relations[relation]
        facts += [
            NewFact(entity_of(data, head), words, entity_of(data, answer.name), answer.score)
            for answer, head in found[:a_relation]
        ]
    return facts[:at_most]


def open_questions(triples: np.ndarray, a_relation: int = 64, least_share: float = 0.5) -> dict[int, list[int]]:
    """Find heads that lack a relation that their like have: relation → heads, the oddest lack first.

    Two entities are alike when they are heads of the same relations. How odd it is that a head lacks r is the share of
    those with r among the entities that are alike but for r.

    Args:
        triples: (n, 3), all that is known.
        a_relation: questions a relation at most.
        least_share: what share must have the relation.

    >>> cat, dog, fox = 0, 1, 2
    >>> has_name, has_sound = 0, 1
    >>> known = [[cat, has_name, 7], [dog, has_name, 8], [fox, has_name, 9], [cat, has_sound, 5], [dog, has_sound, 6]]
    >>> open_questions(np.array(known))
    {1: [2]}
    """
    relations_of: dict[int, set[int]] = {}
    for head, relation in np.unique(triples[:, [Side.HEAD, Side.RELATION]], axis=0).tolist():
        relations_of.setdefault(head, set()).add(relation)
    alike: dict[frozenset[int], list[int]] = {}
    for head, relations in relations_of.items():
        alike.setdefault(frozenset(relations), []).append(head)
    lacks: list[tuple[float, int, int]] = []
    for has, owners in alike.items():
        for relation in has:
            lacking = alike.get(has - {relation}, [])
            share = len(owners) / (len(owners) + len(lacking))
            if share >= least_share:
                lacks += [(-share, head, relation) for head in lacking]
    questions: dict[int, list[int]] = {}
    for _, head, relation in sorted(lacks):
        asked = questions.setdefault(relation, [])
        if len(asked) < a_relation:
            asked.append(head)
    return questions


def entity_of(data: Dataset, name: str) -> Entity:
    """Look up the words and the first pictures of an entity."""
    return Entity(name, data.label(name), thumbnails(list(data.pictures.get(name, ()))))
