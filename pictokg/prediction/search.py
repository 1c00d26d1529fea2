"""Top k of many questions: the exact scan, in blocks that fit a memory budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from pictokg.errors import ConfigError, PictoKGError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from pictokg.graph.known import Known
    from pictokg.graph.query import Query
    from pictokg.models.base import Encode, Model

_SCORE_BYTES = 12  # a score, its masked copy, and what topk keeps
_VECTOR_BYTES = 16  # a value of a candidate: gathered, conditioned, projected, compared
_FAST_SCORES = 1 << 22  # more of them leave the processor's cache
_LEAST_ROWS = 64  # a matrix product of fewer is slower


class Found(NamedTuple):
    """The best answers of each question, best first; where there are fewer than k: id −1 and score −∞."""

    ids: Int[Tensor, "batch k"]
    scores: Float[Tensor, "batch k"]


class Search(Protocol):
    """Finds the best answers to questions for entities."""

    description: str
    """How it searches, and how well, for people."""

    def top(
        self, query: Query, k: int, *, candidates: Int[Tensor, " n"] | None = None, exclude: Known | None = None
    ) -> Found:
        """Find the k best answers of each question of one side.

        Args:
            query: questions for heads or for tails.
            k: answers a question.
            candidates: distinct ids, ascending, that all questions may have as answers; all entities by default.
            exclude: answers that are left out, usually `data.known()`.
        """


class Scan:
    """Scores every candidate: exact for every model.

    Args:
        model: a trained model; encode: from `model.encode_all()`, where there is one already.
        memory: MiB to use beside the model.

    Raises:
        ConfigError: a budget that does not even hold a question's scores.
    """

    def __init__(self, model: Model, encode: Encode | None = None, *, memory: int = 512) -> None:
        self.model, self.encode = model.eval(), encode or model.encode_all()
        self.description = f"scan of {model.num_entities:,} entities, exact"
        width = self.encode(torch.zeros(1, dtype=torch.long, device=model.device)).numel()
        budget = memory << 20
        self.chunk = budget // 4 // (_VECTOR_BYTES * width)
        if self.chunk < 1:
            raise ConfigError(f"a memory of {memory} MiB does not hold one candidate; give at least 1")
        self._scores = budget // 2 // _SCORE_BYTES

    @torch.no_grad()
    def top(
        self, query: Query, k: int, *, candidates: Int[Tensor, " n"] | None = None, exclude: Known | None = None
    ) -> Found:
        """Find the k best answers; see `Search`."""
        device = self.model.device
        query = query.to(device)
        ids = torch.arange(self.model.num_entities, device=device) if candidates is None else candidates.to(device)
        k = min(k, len(ids))
        best = Found(torch.full((len(query), k), -1, device=device), torch.full((len(query), k), -torch.inf).to(device))
        if k < 1:
            return best
        for part in ids.split(self.chunk):
            vectors = self.encode(part)

            def encode(asked: Tensor, part: Tensor = part, vectors: Tensor = vectors) -> Tensor:
                return vectors if asked is part else self.encode(asked)

            rows = max(1, min(self._scores // len(part), max(_LEAST_ROWS, _FAST_SCORES // len(part))))
            for start in range(0, len(query), rows):
                block = slice(start, start + rows)
                scores = self.model.score(query[block], part, encode)
                if exclude is not None:
                    _mask(scores, part, exclude, query[block])
                _merge(best, block, part, scores)
        if best.scores.isnan().any():
            raise PictoKGError(
                "the model's scores are not numbers, so there are no best answers. Its parameters or features hold NaN:"
                " train again with a lower learning rate"
            )
        return best


def _mask(scores: Tensor, part: Tensor, exclude: Known, query: Query) -> None:
    """Score −∞ what is excluded."""
    rows, ids = exclude.answers(query)
    place = torch.searchsorted(part, ids).clamp_(max=len(part) - 1)
    there = part[place] == ids
    scores[rows[there], place[there]] = -torch.inf


def _merge(best: Found, block: slice, part: Tensor, scores: Tensor) -> None:
    """Let the candidates of a part compete with the best so far."""
    k = best.ids.shape[1]
    values, places = scores.topk(min(k, len(part)), dim=1)
    found = part[places].masked_fill_(values == -torch.inf, -1)
    values, order = torch.cat([best.scores[block], values.to(best.scores.dtype)], dim=1).topk(k, dim=1)
    best.scores[block] = values
    best.ids[block] = torch.cat([best.ids[block], found], dim=1).gather(1, order)
