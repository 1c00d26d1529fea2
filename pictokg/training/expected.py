"""What the questions of a step expect, and how gradients of that reach anchors and relations, by autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.models._factored import expect

if TYPE_CHECKING:
    from pictokg.graph.query import Query
    from pictokg.models.base import Model


class ByAutograd:
    """By the scoring function's own `expect`; it is also a look-up of rows, whose gradients it collects."""

    def __init__(self, model: Model) -> None:
        self._model, self._table = model, model.encoder.structure.weight
        self._given: list[tuple[Tensor, Tensor]] = []

    def rows(self, ids: Tensor) -> Tensor:
        """Rows of these ids (B,), (B, d)."""
        rows = self._table.detach().index_select(0, ids).requires_grad_()
        self._given.append((ids, rows))
        return rows

    def __call__(self, queries: list[Query]) -> Tensor:
        """What all questions expect (B, d), group after group."""
        self._given = []
        self._expected = torch.cat([expect(self._model, query, self.rows) for query in queries])
        return self._expected

    @property
    def ids(self) -> Tensor:
        """The entities, with repetitions, whose gradients `backward` will give."""
        return torch.cat([ids for ids, _ in self._given])

    def backward(self, gradient: Tensor, penalties: list[Tensor]) -> Tensor:
        """Add gradients of relations to what they have; those of `ids` in their order, penalties included."""
        torch.autograd.backward([self._expected, *penalties], [gradient, *map(torch.ones_like, penalties)])
        found = [torch.zeros_like(rows) if rows.grad is None else rows.grad for _, rows in self._given]
        self._given = []
        return torch.cat(found)
