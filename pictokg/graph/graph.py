"""The knowledge graph: two vocabularies and triples of ids, in named splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.graph.query import Side
from pictokg.graph.vocabulary import Vocabulary

if TYPE_CHECKING:
    import polars as pl

_SLOTS = ("head", "relation", "tail")


class KnowledgeGraph:
    """Entities, relations, and splits of triples (n, 3) int32 in the order head, relation, tail.

    Rows are kept as they were read, repeated ones too: the audit counts them.

    >>> triples = np.array([[0, 0, 1], [1, 0, 2]])
    >>> graph = KnowledgeGraph(Vocabulary("abc"), Vocabulary(["likes"]), {"train": triples})
    >>> graph
    KnowledgeGraph(3 entities, 1 relation; train 2 triples)
    >>> graph.split("train").dtype
    dtype('int32')

    Raises:
        DataError: a split has another shape, or an id that no name has.
    """

    def __init__(self, entities: Vocabulary, relations: Vocabulary, splits: Mapping[str, np.ndarray]) -> None:
        self.entities, self.relations = entities, relations
        self.splits = {name: np.ascontiguousarray(triples, dtype=np.int32) for name, triples in splits.items()}
        for name, triples in self.splits.items():
            self._check(name, triples)

    def _check(self, name: str, triples: np.ndarray) -> None:
        if triples.ndim != 2 or triples.shape[1] != 3:
            raise DataError(f"split {name!r} has the shape {triples.shape}; triples have the shape (n, 3)")
        if not len(triples):
            return
        limits = (self.num_entities, self.num_relations, self.num_entities)
        for slot, lowest, highest, limit in zip(_SLOTS, triples.min(0), triples.max(0), limits, strict=True):
            if lowest < 0 or highest >= limit:
                found = lowest if lowest < 0 else highest
                raise DataError(
                    f"split {name!r} has the {slot} id {found}, but there are {limit:,} names",
                    remedy=f"ids must lie in 0 … {limit - 1}, in the order head, relation, tail",
                )

    @property
    def num_entities(self) -> int:
        """How many entities there are, with those that stand in no triple."""
        return len(self.entities)

    @property
    def num_relations(self) -> int:
        """How many relations there are; inverse relations are the models' affair and not counted."""
        return len(self.relations)

    def split(self, name: str) -> np.ndarray:
        """Return the triples (n, 3) of a split; ConfigError names those there are."""
        if name not in self.splits:
            raise ConfigError(f"the graph has no split {name!r}; it has: {', '.join(self.splits) or 'none'}")
        return self.splits[name]

    def triples(self, *splits: str) -> np.ndarray:
        """Join the triples of these splits (of all, when none is named)."""
        parts = [self.split(name) for name in splits or self.splits]
        return np.concatenate([np.empty((0, 3), np.int32), *parts])

    def seen_entities(self, split: str = "train") -> np.ndarray:
        """Which entities stand in a triple of a split: (num_entities,) bool."""
        seen = np.zeros(self.num_entities, dtype=bool)
        seen[self.split(split)[:, [Side.HEAD, Side.TAIL]]] = True
        return seen

    def __repr__(self) -> str:
        sizes = [f"{name} {len(triples):,}" for name, triples in self.splits.items()]
        things = f"{_plural(self.num_entities, 'entity', 'entities')}, {_plural(self.num_relations, 'relation')}"
        return f"KnowledgeGraph({things}; {', '.join(sizes) + ' triples' if sizes else 'no splits'})"

    @classmethod
    def from_frames(
        cls,
        frames: Mapping[str, pl.DataFrame],
        entities: Sequence[str] | None = None,
        relations: Sequence[str] | None = None,
    ) -> KnowledgeGraph:
        """Give ids to names: by the given order, else by first occurrence, row by row over the splits.

        Args:
            frames: split → frame with the string columns head, relation, tail.
            entities: all entity names in order; names in no triple are kept. None: those that occur.
            relations: likewise.

        Raises:
            DataError: a name of a triple is not among the given ones.

        >>> import polars as pl
        >>> frame = pl.DataFrame({"head": ["b", "a"], "relation": ["r", "r"], "tail": ["c", "b"]})
        >>> graph = KnowledgeGraph.from_frames({"train": frame})
        >>> graph.entities.names, graph.split("train").tolist()
        (('b', 'c', 'a'), [[0, 0, 1], [2, 0, 0]])
        """
        splits = {name: np.empty((len(frame), 3), np.int32) for name, frame in frames.items()}
        names = []
        for slots, order in (((Side.HEAD, Side.TAIL), entities), ((Side.RELATION,), relations)):
            columns = {name: [frame[_SLOTS[slot]] for slot in slots] for name, frame in frames.items()}
            codes, distinct = _number(columns, order)
            for name, code in codes.items():
                splits[name][:, slots] = code
            names.append(Vocabulary(distinct))
        return cls(names[0], names[1], splits)


def _number(
    columns: Mapping[str, list[pl.Series]], order: Sequence[str] | None, seed: int = 0
) -> tuple[dict[str, np.ndarray], Sequence[str]]:
    """Codes (rows, columns) of each split, and the names in the order of their codes: found by hash, then compared."""
    import polars as pl

    read = pl.concat([pl.Series([], dtype=pl.String), *(column for parts in columns.values() for column in parts)])
    names = read.gather(read.hash(seed).arg_unique()) if order is None else pl.Series(order, dtype=pl.String)
    if order is not None and names.hash(seed).n_unique() < len(names):
        Vocabulary(order).ids([""])  # tells which name stands twice, if one does
        return _number(columns, order, seed + 1)
    codes = {}
    for split, parts in columns.items():
        codes[split] = np.stack([_encode(column, names, split, seed) for column in parts], axis=1)
        if not all((names.gather(code) == column).all() for code, column in zip(codes[split].T, parts, strict=True)):
            return _number(columns, order, seed + 1)  # two names share a hash
    if order is not None:
        return codes, order
    first = np.zeros(len(names), dtype=np.int64)
    found = np.concatenate([np.empty(0, np.int32), *(code.ravel() for code in codes.values())])
    first[found[::-1]] = np.arange(len(found) - 1, -1, -1)  # the last write wins, and it is the first occurrence
    places = np.argsort(first)
    number = np.empty(len(names), dtype=np.int32)
    number[places] = np.arange(len(names), dtype=np.int32)
    return {split: number[code] for split, code in codes.items()}, names.gather(places).to_list()


def _encode(column: pl.Series, names: pl.Series, split: str, seed: int) -> np.ndarray:
    """Find the place of each value among the names, by their hashes: (rows,) int32."""
    numbers = np.arange(len(names), dtype=np.int32)
    places = column.hash(seed).replace_strict(names.hash(seed), numbers, default=None)
    if (missing := places.is_null() | column.is_null()).any():
        row = int(missing.arg_max() or 0)
        raise DataError(
            f"{split}: triple {row + 1} has the {column.name} {column[row]!r},"
            f" which is not among the {len(names):,} names given",
            remedy="add it to the list of names, or leave the list out to number names as they occur",
        )
    return places.to_numpy()


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
