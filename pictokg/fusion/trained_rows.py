"""Structure rows for those entities that training can teach one; the mean of these stands for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.fusion.base import EntityTable

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from pictokg.datasets.dataset import Dataset


class TrainedRows(EntityTable):
    """One learned row an entity that stands in a training triple; what stands in none has their mean, in training 0.

    Of an entity without a training triple nothing can be learned but that it never was an answer: where every entity
    is a candidate, a row of its own learns to be wrong everywhere, and what its pictures and words say is drowned.
    The mean row says of nobody in particular what can be expected: under a bilinear score, how usual each answer is.
    So a row that `training.warm_start` finds for such an entity is not used.

    Args:
        trained: which entities stand in a training triple; width: columns.

    >>> table = TrainedRows(torch.tensor([True, True, False]), 2).eval()
    >>> with torch.no_grad():
    ...     _ = table.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]))
    >>> table(torch.tensor([0, 2])).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """

    def __init__(self, trained: Bool[Tensor, " entities"], width: int) -> None:
        super().__init__(len(trained), width)
        self.all_trained = bool(trained.all())
        self.register_buffer("trained", trained, persistent=False)
        self.trained: Tensor
        self._mean: tuple[tuple[int, int], Tensor] | None = None  # of which state of the weights, and the mean itself

    @classmethod
    def of(cls, data: Dataset, width: int) -> TrainedRows:
        """Rows for the entities of a graph."""
        return cls(torch.from_numpy(data.graph.seen_entities()), width)

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of these ids, (…, width)."""
        rows = super().forward(ids)
        return rows if self.all_trained else torch.where(self.trained[ids].unsqueeze(-1), rows, self.shared())

    def shared(self) -> Float[Tensor, " width"]:
        """The row of all others: 0 in training, where they are only ever wrong; in use the mean of trained rows."""
        weight = self.weight.detach()
        if self.training or not self.trained.any():
            return weight.new_zeros(weight.shape[1])
        state = weight._version, weight.data_ptr()  # the mean of a large table is worth keeping until it changes
        if self._mean is None or self._mean[0] != state:
            self._mean = state, weight[self.trained].mean(dim=0)
        return self._mean[1]
