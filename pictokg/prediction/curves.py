"""Curves from scores to probabilities that never fall: Platt's, the isotonic one, and a mean of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pictokg.errors import ConfigError, nearest

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

PRIOR = 10.0  # examples that the common curve counts for beside a relation's few
METHODS = {"platt": 20, "isotonic": 100}  # method → true and false examples a relation needs for a curve of its own


class Curve(Protocol):
    """A map from scores to probabilities; a higher score never has a lower probability."""

    def __call__(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The probability of each score."""

    def to_dict(self) -> dict[str, Any]:
        """What JSON keeps of it."""


@dataclass(frozen=True, slots=True)
class Platt:
    """p = 1 / (1 + exp(−(slope · score + intercept))), slope ≥ 0 (Platt, 1999).

    >>> Platt(slope=1.0, intercept=0.0)(np.array([0.0, 1000.0])).tolist()
    [0.5, 1.0]
    """

    slope: float
    intercept: float

    def __call__(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The probability of each score."""
        from scipy.special import expit

        return expit(self.slope * np.asarray(scores, dtype=np.float64) + self.intercept)

    def to_dict(self) -> dict[str, Any]:
        """What JSON keeps of it."""
        return {"slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True, eq=False, slots=True)
class Isotonic:
    """Straight lines between (score, probability) points, and constants beyond the first and the last.

    >>> Isotonic(np.array([0.0, 1.0]), np.array([0.2, 0.8]))(np.array([-9.0, 0.5, 9.0])).tolist()
    [0.2, 0.5, 0.8]
    """

    scores: np.ndarray
    probabilities: np.ndarray

    def __call__(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The probability of each score."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.scores, self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """What JSON keeps of it."""
        return {"scores": self.scores.tolist(), "probabilities": self.probabilities.tolist()}


@dataclass(frozen=True, eq=False, slots=True)
class Pooled:
    """share · own(score) + (1 − share) · common(score): a relation's own curve, drawn towards that of others.

    >>> half = Platt(slope=0.0, intercept=0.0)
    >>> Pooled(own=Platt(1.0, 0.0), common=half, share=0.5)(np.array([1000.0])).tolist()
    [0.75]
    """

    own: Curve
    common: Curve
    share: float

    def __call__(self, scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The probability of each score."""
        return self.share * self.own(scores) + (1 - self.share) * self.common(scores)

    def to_dict(self) -> dict[str, Any]:
        """What JSON keeps of it."""
        return {"own": self.own.to_dict(), "common": self.common.to_dict(), "share": self.share}


def pool(own: Curve, common: Curve, examples: float) -> Pooled:
    """Draw a curve that was fitted on few examples towards the common one, which counts for `PRIOR` of them."""
    return Pooled(own, common, examples / (examples + PRIOR))


def check_method(method: str) -> None:
    """ConfigError for a method that does not exist."""
    if method not in METHODS:
        raise ConfigError(f"there is no calibration method {method!r}; {nearest(method, METHODS)}")


def fit_curve(
    method: str,
    scores: Float[np.ndarray, " n"],
    truth: Bool[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
) -> Curve:
    """Fit a curve to true and false examples, both present, each counted `weight` times.

    Platt's targets are (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2) rather than 1 and 0, so that scores which part true from
    false keep a finite slope; the isotonic curve is kept as far from 0 and 1. Where higher scores are truer less
    often, the curve is the constant share of true examples.

    Args:
        method: "platt" or "isotonic".
        scores, truth, weight: of the examples.

    >>> scores, truth = np.arange(4.0), np.array([False, True, False, True])
    >>> curve = fit_curve("platt", scores, truth, np.ones(4))
    >>> bool(curve(np.array([3.0]))[0] > curve(np.array([0.0]))[0])
    True
    """
    check_method(method)
    scores = np.asarray(scores, dtype=np.float64)
    return _platt(scores, truth, weight) if method == "platt" else _isotonic(scores, truth, weight)


def read_curve(value: Mapping[str, Any]) -> Curve:
    """Make the curve again of which `to_dict` gave the values; KeyError, TypeError or ValueError for others."""
    if "share" in value:
        return Pooled(read_curve(value["own"]), read_curve(value["common"]), float(value["share"]))
    if "slope" in value:
        return Platt(float(value["slope"]), float(value["intercept"]))
    scores, probabilities = (np.array(value[name], dtype=np.float64) for name in ("scores", "probabilities"))
    if not len(scores) or scores.shape != probabilities.shape:
        raise ValueError("an isotonic curve needs as many probabilities as scores, at least one")
    return Isotonic(scores, probabilities)


def _platt(scores: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> Platt:
    from sklearn.linear_model import LogisticRegression

    middle, spread = float(scores.mean()), float(scores.std())
    share = float(weight[truth].sum() / weight.sum())
    constant = Platt(0.0, float(np.log(share / (1 - share))))
    if spread <= 1e-12 * max(1.0, abs(middle)):
        return constant
    # A soft target is the example twice: as true with the target's weight, as false with the rest.
    target = np.where(truth, (truth.sum() + 1) / (truth.sum() + 2), 1 / ((~truth).sum() + 2))
    standard = np.tile((scores - middle) / spread, 2)[:, None]
    twice = np.r_[np.ones(len(scores)), np.zeros(len(scores))]
    fitted = LogisticRegression(C=1e9, max_iter=1000).fit(
        standard, twice, np.r_[weight * target, weight * (1 - target)]
    )
    slope = float(fitted.coef_[0, 0]) / spread
    return constant if slope <= 0 else Platt(slope, float(fitted.intercept_[0]) - slope * middle)


def _isotonic(scores: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression

    low, high = 1 / ((~truth).sum() + 2), (truth.sum() + 1) / (truth.sum() + 2)
    fitted = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(scores, truth.astype(float), weight)
    return Isotonic(fitted.X_thresholds_.astype(np.float64), fitted.y_thresholds_.astype(np.float64))
