"""Blocks that fit a memory budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pictokg.errors import ConfigError
from pictokg.graph.query import Side

if TYPE_CHECKING:
    from pictokg.evaluation.candidates import Candidates
    from pictokg.models.base import Encode, Model

_SCORE = 4  # bytes of a score
_KNOWN = 64  # bytes of a known answer while it is looked up and compared
_VECTOR_COPIES = 4  # of the vectors of a chunk: gathered, conditioned, projected, compared
_TRIPLE_COPIES = 8  # of the vectors of a triple that is scored whole
_RELATIONS = 64  # scored at a time for each question that asks for one

# A processor is fastest with blocks that its memory allocator keeps, where larger ones come as fresh pages
# every time; but a matrix product wants some rows, and vectors that are not multiplied want to stay in the cache.
_FAST_SCORES = 8_000_000
_LEAST_QUESTIONS = 64
_CACHED_VALUES = 1 << 20


@dataclass(frozen=True, slots=True)
class Workspace:
    """How to cut questions × candidates so that what is held at a time stays below `budget` bytes.

    Attributes:
        budget: bytes for a block of questions.
        columns: scores a question has.
        question: bytes a question takes, without its known answers.
        chunk: candidates whose vectors are gathered at a time.
        most: questions in a block at most.
    """

    budget: int
    columns: int
    question: int
    chunk: int
    most: int

    @staticmethod
    def plan(model: Model, encode: Encode, candidates: Candidates, mebibytes: int) -> Workspace:
        """Divide a budget: a quarter for the vectors of a chunk of candidates, the rest for questions.

        A question takes its scores three times (scored; repeated for every answer it has; compared), and
        while a chunk is scored, each score term twice.
        """
        budget, columns = mebibytes << 20, len(candidates.ids) + candidates.answers
        width, relation = _width(model, encode), model.relations.weight.shape[1]
        if candidates.side is Side.RELATION:
            term = _triple_bytes(model, encode)
            chunk = max(1, min(columns, _RELATIONS, budget // 4 // term))
            fast = _CACHED_VALUES // (chunk * max(width, relation))
        else:
            term = _SCORE * 2 * len(model.term_names)
            chunk = max(1, min(columns, budget // 4 // (_SCORE * _VECTOR_COPIES * width)))
            fast = max(_LEAST_QUESTIONS, _FAST_SCORES // columns)
        question = 3 * _SCORE * columns + term * chunk + _SCORE * 2 * (relation + 2 * width)
        most = min(candidates.answers or budget, max(1, fast) if model.device.type == "cpu" else budget)
        return Workspace(budget - budget // 4, columns, question, chunk, most)

    def blocks(self, known: np.ndarray) -> Iterator[slice]:
        """Cut questions with so many known answers each (n,) into blocks.

        Raises:
            ConfigError: not even one question fits.
        """
        costs = self.question + _KNOWN * known.astype(np.int64)
        if len(costs) and costs.max() > self.budget:
            needed = -(-int(costs.max()) * 4 // 3 >> 20) + 1
            raise ConfigError(
                f"ranking against {self.columns:,} candidates needs {needed:,} MiB and memory is"
                f" {self.budget * 4 // 3 >> 20}; raise memory, or rank against sampled candidates"
            )
        total, first = np.cumsum(costs), 0
        while first < len(costs):
            limit = self.budget + (total[first - 1] if first else 0)
            last = min(int(np.searchsorted(total, limit, side="right")), first + self.most)
            yield slice(first, last)
            first = last


def triples_at_once(model: Model, encode: Encode, mebibytes: int) -> int:
    """How many whole triples may be scored together within a budget."""
    return max(1, (mebibytes << 20) // _triple_bytes(model, encode))


def _width(model: Model, encode: Encode) -> int:
    """Values in the encoding of an entity."""
    return encode(torch.zeros(1, dtype=torch.long, device=model.device)).numel()


def _triple_bytes(model: Model, encode: Encode) -> int:
    return _SCORE * _TRIPLE_COPIES * max(_width(model, encode), model.relations.weight.shape[1])
