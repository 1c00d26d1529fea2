"""Answers with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pictokg.evaluation.classification import scores_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from pictokg.models.base import Encode, Model
    from pictokg.prediction.calibration import Calibration
    from pictokg.prediction.predictor import Answer, Predictor

Question = tuple[str | None, str | None, str | None]


def with_probabilities(
    predictor: Predictor, questions: Sequence[Question], answered: Sequence[Sequence[Answer]]
) -> list[list[Answer]]:
    """Fill in `probability`: that of the triple which each answer makes of its question.

    Order and score stay those of the question. A probability belongs to the score of the whole triple, with reciprocal
    relations the mean of both sides, so that a better answer may have a lower probability.
    """
    graph = predictor.data.graph
    triples = [
        [
            vocabulary.id(answer.name if name is None else name)
            for name, vocabulary in zip(question, (graph.entities, graph.relations, graph.entities), strict=True)
        ]
        for question, answers in zip(questions, answered, strict=True)
        for answer in answers
    ]
    if predictor.calibration is None or not triples:
        return [list(answers) for answers in answered]
    values = iter(
        probabilities_of(predictor.model, predictor.calibration, np.array(triples), predictor.encode)[1].tolist()
    )
    return [[replace(answer, probability=next(values)) for answer in answers] for answers in answered]


def named_scores(predictor: Predictor, triples: Sequence[tuple[str, str, str]]) -> list[float]:
    """Score whole triples given by name; higher is truer. ConfigError for a name that the graph does not have."""
    entities, relations = predictor.data.graph.entities, predictor.data.graph.relations
    ids = [(entities.id(head), relations.id(relation), entities.id(tail)) for head, relation, tail in triples]
    return scores_of(predictor.model, np.array(ids), predictor.encode).tolist() if ids else []


def probabilities_of(
    model: Model, calibration: Calibration, triples: Int[np.ndarray, "n 3"], encode: Encode | None = None
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Score whole triples of ids, and say how probable they are: (scores, probabilities)."""
    scores = scores_of(model, triples, encode)
    return scores, calibration.probabilities(scores, triples[:, 1])
