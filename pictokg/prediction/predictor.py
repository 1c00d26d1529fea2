"""Questions by name, answers by name: the only place after reading that knows names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model


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

    Entities are encoded once, at the first question.
    """

    def __init__(self, model: Model, data: Dataset) -> None:
        self.model, self.data = model.eval(), data
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
        questions: Sequence[tuple[str | None, str | None, str | None]],
        k: int = 10,
        *,
        new_only: bool = False,
    ) -> list[list[Answer]]:
        """Answer many questions, each a triple of names with None in the slot asked for.

        Args:
            questions: (head, relation, tail) with exactly one None each.
            k: answers a question, at most as many as there are.
            new_only: leave out what the graph knows already.

        Raises:
            ConfigError: a name the graph does not have, with the nearest it has; not exactly one open slot.
        """
        if k < 1:
            raise ConfigError(f"k must be at least 1; got {k}")
        answered: list[list[Answer]] = [[] for _ in questions]
        for side in Side:
            rows = [row for row, question in enumerate(questions) if self._open_slot(question) is side]
            for start in range(0, len(rows), 256):
                block = rows[start : start + 256]
                for row, answers in zip(
                    block, self._answers([questions[row] for row in block], side, k, new_only), strict=True
                ):
                    answered[row] = answers
        return answered

    def scores(self, triples: Sequence[tuple[str, str, str]]) -> list[float]:
        """Score whole triples given by name; higher is truer."""
        graph = self.data.graph
        ids = [
            (graph.entities.id(head), graph.relations.id(relation), graph.entities.id(tail))
            for head, relation, tail in triples
        ]
        if not ids:
            return []
        with torch.no_grad():
            blocks = torch.tensor(ids, device=self.model.device).split(65536)
            return torch.cat([self.model.score_triples(block, self.encode) for block in blocks]).tolist()

    @staticmethod
    def _open_slot(question: tuple[str | None, str | None, str | None]) -> Side:
        if question.count(None) != 1:
            raise ConfigError(f"a question gives two of head, relation and tail and asks for the third; got {question}")
        return Side(question.index(None))

    @torch.no_grad()
    def _answers(
        self, questions: list[tuple[str | None, str | None, str | None]], side: Side, k: int, new_only: bool
    ) -> list[list[Answer]]:
        query = self._query(questions, side)
        vocabulary = self.data.graph.relations if side is Side.RELATION else self.data.graph.entities
        candidates = torch.arange(len(vocabulary), device=self.model.device)
        scores = self.model.score(query, candidates, self.encode)
        if new_only:
            rows, ids = self.known.answers(query)
            scores[rows, ids] = -torch.inf
        best = scores.topk(min(k, len(vocabulary)), dim=1)
        known = self.known.contains(query, best.indices)
        return [
            [self._answer(side, *found) for found in zip(ids, values, knowns, strict=True) if found[1] > -torch.inf]
            for ids, values, knowns in zip(best.indices.tolist(), best.values.tolist(), known.tolist(), strict=True)
        ]

    def _query(self, questions: list[tuple[str | None, str | None, str | None]], side: Side) -> Query:
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
