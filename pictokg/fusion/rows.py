"""Feature rows that stand in memory beside a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Float

    from pictokg.features.table import FeatureTable


class PooledRows(nn.Module):
    """The mean of an entity's instances, standardised, one row an entity:

        x_i = (mean_i − μ) / σ,   μ and σ the mean and deviation of each column over the entities that have rows

    The mean commutes with a linear projection, so one row an entity is all that fusion by projection needs.
    Standardised columns are learned alike, whatever the encoder made of them. The rows are data: they move with the
    model and are not saved with it; μ and σ are, so that an entity never seen can be put on the same scale.
    """

    def __init__(self, table: FeatureTable) -> None:
        super().__init__()
        self.width = table.width
        pooled, count = torch.from_numpy(table.mean()), torch.from_numpy(table.counts.astype("int64"))
        there = pooled[count > 0]
        empty = pooled.new_zeros(1, self.width)
        self.register_buffer("centre", (there if len(there) else empty).mean(dim=0))
        self.register_buffer("scale", (there if len(there) else empty).std(dim=0, correction=0).clamp_min(1e-6))
        self.register_buffer("values", self.standardise(pooled) * (count > 0).unsqueeze(1), persistent=False)
        self.register_buffer("count", count, persistent=False)
        self.centre: Tensor
        self.scale: Tensor
        self.values: Tensor
        self.count: Tensor

    def standardise(self, rows: Float[Tensor, "entities width"]) -> Float[Tensor, "entities width"]:
        """Put mean rows, of entities of the graph or of others, on the scale of this table."""
        return (rows - self.centre) / self.scale

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (entities, width), zero where missing, and counts (entities,)."""
        return self.values[ids], self.count[ids]
