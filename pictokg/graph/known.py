"""Known answers, packed: which entities are true answers of which questions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from pictokg.graph.query import Query, Side

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


_Ids = TypeVar("_Ids", Tensor, np.ndarray)


@dataclass(frozen=True, slots=True)
class _Table:
    """The answers of one side, in compressed sparse rows.

    Attributes:
        keys: (rows,) sorted; a key is one question.
        offsets: (rows + 1,); row i owns pairs[offsets[i]:offsets[i + 1]].
        pairs: (answers,) sorted; row · width + answer, so that one binary search finds a pair.
    """

    keys: Tensor
    offsets: Tensor
    pairs: Tensor

    def to(self, device: torch.device) -> _Table:
        return _Table(self.keys.to(device), self.offsets.to(device), self.pairs.to(device))


class Known:
    """True answers of questions of every side, each distinct one once; a table a side, built when asked.

    >>> known = Known(np.array([[0, 0, 1], [0, 0, 2], [0, 0, 2]]), num_entities=3, num_relations=1)
    >>> query = Query(head=torch.tensor([0, 1]), relation=torch.tensor([0, 0]))
    >>> rows, ids = known.answers(query)
    >>> rows.tolist(), ids.tolist(), known.count(query).tolist()
    ([0, 0], [1, 2], [2, 0])
    >>> known.contains(query, torch.tensor([[0, 1], [0, 1]])).tolist()
    [[False, True], [False, False]]
    """

    def __init__(self, triples: np.ndarray, num_entities: int, num_relations: int) -> None:
        self._triples = triples
        self._widths = (num_entities, num_relations, num_entities)
        self._tables: dict[tuple[Side, torch.device], _Table] = {}

    def answers(self, query: Query) -> tuple[Int[Tensor, " answers"], Int[Tensor, " answers"]]:
        """Every true answer of every question: row of the batch and id, row by row, ids ascending."""
        table = self._table_of(query)
        row, count = self._find(table, query)
        total = int(count.sum())
        questions = torch.repeat_interleave(count, output_size=total)
        before = count.cumsum(0) - count
        place = torch.arange(total, device=count.device) + (table.offsets[row] - before)[questions]
        return questions, table.pairs[place] - row[questions] * self._widths[query.side]

    def count(self, query: Query) -> Int[Tensor, " batch"]:
        """How many distinct true answers each question has."""
        return self._find(self._table_of(query), query)[1]

    def questions(self, side: Side) -> int:
        """How many distinct questions of a side have answers."""
        return len(self._table(side, torch.device("cpu")).keys)

    def index(self, query: Query) -> Int[Tensor, " batch"]:
        """The number of each question among the distinct ones of its side; any for one without answers."""
        return self._find(self._table_of(query), query)[0]

    def contains(self, query: Query, candidates: Int[Tensor, "batch k"]) -> Bool[Tensor, "batch k"]:
        """Tell which candidates are true answers of their question; padding (no such id) is none."""
        table, width = self._table_of(query), self._widths[query.side]
        row, count = self._find(table, query)
        if not len(table.pairs):
            return torch.zeros_like(candidates, dtype=torch.bool)
        wanted = row[:, None] * width + candidates
        place = torch.searchsorted(table.pairs, wanted).clamp_(max=len(table.pairs) - 1)
        exists = (candidates >= 0) & (candidates < width) & (count > 0)[:, None]
        return (table.pairs[place] == wanted) & exists

    def _find(self, table: _Table, query: Query) -> tuple[Tensor, Tensor]:
        """Find the row of each question (any where it has no answers) and how many answers it has."""
        key = self._key(query.side, *(slot.long() for slot in query.given))
        if not len(table.keys):
            return torch.zeros_like(key), torch.zeros_like(key)
        row = torch.searchsorted(table.keys, key).clamp_(max=len(table.keys) - 1)
        count = (table.offsets[row + 1] - table.offsets[row]) * (table.keys[row] == key)
        return row, count

    def _key(self, side: Side, first: _Ids, second: _Ids) -> _Ids:
        """One number for the two given slots, first · width of the second + second: below entities²."""
        return first * self._widths[2 if side is not Side.TAIL else 1] + second

    def _table_of(self, query: Query) -> _Table:
        return self._table(query.side, query.given[0].device)

    def _table(self, side: Side, device: torch.device) -> _Table:
        if (side, device) not in self._tables:
            self._tables[side, device] = self._build(side).to(device)
        return self._tables[side, device]

    def _build(self, side: Side) -> _Table:
        first, second = (self._triples[:, slot].astype(np.int64) for slot in Side if slot is not side)
        width, names = self._widths[side], None
        key = self._key(side, first, second)
        if math.prod(self._widths) >= 2**63:  # then number the questions: below triples · width nothing overflows
            names, key = np.unique(key, return_inverse=True)
        packed = np.sort(key * width + self._triples[:, side])
        packed = packed[np.diff(packed, prepend=-1) > 0]
        key = packed // width
        new = np.diff(key, prepend=-1) > 0
        row = np.cumsum(new) - 1
        keys = key[new] if names is None else names[key[new]]
        offsets = np.append(np.flatnonzero(new), len(packed))
        return _Table(*(torch.from_numpy(array) for array in (keys, offsets, packed + (row - key) * width)))
