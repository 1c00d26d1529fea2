"""True and false triples of a split at a stated ratio, and in which half each falls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.evaluation.negatives import SlotPool, slot_consistent
from pictokg.graph.query import Side

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from pictokg.datasets.dataset import Dataset

# Streams of the seed. The first round draws what triple classification draws: the same examples, the same thresholds.
_DRAWS = {"valid": 0, "test": 1}
_HALVES = 7


@dataclass(frozen=True, eq=False)
class Examples:
    """True triples of a split and unknown ones that look like them.

    Attributes:
        triples: (n, 3); truth: (n,), whether the split has it.
        weight: (n,); 1 for a true one, and for false ones what makes them count `ratio` for each true one of
            their relation, also where fewer could be made.
        ratio: false ones for each true one.
    """

    triples: Int[np.ndarray, "n 3"]
    truth: Bool[np.ndarray, " n"]
    weight: Float[np.ndarray, " n"]
    ratio: float

    @property
    def relation(self) -> Int[np.ndarray, " n"]:
        """The relation of each example."""
        return self.triples[:, Side.RELATION]


def draw_examples(data: Dataset, split: str, *, ratio: float = 1.0, seed: int = 0) -> Examples:
    """Put unknown triples beside the true ones of a split: head or tail replaced by one seen in that slot.

    Unknown is not false: some of them hold, and the graph does not say so. A probability of theirs is therefore a
    lower bound at that ratio.

    Args:
        data: the graph; a triple of any of its splits is never made.
        split: whose triples are the true ones.
        ratio: unknown ones for each true one, any positive number.
        seed: of the draw.

    Raises:
        ConfigError: no such split, or a ratio that is no positive number.
        DataError: no true or no unknown triples.
    """
    if not ratio > 0 or math.isinf(ratio):
        raise ConfigError(f"ratio is {ratio!r}; it says how many unknown triples stand beside a true one: 1, 0.5, 10 …")
    true = data.graph.split(split).astype(np.int64)
    if not len(true):
        raise DataError(f"the split {split!r} has no triples, so there is nothing to calibrate on")
    pool, known = SlotPool(data.graph.triples(), data.graph.num_relations), data.known()
    made, stream = [], _DRAWS.get(split, 0)
    for number in range(math.ceil(ratio)):
        generator = np.random.default_rng([seed, stream, number] if number else [seed, stream])
        share = min(1.0, ratio - number)
        chosen = true if share == 1 else true[generator.random(len(true)) < share]
        made.append(slot_consistent(chosen, pool, known, generator))
    false = np.concatenate(made)
    if not len(false):
        raise DataError(
            f"no unknown triples can be made of the split {split!r}: every replacement is known to be true,"
            " so there is nothing to calibrate against"
        )
    return _weighted(true, false, ratio, data.graph.num_relations)


def halves(examples: Examples, seed: int) -> Bool[np.ndarray, " n"]:
    """Part examples into two halves by a mask (n,): equal triples in one half, each relation and truth in both."""
    distinct, which = np.unique(np.c_[examples.triples, examples.truth], axis=0, return_inverse=True)
    order = np.random.default_rng([seed, _HALVES]).permutation(len(distinct))
    group = distinct[order][:, [Side.RELATION, 3]]
    second = np.zeros(len(distinct), dtype=bool)
    second[order[np.lexsort(group.T)][1::2]] = True  # every other one, within relation and truth
    return second[which.reshape(-1)]


def _weighted(true: np.ndarray, false: np.ndarray, ratio: float, num_relations: int) -> Examples:
    triples = np.concatenate([true, false])
    truth = np.r_[np.ones(len(true), dtype=bool), np.zeros(len(false), dtype=bool)]
    per_true, per_false = (np.bincount(part[:, Side.RELATION], minlength=num_relations) for part in (true, false))
    weight = ratio * per_true / np.maximum(per_false, 1)
    return Examples(triples, truth, np.where(truth, 1.0, weight[triples[:, Side.RELATION]]), ratio)
