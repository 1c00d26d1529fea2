"""How many held-out triples at or above each probability are true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from pictokg.prediction.held_out import Examples

STEPS = 100  # probabilities are told apart in hundredths
_LEAST = 10  # triples at or above a threshold, or its precision is chance


@dataclass(frozen=True, eq=False)
class HeldOut:
    """True and unknown triples at or above each hundredth, for the common curve and for each relation.

    Attributes:
        overall: (2, 101): true, then unknown ones weighted to the stated ratio, of the common curve's examples.
        by_relation: relation id → likewise.
    """

    overall: np.ndarray
    by_relation: Mapping[int, np.ndarray]

    @staticmethod
    def count(
        probability: Float[np.ndarray, " n"], examples: Examples, num_relations: int, common: Bool[np.ndarray, " n"]
    ) -> HeldOut:
        """Count examples whose probabilities come from curves not fitted on them; `common`: whole relations."""
        step = np.floor(probability * STEPS + 1e-9).astype(np.int64).clip(0, STEPS)
        counts = np.zeros((num_relations, 2, STEPS + 1))
        np.add.at(counts, (examples.relation, (~examples.truth).astype(np.int64), step), examples.weight)
        counts = counts[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
        overall = counts[np.unique(examples.relation[common])].sum(axis=0)
        return HeldOut(overall, {name: counts[name] for name in np.unique(examples.relation).tolist()})

    def precision(self, relation: int | None, probability: float) -> float | None:
        """Share of true ones at a probability (rounded down to hundredths) or above; None where there are none."""
        true, false = self._at_or_above(relation)[:, int(np.floor(np.clip(probability, 0, 1) * STEPS + 1e-9))]
        return float(true / (true + false)) if true + false > 0 else None

    def threshold(self, relation: int | None, precision: float) -> float | None:
        """The least hundredth from which on precision is reached, by ten triples or more; None where it never is."""
        true, false = self._at_or_above(relation)
        with np.errstate(invalid="ignore", divide="ignore"):
            reached = (true + false >= _LEAST) & (true / (true + false) >= precision)
        return float(reached.argmax() / STEPS) if reached.any() else None

    def to_dict(self, relation: int | None) -> dict[str, Any]:
        """What JSON keeps of a relation, or of the common curve."""
        true, false = self._at_or_above(relation)
        return {"true": [round(value, 6) for value in true.tolist()], "false": [round(v, 6) for v in false.tolist()]}

    @staticmethod
    def from_dicts(overall: Mapping[str, Any], by_relation: Mapping[int, Mapping[str, Any]]) -> HeldOut:
        """Put together what `to_dict` gave."""
        return HeldOut(_counts(overall), {relation: _counts(found) for relation, found in by_relation.items()})

    def _at_or_above(self, relation: int | None) -> np.ndarray:
        return self.overall if relation is None else self.by_relation[relation]


def _counts(found: Mapping[str, Any]) -> np.ndarray:
    counts = np.array([found["true"], found["false"]], dtype=np.float64)
    if counts.shape != (2, STEPS + 1):
        raise ValueError(f"held-out counts have the shape {counts.shape}, not {(2, STEPS + 1)}")
    return counts
