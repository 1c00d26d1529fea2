"""What the answers of one side are ranked against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.graph.query import Query, Side

if TYPE_CHECKING:
    from jaxtyping import Int

    from pictokg.evaluation.options import RankingOptions
    from pictokg.graph.known import Known
    from pictokg.models.base import Model

_ANSWERS = 256  # answers scored beside a small sample, at most


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates shared by all questions of a side.

    Attributes:
        side: the slot they are offered for.
        ids: (K,), on the model's device.
        place: (entities,), the place of an id among `ids`, -1 where it is not; None when candidates are all
            there are.
    """

    side: Side
    ids: Int[Tensor, " candidates"]
    place: Int[Tensor, " entities"] | None = None

    @staticmethod
    def choose(model: Model, side: Side, options: RankingOptions) -> Candidates:
        """Every relation, or every entity, or the sample of entities that the options ask for."""
        everything = model.num_relations if side is Side.RELATION else model.num_entities
        if side is Side.RELATION or options.sampled is None or options.sampled >= everything:
            return Candidates(side, torch.arange(everything, device=model.device))
        generator = torch.Generator().manual_seed(options.seed)
        ids = torch.randperm(everything, generator=generator)[: options.sampled].sort().values
        place = torch.full((everything,), -1)
        place[ids] = torch.arange(len(ids))
        return Candidates(side, ids.to(model.device), place.to(model.device))

    @property
    def answers(self) -> int:
        """How many answers may be scored beside the candidates at a time; 0 when the candidates are all."""
        return 0 if self.place is None else max(_ANSWERS, len(self.ids))

    def columns(self, answer: Int[Tensor, " batch"]) -> tuple[Int[Tensor, " columns"], Int[Tensor, " batch"]]:
        """Return the ids to score, candidates first, and the column of each answer.

        An answer is scored in the same product as the candidates: another would round differently, and
        break ties.
        """
        if self.place is None:
            return self.ids, answer
        distinct, column = answer.unique(return_inverse=True)
        return torch.cat([self.ids, distinct]), column + len(self.ids)

    def excluded(self, query: Query, answer: Tensor, known: Known | None) -> tuple[Tensor, Tensor]:
        """Return rows and columns of the scores an answer does not compete with: its own, other known ones.

        Args:
            query: questions, on the processor.
            answer: their answers (B,).
            known: packed true answers; None ranks raw.
        """
        rows, ids = torch.arange(len(answer)), answer
        if known is not None:
            known_rows, known_ids = known.answers(query)
            other = known_ids != answer[known_rows]
            rows, ids = torch.cat([rows, known_rows[other]]), torch.cat([ids, known_ids[other]])
        rows, ids = rows.to(self.ids.device), ids.to(self.ids.device)
        if self.place is None:
            return rows, ids
        column = self.place[ids]
        offered = column >= 0
        return rows[offered], column[offered]
