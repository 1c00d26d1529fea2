"""False triples that look like true ones, for triple classification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pictokg.graph.query import Side, ask

if TYPE_CHECKING:
    from pictokg.graph.known import Known

_DRAWS = 16  # candidates drawn a triple before what is left is listed


class SlotPool:
    """The entities seen in each slot of each relation.

    >>> pool = SlotPool(np.array([[0, 0, 1], [0, 0, 2], [5, 1, 0]]), num_relations=2)
    >>> pool.entities(Side.TAIL, 0).tolist(), pool.entities(Side.HEAD, 0).tolist()
    ([1, 2], [0])
    """

    def __init__(self, triples: np.ndarray, num_relations: int) -> None:
        self._values: dict[Side, np.ndarray] = {}
        self._offsets: dict[Side, np.ndarray] = {}
        for side in (Side.HEAD, Side.TAIL):
            width = int(triples[:, side].max(initial=0)) + 1
            pairs = np.unique(triples[:, Side.RELATION].astype(np.int64) * width + triples[:, side])
            self._values[side] = pairs % width
            self._offsets[side] = np.searchsorted(pairs, np.arange(num_relations + 1) * width)

    def entities(self, side: Side, relation: int) -> np.ndarray:
        """Return the distinct entities of one slot, ascending."""
        offsets = self._offsets[side]
        return self._values[side][offsets[relation] : offsets[relation + 1]]

    def draw(self, side: Side, relation: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw entities (n, count) with replacement, each row from the slot of its relation."""
        offsets = self._offsets[side]
        sizes = offsets[relation + 1] - offsets[relation]
        place = (generator.random((len(relation), count)) * sizes[:, None]).astype(np.int64)
        return self._values[side][offsets[relation][:, None] + place]


def slot_consistent(triples: np.ndarray, pool: SlotPool, known: Known, generator: np.random.Generator) -> np.ndarray:
    """Make one false triple of each true one: another head or tail, seen in that slot of that relation.

    A coin decides the side; where every entity of its slot would make a known triple, the other side is
    replaced. The protocol of the data sets of TransH and IGAN, with known triples of all splits kept out.

    Args:
        triples: true ones (n, 3).
        pool: where replacements come from.
        known: packed true answers.
        generator: of every draw.

    Returns:
        At most n triples, in order; a triple of which both sides are exhausted makes none.
    """
    coin = generator.random(len(triples)) < 0.5
    made = triples.astype(np.int64)
    done = np.zeros(len(triples), dtype=bool)
    for first in (True, False):
        for side in (Side.HEAD, Side.TAIL):
            rows = np.flatnonzero(~done & ((coin == (side is Side.HEAD)) == first))
            found = _replacements(made[rows], side, pool, known, generator)
            rows, found = rows[found >= 0], found[found >= 0]
            made[rows, side], done[rows] = found, True
    return made[done]


def _replacements(
    triples: np.ndarray, side: Side, pool: SlotPool, known: Known, generator: np.random.Generator
) -> np.ndarray:
    """For each triple an entity of the slot that is no known answer: (n,), -1 where there is none."""
    if not len(triples):
        return np.empty(0, dtype=np.int64)
    query, _ = ask(torch.from_numpy(triples), side)
    drawn = pool.draw(side, triples[:, Side.RELATION], _DRAWS, generator)
    fresh = ~known.contains(query, torch.from_numpy(drawn)).numpy()
    found = np.where(fresh.any(axis=1), drawn[np.arange(len(drawn)), fresh.argmax(axis=1)], -1)
    for row in np.flatnonzero(found < 0):  # nearly everything is known: list what is not
        _, answers = known.answers(query[int(row) : int(row) + 1])
        allowed = np.setdiff1d(pool.entities(side, triples[row, Side.RELATION]), answers.numpy())
        if len(allowed):
            found[row] = generator.choice(allowed)
    return found
