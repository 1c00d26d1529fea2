"""Compiled passes over hot rows of scores."""

# ruff: noqa: ANN001, ANN202 (compiled functions take what they are given)
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pictokg.kernels.compiled import compiled


class Answers(NamedTuple):
    """Answers to rank: the question and the own score of each, the candidates there are, and two counts, written."""

    question: np.ndarray
    own: np.ndarray
    columns: int
    higher: np.ndarray
    at_least: np.ndarray


@compiled
def count_block(scores, answers, span):
    """How many of the first `columns` scores of its question are above each answer's own, and how many not below."""
    for b in range(span[0], span[1]):
        row, limit = scores[answers.question[b]], answers.own[b]
        higher = at_least = 0
        for n in range(answers.columns):
            higher += row[n] > limit
            at_least += row[n] >= limit
        answers.higher[b], answers.at_least[b] = higher, at_least
