"""Structure rows for those entities that training can teach one; all others share a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pictokg.errors import ConfigError
from pictokg.fusion.base import EntityTable

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from pictokg.datasets.dataset import Dataset


class TrainedRows(EntityTable):
    """One learned row an entity that stands in a training triple; entities that stand in none share one row.

    Of an entity without a training triple nothing can be learned but that it never was an answer: where every entity
    is a candidate, its row learns to be wrong everywhere, and what its pictures and words say is drowned. The shared
    row says of nobody in particular that there is no structure. In training an entity counts as one of these at random,
    so that the row, and the pictures and words beside it, learn to answer without structure; without that it stays 0.

    Args:
        trained: which entities stand in a training triple; width: columns.
        missing: chance that an entity counts as one of the others in a training step.

    >>> table = TrainedRows(torch.tensor([True, False, False]), 2)
    >>> _ = nn.init.constant_(table.weight, 3.0)
    >>> table(torch.tensor([0, 1, 2])).tolist()
    [[3.0, 3.0], [0.0, 0.0], [0.0, 0.0]]
    """

    def __init__(self, trained: Bool[Tensor, " entities"], width: int, *, missing: float = 0.0) -> None:
        super().__init__(len(trained), width)
        if not 0 <= missing < 1:
            raise ConfigError(f"structure_missing is a fraction of at least 0 and below 1; got {missing}")
        self.missing = missing
        self.register_buffer("trained", trained, persistent=False)
        self.trained: Tensor
        self.shared: Tensor
        if missing:
            self.shared = nn.Parameter(torch.zeros(width))
        else:
            self.register_buffer("shared", torch.zeros(width), persistent=False)

    @classmethod
    def of(cls, data: Dataset, width: int, *, missing: float = 0.0) -> TrainedRows:
        """Rows for the entities of a graph."""
        return cls(torch.from_numpy(data.graph.seen_entities()), width, missing=missing)

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of these ids, (…, width)."""
        own = self.trained[ids]
        if self.training and self.missing:
            own = own & (torch.rand(own.shape, device=own.device) >= self.missing)
        return torch.where(own.unsqueeze(-1), super().forward(ids), self.shared)

    def absent(self, entities: int) -> Float[Tensor, "entities width"]:
        """The structure of entities that have none, for as many as that."""
        return self.shared.expand(entities, -1)
