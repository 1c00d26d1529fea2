"""Feature rows as slots: so many places an entity, filled from its instances, with a mask of those that are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from pictokg.fusion.unseen import shallow

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from pictokg.features.table import FeatureTable


class SlotRows(nn.Module):
    """The instances of an entity (pictures, patches, sentences) side by side: ids → (entities, slots, width), mask.

    A place without an instance holds zeros and is False in the mask. The rows are data: they move with the module and
    are not saved with it.

    Args:
        table: several rows an entity; most: instances of an entity that are kept, the first so many.
        standardise: give every column mean 0 and deviation 1 over the rows that are kept.

    >>> from pictokg.features.table import FeatureTable
    >>> table = FeatureTable("image", np.ones((3, 4), dtype="float32"), np.array([0, 2, 2, 3]), ["a", "b", "c"])
    >>> rows, mask = SlotRows(table)(torch.tensor([0, 1]))
    >>> rows.shape, mask.tolist()
    (torch.Size([2, 2, 4]), [[True, True], [False, False]])
    """

    def __init__(self, table: FeatureTable, most: int | None = None, *, standardise: bool = False) -> None:
        super().__init__()
        kept = table.counts if most is None else np.minimum(table.counts, most)
        self.slots, self.width, self.table_name = max(1, int(kept.max(initial=0))), table.width, table.name
        before = np.cumsum(kept) - kept
        place = np.arange(int(kept.sum())) + np.repeat(table.offsets[:-1] - before, kept)
        values = torch.from_numpy(np.array(table.values[place]))
        self.scale: tuple[Tensor, Tensor] | None = None
        if standardise and len(values):
            deviation = values.float().std(dim=0, correction=0).clamp_min(1e-6)
            self.scale = values.float().mean(dim=0), deviation
        self.register_buffer("values", self._ready(values), persistent=False)
        self.register_buffer("start", torch.from_numpy(before.astype("int64")), persistent=False)
        self.register_buffer("count", torch.from_numpy(kept.astype("int64")), persistent=False)
        self.values: Tensor
        self.start: Tensor
        self.count: Tensor

    def of(self, table: FeatureTable) -> SlotRows:
        """The same over another table, on the scale of this one and with as many slots."""
        other = SlotRows(table, self.slots)
        values = self._ready(other.values[:-1].to(self.values.dtype)).to(self.values.device)
        found = {"values": values, "start": other.start, "count": other.count}
        return shallow(self, {name: buffer.to(values.device) for name, buffer in found.items()})

    def _ready(self, values: Tensor) -> Tensor:
        """Put rows on scale, with one behind the last that stands in for what is not there."""
        if self.scale is not None:
            centre, deviation = self.scale
            values = ((values.float() - centre) / deviation).to(values.dtype)
        return torch.cat([values, values.new_zeros(1, self.width)])

    def forward(
        self, ids: Int[Tensor, " entities"]
    ) -> tuple[Float[Tensor, "entities slots width"], Bool[Tensor, "entities slots"]]:
        """Rows and mask of these entities."""
        slot = torch.arange(self.slots, device=ids.device)
        mask = slot < self.count[ids].unsqueeze(1)
        place = torch.where(mask, self.start[ids].unsqueeze(1) + slot, len(self.values) - 1)
        return self.values[place].float(), mask
