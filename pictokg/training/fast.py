"""Which losses and scores have a fast path, and the choice of it; all others have their plain formula in step.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.graph.query import Query, Side
from pictokg.kernels.formulas import SIMILARITIES
from pictokg.kernels.over_all import Targets, cross_entropy_over_all
from pictokg.losses.base import Scored
from pictokg.models._factored import (
    expect,
    expect_of_shared,
    shared_similarity_of,
    shared_vectors,
    similarity_of,
)

if TYPE_CHECKING:
    from pictokg.losses.base import Loss
    from pictokg.models.base import Model
    from pictokg.sampling.base import Negatives
    from pictokg.training.step import Memo, Objective

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
        (shared_similarity_of(model), objective.loss.kernel) == ("dot", "softmax")
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
    candidates = shared_vectors(model, encode(negatives.ids))
    return cross_entropy_over_all(expect_of_shared(model, query, encode).float(), candidates, targets)


def fast_scores(
    model: Model, loss: Loss, query: Query, answer: Tensor, negatives: Negatives, memo: Memo
) -> Scored | None:
    """The scores of the answer and of each question's own negatives without gathering vectors; None where not possible.

    It is where a score compares what is expected with an encoding that the memo has, on the CPU in float32.
    """
    if not (
        _compares(model) in SIMILARITIES
        and query.side is not Side.RELATION
        and negatives.ids.dim() == 2
        and negatives.vectors is negatives.labelled is negatives.answer_column is None
        and (len(model.term_names) > 1 or not loss.per_term)
        and memo.rows is not None
        and (memo.rows.device.type, memo.rows.dtype) == ("cpu", torch.float32)
        and not torch.is_autocast_enabled("cpu")
    ):
        return None
    from pictokg.kernels.scores import score_own

    candidates = memo.positions(torch.cat([negatives.ids, answer.unsqueeze(1)], dim=1))
    if len(model.term_names) > 1:
        terms = _terms_of_own(model, query, candidates, memo)
        scores = terms if loss.per_term else terms @ model.term_weights
    else:
        scores = score_own(expect(model, query, memo), memo.rows, candidates, similarity_of(model))
    return Scored(scores[:, -1], scores[:, :-1], negatives.weight)


def _compares(model: Model) -> str:
    """As `similarity_of`, also where entities have several views."""
    return "" if model.depends_on_relation else model.scoring.kernel


def _terms_of_own(model: Model, query: Query, candidates: Tensor, memo: Memo) -> Tensor:
    """Each view of the anchor compared with each view of its candidates, (B, K, terms), the head's view first."""
    from pictokg.kernels.scores import score_own

    assert memo.rows is not None, "checked by fast_scores"
    views = memo.rows.shape[1]
    anchor, relation, side = model.direct(query)
    anchors, relations = model.encoder.condition(memo(anchor), relation), model.relations(relation)
    expected = torch.stack([model.scoring.expect(anchors[:, view], relations, side) for view in range(views)], dim=1)
    own = candidates.unsqueeze(2) * views + torch.arange(views)  # (B, K, views): rows of every view
    each = own.flatten(1).repeat_interleave(views, dim=0)
    scores = score_own(expected.flatten(0, 1), memo.rows.flatten(0, 1), each, model.scoring.kernel)
    terms = scores.view(len(candidates), views, -1, views)  # anchor's view, candidate, candidate's view
    return (terms.transpose(1, 2) if side is Side.TAIL else terms.permute(0, 2, 3, 1)).flatten(2)
