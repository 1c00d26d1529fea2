"""Which losses have a fast path, and the choice of it; everything else is computed by its plain formula in step.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.graph.query import Query, Side
from pictokg.kernels.over_all import Targets, cross_entropy_over_all

if TYPE_CHECKING:
    from pictokg.models.base import Model
    from pictokg.sampling.base import Negatives
    from pictokg.training.step import Objective

Encode = Callable[[Tensor], Tensor]


def fast_loss(
    model: Model, objective: Objective, query: Query, negatives: Negatives, weight: Tensor, encode: Encode
) -> Tensor | None:
    """The weighted sum of the losses of a batch of questions by a fast path; None where there is none."""
    if is_over_all(model, objective, query, negatives):
        return loss_over_all(model, query, negatives, weight, encode)
    return None


def is_over_all(model: Model, objective: Objective, query: Query, negatives: Negatives) -> bool:
    """Whether the loss is a cross-entropy of dot products with candidates that all questions share."""
    return (
        (model.factors_by, objective.loss.kernel) == ("dot", "softmax")
        and query.side is not Side.RELATION
        and negatives.ids.dim() == 1
        and negatives.weight is None
        and negatives.answer_column is not None
        and not objective.sampler.hears
    )


def loss_over_all(model: Model, query: Query, negatives: Negatives, weight: Tensor, encode: Encode) -> Tensor:
    """The weighted sum of what `Softmax` says of each question, without keeping all scores."""
    if negatives.labelled is None:
        assert negatives.answer_column is not None, "checked by is_over_all"
        targets = Targets(torch.arange(len(query), device=weight.device), negatives.answer_column, weight)
    else:
        row, column = negatives.labelled
        targets = Targets(row, column, (weight / row.bincount(minlength=len(query)).clamp_min(1))[row])
    return cross_entropy_over_all(model.expected(query, encode).float(), encode(negatives.ids), targets)
