"""Feature rows that stand in memory beside a model: pooled to one an entity, or with a place for every attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from pictokg.fusion.unseen import shallow

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
        self.width, self.table_name = table.width, table.name
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

    def of(self, table: FeatureTable) -> PooledRows:
        """The same over another table, on the scale of this one."""
        pooled = torch.from_numpy(table.mean()).to(self.centre.device)
        count = torch.from_numpy(table.counts.astype("int64")).to(self.centre.device)
        return shallow(self, {"values": self.standardise(pooled) * (count > 0).unsqueeze(1), "count": count})

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (entities, width), zero where missing, and counts (entities,)."""
        return self.values[ids], self.count[ids]


class AttributeRows(nn.Module):
    """What is measured of an entity, laid out with a place for every attribute a, one row an entity:

        x_i = s · ⊕_a m_ia [1, v_ia]      m_ia: 1 where a of i is known, else 0;  v_ia: the mean of its values' features

    So a linear projection adds b_a + W_a v_ia for each attribute that is known, and exactly nothing for one that is
    not: an unknown number is neither zero nor average. The factor s makes the mean square of the entries 1 over the
    entities that have any, as in standardised rows. The rows are data and are not saved with the model; s is.
    """

    def __init__(self, table: FeatureTable) -> None:
        super().__init__()
        self.attributes, self.table_name = sorted(set(table.keys)), table.name
        self.width = max(len(self.attributes), 1) * (1 + table.width)
        rows = self._laid_out(table)
        square = np.square(rows[table.present]).mean() if table.present.any() else 1.0
        self.register_buffer("scale", torch.tensor(1 / np.sqrt(square), dtype=torch.float32))
        self.register_buffer("values", torch.from_numpy(rows).flatten(1) * self.scale, persistent=False)
        self.register_buffer("count", torch.from_numpy(table.counts.astype("int64")), persistent=False)
        self.scale: Tensor
        self.values: Tensor
        self.count: Tensor

    def of(self, table: FeatureTable) -> AttributeRows:
        """The same over another table, on the scale of this one; its keys must be attributes of this one."""
        values = torch.from_numpy(self._laid_out(table)).flatten(1).to(self.scale.device) * self.scale
        count = torch.from_numpy(table.counts.astype("int64")).to(self.scale.device)
        return shallow(self, {"values": values, "count": count})

    def _laid_out(self, table: FeatureTable) -> Float[np.ndarray, "entities attributes width+1"]:
        """⊕_a m_ia [1, v_ia]."""
        column = {attribute: place for place, attribute in enumerate(self.attributes)}
        rows = np.zeros((table.num_entities, max(len(self.attributes), 1), 1 + table.width), dtype=np.float32)
        columns = np.array([column[key] for key in table.keys], dtype=np.int64)
        measured = np.concatenate([np.ones((len(columns), 1)), table.values], axis=1)
        np.add.at(rows, (table.owner, columns), measured)  # counts, and sums of features
        rows /= np.maximum(rows[:, :, :1], 1)
        return rows

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (entities, width), zero where missing, and how many values each entity has (entities,)."""
        return self.values[ids], self.count[ids]


def rows_of(table: FeatureTable) -> PooledRows | AttributeRows:
    """Rows as a table needs them: instances of one kind are averaged, measures of different attributes are not."""
    return AttributeRows(table) if table.by_attribute else PooledRows(table)
