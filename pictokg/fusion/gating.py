"""Gated fusion: structure, pictures and words become one vector, each let in by a learned gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.fusion.base import EntityEncoder, EntityTable
from pictokg.fusion.rows import AttributeRows, PooledRows

if TYPE_CHECKING:
    from pictokg.fusion.network import Seen
    from pictokg.fusion.patch_rows import Patches

STRUCTURE = "structure"


class Gating(EntityEncoder):
    """e = Σ_m p_m · σ(b_m + U_m z_m) ∘ z_m over structure (z = its row) and modalities (z_m = W_m x_m).

    p_m is 1 where the entity has the modality and 0 where it lacks it; in training whole modalities, structure too,
    are dropped at random (p_m = 0, at least one stays), so that an entity known by its pictures or words alone still
    gets a useful vector. σ is the logistic function, ∘ the element-wise product.

    Args:
        structure: table of learned rows; tables: the modalities to fuse, one row an entity each.
        use_structure: False leaves the rows out, so that entities are what their modalities say.
        dropout: on feature rows before projection; structure_dropout: on the structure rows of entities that have
            something else too, numbers aside; modality_dropout: chance that an entity loses a whole modality in a
            training step.
    """

    def __init__(
        self,
        structure: EntityTable,
        tables: Mapping[str, PooledRows | AttributeRows | Patches | Seen],
        *,
        use_structure: bool = True,
        dropout: float = 0.0,
        structure_dropout: float = 0.0,
        modality_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= modality_dropout <= 1:
            raise ConfigError(f"modality_dropout is a fraction in [0, 1]; got {modality_dropout}")
        width = structure.weight.shape[1]
        self.structure = structure
        self.use_structure = use_structure
        self.tables = nn.ModuleDict(tables)
        self.project = nn.ModuleDict({name: nn.Linear(table.width, width) for name, table in tables.items()})
        gated = [*([STRUCTURE] if use_structure else []), *tables]
        self.gate = nn.ModuleDict({name: nn.Linear(width, width) for name in gated})
        self.dropout, self.structure_dropout = nn.Dropout(dropout), nn.Dropout(structure_dropout)
        self.modality_dropout = modality_dropout
        # A few numbers do not say what an entity is, as its pictures and words do.
        self.stand_in = [name for name, table in tables.items() if not isinstance(table, AttributeRows)]

    def rows(self, ids: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The pooled row of every modality."""
        gathered = {name: table(ids) for name, table in self.tables.items()}
        return {name: row for name, (row, _) in gathered.items()}, {
            name: count for name, (_, count) in gathered.items()
        }

    def fuse(self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]) -> Tensor:
        """Gate and add what is present."""
        parts = self.contributions(structure, rows, presence)
        return torch.stack(list(parts.values())).sum(dim=0)

    def contributions(
        self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """What each modality adds to the vector, (entities, width) each; they sum to it exactly.

        Rows may be several an entity, (entities, some, wide); each is gated on its own, (entities, some, width).
        """
        present = {name: presence[name] > 0 for name in rows}
        parts = {
            name: self.project[name](self.dropout(row.to(self.structure.weight.dtype))) for name, row in rows.items()
        }
        if self.use_structure and structure is not None:
            shown = [present[name] for name in self.stand_in if name in present]
            others = torch.stack(shown).any(dim=0) if shown else structure.new_zeros(len(structure)) > 0
            # An entity that has nothing else needs all of its row; the others learn less by heart without some of it.
            parts[STRUCTURE] = torch.where(others.unsqueeze(1), self.structure_dropout(structure), structure)
            present[STRUCTURE] = torch.ones_like(others)
        kept = self._drop_modalities(torch.stack(list(present.values()), dim=1)).to(self.structure.weight.dtype)
        return {
            name: kept[:, column].view(-1, *[1] * (parts[name].dim() - 1))
            * torch.sigmoid(self.gate[name](parts[name]))
            * parts[name]
            for column, name in enumerate(present)
        }

    def _drop_modalities(self, present: Tensor) -> Tensor:
        """Take present modalities (entities, modalities) out at random, never the last of an entity."""
        if not self.training or self.modality_dropout == 0:
            return present
        kept = present & (torch.rand(present.shape, device=present.device) >= self.modality_dropout)
        lost = ~kept.any(dim=1, keepdim=True)
        return torch.where(lost, present, kept)
