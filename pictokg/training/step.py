"""One training step's loss: questions, negatives, scores, loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.graph.query import Query
from pictokg.losses.base import Scored
from pictokg.sampling.base import Context, Negatives, Sampler
from pictokg.training.factors import factors_of
from pictokg.training.fast import fast_loss, fast_scores

if TYPE_CHECKING:
    from pictokg.losses.base import Loss
    from pictokg.models.base import Model
    from pictokg.regularisers.base import Regulariser


@dataclass(frozen=True, slots=True)
class Objective:
    """What training minimises: the loss on a sampler's negatives, and a penalty on large vectors.

    `kernels`: compute it by a fast path where there is one, instead of by its plain formula.
    """

    sampler: Sampler
    loss: Loss
    regulariser: Regulariser | None = None
    kernels: bool = True


class Memo:
    """A look-up `memo(ids)` that encodes new ids only, so that gradients of all uses meet; `clear` it between steps."""

    def __init__(self, encode: Callable[[Tensor], Tensor], num_entities: int, device: torch.device) -> None:
        self._encode = encode
        self._position = torch.full((num_entities,), -1, dtype=torch.long, device=device)
        self._ids: list[Tensor] = []
        self._rows: Tensor | None = None
        self._given: dict[int, tuple[Tensor, Tensor]] = {}  # by the tensor that asks, which is kept so that it is one

    def clear(self) -> None:
        """Forget the encodings of the last step."""
        for ids in self._ids:
            self._position[ids] = -1
        self._ids, self._rows, self._given = [], None, {}

    @property
    def touched(self) -> Tensor:
        """The distinct ids encoded since `clear`."""
        return torch.cat(self._ids) if self._ids else self._position.new_zeros(0)

    @property
    def rows(self) -> Tensor | None:
        """The encodings of `touched`."""
        return self._rows

    def positions(self, ids: Tensor) -> Tensor:
        """Where in `rows` the encodings of ids stand, all of which have been asked for."""
        return self._position[ids]

    def remember(self, asked: list[Tensor]) -> None:
        """Look up ids (B,) of many at once and keep what they get: their gradients then take one pass over `rows`."""
        found = self(torch.cat(asked)).split([len(ids) for ids in asked])
        self._given = {id(ids): (ids, rows) for ids, rows in zip(asked, found, strict=True)}

    def __call__(self, ids: Tensor) -> Tensor:
        """Encodings of ids (…) as (…, [views,] width)."""
        if id(ids) in self._given:
            return self._given[id(ids)][1]
        fresh = ids[self._position[ids] < 0].unique() if ids.numel() else ids.reshape(-1)
        if len(fresh):
            self._add(fresh)
        if self._rows is None:
            return self._encode(ids.reshape(-1)).unflatten(0, ids.shape)
        if len(self._ids) == 1 and torch.equal(ids, self._ids[0]):
            return self._rows  # all of them in order, as 1-vs-all asks: no copy
        # F.embedding, because its backward pass is parallel where that of plain indexing is not
        flat = torch.nn.functional.embedding(self._position[ids], self._rows.flatten(1))
        return flat.unflatten(-1, self._rows.shape[1:])

    def _add(self, fresh: Tensor) -> None:
        start = sum(len(ids) for ids in self._ids)
        self._position[fresh] = torch.arange(start, start + len(fresh), device=fresh.device)
        encoded = self._encode(fresh)
        self._rows = encoded if self._rows is None else torch.cat([self._rows, encoded])
        self._ids.append(fresh)


def training_loss(model: Model, objective: Objective, triples: Tensor, context: Context, memo: Memo) -> Tensor:
    """The loss of a batch of triples: weighted mean over its questions, plus penalties."""
    questions = objective.sampler.questions(triples, context)
    drawn = [(query, answer, objective.sampler(query, answer, context)) for query, answer in questions]
    if not drawn:  # k_vs_all: the turn of none of these questions
        return model.relations.weight.sum() * 0.0
    known = [ids for query, answer, _ in drawn for ids in _known(query, answer)]
    offered = [own.ids.reshape(-1) for query, _, own in drawn if query.relation is not None and own.vectors is None]
    memo(torch.cat([*known, *offered]).unique())
    memo.remember(known)
    ones = [torch.ones(len(answer), device=answer.device) for _, answer, _ in drawn]
    asked = [
        one if (own := given.question_weight) is None else own for one, (_, _, given) in zip(ones, drawn, strict=True)
    ]
    total, terms = torch.cat(asked).sum(), []
    for (query, answer, negatives), weight in zip(drawn, asked, strict=True):
        summed = fast_loss(model, objective, query, negatives, weight, memo) if objective.kernels else None
        if summed is None:
            parts = model, objective.loss, query, answer, negatives, memo
            scored = (fast_scores(*parts) if objective.kernels else None) or score_batch(*parts)
            summed = (objective.loss(scored) * weight).sum()
            heard = objective.sampler.feedback(negatives, scored.negative.detach(), context)
            terms.extend([] if heard is None else [heard])
        terms.append(summed / total)
        if objective.regulariser and query.relation is not None:
            factors = factors_of(model, query, answer, negatives, memo)
            terms.append(objective.regulariser(factors) * weight.sum() / total)
    assert memo.rows is not None, "every batch has entities"
    penalty = model.encoder.penalty(memo.rows)
    return torch.stack([*terms, *([] if penalty is None else [penalty])]).sum()


def score_batch(model: Model, loss: Loss, query: Query, answer: Tensor, negatives: Negatives, memo: Memo) -> Scored:
    """Score the answer and its negatives in the form the loss reads."""
    score = model.terms if loss.per_term else model.score

    def encode(ids: Tensor) -> Tensor:
        made = negatives.vectors if ids is negatives.ids else None
        return memo(ids) if made is None else made

    negative = score(query, negatives.ids, encode).float()  # products may have been taken in bfloat16, losses are not
    column = negatives.answer_column
    if column is None:
        positive = score(query, answer.unsqueeze(1), memo)[:, 0].float()
    else:
        positive = negative[torch.arange(len(answer), device=answer.device), column]
    label = None
    if negatives.labelled is not None:
        label = torch.zeros(negative.shape[:2], device=negative.device).index_put(
            negatives.labelled, negative.new_ones(())
        )
    scored = Scored(positive, negative, negatives.weight, label, column)
    return scored if loss.reads_answer_column or label is not None else scored.without_answer()


def _known(query: Query, answer: Tensor) -> tuple[Tensor, ...]:
    """The entities of the facts that are asked about."""
    return query.given if query.relation is None else (query.anchor, answer)
