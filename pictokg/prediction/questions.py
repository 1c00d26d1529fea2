"""Which questions to ask a whole graph: those that most probably lack an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.graph.query import Side

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_CELLS = 1 << 21  # (entity, question) pairs weighed at a time
SIDES = (Side.TAIL, Side.HEAD)  # question 2 r asks (anchor, r, ?), question 2 r + 1 asks (?, r, anchor)


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions, those of a relation together, and the answers that each is expected to lack.

    Attributes:
        anchor: (n,) ids of the entities that are given.
        relation: (n,) ids, ascending.
        side: (n,), what is asked for: `Side.TAIL` or `Side.HEAD`.
        lacking: (n,), expected number of answers that the graph lacks; negative where it has more than is usual.
    """

    anchor: Int[np.ndarray, " n"]
    relation: Int[np.ndarray, " n"]
    side: Int[np.ndarray, " n"]
    lacking: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.anchor)

    def by_relation(self) -> Iterator[tuple[int, list[tuple[Side, Int[np.ndarray, " n"]]]]]:
        """Relation by relation, the anchors of each side that is asked for."""
        for relation in np.unique(self.relation).tolist():
            rows = slice(*np.searchsorted(self.relation, [relation, relation + 1]))
            asked = [(side, self.anchor[rows][self.side[rows] == side]) for side in SIDES]
            yield relation, [(side, anchors) for side, anchors in asked if len(anchors)]


def choose_questions(
    triples: Int[np.ndarray, "n 3"],
    num_entities: int,
    num_relations: int,
    *,
    relations: Sequence[int] | None = None,
    entities: Sequence[int] | None = None,
    at_most: int = 100_000,
) -> Questions:
    """Choose the questions (a, r, ?) and (?, r, a) whose answers the graph most probably lacks.

        lacking(a, q) = P(a has q) · mean answers of q − answers that a has

    q is a relation and a side; an entity has q when it stands in a triple on the other side. P is 1 where it does;
    else the mean over the q' that it has of n(q, q') / n(q'), the share of entities with q' that have q too; and for
    an entity in no triple n(q) / N. Pairs with P = 0 are never asked: nothing like them has an answer.

    Args:
        triples: all that is known.
        num_entities: N. num_relations: of the graph.
        relations, entities: ids to keep to; entities as anchors.
        at_most: questions, those with most lacking.

    >>> cat, dog, fox, cow, lives, eats = 0, 1, 2, 3, 0, 1
    >>> known = [[cat, lives, 4], [dog, lives, 4], [fox, lives, 4], [cat, eats, 5], [dog, eats, 6]]
    >>> chosen = choose_questions(np.array(known), 7, 2, at_most=1)
    >>> chosen.anchor.tolist(), chosen.relation.tolist(), chosen.side.tolist() == [Side.TAIL]  # what does the fox eat?
    ([2], [1], True)
    """
    answers = _answer_counts(triples, num_entities, num_relations)
    asked = np.arange(2 * num_relations)
    if relations is not None:
        asked = np.sort(np.concatenate([2 * np.unique(relations), 2 * np.unique(relations) + 1]).astype(np.int64))
    anchors = np.arange(num_entities) if entities is None else np.unique(entities).astype(np.int64)
    best = _Best(at_most)
    mean, alike, rare = _habits(answers, asked, num_entities)
    rows = max(1, _CELLS // max(1, len(asked)))
    for start in range(0, len(anchors), rows):
        block = anchors[start : start + rows]
        mine = answers[block]
        has = (mine > 0).astype(np.float32)
        count = np.asarray(has.sum(axis=1)).reshape(-1, 1)
        chance = (has @ alike).toarray() / np.maximum(count, 1)
        chance[count[:, 0] == 0] = rare
        own = mine[:, asked].toarray()
        chance[own > 0] = 1
        best.add(block, chance * mean - own, chance > 0)
    anchor, column, lacking = best.anchor, best.column, best.lacking
    question = asked[column]
    order = np.lexsort((anchor, -lacking, question))
    side = np.where(question % 2 == 0, int(Side.TAIL), int(Side.HEAD))
    return Questions(anchor[order], question[order] // 2, side[order], lacking[order])


class _Best:
    """The pairs with the highest values so far."""

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        self.anchor, self.column = np.empty(0, np.int64), np.empty(0, np.int64)
        self.lacking = np.empty(0, np.float32)

    def add(self, anchors: np.ndarray, lacking: np.ndarray, possible: np.ndarray) -> None:
        if len(self.lacking) == self.at_most and self.at_most:
            possible = possible & (lacking >= self.lacking.min())
        row, column = np.nonzero(possible)
        value = np.concatenate([self.lacking, lacking[row, column].astype(np.float32)])
        anchor, column = np.concatenate([self.anchor, anchors[row]]), np.concatenate([self.column, column])
        if len(value) > self.at_most:  # cheaper than sorting all: find the last that is kept, sort those
            last = np.partition(value, len(value) - self.at_most)[len(value) - self.at_most]
            near = np.flatnonzero(value >= last)
            kept = near[np.lexsort((column[near], anchor[near], -value[near]))[: self.at_most]]
            anchor, column, value = anchor[kept], column[kept], value[kept]
        self.anchor, self.column, self.lacking = anchor, column, value


def _answer_counts(triples: np.ndarray, num_entities: int, num_relations: int) -> Any:
    """Sparse (N, 2 R): how many distinct answers each entity has to each question."""
    from scipy.sparse import csr_array

    head, relation, tail = _distinct(triples, num_entities, num_relations)
    rows, columns = np.concatenate([head, tail]), np.concatenate([2 * relation, 2 * relation + 1])
    shape = (num_entities, 2 * num_relations)
    counts = csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    counts.sum_duplicates()
    return counts


def _distinct(triples: np.ndarray, num_entities: int, num_relations: int) -> np.ndarray:
    """Each triple once: (3, n). As one number a triple where that fits, because rows sort ten times slower."""
    if num_entities * num_entities * num_relations >= 2**63:
        return np.unique(triples, axis=0).astype(np.int64).T
    head, relation, tail = triples.astype(np.int64).T
    packed = np.unique((head * num_relations + relation) * num_entities + tail)
    head, tail = np.divmod(packed, num_entities)
    head, relation = np.divmod(head, num_relations)
    return np.stack([head, relation, tail])


def _habits(answers: Any, asked: np.ndarray, num_entities: int) -> tuple[np.ndarray, Any, np.ndarray]:
    """For the questions asked: mean answers of those that have any, n(q, q') / n(q') by q', and n(q) / N."""
    from scipy.sparse import diags_array

    has = (answers > 0).astype(np.float32)
    owners = np.asarray(has.sum(axis=0)).ravel()
    mean = np.asarray(answers.sum(axis=0)).ravel()[asked] / np.maximum(owners[asked], 1)
    alike = diags_array(1 / np.maximum(owners, 1)) @ (has.T @ has[:, asked])
    return mean, alike.tocsr().astype(np.float32), owners[asked] / max(1, num_entities)
