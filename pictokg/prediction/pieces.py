"""An entity taken to pieces: its encoding from any part of what is known of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from pictokg.features.table import FeatureTable, offsets_of
from pictokg.fusion.image_attention import ImageAttention
from pictokg.fusion.neighbours import LentRows
from pictokg.fusion.unseen import modalities_of, over, reads_structure
from pictokg.prediction.newcomers import Guests, JoinedEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float

    from pictokg.datasets.dataset import Dataset
    from pictokg.fusion.base import EntityEncoder
    from pictokg.models.base import Model

STRUCTURE, FACTS = "structure", "facts"
PLACE = re.compile(r"patch (\d+),(\d+)$")
LENDERS_SHOWN = 3
AT_ONCE = 1 << 24  # numbers of feature rows held together


@runtime_checkable
class Attends(Protocol):
    """An encoder whose relations look at the rows of one modality, as `fusion.patches`."""

    attended: str

    def attention(self, ids: Tensor, relation: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the feature table, and the weight of each."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that is known of an entity.

    Attributes:
        modality: "structure", "facts" (of a newcomer), "image", "text" …; key: which picture, sentence, attribute;
            of structure, who lends rows to it.
        rows: its places among the entity's rows of that modality.
    """

    modality: str
    key: str
    rows: tuple[int, ...] = ()


class Pieces:
    """What is known of one entity, piece by piece.

    Args:
        model: a trained model, with newcomers or without; data: with the tables that it reads.
        entity: its id.
    """

    def __init__(self, model: Model, data: Dataset, entity: int) -> None:
        self.model, self.entity, self._data = model, entity, data
        joined = model.encoder if isinstance(model.encoder, JoinedEncoder) else None
        self._encoder: EntityEncoder = joined.base if joined else model.encoder
        self._guests = joined.guests if joined and entity >= joined.known else None
        self._guest = entity - joined.known if joined else -1  # its place among the guests, where it is one
        self.tables = {name: data.table(name).select(np.array([entity])) for name in modalities_of(self._encoder)}

    @cached_property
    def pieces(self) -> list[Piece]:
        """Structure (or what facts say) first, then each picture, text and attribute."""
        found = []
        if self._guests is not None and self._guests.known[self._guest]:
            found.append(Piece(FACTS, ""))
        elif reads_structure(self._encoder) and (self._guests is None or self._lenders()):
            found.append(Piece(STRUCTURE, self._lenders()))
        for modality, table in self.tables.items():
            owners = [key.partition("#")[0] for key in table.keys]
            for owner in dict.fromkeys(owners):
                rows = tuple(row for row, other in enumerate(owners) if other == owner)
                found.append(Piece(modality, owner, rows))
        return found

    def masks(self, kept: Bool[np.ndarray, "coalitions pieces"]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Which coalitions have structure (or facts), and which rows of each modality they have."""
        first = np.zeros(len(kept), dtype=bool)
        rows = {name: np.zeros((len(kept), len(table.values)), dtype=bool) for name, table in self.tables.items()}
        for column, piece in enumerate(self.pieces):
            if piece.rows:
                rows[piece.modality][:, list(piece.rows)] = kept[:, [column]]
            else:
                first = kept[:, column]
        return first, rows

    @torch.no_grad()
    def encode(self, first: Bool[np.ndarray, " n"], rows: dict[str, np.ndarray]) -> Tensor:
        """Static encodings (n, …) of the entity with structure (or facts) where `first`, and with these rows only."""
        width = max((table.width for table in self.tables.values()), default=1)
        block = max(1, AT_ONCE // (width * max(1, sum(len(table.values) for table in self.tables.values()))))
        parts = []
        for start in range(0, len(first), block):
            part = slice(start, start + block)
            parts.append(self._encode(first[part], {name: mask[part] for name, mask in rows.items()}))
        return torch.cat(parts)

    @torch.no_grad()
    def encode_with(self, piece: Piece, rows: Float[np.ndarray, "n width"]) -> Tensor:
        """Static encodings (n, …) of the entity with all that is known, and each of these in place of a piece's row."""
        first, masks = self.masks(np.ones((len(rows), len(self.pieces)), dtype=bool))
        tables = {name: _repeated(table, masks[name]) for name, table in self.tables.items()}
        table = tables[piece.modality]
        values = table.values.copy()
        values[piece.rows[0] :: len(self.tables[piece.modality].values)] = rows
        tables[piece.modality] = replace(table, values=values)
        return self._encode_tables(first, tables)

    def _encode(self, first: np.ndarray, rows: dict[str, np.ndarray]) -> Tensor:
        return self._encode_tables(first, {name: _repeated(table, rows[name]) for name, table in self.tables.items()})

    def _encode_tables(self, first: np.ndarray, tables: dict[str, FeatureTable]) -> Tensor:
        has = torch.from_numpy(first).to(self.model.device)
        if self._guests is not None:
            guests = self._guests
            told = torch.where(has.unsqueeze(1), guests.told[self._guest], 0.0)
            known = guests.known[self._guest] * has
            loans = guests.loans.times(has, self._guest) if guests.loans else None
            if not tables and loans is None:
                return told
            return Guests(tables, told, known, guests.weight, loans).encode(self._encoder)
        structure = self._encoder.structure(torch.tensor([self.entity], device=self.model.device))
        if not tables:
            return structure * has.unsqueeze(1)
        twin = over(self._encoder, tables)
        gathered, presence = twin.rows(torch.arange(len(first), device=self.model.device))
        full = twin.fuse(structure.expand(len(first), -1), gathered, presence)
        return torch.where(has.view(-1, *[1] * (full.dim() - 1)), full, twin.fuse(None, gathered, presence))

    @torch.no_grad()
    def attention(self, relation: Tensor) -> dict[str, Float[np.ndarray, " rows"]]:
        """Modality → what the model's attention gives each row under a relation; empty for models without."""
        twin = over(self._encoder, self.tables) if self.tables else self._encoder
        zero = torch.zeros(1, dtype=torch.long, device=self.model.device)
        if isinstance(twin, ImageAttention):
            rows, presence = twin.rows(zero)
            structure = self._structure()
            features = rows["image"] if twin.within_ball else _unit(rows["image"])
            weights = twin.attention(structure, twin.project(features), presence["image"])
            return {"image": weights.cpu().numpy()}
        if isinstance(twin, Attends):
            places, weights = twin.attention(zero, relation)
            found = np.zeros(len(self.tables[twin.attended].values), dtype=np.float32)
            found[places.cpu().numpy()] = weights.cpu().numpy()
            return {twin.attended: found}
        return {}

    def _structure(self) -> Tensor | None:
        guests, place = self._guests, [self._guest]
        if guests is None:
            return self._encoder.structure(torch.tensor([self.entity], device=self.model.device))
        if guests.known[place]:
            return guests.told[place]
        return guests.loans.rows[place] if guests.loans and guests.loans.given[place] else None

    def _lenders(self) -> str:
        """The names of those that lend it most of its row, "" where nobody does."""
        table, found, own = self._encoder.structure, [], ""
        if self._guests is None and isinstance(table, LentRows):
            found, own = table.lenders(self.entity), "its own, and " if table.trained[self.entity] else ""
        elif self._guests is not None and self._guests.loans is not None:
            found = self._guests.loans.lenders(self._guest)
        names = [self._data.label(self._data.graph.entities.name(one)) for one in found[:LENDERS_SHOWN]]
        return f"{own}lent by {', '.join(names)}" if names else ""


def window_of(table: str, keys: Sequence[str], number: int) -> tuple[float, float, float, float]:
    """Where the window of a picture's row lies, top, left, height and width as fractions; a whole picture's is all.

    Args:
        table: its name; `pixels` and `hog` have windows half as high and wide as the picture, others lie on a grid.
        keys: of all rows of the picture; number: which of them.

    >>> window_of("image-hf", ["a.png", "a.png#patch 0,0", "a.png#patch 0,1"], 2)
    (0.0, 0.5, 1.0, 0.5)
    """
    places = [PLACE.search(key) for key in keys]
    place = places[number]
    if place is None:
        return 0.0, 0.0, 1.0, 1.0
    row, column = int(place[1]), int(place[2])
    height, width = (1 + max(int(one[axis]) for one in places if one) for axis in (1, 2))
    if table.startswith(("image-pixels", "image-hog")):
        return row / (height + 1), column / (width + 1), 2 / (height + 1), 2 / (width + 1)
    return row / height, column / width, 1 / height, 1 / width


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1.0)


def _repeated(table: FeatureTable, kept: Bool[np.ndarray, "n rows"]) -> FeatureTable:
    """The table of n entities that have, each, a part of the rows of one."""
    rows = np.nonzero(kept)[1]
    offsets = offsets_of(kept.sum(axis=1))
    keys = [table.keys[row] for row in rows.tolist()]
    return FeatureTable(table.name, table.values[rows], offsets, keys, "", table.by_attribute)
