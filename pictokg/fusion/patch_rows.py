"""The rows of all of an entity's pictures, parts of pictures too, each with its place in the picture."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name the whole field uses)

from pictokg.errors import ConfigError
from pictokg.fusion.slots import SlotRows

if TYPE_CHECKING:
    from jaxtyping import Int

    from pictokg.features.table import FeatureTable

PLACE = re.compile(r"#(?:patch )?(\d+,\d+)$")  # a part's place within its picture, at the end of a row's key


class Patches(nn.Module):
    """The rows of all pictures of an entity, wholes and parts, side by side, each with its place in the picture.

    Rows are standardised by column. Rows of one place ("1,2", or the whole) share a bias in the attention: what a part
    shows and where it is both say whether to look there.

    Args:
        table: rows whose keys end in "#patch row,column" where they show a part; most: rows of an entity that are kept.
    """

    def __init__(self, table: FeatureTable, most: int) -> None:
        super().__init__()
        if most < 1:
            raise ConfigError(f"most_patches must be at least 1; got {most}")
        self.slots = SlotRows(table, most, standardise=True)
        self.width, self.table_name = table.width, table.name
        self.position, shown = self._kept(table)
        self.places = sorted(set(shown)) or [""]
        self.register_buffer("place", self._numbered(shown), persistent=False)
        self.place: Tensor

    def of(self, table: FeatureTable) -> Patches:
        """The same over another table, on the scale of this one and with as many slots."""
        twin = copy.copy(self)
        twin._modules = {"slots": self.slots.of(table)}
        twin.position, shown = self._kept(table)
        twin._buffers = {"place": self._numbered(shown).to(self.place.device)}
        return twin

    def _kept(self, table: FeatureTable) -> tuple[np.ndarray, list[str]]:
        """Where in the table the rows that are kept stand, and the place of each in its picture."""
        kept = np.minimum(table.counts, self.slots.slots)
        before = np.cumsum(kept) - kept
        position = np.arange(int(kept.sum())) + np.repeat(table.offsets[:-1] - before, kept)
        return position, [place_of(table.keys[row]) for row in position]

    def _numbered(self, shown: list[str]) -> Tensor:
        """Places by number; an unknown one counts as the first, and one more stands in for what is not there."""
        number = {place: index for index, place in enumerate(self.places)}
        return torch.tensor([*(number.get(place, 0) for place in shown), 0])

    def forward(self, ids: Int[Tensor, " entities"]) -> tuple[Tensor, Tensor, Tensor]:
        """Rows (entities, slots, width), places (entities, slots), and how many rows each entity has."""
        slots, slot = self.slots, torch.arange(self.slots.slots, device=ids.device)
        mask = slot < slots.count[ids].unsqueeze(1)
        where = torch.where(mask, slots.start[ids].unsqueeze(1) + slot, len(slots.values) - 1)
        # F.embedding gathers rows several times as fast as plain indexing
        return F.embedding(where, slots.values).float(), self.place[where], slots.count[ids]


def place_of(key: str) -> str:
    """A row's place within its picture, "" for the whole.

    >>> place_of("images/a.png#patch 1,2"), place_of("images/a.png")
    ('1,2', '')
    """
    found = PLACE.search(key)
    return found[1] if found else ""
