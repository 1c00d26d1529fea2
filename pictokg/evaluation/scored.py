"""Scores of a block of questions with all their candidates, in the form that counts fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.evaluation.ranks import count_better
from pictokg.models._factored import expect, similarity_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from pictokg.graph.query import Query
    from pictokg.models.base import Encode, Model

Counts = tuple[Tensor, Tensor]


class Scored:
    """Scores (questions, columns), of which one reads some and counts the rest."""

    def __init__(self, scores: Float[Tensor, "questions columns"]) -> None:
        self.scores = scores

    def at(self, question: Int[Tensor, " pairs"], column: Int[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
        """The scores of some pairs."""
        return self.scores[question, column]

    def count(self, question: Int[Tensor, " answers"], own: Float[Tensor, " answers"], columns: int) -> Counts:
        """Compare each answer's own score with those of its question."""
        if _plain_numbers(self.scores):
            from pictokg.kernels.over_candidates import count

            return count(self.scores, question, own, columns)
        offered = self.scores[:, :columns]
        return count_better(offered if len(question) == len(offered) else offered[question], own[:, None])


def is_fast(model: Model) -> bool:
    """Whether `score_fast` knows the model: one vector an entity, a similarity of kernels, on the CPU in float32."""
    return bool(similarity_of(model)) and _plain_numbers(model.relations.weight)


def score_fast(
    model: Model, query: Query, vectors: Float[Tensor, "candidates dim"], encode: Encode
) -> Float[Tensor, "questions candidates"]:
    """Scores of questions with the vectors of candidates that all share."""
    from pictokg.kernels.over_candidates import score_all

    return score_all(expect(model, query, encode), vectors, similarity_of(model))


def _plain_numbers(values: Tensor) -> bool:
    return (values.device.type, values.dtype) == ("cpu", torch.float32)
