"""What the questions of a step expect, and how gradients of that reach anchors and relations: two ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from pictokg.graph.query import Side
from pictokg.kernels.formulas import COMPOSITIONS
from pictokg.models._factored import expect

if TYPE_CHECKING:
    from pictokg.graph.query import Query
    from pictokg.models.base import Model


class Expecting(Protocol):
    """Gives what questions expect, and takes the gradient back."""

    def __call__(self, queries: list[Query]) -> Tensor:
        """What all questions expect (B, d), group after group."""

    @property
    def ids(self) -> Tensor:
        """The entities, with repetitions, whose gradients `backward` will give."""

    def backward(self, gradient: Tensor, penalties: list[Tensor]) -> Tensor:
        """Add gradients of relations to what they have; those of `ids` in their order, penalties included."""


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
        """What all questions expect."""
        self._given = []
        self._expected = torch.cat([expect(self._model, query, self.rows) for query in queries])
        return self._expected

    @property
    def ids(self) -> Tensor:
        """The ids of all rows given, in order."""
        return torch.cat([ids for ids, _ in self._given])

    def backward(self, gradient: Tensor, penalties: list[Tensor]) -> Tensor:
        """Let autograd do it."""
        torch.autograd.backward([self._expected, *penalties], [gradient, *map(torch.ones_like, penalties)])
        found = [torch.zeros_like(rows) if rows.grad is None else rows.grad for _, rows in self._given]
        self._given = []
        return torch.cat(found)


class ByClosedForm:
    """By the formula that the scoring function declares as `composition`; there are no penalties then."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, queries: list[Query]) -> Tensor:
        """What all questions expect."""
        from pictokg.kernels.expected import Expected

        direct = [self._model.direct(query) for query in queries]
        self.ids = torch.cat([anchor for anchor, _, _ in direct])
        sign = torch.cat([torch.full((len(anchor),), 1.0 if side is Side.TAIL else -1.0) for anchor, _, side in direct])
        table, weight = self._model.encoder.structure.weight, self._model.relations.weight.detach()
        turning = self._model.scoring.composition == "turn"
        self._turned = torch.cat([weight.cos(), weight.sin()], dim=1) if turning else None
        relations = weight if self._turned is None else self._turned
        self._expected = Expected(table, relations, "complex" if turning else self._model.scoring.composition)
        return self._expected.ask(self.ids, torch.cat([relation for _, relation, _ in direct]), sign)

    def backward(self, gradient: Tensor, penalties: list[Tensor]) -> Tensor:
        """By the formula's derivatives."""
        assert not penalties, "they are for autograd"
        by_anchor, by_relation = self._expected.gradients(gradient)
        if self._turned is not None:  # d(cos, sin) = (−sin, cos)
            (cosine, sine), (real, imaginary) = self._turned.chunk(2, dim=1), by_relation.chunk(2, dim=1)
            by_relation = imaginary * cosine - real * sine
        weight = self._model.relations.weight
        weight.grad = by_relation if weight.grad is None else weight.grad + by_relation
        return by_anchor


def expecting(model: Model, *, penalised: bool) -> Expecting:
    """The closed form where the scoring function declares one and no penalty needs autograd."""
    closed = not penalised and (model.scoring.composition == "turn" or model.scoring.composition in COMPOSITIONS)
    return ByClosedForm(model) if closed else ByAutograd(model)
