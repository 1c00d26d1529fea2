"""Questions by name, answers by name: the only place after reading that knows names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side
from pictokg.prediction.probabilities import named_scores, with_probabilities

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model
    from pictokg.prediction.calibration import Calibration
    from pictokg.prediction.candidates import ObservedTypes

Question = tuple[str | None, str | None, str | None]
SCORES_AT_ONCE = 1 << 26


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its name, what people call it, its score (higher is truer) and whether the graph knows the fact.

    `probability` is None until the run is calibrated.
    """

    name: str
    label: str
    score: float
    probability: float | None
    known: bool


class Predictor:
    """Answers questions with a trained model.

    Args:
        model: a trained model; data: the graph it was trained on.
        calibration: what turns scores into probabilities, where answers shall have them.

    Entities are encoded once, at the first question.
    """

    def __init__(self, model: Model, data: Dataset, calibration: Calibration | None = None) -> None:
        self.model, self.data, self.calibration = model.eval(), data, calibration
        self.encode = model.encode_all()
        self.known = data.known()

    def tails(self, head: str, relation: str, k: int = 10) -> list[Answer]:
        """Answer (head, relation, ?) with the best k entities."""
        return self.answers([(head, relation, None)], k)[0]

    def heads(self, relation: str, tail: str, k: int = 10) -> list[Answer]:
        """Answer (?, relation, tail) with the best k entities."""
        return self.answers([(None, relation, tail)], k)[0]

    def relations(self, head: str, tail: str, k: int = 10) -> list[Answer]:
        """Answer (head, ?, tail) with the best k relations."""
        return self.answers([(head, None, tail)], k)[0]

    def answers(
        self,
        questions: Sequence[Question],
        k: int = 10,
        *,
        new_only: bool = False,
        types: ObservedTypes | None = None,
    ) -> list[list[Answer]]:
        """Answer many questions, each a triple of names with None in the slot asked for.

        Args:
            questions: (head, relation, tail) with exactly one None each.
            k: answers a question, at most as many as there are.
            new_only: leave out what the graph knows already.
            types: leave out what was never seen in that slot of the relation.

        Raises:
            ConfigError: a name the graph does not have, with the nearest it has; not exactly one open slot.
        """
        if k < 1:
            raise ConfigError(f"k must be at least 1; got {k}")
        answered: list[list[Answer]] = [[] for _ in questions]
        for side in Side:
            rows = [row for row, question in enumerate(questions) if self._open_slot(question) is side]
            size = max(1, min(256, SCORES_AT_ONCE // self.model.num_entities))
            for block in (rows[start : start + size] for start in range(0, len(rows), size)):
                found = self._answers([questions[row] for row in block], side, k, new_only, types)
                for row, answers in zip(block, found, strict=True):
                    answered[row] = answers
        return answered if self.calibration is None else with_probabilities(self, questions, answered)

    def scores(self, triples: Sequence[tuple[str, str, str]]) -> list[float]:
        """Score whole triples given by name; higher is truer."""
        return named_scores(self, triples)

    @staticmethod
    def _open_slot(question: Question) -> Side:
        if question.count(None) != 1:
            raise ConfigError(f"a question gives two of head, relation and tail and asks for the third; got {question}")
        return Side(question.index(None))

    @torch.no_grad()
    def _answers(
        self, questions: list[Question], side: Side, k: int, new_only: bool, types: ObservedTypes | None
    ) -> list[list[Answer]]:
        query = self._query(questions, side)
        vocabulary = self.data.graph.relations if side is Side.RELATION else self.data.graph.entities
        candidates = torch.arange(len(vocabulary), device=self.model.device)
        # A slice gives all encodings in place; for as many ids the look-up would copy them.
        every: Any = slice(None)
        scores = self.model.score(query, candidates, lambda ids: self.encode(every if ids is candidates else ids))
        if new_only:
            rows, ids = self.known.answers(query)
            scores[rows, ids] = -torch.inf
        if types is not None:
            scores.masked_fill_(~types.allowed(query), -torch.inf)
        best = scores.topk(min(k, len(vocabulary)), dim=1)
        known = self.known.contains(query, best.indices)
        return [
            [self._answer(side, *found) for found in zip(ids, values, knowns, strict=True) if found[1] > -torch.inf]
            for ids, values, knowns in zip(best.indices.tolist(), best.values.tolist(), known.tolist(), strict=True)
        ]

    def _query(self, questions: list[Question], side: Side) -> Query:
        slots: list[Tensor | None] = []
        for slot in Side:
            vocabulary = self.data.graph.relations if slot is Side.RELATION else self.data.graph.entities
            ids = [vocabulary.id(question[slot] or "") for question in questions] if slot is not side else None
            slots.append(None if ids is None else torch.tensor(ids, device=self.model.device))
        return Query(*slots)

    def _answer(self, side: Side, identifier: int, score: float, known: bool) -> Answer:
        if side is Side.RELATION:
            name = self.data.graph.relations.name(identifier)
            return Answer(name, self.data.relation_labels.get(name) or name, score, None, known)
        name = self.data.graph.entities.name(identifier)
        return Answer(name, self.data.label(name), score, None, known)
