"""What a look-up without learning answers: "t —q→ h is known, so h —r→ t", with q and r counted in train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.audit.keys import distinct, ends_of_runs, match, occurrences, pair_keys, triple_keys
from pictokg.evaluation.metrics import Metrics, summarise

if TYPE_CHECKING:
    from pictokg.graph.graph import KnowledgeGraph

_ROWS_AT_ONCE = 4_000_000  # candidates held in memory at a time: some 300 MB


@dataclass(frozen=True)
class InverseRules:
    """All rules q(t, h) ⇒ r(h, t) that train shows, sorted by r; arrays (n,).

    Attributes:
        relation: r.
        inverse: q.
        support: triples of q whose reversed pair has r.
        confidence: support as a share of the triples of q.
    """

    relation: np.ndarray
    inverse: np.ndarray
    support: np.ndarray
    confidence: np.ndarray

    def strongest(self, names: Sequence[str], count: int = 10) -> list[dict[str, Any]]:
        """Name the best rule of each relation, most supported first."""
        order = np.lexsort((self.confidence, self.relation))
        best = order[ends_of_runs(self.relation[order])]
        best = best[np.argsort(-self.support[best], kind="stable")][:count]
        return [
            {
                "relation": names[self.relation[i]],
                "inverse": names[self.inverse[i]],
                "support": int(self.support[i]),
                "confidence": float(self.confidence[i]),
            }
            for i in best
        ]


def inverse_rules(train: np.ndarray, num_relations: int) -> InverseRules:
    """Count, for each pair of relations, how often one runs back along the other.

    confidence(q ⇒ r) = |{(h, t): (t, q, h) and (h, r, t) in train}| / |{(t, q, h) in train}|.

    Args:
        train: distinct triples (n, 3).
        num_relations: R.

    >>> rules = inverse_rules(np.array([[0, 0, 1], [1, 1, 0], [0, 0, 2]]), num_relations=2)
    >>> rules.relation.tolist(), rules.inverse.tolist(), rules.confidence.tolist()
    ([0, 1], [1, 0], [1.0, 0.5])
    """
    head, relation, tail = train.T
    pair = pair_keys(head, tail)
    order = np.argsort(pair, kind="stable")
    back, forth = match(pair_keys(tail, head), pair[order])
    rules, support = np.unique(pair_keys(relation[order][forth], relation[back]), return_counts=True)
    rule_relation, rule_inverse = rules >> 32, rules & 0xFFFFFFFF
    triples_of = np.bincount(relation, minlength=num_relations)
    return InverseRules(rule_relation, rule_inverse, support, support / triples_of[rule_inverse])


@dataclass(frozen=True)
class InverseRule:
    """How well the rule does on a split, over the questions of both sides, and the strongest of its rules."""

    split: str
    questions: int
    metrics: Metrics
    rules: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Return the metrics beside the other fields."""
        rest = {name: value for name, value in vars(self).items() if name != "metrics"}
        return {**self.metrics, **rest}


def inverse_rule(graph: KnowledgeGraph, split: str, train: str = "train") -> InverseRule:
    """Score the inverse rule of `train` on both sides of a split that is not empty."""
    rules = inverse_rules(distinct(graph.split(train), *_sizes(graph)), graph.num_relations)
    ranks, candidates = inverse_rule_ranks(graph, split, rules, train)
    best = rules.strongest(graph.relations.names)
    return InverseRule(split, len(ranks), summarise(ranks, candidates), best)


def inverse_rule_ranks(
    graph: KnowledgeGraph, split: str, rules: InverseRules, train: str = "train"
) -> tuple[np.ndarray, np.ndarray]:
    """Rank every answer of a split by the inverse rule, among how many candidates: (2n,) each, tails first.

    The score of x for (h, r, ?) is the highest confidence(q ⇒ r) over train triples (x, q, h), and 0 without
    one; likewise for (?, r, t). Ranks are filtered by the triples of all splits; ties share their mean rank.
    """
    sizes, asked = _sizes(graph), graph.split(split)
    past, known = distinct(graph.split(train), *sizes), distinct(graph.triples(), *sizes)
    tails = _TailRanker(past, known, rules, sizes).ranks(asked)
    heads = _TailRanker(past[:, ::-1], known[:, ::-1], rules, sizes).ranks(asked[:, ::-1])
    ranks, candidates = np.concatenate([tails, heads], axis=1)
    return ranks, candidates


def _sizes(graph: KnowledgeGraph) -> tuple[int, int]:
    return graph.num_entities, graph.num_relations


class _TailRanker:
    """Ranks the answers of tail queries; head queries are tail queries of the graph turned round."""

    def __init__(self, train: np.ndarray, known: np.ndarray, rules: InverseRules, sizes: tuple[int, int]) -> None:
        self.sizes = sizes
        self.rules = rules
        self.known = np.sort(triple_keys(known, *self.sizes))
        arriving = pair_keys(train[:, 2], train[:, 1])
        order = np.argsort(arriving, kind="stable")
        self.arriving, self.sources = arriving[order], train[order, 0].astype(np.int64)

    def ranks(self, asked: np.ndarray) -> np.ndarray:
        """Realistic ranks of the tails of triples (n, 3), and the candidates there were: (2, n)."""
        return np.concatenate([self._block(asked[rows]) for rows in self._blocks(asked)], axis=1)

    def _blocks(self, asked: np.ndarray) -> Iterator[slice]:
        """Cut the questions so that no block has many more candidates than fit in memory."""
        row, _, keys = self._links(asked)
        cost = np.bincount(row, occurrences(self.arriving, keys), minlength=len(asked))
        block = (np.cumsum(cost) // _ROWS_AT_ONCE).astype(np.int64)
        edges = np.r_[0, np.flatnonzero(np.diff(block)) + 1, len(asked)]
        return (slice(first, last) for first, last in pairwise(edges))

    def _links(self, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pair each question with each rule for its relation, and the key of its triples in `arriving`."""
        row, rule = match(asked[:, 1], self.rules.relation)
        return row, rule, pair_keys(asked[row, 0], self.rules.inverse[rule])

    def _block(self, asked: np.ndarray) -> np.ndarray:
        question, candidate, score = self._candidates(asked)
        triples = np.stack([asked[question, 0], asked[question, 1], candidate], axis=1)
        is_answer = candidate == asked[question, 2]
        other = ~is_answer & (occurrences(self.known, triple_keys(triples, *self.sizes)) == 0)

        count = len(asked)
        answer_score = np.zeros(count)
        answer_score[question[is_answer]] = score[is_answer]
        higher = np.bincount(question[other & (score > answer_score[question])], minlength=count)
        equal = np.bincount(question[other & (score == answer_score[question])], minlength=count)
        scored = np.bincount(question[other], minlength=count)
        others = self.sizes[0] - self._known_answers(asked)
        ranks = 1 + higher + np.where(answer_score > 0, equal, others - scored) / 2
        return np.stack([ranks, others + 1])

    def _candidates(self, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """List what the rules propose: question, entity and its best confidence, each pair once."""
        row, rule, keys = self._links(asked)
        use, place = match(keys, self.arriving)
        question, candidate, score = row[use], self.sources[place], self.rules.confidence[rule[use]]
        pair = pair_keys(question, candidate)
        order = np.lexsort((score, pair))
        best = order[ends_of_runs(pair[order])]
        return question[best], candidate[best], score[best]

    def _known_answers(self, asked: np.ndarray) -> np.ndarray:
        """How many true tails each question has, its own answer among them."""
        first, last = asked.copy(), asked.copy()
        first[:, 2], last[:, 2] = 0, self.sizes[0] - 1
        begin = np.searchsorted(self.known, triple_keys(first, *self.sizes), side="left")
        return np.searchsorted(self.known, triple_keys(last, *self.sizes), side="right") - begin
