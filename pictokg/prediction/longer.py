"""A graph and its tables with entities behind the last: nothing that is there is copied, however large it is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import torch
from torch import Tensor

from pictokg.features.table import FeatureTable
from pictokg.graph.known import Known
from pictokg.graph.query import Query, Side
from pictokg.graph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

Part = TypeVar("Part")


class Chain(Sequence[Part]):
    """Two sequences, one behind the other.

    >>> list(Chain("ab", "c")), Chain("ab", "c")[2], Chain("ab", "c")[-3]
    (['a', 'b', 'c'], 'c', 'a')
    """

    def __init__(self, first: Sequence[Part], second: Sequence[Part]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __iter__(self) -> Iterator[Part]:
        return itertools.chain(self.first, self.second)

    @overload
    def __getitem__(self, place: int) -> Part: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Part]: ...
    def __getitem__(self, place: int | slice) -> Part | Sequence[Part]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        return self.first[place] if place < len(self.first) else self.second[place - len(self.first)]


class LongerVocabulary(Vocabulary):
    """A vocabulary with more names behind its last.

    >>> longer = LongerVocabulary(Vocabulary(["a", "b"]), ["new"])
    >>> len(longer), longer.id("new"), longer.name(2), longer.ids(["new", "a", "?"]).tolist(), "new" in longer
    (3, 2, 'new', [2, 0, -1], True)
    """

    def __init__(self, first: Vocabulary, names: Sequence[str]) -> None:
        self._first, self._more = first, Vocabulary(names)
        self.names: Sequence[str] = Chain(first.names, self._more.names)

    def __contains__(self, name: object) -> bool:
        return name in self._more or name in self._first

    def id(self, name: str) -> int:
        """Return the id of a name; raises ConfigError with the nearest name when there is none."""
        return len(self._first) + self._more.id(name) if name in self._more else self._first.id(name)

    def ids(self, names: Sequence[str]) -> np.ndarray:
        """Return the ids of many names (n,) int64, -1 where a name is unknown."""
        more = self._more.ids(names)
        return np.where(more >= 0, more + len(self._first), self._first.ids(names))


class LongerKnown(Known):
    """Known answers, and those of questions about entities behind the last.

    Args:
        first: of the entities before.
        facts: triples (n, 3) about the entities behind.
        num_entities, num_relations: of the longer graph.
        start: the first of the entities behind.
    """

    def __init__(self, first: Known, facts: np.ndarray, num_entities: int, num_relations: int, start: int) -> None:
        self._first, self._more, self._start = first, Known(facts, num_entities, num_relations), start

    def answers(self, query: Query) -> tuple[Int[Tensor, " answers"], Int[Tensor, " answers"]]:
        """Every true answer of every question: row of the batch and id, row by row, ids ascending."""
        rows, ids = self._more.answers(query)
        old = (~self._about_new(query)).nonzero().squeeze(1)
        old_rows, old_ids = self._first.answers(query[old])
        rows, ids = torch.cat([old[old_rows], rows]), torch.cat([old_ids, ids])
        order = rows.argsort(stable=True)  # the new have the higher ids
        return rows[order], ids[order]

    def count(self, query: Query) -> Int[Tensor, " batch"]:
        """How many distinct true answers each question has."""
        return torch.bincount(self.answers(query)[0], minlength=len(query))

    def questions(self, side: Side) -> int:
        """How many distinct questions of a side have answers; one of both kinds counts twice."""
        return self._first.questions(side) + self._more.questions(side)

    def index(self, query: Query) -> Int[Tensor, " batch"]:
        """The number of each question among the distinct ones of its side; any for one without answers."""
        old = self._first.index(self._clipped(query))
        about_new = self._about_new(query)
        return torch.where(about_new, self._first.questions(query.side) + self._more.index(query), old)

    def contains(self, query: Query, candidates: Int[Tensor, "batch k"]) -> Bool[Tensor, "batch k"]:
        """Tell which candidates are true answers of their question; padding (no such id) is none."""
        old = self._first.contains(self._clipped(query), candidates) & ~self._about_new(query).unsqueeze(1)
        return old | self._more.contains(query, candidates)

    def _about_new(self, query: Query) -> Bool[Tensor, " batch"]:
        given = [slot for slot in (query.head, query.tail) if slot is not None]
        return torch.stack([slot >= self._start for slot in given]).any(dim=0)

    def _clipped(self, query: Query) -> Query:
        slots = (query.head, query.relation, query.tail)
        last = self._start - 1
        return Query(
            *(
                None if slot is None else slot if place == 1 else slot.clamp(max=last)
                for place, slot in enumerate(slots)
            )
        )


class _Stacked:
    """Two arrays of rows, one behind the other, read as a table reads its values: by slices and by places."""

    ndim = 2

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        self._first, self._second = first, second
        self.dtype, self.shape = first.dtype, (len(first) + len(second), first.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: Any) -> np.ndarray:
        places = np.arange(len(self))[place] if isinstance(place, slice) else np.asarray(place)
        before = places < len(self._first)
        if before.all():
            return self._first[place]
        rows = np.empty((*places.shape, self.shape[1]), dtype=self.dtype)
        rows[before] = self._first[places[before]]
        rows[~before] = self._second[places[~before] - len(self._first)]
        return rows


def longer_table(first: FeatureTable, more: FeatureTable) -> FeatureTable:
    """Put a table of more entities behind one; its rows are read where they are.

    >>> two = FeatureTable("t", np.array([[1.0], [2.0]], dtype="float32"), np.array([0, 1, 2]), ["a", "b"])
    >>> one = FeatureTable("t", np.array([[3.0]], dtype="float32"), np.array([0, 1]), ["c"])
    >>> longer_table(two, one).mean()[:, 0].tolist(), longer_table(two, one).instances(np.array([2])).keys
    ([1.0, 2.0, 3.0], ['c'])
    """
    values: Any = _Stacked(first.values, more.values.astype(first.values.dtype))
    offsets = np.concatenate([first.offsets, first.offsets[-1] + more.offsets[1:]])
    keys = Chain(first.keys, more.keys)
    return FeatureTable(first.name, values, offsets, keys, first.fingerprint, first.by_attribute)
