"""What is told of an entity that nobody has seen, and how its pictures and words become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.datasets.dataset import words_of
from pictokg.errors import ConfigError, DataError, nearest
from pictokg.features.numbers import NUMERIC, Ranks
from pictokg.features.table import FeatureTable, offsets_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from pictokg.datasets.dataset import Dataset
    from pictokg.features.encoders.base import Encoder


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact of a newcomer: (newcomer, relation, entity), or (entity, relation, newcomer) where it is not the head."""

    relation: str
    entity: str
    as_head: bool = True


@dataclass(frozen=True)
class Newcomer:
    """An entity that was not there in training.

    Attributes:
        name: to ask about it by; it is no word about it.
        label, text: what it is called, and a description; encoded as one text, as in training.
        images: picture files, or opened pictures.
        facts: what is known of it, about entities of the graph.
        numbers: attribute → value.
        rows: modality → feature rows (instances, width) made elsewhere, for tables whose encoder is not at hand.
    """

    name: str
    label: str = ""
    text: str = ""
    images: Sequence[Path | Image] = ()
    facts: Sequence[Fact] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Label and description, a line each."""
        return words_of(self.name, {self.name: self.label}, {self.name: self.text})

    def check(self, modalities: Sequence[str]) -> None:
        """ConfigError where it has nothing, or something that a model which reads these modalities would not use."""
        given = {
            "image": bool(self.images),
            "text": bool(self.label or self.text),
            NUMERIC: bool(self.numbers),
            **{modality: True for modality, rows in self.rows.items() if len(rows)},
        }
        reads = ", ".join(["facts", *modalities])
        for modality in (name for name, is_there in given.items() if is_there and name not in modalities):
            raise ConfigError(
                f"this model does not read {modality!r}, which {self.name!r} comes with; it reads {reads}."
                " Leave it out, or train a model that reads it"
            )
        if not any(given.values()) and not self.facts:
            raise ConfigError(f"nothing is told of {self.name!r}; give some of what this model reads: {reads}")


class Reading:
    """Makes the feature tables of newcomers, with the encoders that made those of the data.

    Args:
        data: with the tables, and the folders of what their encoders fitted.
        modalities: which tables to make.
    """

    def __init__(self, data: Dataset, modalities: Sequence[str]) -> None:
        self.data, self.modalities = data, list(modalities)
        self._encoders: dict[str, Encoder] = {}
        self._ranks: Ranks | None = None

    def tables(self, newcomers: Sequence[Newcomer]) -> dict[str, FeatureTable]:
        """Modality → table whose entities are the newcomers, in their order."""
        return {modality: self._table(modality, newcomers) for modality in self.modalities}

    def nothing(self, count: int) -> dict[str, FeatureTable]:
        """Modality → table of so many entities without rows, for every table of the data."""
        return {modality: self._made(modality, [([], [])] * count) for modality in self.data.tables}

    def _table(self, modality: str, newcomers: Sequence[Newcomer]) -> FeatureTable:
        found: list[tuple[Sequence[np.ndarray], list[str]]] = []
        for newcomer in newcomers:
            rows, keys = self._rows(modality, newcomer)
            if modality in newcomer.rows:
                given = self._given(modality, newcomer)
                start = len(keys)
                rows = [*rows, *given]
                keys = [*keys, *(f"{modality} {number}" for number in range(start, len(rows)))]
            found.append((rows, keys))
        return self._made(modality, found)

    def _made(self, modality: str, parts: list[tuple[Sequence[np.ndarray], list[str]]]) -> FeatureTable:
        table = self.data.table(modality)
        values = np.zeros((sum(len(keys) for _, keys in parts), table.width), dtype=np.float32)
        rows = [row for rows, _ in parts for row in rows]
        if rows:
            values[:] = rows
        offsets = offsets_of(np.array([len(keys) for _, keys in parts]))
        return FeatureTable(
            table.name, values, offsets, [key for _, keys in parts for key in keys], "", table.by_attribute
        )

    def _rows(self, modality: str, newcomer: Newcomer) -> tuple[list[np.ndarray], list[str]]:
        if modality == "image" and newcomer.images:
            names = [_name(image, number) for number, image in enumerate(newcomer.images, start=1)]
            return self._encoded(modality, newcomer, newcomer.images, names)
        if modality == "text" and (newcomer.label or newcomer.text):
            return self._encoded(modality, newcomer, [newcomer.words], ["text"])
        if modality == NUMERIC and newcomer.numbers:
            return self._measured(newcomer)
        return [], []

    def _encoded(
        self, modality: str, newcomer: Newcomer, items: Sequence[Any], names: Sequence[str]
    ) -> tuple[list[np.ndarray], list[str]]:
        if modality == "text" and not newcomer.words.strip():
            raise DataError(f"the text of {newcomer.name!r} is empty", remedy="write some words, or leave it out")
        encoded = self._encoder(modality).encode(items)
        for place, why in encoded.skipped:
            thing = f"picture {names[place]}" if modality == "image" else "text"
            raise DataError(f"the {thing} of {newcomer.name!r}: {why}", remedy="give another, or leave it out")
        pairs = zip(encoded.owner.tolist(), encoded.keys, strict=True)
        return list(encoded.values), [f"{names[owner]}#{key}" if key else names[owner] for owner, key in pairs]

    def _measured(self, newcomer: Newcomer) -> tuple[list[np.ndarray], list[str]]:
        if self._ranks is None:
            self._ranks = Ranks.load(self._folder(NUMERIC))
        for attribute, value in newcomer.numbers.items():
            if attribute not in self._ranks.attributes:
                hint = nearest(attribute, self._ranks.attributes)
                raise ConfigError(f"the run knows no attribute {attribute!r} of {newcomer.name!r}; {hint}")
            if not np.isfinite(value):
                raise ConfigError(
                    f"{attribute!r} of {newcomer.name!r} is {value}; give a finite number, or leave it out"
                )
        attributes = list(newcomer.numbers)
        return list(self._ranks.encode(attributes, np.array([newcomer.numbers[key] for key in attributes]))), attributes

    def _given(self, modality: str, newcomer: Newcomer) -> np.ndarray:
        rows, width = np.asarray(newcomer.rows[modality], dtype=np.float32), self.data.table(modality).width
        if rows.ndim != 2 or rows.shape[1] != width or not np.isfinite(rows).all():
            remedy = f"give finite numbers of the shape (instances, {width}), by the encoder that made the table"
            raise DataError(f"the rows {modality!r} of {newcomer.name!r} have the shape {rows.shape}", remedy=remedy)
        return rows

    def _encoder(self, modality: str) -> Encoder:
        if modality not in self._encoders:
            from pictokg.features.encoders import load_encoder

            self._encoders[modality] = load_encoder(self._folder(modality))
        return self._encoders[modality]

    def _folder(self, modality: str) -> Path:
        if modality not in self.data.encoders:
            raise ConfigError(
                f"the features {modality!r} were made elsewhere ({self.data.table(modality).name}), so new ones cannot"
                f" be made here; encode them by the same encoder and give them as rows={{{modality!r}: …}}, or train on"
                " features that pictokg encode made"
            )
        return Path(self.data.encoders[modality])


def _name(image: Path | Image, number: int) -> str:
    return image.name if isinstance(image, Path) else f"picture {number}"
