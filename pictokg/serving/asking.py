"""Answers of a run: by scoring every entity, or, where there are very many, by its index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pictokg.graph.query import Query, Side
from pictokg.prediction.predictor import Answer
from pictokg.prediction.probabilities import with_probabilities
from pictokg.prediction.search import Scan

if TYPE_CHECKING:
    from pictokg.serving.schema import AskedMany
    from pictokg.serving.served import Served

Question = tuple[str | None, str | None, str | None]


def ask(run: Served, asked: AskedMany) -> list[list[Answer]]:
    """Answer questions whose names are known to be the graph's.

    An index answers questions for entities; those for relations, and those that keep to observed types, are scored.
    """
    questions = [question.slots for question in asked.questions]
    whole = isinstance(run.search, Scan) or asked.fitting
    scored = [place for place, question in enumerate(questions) if whole or question[Side.RELATION] is None]
    types = run.types if asked.fitting else None
    by_model = run.predictor.answers(
        [questions[place] for place in scored], asked.k, new_only=asked.new_only, types=types
    )
    answered = dict(zip(scored, by_model, strict=True))
    for side in (Side.TAIL, Side.HEAD):
        rest = [place for place, question in enumerate(questions) if place not in answered and question[side] is None]
        if rest:
            found = _by_index(run, [questions[place] for place in rest], side, asked.k, asked.new_only)
            answered.update(zip(rest, found, strict=True))
    return [answered[place] for place in range(len(questions))]


def _by_index(run: Served, questions: list[Question], side: Side, k: int, new_only: bool) -> list[list[Answer]]:
    """Answer questions for heads, or for tails, by the index; scores are the model's own."""
    graph, known = run.data.graph, run.predictor.known
    anchors = torch.from_numpy(graph.entities.ids([question[2 - side] or "" for question in questions]))
    relations = torch.from_numpy(graph.relations.ids([question[Side.RELATION] or "" for question in questions]))
    query = Query(anchors, relations, None) if side is Side.TAIL else Query(None, relations, anchors)
    query = query.to(run.model.device)
    found = run.search.top(query, k, exclude=known if new_only else None)
    is_known = known.contains(query, found.ids.clamp_min(0)).tolist()
    answered = [
        [
            Answer(name := graph.entities.name(place), run.data.label(name), score, None, fact)
            for place, score, fact in zip(*row, strict=True)
            if place >= 0
        ]
        for row in zip(found.ids.tolist(), found.scores.tolist(), is_known, strict=True)
    ]
    return with_probabilities(run.predictor, questions, answered)
