"""Ranking the answers of a split among all candidates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError, DataError, PictoKGError
from pictokg.evaluation.candidates import Candidates
from pictokg.evaluation.modes import evaluating
from pictokg.evaluation.options import RankingOptions
from pictokg.evaluation.ranks import Ranks
from pictokg.evaluation.scored import Scored, is_fast, score_fast
from pictokg.evaluation.workspace import Workspace
from pictokg.graph.query import Query, Side, ask

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.evaluation.report import Report
    from pictokg.graph.graph import KnowledgeGraph
    from pictokg.graph.known import Known
    from pictokg.models.base import Encode, Model

Progress = Callable[[int, int], None]


def evaluate(
    model: Model,
    data: Dataset,
    split: str = "test",
    options: RankingOptions | None = None,
    *,
    known: Known | None = None,
    progress: Progress | None = None,
) -> Report:
    """Rank every answer of a split, and sum the ranks up: over all, by side, relation, kind and slice.

    Args:
        model: any model of the graph; its mode is put back afterwards.
        data: the graph, and what the slices ask for (pictures, texts, groups of relations).
        split: whose triples to turn into questions; repeated ones count as often as they stand there.
        options: filtered and realistic over all entities, from both sides, unless it says otherwise.
        known: true answers that filtering leaves out; those of all splits by default.
        progress: called with the questions done and the questions there are.

    Raises:
        ConfigError: no such split, a model of another graph, or a memory budget too small for one question.
        DataError: the split is empty.
        PictoKGError: a score is NaN.
    """
    from pictokg.evaluation.report import Report  # validation during training needs no report, only `rank`

    options = options or RankingOptions()
    ranks = rank(model, data, split, options, known=known, progress=progress)
    return Report.of(ranks, data, split, options)


def rank(
    model: Model,
    data: Dataset,
    split: str = "test",
    options: RankingOptions | None = None,
    *,
    known: Known | None = None,
    progress: Progress | None = None,
) -> Ranks:
    """Rank as `evaluate` does and return the bare ranks, side by side and in the order of the split."""
    options, progress = options or RankingOptions(), progress or (lambda done, total: None)
    triples = torch.from_numpy(data.graph.split(split).astype(np.int64))
    if not len(triples):
        raise DataError(f"the split {split!r} has no triples; there is nothing to rank")
    _same_graph(model, data.graph)
    if options.filtered and known is None:
        known = data.known()
    total, parts = len(triples) * len(options.asked), []
    with evaluating(model):
        encode = model.encode_all()
        for number, side in enumerate(options.asked):
            ranker = _Ranker(model, encode, side, known if options.filtered else None, options, data.graph)
            before = number * len(triples)
            parts.append(ranker.rank(triples, partial(_advance, progress, before, total)))
    return Ranks.concatenate(parts)


def _advance(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _same_graph(model: Model, graph: KnowledgeGraph) -> None:
    ours, theirs = (model.num_entities, model.num_relations), (graph.num_entities, graph.num_relations)
    if ours != theirs:
        raise ConfigError(
            f"the model knows {ours[0]:,} entities and {ours[1]:,} relations, the graph has {theirs[0]:,} and"
            f" {theirs[1]:,}; evaluate a model on the graph it was built for"
        )


class _Ranker:
    """Ranks the answers to the questions of one side."""

    def __init__(
        self,
        model: Model,
        encode: Encode,
        side: Side,
        known: Known | None,
        options: RankingOptions,
        graph: KnowledgeGraph,
    ) -> None:
        self.model, self.encode, self.side, self.known, self.graph = model, encode, side, known, graph
        self.candidates = Candidates.choose(model, side, options)
        self.workspace = Workspace.plan(model, encode, self.candidates, options.memory)
        self.fast = side is not Side.RELATION and is_fast(model)
        self._kept: tuple[Tensor, Encode] | None = None

    def rank(self, triples: Tensor, progress: Callable[[int], None]) -> Ranks:
        """Ranks of the answers in triples (n, 3), in their order."""
        query, answer = ask(triples, self.side)
        order = self._keys(query).argsort(stable=True)
        query, answer = query[order], answer[order]
        counts = self.known.count(query).numpy() if self.known else np.zeros(len(answer), dtype=np.int64)
        columns = torch.empty(3, len(answer), dtype=torch.long)
        for block in self.workspace.blocks(counts):
            columns[:, order[block]] = self._block(query[block], answer[block]).cpu()
            progress(block.stop)
        rows, side = np.arange(len(answer)), np.full(len(answer), int(self.side), dtype=np.int8)
        return Ranks(rows, side, *columns.numpy())

    def _keys(self, query: Query) -> Tensor:
        """Make keys in whose order equal questions, and those of one relation, are neighbours."""
        if self.side is Side.RELATION:
            return query.given[0] * self.model.num_entities + query.given[1]
        assert query.relation is not None, "only relation queries have none"
        return query.relation * self.model.num_entities + query.anchor

    def _block(self, query: Query, answer: Tensor) -> Tensor:
        """Count, for each question, the candidates that are higher, those that are equal, and all: (3, B)."""
        device = self.candidates.ids.device
        rows, excluded = self.candidates.excluded(query, answer, self.known)
        scored, question, column = self._scores(query, answer.to(device))
        own, offered = scored.at(question, column), len(self.candidates.ids)
        higher, at_least = scored.count(question, own, offered)

        theirs, limit = scored.at(question[rows], excluded), own[rows]
        higher -= torch.bincount(rows[theirs > limit], minlength=len(answer))
        at_least -= torch.bincount(rows[theirs >= limit], minlength=len(answer))
        count = offered + 1 - torch.bincount(rows, minlength=len(answer))
        return torch.stack([higher, at_least - higher, count])

    def _scores(self, query: Query, answer: Tensor) -> tuple[Scored, Tensor, Tensor]:
        """Score every column for each distinct question; and the question and the column of each answer."""
        _, which, repeats = self._keys(query).unique_consecutive(return_inverse=True, return_counts=True)
        ids, column = self.candidates.columns(answer)
        distinct = query[repeats.cumsum(0) - repeats].to(answer.device)
        scores = self._scores_of_distinct(distinct, ids)
        self._refuse_nan(scores, distinct, ids)
        return Scored(scores), which.to(answer.device), column

    def _scores_of_distinct(self, query: Query, ids: Tensor) -> Tensor:
        if self.fast and (self.candidates.place is None or len(ids) <= self.workspace.chunk):
            # A slice, not ids, of all there are: then the look-up of encodings, a tensor's own, gives them in place.
            every: Any = slice(None)
            vectors = self.encode(ids if self.candidates.place is not None else every)
            return score_fast(self.model, query, vectors, self.encode)
        if len(ids) <= self.workspace.chunk:
            return self.model.score(query, ids, self._kept_encode(ids))
        scores = torch.empty(len(query), len(ids), dtype=self.model.relations.weight.dtype, device=ids.device)
        for part, out in zip(*(whole.split(self.workspace.chunk, -1) for whole in (ids, scores)), strict=True):
            out.copy_(self.model.score(query, part, self._kept_encode(part)))
        return scores

    def _kept_encode(self, ids: Tensor) -> Encode:
        """Gather the encodings of `ids` once, however often they are looked up until other ids come."""
        if self.side is Side.RELATION:
            return self.encode
        if self._kept is None or self._kept[0] is not ids:
            self._kept = None  # let go of the old vectors before the new ones are gathered
            vectors, encode = self.encode(ids), self.encode
            self._kept = ids, lambda asked: vectors if asked is ids else encode(asked)
        return self._kept[1]

    def _refuse_nan(self, scores: Tensor, query: Query, ids: Tensor) -> None:
        """Raise an error that names a triple with a NaN score: comparisons with it would count as wins."""
        if not scores.sum().isnan():  # one fast pass; a sum of infinities is looked at closer
            return
        bad = scores.isnan()
        if not bad.any():
            return
        row, column = bad.nonzero()[0].tolist()
        triple = query[row : row + 1].with_answer(ids[column : column + 1])[0].tolist()
        names = (self.graph.entities, self.graph.relations, self.graph.entities)
        shown = ", ".join(vocabulary.name(number) for vocabulary, number in zip(names, triple, strict=True))
        raise PictoKGError(
            f"the model's score of ({shown}) is not a number; {int(bad.any(dim=1).sum()):,} of {len(query):,}"
            " questions are affected, so there are no ranks. Its parameters or features hold NaN: train again"
            " with a lower learning rate"
        )
