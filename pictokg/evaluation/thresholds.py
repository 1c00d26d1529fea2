"""From which score on a triple is called true: one threshold a relation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Thresholds:
    """A triple is called true when its score is at least its relation's threshold.

    Attributes:
        overall: the threshold for all relations together.
        by_relation: (R,); `overall` where the relation has too few examples, or only true or only false ones.
        own: (R,), whether the relation's threshold is its own.
        examples: (R,), how many it was chosen on.
    """

    overall: float
    by_relation: np.ndarray
    own: np.ndarray
    examples: np.ndarray

    @staticmethod
    def choose(
        scores: np.ndarray, truth: np.ndarray, relation: np.ndarray, num_relations: int, least: int
    ) -> Thresholds:
        """Choose the thresholds that call most examples rightly.

        Args:
            scores: of the examples (n,), at least one.
            truth: which of them are true (n,).
            relation: of each (n,).
            num_relations: R.
            least: how many examples a relation needs for a threshold of its own.

        >>> scores, truth = np.array([0.1, 0.3, 0.5, 7.0, 9.0]), np.array([False, False, True, False, True])
        >>> Thresholds.choose(scores, truth, np.array([0, 0, 0, 1, 1]), 2, least=2).by_relation.tolist()
        [0.4, 8.0]
        """
        examples = np.bincount(relation, minlength=num_relations)
        true = np.bincount(relation[truth], minlength=num_relations)
        own = (examples >= least) & (true > 0) & (true < examples)
        _, everything = best_cuts(scores, truth, np.zeros(len(scores), dtype=np.int64))
        by_relation = np.full(num_relations, everything[0])
        relations, cuts = best_cuts(scores, truth, relation)
        by_relation[relations] = np.where(own[relations], cuts, everything[0])
        return Thresholds(float(everything[0]), by_relation, own, examples)


def best_cuts(scores: np.ndarray, truth: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each group, the threshold with most of its scores on the right side (score ≥ threshold is true).

    A threshold lies midway between two neighbouring scores; it is the lowest score when all are best called
    true, and just above the highest when none is. Of thresholds equally good, the lowest.

    Args:
        scores: (n,), n > 0.
        truth: (n,).
        group: (n,).

    Returns:
        The distinct groups, ascending, and their thresholds.
    """
    order = np.lexsort((scores, group))
    scores, truth, group = scores[order].astype(np.float64), truth[order], group[order]
    first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    last = np.r_[first[1:], len(group)] - 1

    # Moving the threshold from below all scores of a group to just above score i wins the false ones up to i
    # and loses the true ones.
    gain = np.cumsum(np.where(truth, -1, 1))
    gain -= np.repeat(np.r_[0, gain[last[:-1]]], last - first + 1)
    possible = np.r_[scores[1:] > scores[:-1], True]
    possible[last] = True  # equal scores cannot be parted
    gain = np.where(possible, gain, np.iinfo(gain.dtype).min)
    most = np.maximum.reduceat(gain, first)
    best = gain == np.repeat(most, last - first + 1)
    place = np.minimum.reduceat(np.where(best, np.arange(len(gain)), len(gain)), first)

    above = np.where(place < last, scores[np.minimum(place + 1, len(scores) - 1)], np.nextafter(scores[place], np.inf))
    cut = np.where(place < last, (scores[place] + above) / 2, above)
    return group[first], np.where(most <= 0, scores[first], cut)
