"""What turns entities into vectors: a costly part once, a part that depends on the relation once per relation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Float, Int


class EntityTable(nn.Module):
    """One learned row an entity: the structure vector.

    Args:
        num_entities: rows; width: columns.
        sparse: let gradients hold the touched rows only (row-sparse optimisers).
    """

    def __init__(self, num_entities: int, width: int, *, sparse: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_entities, width))
        self.sparse = sparse

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of these ids, (…, width); the table itself for all of them in order."""
        if not self.sparse and len(ids) == len(self.weight) and ids.equal(torch.arange(len(ids), device=ids.device)):
            return self.weight.view_as(self.weight)
        return nn.functional.embedding(ids, self.weight, sparse=self.sparse)


class EntityEncoder(nn.Module, ABC):
    """Entities to vectors: `condition(encode_static(ids), relation)`.

    Fusion starts from rows, not ids: `fuse(structure, rows, presence)` makes the vector of an entity whether or not it
    has an id, so one never seen in training (structure is None) goes through the same code.

    Attributes:
        structure: the table of learned rows.
        views: names of the vectors an entity has; with several, encodings are (…, views, width), else (…, width).
        depends_on_relation: whether `condition` is more than the identity.
        plain_rows: whether an encoding is the structure row and nothing else, so that fast paths may read and move it.
    """

    views: tuple[str, ...] = ("entity",)
    depends_on_relation = False
    plain_rows = False
    kernels = True  # or False: compute encodings by the plain formulas only
    structure: EntityTable

    @abstractmethod
    def fuse(
        self,
        structure: Float[Tensor, "entities width"] | None,
        rows: Mapping[str, Tensor],
        presence: Mapping[str, Tensor],
    ) -> Tensor:
        """Encode entities from their structure vectors (None: they have none) and what `rows` says of each modality.

        `presence` holds, for each modality, the number of instances of each entity (0: missing).
        """

    @abstractmethod
    def rows(self, ids: Int[Tensor, " entities"]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Gather (rows, presence) of entities with ids, as `fuse` wants them."""

    def encode_static(self, ids: Int[Tensor, " entities"]) -> Tensor:
        """Encode entities as far as no relation is needed: (entities, [views,] width)."""
        rows, presence = self.rows(ids)
        return self.fuse(self.structure(ids), rows, presence)

    def condition(self, static: Tensor, relation: Int[Tensor, " batch"]) -> Tensor:
        """Finish encodings for one relation each; static is (batch, …) and stays so. The identity by default."""
        return static

    def penalty(self, static: Tensor) -> Tensor | None:
        """A soft constraint on the encodings of a step, as a loss term; None where there is none."""
        return None

    @torch.no_grad()
    def constrain(self, ids: Int[Tensor, " entities"], constraint: Callable[[Tensor], Tensor]) -> None:
        """Put touched structure rows back where the scoring function wants them."""
        nothing = self.structure.weight[:0]
        if constraint(nothing) is not nothing:  # else there is no constraint, and gathering rows would be for nothing
            self.structure.weight[ids] = constraint(self.structure.weight[ids])
