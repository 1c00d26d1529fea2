"""Feature rows that stand in memory beside a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from pictokg.features.table import FeatureTable


class PooledRows(nn.Module):
    """The mean of an entity's instances, held in memory beside the model.

    The mean commutes with a linear projection, so one row an entity is all that fusion by projection needs. The rows
    are data: they move with the model and are not saved with it.
    """

    def __init__(self, table: FeatureTable) -> None:
        super().__init__()
        mean = torch.from_numpy(table.mean())
        self.width = table.width
        self.register_buffer("values", mean, persistent=False)
        self.register_buffer("count", torch.from_numpy(table.counts.astype("int64")), persistent=False)
        self.values: Tensor
        self.count: Tensor

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (entities, width), zero where missing, and counts (entities,)."""
        return self.values[ids], self.count[ids]
