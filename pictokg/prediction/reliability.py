"""How far probabilities can be trusted: what share of the triples said to be 70 % probable is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.evaluation.classification import scores_of
from pictokg.prediction.held_out import draw_examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float
    from torch import Tensor

    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model
    from pictokg.prediction.calibration import Calibration

BINS = 10
PRECISION = 0.9


@dataclass(frozen=True, eq=False)
class Reliability:
    """How well probabilities fit triples that they were not fitted on.

    Attributes:
        error: expected calibration error, Σ over bins of (share of triples) · |mean probability − share true|.
        common_error: the same of the relations without a curve of their own, taken together; None without any.
        brier: mean squared difference of probability and truth.
        bins: lower, upper, probability (mean), true (share), weight (share of all triples); empty ones are left out.
        common_bins: the same of the relations without a curve of their own.
        by_relation: name → true and unknown triples, error, curve ("own", "pooled" or "common"), and for a precision of
            0.9 the threshold chosen on validation with the precision (of the triples above it) and the recall it has
            here; None where no threshold reached it.
        protocol: split, method, ratio, seed, counts.
    """

    error: float
    common_error: float | None
    brier: float
    bins: list[dict[str, float]]
    common_bins: list[dict[str, float]]
    by_relation: dict[str, dict[str, Any]]
    protocol: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return dict(vars(self))


def measure_reliability(
    model: Model,
    data: Dataset,
    calibration: Calibration,
    split: str = "test",
    *,
    encode: Callable[[Tensor], Tensor] | None = None,
) -> Reliability:
    """Hold probabilities against the triples of a split and unknown ones, at the calibration's ratio and seed.

    Raises:
        ConfigError: no such split. DataError: it has no triples, or no unknown ones can be made.
        PictoKGError: a score is NaN.
    """
    examples = draw_examples(data, split, ratio=calibration.ratio, seed=calibration.seed)
    scores = scores_of(model, examples.triples, encode)
    probability = calibration.probabilities(scores, examples.relation)
    truth, weight = examples.truth, examples.weight
    whole, by_relation = (probability, truth, weight), {}
    few = ~np.isin(examples.relation, list(calibration.by_relation))
    common = probability[few], truth[few], weight[few]
    for relation in np.unique(examples.relation).tolist():
        rows = examples.relation == relation
        chosen = probability[rows], truth[rows], weight[rows]
        by_relation[data.graph.relations.name(relation)] = {
            "true": int(chosen[1].sum()),
            "false": int((~chosen[1]).sum()),
            "error": calibration_error(*chosen),
            "curve": _kind(calibration, relation),
            **_at_threshold(*chosen, calibration.threshold(relation, PRECISION)),
        }
    return Reliability(
        error=calibration_error(*whole),
        common_error=calibration_error(*common) if few.any() else None,
        brier=float(np.average((probability - examples.truth) ** 2, weights=examples.weight)),
        bins=bins_of(*whole),
        common_bins=bins_of(*common) if few.any() else [],
        by_relation=by_relation,
        protocol={
            "split": split,
            "method": calibration.method,
            "ratio": calibration.ratio,
            "seed": calibration.seed,
            "precision": PRECISION,
            "true": int(examples.truth.sum()),
            "false": int((~examples.truth).sum()),
        },
    )


def bins_of(
    probability: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
) -> list[dict[str, float]]:
    """Sort probabilities into ten bins of equal width and compare each bin with the truth.

    >>> bins_of(np.array([0.71, 0.79]), np.array([True, False]), np.ones(2))
    [{'lower': 0.7, 'upper': 0.8, 'probability': 0.75, 'true': 0.5, 'weight': 1.0}]
    """
    place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    total, mean, true = (
        np.bincount(place, weight * values, minlength=BINS) for values in (np.ones(len(place)), probability, truth)
    )
    return [
        {
            "lower": number / BINS,
            "upper": (number + 1) / BINS,
            "probability": float(mean[number] / total[number]),
            "true": float(true[number] / total[number]),
            "weight": float(total[number] / total.sum()),
        }
        for number in np.flatnonzero(total).tolist()
    ]


def calibration_error(
    probability: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
) -> float:
    """Expected calibration error (Naeini et al., 2015) over ten bins of equal width.

    >>> round(calibration_error(np.array([0.9, 0.9, 0.1]), np.array([True, False, False]), np.ones(3)), 4)
    0.3
    """
    bins = bins_of(probability, truth, weight)
    return float(sum(found["weight"] * abs(found["probability"] - found["true"]) for found in bins))


def _kind(calibration: Calibration, relation: int) -> str:
    if relation in calibration.by_relation:
        return "own"
    return "pooled" if relation in calibration.pooled else "common"


def _at_threshold(
    probability: np.ndarray, truth: np.ndarray, weight: np.ndarray, threshold: float | None
) -> dict[str, float | None]:
    """What calling everything from a threshold on true does here."""
    if threshold is None:
        return {"threshold": None, "precision": None, "recall": None}
    above = probability >= threshold
    total = weight[above].sum()
    precision = float(weight[above & truth].sum() / total) if total > 0 else None
    return {"threshold": threshold, "precision": precision, "recall": float(above[truth].mean())}
