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
        self.gate = nn.ModuleDict({name: self.make_gate(width) for name in gated})
        self.dropout, self.structure_dropout = nn.Dropout(dropout), nn.Dropout(structure_dropout)
        self.modality_dropout = modality_dropout
        # A few numbers do not say what an entity is, as its pictures and words do.
        self.stand_in = [name for name, table in tables.items() if not isinstance(table, AttributeRows)]

    @staticmethod
    def make_gate(width: int) -> nn.Module:
        """Make z → b + U z."""
        return nn.Linear(width, width)

    def rows(self, ids: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The pooled row of every modality."""
        gathered = {name: table(ids) for name, table in self.tables.items()}
        return {name: row for name, (row, _) in gathered.items()}, {
            name: count for name, (_, count) in gathered.items()
        }

    def fuse(self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]) -> Tensor:
        """Gate and add what is present."""
        parts, kept = self._parts(structure, rows, presence)
        if self.kernels and not torch.is_autocast_enabled("cpu") and all(map(_is_plain, parts.values())):
            return self._summed(parts, kept)
        return torch.stack(list(self._gated(parts, kept).values())).sum(dim=0)

    def contributions(
        self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """What each modality adds to the vector, (entities, width) each; they sum to it exactly.

        Rows may be several an entity, (entities, some, wide); each is gated on its own, (entities, some, width).
        """
        return self._gated(*self._parts(structure, rows, presence))

    def _parts(
        self, structure: Tensor | None, rows: Mapping[str, Tensor], presence: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """z_m of each modality, and p_m in a column each, (entities, modalities)."""
        present = {name: presence[name] > 0 for name in rows}
        dtype = self.structure.weight.dtype
        parts = {name: self.project[name](self._dropped(self.dropout, row.to(dtype))) for name, row in rows.items()}
        if self.use_structure and structure is not None:
            shown = [present[name] for name in self.stand_in if name in present]
            others = torch.stack(shown).any(dim=0) if shown else structure.new_zeros(len(structure)) > 0
            # An entity that has nothing else needs all of its row; the others learn less by heart without some of it.
            parts[STRUCTURE] = self._dropped(self.structure_dropout, structure, whole=~others)
            present[STRUCTURE] = torch.ones_like(others)
        return parts, self._drop_modalities(torch.stack(list(present.values()), dim=1)).to(dtype)

    def _summed(self, parts: Mapping[str, Tensor], kept: Tensor) -> Tensor:
        """Add up what `_gated` gives, by kernels."""
        from pictokg.kernels.gating import gated_sum

        return gated_sum([self.gate[name](part) for name, part in parts.items()], list(parts.values()), kept)

    def _gated(self, parts: Mapping[str, Tensor], kept: Tensor) -> dict[str, Tensor]:
        """p_m · σ(b_m + U_m z_m) ∘ z_m of each modality."""
        return {
            name: kept[:, column].view(-1, *[1] * (part.dim() - 1)) * torch.sigmoid(self.gate[name](part)) * part
            for column, (name, part) in enumerate(parts.items())
        }

    def _dropped(self, dropout: nn.Dropout, rows: Tensor, whole: Tensor | None = None) -> Tensor:
        """Rows with some numbers dropped, in training; those that are `whole` keep all."""
        if not self.training or dropout.p == 0:
            return rows
        flat = rows.flatten(0, -2)  # rows may be several an entity
        if _is_plain(flat) and dropout.p < 1:
            from pictokg.kernels.gating import drop

            return drop(flat, dropout.p, whole, kernels=self.kernels).view_as(rows)
        return dropout(rows) if whole is None else torch.where(whole.unsqueeze(1), rows, dropout(rows))

    def _drop_modalities(self, present: Tensor) -> Tensor:
        """Take present modalities (entities, modalities) out at random, never the last of an entity."""
        if not self.training or self.modality_dropout == 0:
            return present
        kept = present & (torch.rand(present.shape, device=present.device) >= self.modality_dropout)
        lost = ~kept.any(dim=1, keepdim=True)
        return torch.where(lost, present, kept)


class DiagonalGating(Gating):
    """The same with diagonal U_m = diag(u_m): each column opens by itself, at no matrix product."""

    gate: Mapping[str, Diagonal]  # type: ignore[assignment]  # a ModuleDict, of which this is how it is read

    @staticmethod
    def make_gate(width: int) -> Diagonal:
        """Make z → b + u ∘ z."""
        return Diagonal(width)

    def _summed(self, parts: Mapping[str, Tensor], kept: Tensor) -> Tensor:
        from pictokg.kernels.gating import diagonally_gated_sum

        gates = [self.gate[name] for name in parts]
        weights, biases = [gate.weight for gate in gates], [gate.bias for gate in gates]
        return diagonally_gated_sum(list(parts.values()), weights, biases, kept)


class Diagonal(nn.Module):
    """b + u ∘ z, a linear layer whose matrix is diagonal; it begins at 0, so that gates are half open."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (…, width) to rows of the same shape."""
        return torch.addcmul(self.bias, rows, self.weight)


def _is_plain(rows: Tensor) -> bool:
    """Whether kernels can read them: matrices of float32 on the CPU."""
    return rows.dim() == 2 and (rows.device.type, rows.dtype) == ("cpu", torch.float32)
