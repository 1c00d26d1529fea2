"""Why a fact has its score: what each thing known of its two entities contributed, and the facts it resembles.

With everything else as it is, the score is divided among the pieces of one entity (its learned row, each picture, its
words, each number) by Shapley's rule; the baseline is the score if nothing were known of that entity, its vector zero.
Where the pieces do not interact, as in gated fusion under a dot product with one picture, each share is exactly what
the piece adds: ⟨expected, piece⟩.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pictokg.errors import ConfigError
from pictokg.graph.query import Query, Side
from pictokg.prediction.covering import COVERED, GRID, LOOKS, PICTURES, WINDOWS, Covering, picture_of
from pictokg.prediction.explanation import Contribution, Explanation, NearFact, Parts, Patch
from pictokg.prediction.pieces import Piece, Pieces, window_of
from pictokg.prediction.probabilities import probabilities_of
from pictokg.prediction.shares import divide

if TYPE_CHECKING:
    from pictokg.prediction.predictor import Predictor
    from pictokg.prediction.sampler_attention import NoSamplerAttention, SamplerAttention

Triple = tuple[str, str, str]
BLOCK = 65_536  # training facts compared at a time


@torch.no_grad()
def explain(
    predictor: Predictor,
    triple: Triple,
    *,
    side: str = "tail",
    facts: int = 5,
    sampler: SamplerAttention | NoSamplerAttention | None = None,
) -> Explanation:
    """Explain the score that a fact has as the answer to a question.

    Args:
        predictor: what answered; it may know newcomers.
        triple: head, relation, tail by name; the graph need not have it.
        side: which of "tail" and "head" was asked for; the other entity was given.
        facts: how many of the nearest training facts to list.
        sampler: the attention of the sampler that chose what the model learned from, to show beside the reasons.

    Raises:
        ConfigError: a name that the graph does not have, with the nearest; another side.
    """
    if side not in ("tail", "head"):
        raise ConfigError(f"side is the slot that was asked for, tail or head; got {side!r}")
    graph = predictor.data.graph
    ids = (graph.entities.id(triple[0]), graph.relations.id(triple[1]), graph.entities.id(triple[2]))
    question = _Question(predictor, ids, Side.TAIL if side == "tail" else Side.HEAD)
    score, rank = question.score_and_rank()
    asked, given = question.parts("asked"), question.parts("given")
    found = Explanation(
        *triple,
        side,
        score,
        rank,
        graph.num_entities,
        question.probability(ids),
        question.known(),
        question.terms(),
        asked=asked,
        given=given,
        facts=near_facts(predictor, ids, facts),
        heat=question.heat,
    )
    return sampler.beside(found, ids) if sampler is not None else found


class _Question:
    """One question with its answer, asked of any vectors in place of the two entities'."""

    def __init__(self, predictor: Predictor, ids: tuple[int, int, int], side: Side) -> None:
        self.predictor, self.model, self.side = predictor, predictor.model, side
        head, self.relation, tail = ids
        self.answer, self.anchor = (tail, head) if side is Side.TAIL else (head, tail)
        entities = (self.answer, self.anchor)
        self.own = predictor.encode(torch.tensor(entities, device=self.model.device))
        self.heat, self._covering = "", Covering(predictor.data)

    def query(self, anchors: Tensor) -> Query:
        """The question about these anchors."""
        relation = torch.full_like(anchors, self.relation)
        return Query(anchors, relation, None) if self.side is Side.TAIL else Query(None, relation, anchors)

    def scores(self, role: str, vectors: Tensor) -> np.ndarray:
        """Scores (n,) with these vectors (n, …) in the place of one of the two entities."""
        both = torch.cat([self.own, vectors.to(self.own.dtype)])
        places = torch.arange(2, len(both), device=both.device)
        query = self.query(torch.ones_like(places) if role == "asked" else places)
        candidates = places if role == "asked" else torch.zeros_like(places)
        return self.model.score(query, candidates.unsqueeze(1), both.__getitem__)[:, 0].cpu().numpy()

    def score_and_rank(self) -> tuple[float, int]:
        """The score, and the place among all entities but other known answers."""
        query = self.query(torch.tensor([self.anchor], device=self.model.device))
        everyone = torch.arange(self.model.num_entities, device=self.model.device)
        scores = self.model.score(query, everyone, self.predictor.encode)[0]
        score = scores[self.answer]
        better = scores > score
        better[self.predictor.known.answers(query)[1]] = False
        return float(score), 1 + int(better.sum())

    def terms(self) -> dict[str, float]:
        """Score terms by name where entities have several views, weighted as the score weighs them."""
        names = self.model.term_names
        if len(names) == 1:
            return {}
        places = torch.tensor([1], device=self.model.device)
        terms = self.model.terms(self.query(places), torch.zeros_like(places).unsqueeze(1), self.own.__getitem__)[0, 0]
        return dict(zip(names, (terms * self.model.term_weights).tolist(), strict=True))

    def known(self) -> bool:
        """Whether the graph has the fact."""
        query = self.query(torch.tensor([self.anchor], device=self.model.device))
        return bool(self.predictor.known.contains(query, torch.tensor([[self.answer]], device=self.model.device)))

    def probability(self, ids: tuple[int, int, int]) -> float | None:
        """Of the triple, as answers have it; None where the predictor is not calibrated."""
        predictor = self.predictor
        if predictor.calibration is None:
            return None
        return float(probabilities_of(self.model, predictor.calibration, np.array([ids]), predictor.encode)[1][0])

    def parts(self, role: str) -> Parts:
        """Divide the score among what is known of one of the entities."""
        data, entity = self.predictor.data, self.answer if role == "asked" else self.anchor
        whole = Pieces(self.model, data, entity)
        division = divide(lambda kept: self.scores(role, whole.encode(*whole.masks(kept))), len(whole.pieces))
        asked = self.model.direct(self.query(torch.tensor([self.anchor], device=self.model.device)))[1]
        attention = whole.attention(asked)
        total = max(float(np.abs(division.shares).sum()), 1e-12)
        most = [number for number in np.argsort(-np.abs(division.shares)) if whole.pieces[number].modality == "image"]
        found = [
            Contribution(
                piece.modality,
                piece.key,
                float(division.shares[number]),
                float(division.shares[number]) / total,
                float(division.removal[number]),
                _attention_to(piece, attention),
                self._patches(role, whole, piece, looked_at=number in most[:PICTURES]),
            )
            for number, piece in enumerate(whole.pieces)
        ]
        found.sort(key=lambda one: -abs(one.value))
        name = data.graph.entities.name(entity)
        return Parts(name, data.label(name), role, division.none, division.everyone, division.method, tuple(found))

    def _patches(self, role: str, whole: Pieces, piece: Piece, *, looked_at: bool) -> tuple[Patch, ...]:
        """What each window of a picture contributed."""
        if piece.modality != "image":
            return ()
        if len(piece.rows) > 1:
            self.heat = WINDOWS
            return self._by_rows(role, whole, piece)
        return self._by_covering(role, whole, piece) if looked_at else ()

    def _by_covering(self, role: str, whole: Pieces, piece: Piece) -> tuple[Patch, ...]:
        """Divide what covering all of a picture costs among its windows."""
        data, covering = self.predictor.data, self._covering
        self.heat = self.heat or covering.why_not
        path = picture_of(piece.key, data.graph.entities.name(whole.entity), data)
        everything = np.ones((1, GRID * GRID), dtype=bool)
        if covering.why_not or path is None or covering.rows(path, everything) is None:
            return ()

        def game(shown: np.ndarray) -> np.ndarray:
            rows = covering.rows(path, shown)
            assert rows is not None
            return self.scores(role, whole.encode_with(piece, rows))

        values = divide(game, GRID * GRID, looks=LOOKS).shares
        self.heat = COVERED
        return tuple(
            Patch(number // GRID / GRID, number % GRID / GRID, 1 / GRID, 1 / GRID, float(value))
            for number, value in enumerate(values)
        )

    def _by_rows(self, role: str, whole: Pieces, piece: Piece) -> tuple[Patch, ...]:
        """Divide what a picture's removal costs among its rows."""
        first, rows = whole.masks(np.ones((1, len(whole.pieces)), dtype=bool))

        def game(kept: np.ndarray) -> np.ndarray:
            masks = {name: np.repeat(mask, len(kept), axis=0) for name, mask in rows.items()}
            masks[piece.modality][:, list(piece.rows)] = kept
            return self.scores(role, whole.encode(np.repeat(first, len(kept)), masks))

        values = divide(game, len(piece.rows)).shares
        table = whole.tables[piece.modality]
        return tuple(
            Patch(*window_of(table.name, [table.keys[row] for row in piece.rows], number), float(value))
            for number, value in enumerate(values)
        )


def _attention_to(piece: Piece, attention: dict[str, np.ndarray]) -> float | None:
    weights = attention.get(piece.modality)
    return None if weights is None else float(weights[list(piece.rows)].sum())


def near_facts(predictor: Predictor, ids: tuple[int, int, int], count: int) -> tuple[NearFact, ...]:
    """The training facts of the relation whose entities look most like these."""
    data = predictor.data
    train = data.graph.split("train")
    same = np.unique(train[train[:, Side.RELATION] == ids[1]], axis=0)
    same = same[(same[:, Side.HEAD] != ids[0]) | (same[:, Side.TAIL] != ids[2])]
    if not len(same) or count < 1:
        return ()
    head, tail = (_unit_vectors(predictor, np.array([ids[slot]]), ids[1]) for slot in (0, 2))
    similarity = []
    for start in range(0, len(same), BLOCK):
        block = same[start : start + BLOCK]
        both = [_unit_vectors(predictor, block[:, slot], ids[1]) @ own[0] for slot, own in ((0, head), (2, tail))]
        similarity.append((both[0] + both[1]) / 2)
    best = torch.cat(similarity).topk(min(count, len(same)))
    names, found = data.graph.entities, []
    for place, value in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        one, other = names.name(int(same[place, 0])), names.name(int(same[place, 2]))
        found.append(NearFact(one, data.label(one), other, data.label(other), value))
    return tuple(found)


def _unit_vectors(predictor: Predictor, ids: np.ndarray, relation: int) -> Tensor:
    """Vectors of entities under a relation, all views side by side, at length 1; equal entities are encoded once."""
    distinct, which = np.unique(ids, return_inverse=True)
    device = predictor.model.device
    static = predictor.encode(torch.from_numpy(distinct.astype(np.int64)).to(device))
    vectors = predictor.model.encoder.condition(static, torch.full((len(distinct),), relation, device=device))
    unit = torch.nn.functional.normalize(vectors.flatten(1).float(), dim=1)
    return unit[torch.from_numpy(which).to(device)]
