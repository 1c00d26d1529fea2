"""What is to be encoded: the pictures or the words of the entities of a graph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pictokg.graph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class Items:
    """Pictures or texts, one entity's after another's, in the order of the graph.

    Attributes:
        entities: all entities of the graph, with items or without.
        values: picture files, or texts.
        owner: for each item its entity, ascending.
        keys: for each item what to call it: a picture's path, "text" for words.
        unknown: names that have items and are no entities of the graph.
    """

    entities: Vocabulary
    values: Sequence[Path] | Sequence[str]
    owner: Int[np.ndarray, " items"]
    keys: Sequence[str]
    unknown: tuple[str, ...] = ()

    @classmethod
    def of_pictures(
        cls, pictures: Mapping[str, Sequence[Path]], entities: Vocabulary, root: Path | None = None
    ) -> Items:
        """Take picture files of entities by name; keys are paths, relative to `root` where they lie in it."""
        paths = [path for name in entities.names for path in pictures.get(name, ())]
        counts = [len(pictures.get(name, ())) for name in entities.names]
        keys = [_relative(path, root) for path in paths]
        return cls(entities, paths, np.repeat(np.arange(len(entities)), counts), keys, _unknown(pictures, entities))

    @classmethod
    def of_texts(cls, texts: Mapping[str, str], entities: Vocabulary) -> Items:
        """Take the words of entities by name; empty ones are no items.

        >>> entities = Vocabulary(["Rome", "Paris"])
        >>> Items.of_texts({"Paris": "Paris, capital of France", "Rome": " "}, entities).owner.tolist()
        [1]
        """
        owner = [place for place, name in enumerate(entities.names) if texts.get(name, "").strip()]
        values = [texts[entities.name(place)] for place in owner]
        return cls(
            entities,
            values,
            np.array(owner, dtype=np.int64),
            ["text"] * len(owner),
            _unknown(texts, entities),
        )

    def __len__(self) -> int:
        return len(self.values)

    def by_name(self) -> list[Path] | list[str]:
        """Sort the items by their entities' names, so that it does not matter how the graph numbers them."""
        return [self.values[place] for place in self._order()]  # type: ignore[return-value]  # one kind

    def fingerprint(self) -> str:
        """Digest names, texts, and pictures' paths, sizes and times of change."""
        found = hashlib.sha256()
        for place in self._order():
            value = self.values[place]
            content = _stamp(value) if isinstance(value, Path) else value
            found.update(f"{self.entities.name(self.owner[place])}\0{self.keys[place]}\0{content}\0".encode())
        return found.hexdigest()[:32]

    def _order(self) -> list[int]:
        names, owner = self.entities.names, self.owner.tolist()
        return sorted(range(len(self.values)), key=lambda place: names[owner[place]])


def _relative(path: Path, root: Path | None) -> str:
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else path.as_posix()


def _unknown(given: Mapping[str, object], entities: Vocabulary) -> tuple[str, ...]:
    return tuple(sorted(name for name in given if name not in entities))


def _stamp(path: Path) -> str:
    """Size and time of change of a file."""
    try:
        found = path.stat()
    except OSError:
        return "missing"
    return f"{found.st_size} {found.st_mtime_ns}"
