"""One training step's loss: questions, negatives, scores, loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.graph.query import Query
from pictokg.losses.base import Scored
from pictokg.sampling.base import Context, Negatives, Sampler

if TYPE_CHECKING:
    from pictokg.losses.base import Loss
    from pictokg.models.base import Model
    from pictokg.regularisers.base import Regulariser
    from pictokg.training.memo import Memo


@dataclass(frozen=True, slots=True)
class Objective:
    """What training minimises: the loss on a sampler's negatives, and a penalty on large vectors."""

    sampler: Sampler
    loss: Loss
    regulariser: Regulariser | None = None


def training_loss(model: Model, objective: Objective, triples: Tensor, context: Context, memo: Memo) -> Tensor:
    """The loss of a batch of triples: mean over its questions, plus penalties."""
    questions = objective.sampler.questions(triples, context)
    drawn = [(query, answer, objective.sampler(query, answer, context)) for query, answer in questions]
    memo(torch.cat(_entities(drawn)).unique())
    per_question, terms = [], []
    for query, answer, negatives in drawn:
        scored = score_batch(model, objective.loss, query, answer, negatives, memo)
        per_question.append(objective.loss(scored))
        heard = objective.sampler.feedback(negatives, scored.negative.detach(), context)
        factors = model.factors(query, answer, memo) if objective.regulariser else []
        if objective.regulariser and factors:
            terms.append(objective.regulariser(factors) * len(query) / sum(len(question) for question, *_ in drawn))
        if heard is not None:
            terms.append(heard)
    assert memo.rows is not None, "every batch has entities"
    penalty = model.encoder.penalty(memo.rows)
    return torch.cat(per_question).mean() + sum([*terms, *([] if penalty is None else [penalty])])


def score_batch(
    model: Model, loss: Loss, query: Query, answer: Tensor, negatives: Negatives, memo: Memo
) -> Scored:
    """Score the answer and its negatives in the form the loss reads."""
    score = model.terms if loss.per_term else model.score
    negative = score(query, negatives.ids, memo)
    column = negatives.answer_column
    if column is None:
        positive = score(query, answer.unsqueeze(1), memo)[:, 0]
    else:
        positive = negative[torch.arange(len(answer), device=answer.device), column]
    scored = Scored(positive, negative, negatives.weight, negatives.label, column)
    return scored if loss.reads_answer_column or negatives.label is not None else scored.without_answer()


def _entities(drawn: list[tuple[Query, Tensor, Negatives]]) -> list[Tensor]:
    """Every entity id that the batch mentions."""
    ids: list[Tensor] = []
    for query, answer, negatives in drawn:
        if query.relation is None:
            ids.extend(query.given)
        else:
            ids.extend([query.anchor, answer, negatives.ids.reshape(-1)])
    return ids
