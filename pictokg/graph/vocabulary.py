"""Names and their ids: the only place where one becomes the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from pictokg.errors import ConfigError, DataError, nearest


class Vocabulary:
    """Distinct names in order; the id of a name is its place.

    >>> vocabulary = Vocabulary(["Paris", "東京"])
    >>> vocabulary.id("東京"), vocabulary.name(0), vocabulary.ids(["Paris", "Rome"]).tolist()
    (1, 'Paris', [0, -1])
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names: Sequence[str] = tuple(names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.names == other.names

    __hash__ = None  # type: ignore[assignment]  # compared by content, and too large to hash by it

    def __repr__(self) -> str:
        shown = ", ".join(repr(name) for name in self.names[:3])
        return f"Vocabulary({len(self):,} names: {shown}{', …' if len(self) > 3 else ''})"

    @cached_property
    def _index(self) -> dict[str, int]:
        index = {name: place for place, name in enumerate(self.names)}
        if len(index) < len(self.names):
            place = next(place for place, name in enumerate(self.names) if index[name] != place)
            raise DataError(
                f"the name {self.names[place]!r} stands twice, as number {place} and {index[self.names[place]]}",
                remedy="each name must stand once, because a name stands for one id",
            )
        return index

    def name(self, id: int) -> str:  # noqa: A002 - the word of the field, and the method's twin is id()
        """Return the name of an id."""
        return self.names[id]

    def id(self, name: str) -> int:
        """Return the id of a name; raises ConfigError with the nearest name when there is none."""
        try:
            return self._index[name]
        except KeyError:
            raise ConfigError(f"{name!r} is not among {len(self):,} names; {nearest(name, self.names)}") from None

    def ids(self, names: Sequence[str]) -> np.ndarray:
        """Return the ids of many names (n,) int64, -1 where a name is unknown."""
        get = self._index.get
        return np.fromiter((get(name, -1) for name in names), dtype=np.int64, count=len(names))
