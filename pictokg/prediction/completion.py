"""New facts: the best answers to the questions that a graph most probably lacks answers to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pictokg.errors import ConfigError
from pictokg.evaluation.classification import scores_of
from pictokg.graph.query import Query, Side
from pictokg.prediction.candidates import ObservedTypes
from pictokg.prediction.questions import Questions, choose_questions
from pictokg.prediction.search import Scan, Search

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from pictokg.prediction.predictor import Predictor

AT_ONCE = 4096  # questions searched for at a time
QUESTIONS = 100_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that no split has: names, the score of the whole triple, and its probability where there is one."""

    head: str
    relation: str
    tail: str
    score: float
    probability: float | None


@dataclass(frozen=True, eq=False)
class Proposed:
    """New triples of ids (n, 3), their scores (n,) and probabilities (n,), NaN without calibration; best first."""

    triples: Int[np.ndarray, "n 3"]
    scores: Float[np.ndarray, " n"]
    probabilities: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.triples)

    @property
    def order(self) -> np.ndarray:
        """Rows from the most probable to the least; by score where there are no probabilities."""
        likely = np.where(np.isnan(self.probabilities), self.scores, self.probabilities)
        return np.lexsort((*self.triples.T[::-1], -self.scores, -likely))

    def take(self, rows: np.ndarray) -> Proposed:
        """Select rows."""
        return Proposed(self.triples[rows], self.scores[rows], self.probabilities[rows])

    @staticmethod
    def join(parts: Sequence[Proposed]) -> Proposed:
        """Put parts one below the other."""
        empty = Proposed(np.empty((0, 3), np.int64), np.empty(0), np.empty(0))
        columns = zip(*((part.triples, part.scores, part.probabilities) for part in [empty, *parts]), strict=True)
        return Proposed(*(np.concatenate(column) for column in columns))


class Completer:
    """Asks questions and keeps the answers that are new.

    The answers of a question come from the observed range (or domain) of its relation; no split knows them; an entity
    is its own answer only in relations that are seen to hold of a thing and itself.

    Args:
        predictor: a model with its data; with a calibration, facts have probabilities.
        search: how to find the best answers; a scan by default.
        questions: how many to ask at most, see `choose_questions`.
        progress: called with the questions answered and all of them.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        search: Search | None = None,
        questions: int = QUESTIONS,
        progress: Progress | None = None,
    ) -> None:
        if questions < 1:
            raise ConfigError(f"questions must be at least 1; got {questions}")
        self.predictor, self.questions = predictor, questions
        self.search = search or Scan(predictor.model, predictor.encode)
        self.progress = progress or (lambda done, total: None)
        self.graph = predictor.data.graph
        self.types = ObservedTypes(self.graph)
        triples = self.graph.triples()
        self._reflexive = set(triples[triples[:, Side.HEAD] == triples[:, Side.TAIL], Side.RELATION].tolist())

    def choose(self, relations: Sequence[str] | None, entities: Sequence[str] | None) -> Questions:
        """Choose the questions; ConfigError for a name that the graph does not have."""
        return choose_questions(
            self.graph.triples(),
            self.graph.num_entities,
            self.graph.num_relations,
            relations=None if relations is None else [self.graph.relations.id(name) for name in relations],
            entities=None if entities is None else [self.graph.entities.id(name) for name in entities],
            at_most=self.questions,
        )

    def propose(
        self, asked: Questions, per_query: int = 10, min_probability: float | None = None
    ) -> Iterator[Proposed]:
        """Answer questions relation by relation; each relation's new triples once, the most probable first."""
        if per_query < 1:
            raise ConfigError(f"per_query must be at least 1; got {per_query}")
        if min_probability is not None and self.predictor.calibration is None:
            raise ConfigError(
                "there is no probability to compare with min_probability, because the run is not calibrated;"
                " it takes a validation split"
            )
        done = 0
        for relation, sides in asked.by_relation():
            parts = []
            for side, anchors in sides:
                for start in range(0, len(anchors), AT_ONCE):
                    parts.append(self._answer(relation, side, anchors[start : start + AT_ONCE], per_query))
                    done += min(AT_ONCE, len(anchors) - start)
                    self.progress(done, len(asked))
            proposed = self._weigh(np.unique(np.concatenate(parts), axis=0))
            if min_probability is not None:
                proposed = proposed.take(proposed.probabilities >= min_probability)
            if len(proposed):
                yield proposed.take(proposed.order)

    def facts(self, proposed: Proposed) -> Iterator[Fact]:
        """Give names to what was proposed."""
        entities, relations = self.graph.entities.names, self.graph.relations.names
        columns = (proposed.triples.tolist(), proposed.scores.tolist(), proposed.probabilities.tolist())
        for (head, middle, tail), score, chance in zip(*columns, strict=True):
            yield Fact(entities[head], relations[middle], entities[tail], score, None if chance != chance else chance)

    def _answer(self, relation: int, side: Side, anchors: np.ndarray, per_query: int) -> np.ndarray:
        """The new triples (n, 3) of the best answers to the questions of one relation and side."""
        anchor = torch.from_numpy(anchors)
        given = torch.full_like(anchor, relation)
        query = Query(head=anchor, relation=given) if side is Side.TAIL else Query(relation=given, tail=anchor)
        spare = relation not in self._reflexive  # one answer more, because the anchor itself falls out
        found = self.search.top(
            query.to(self.predictor.model.device),
            per_query + spare,
            candidates=torch.from_numpy(self.types.entities(relation, side)),
            exclude=self.predictor.known,
        )
        ids = found.ids.cpu()
        ids = ids.masked_fill(ids == anchor[:, None], -1) if spare else ids
        kept = (ids >= 0) & ((ids >= 0).cumsum(dim=1) <= per_query)
        rows, columns = kept.nonzero(as_tuple=True)
        return query[rows].with_answer(ids[rows, columns]).numpy()

    def _weigh(self, triples: np.ndarray) -> Proposed:
        calibration = self.predictor.calibration
        if not len(triples):
            return Proposed.join([])
        scores = scores_of(self.predictor.model, triples, self.predictor.encode)
        unknown = np.full(len(scores), np.nan)
        likely = unknown if calibration is None else calibration.probabilities(scores, triples[:, Side.RELATION])
        return Proposed(triples, scores, likely)


def complete(
    predictor: Predictor | Completer,
    *,
    relations: Sequence[str] | None = None,
    entities: Sequence[str] | None = None,
    per_query: int = 10,
    limit: int | None = None,
    min_probability: float | None = None,
) -> Iterator[Fact]:
    """Propose new facts of a whole graph, or of some relations or entities.

    Without a limit, facts come relation by relation, the most probable of each first; with one, the most probable of
    all, in order (by score where the run is not calibrated).

    Args:
        predictor: a predictor with a calibration, or a `Completer`, which also has a way to search and a number of
            questions.
        relations, entities: names to keep to; entities are what is asked about. None: all.
        per_query: answers a question at most. limit: facts in all.
        min_probability: leave out less probable ones; nothing is left out by default.

    Raises:
        ConfigError: a name the graph does not have, a number below 1, or min_probability without calibration.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1; got {limit}")
    completer = predictor if isinstance(predictor, Completer) else Completer(predictor)
    asked = completer.choose(relations, entities)
    found = completer.propose(asked, per_query, min_probability)
    if limit is None:
        for proposed in found:
            yield from completer.facts(proposed)
        return
    best = Proposed.join([])
    for proposed in found:
        joined = Proposed.join([best, proposed])
        best = joined.take(joined.order[:limit])
    yield from completer.facts(best)
