"""Probabilities from scores: curves fitted on validation, and how precise they were on triples they had not seen."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pictokg.errors import DataError, DataWarning, PictoKGError
from pictokg.evaluation.classification import scores_of
from pictokg.evaluation.thresholds import Thresholds
from pictokg.files import write_text
from pictokg.prediction.curves import METHODS, Curve, Pooled, check_method, fit_curve, pool, read_curve
from pictokg.prediction.held_out import Examples, draw_examples, halves
from pictokg.prediction.precision import HeldOut

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model

    Encode = Callable[[Tensor], Tensor]

FILE = "calibration.json"
_SPLIT = "valid"
_FITTED = b"curves of few examples are drawn towards the common one"  # how; what was fitted otherwise before is stale


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a score means: of triples that score so, the share that the graph would confirm.

    A probability belongs to a ratio: it is that of a triple drawn among true ones with `ratio` unknown triples of the
    same relation for each. And it belongs to the score of `Model.score_triples`, not to that of one side's question.

    Attributes:
        method: "platt" or "isotonic".
        ratio: unknown triples for each true one. seed: of their draw and of the halves.
        overall: the common curve, fitted on the relations with too few examples for one of their own.
        by_relation: relation id → its own curve. pooled: id of one with few examples → its curve drawn towards the
            common one; relations in neither have the common one.
        held_out: precision at every probability, on triples that the curve in question was not fitted on.
        thresholds: from which score on triple classification calls a triple true.
        counts: true and unknown (`false`) validation triples.
        fingerprint: of the weights and the triples that it was fitted with.
    """

    method: str
    ratio: float
    seed: int
    overall: Curve
    by_relation: Mapping[int, Curve]
    pooled: Mapping[int, Pooled]
    held_out: HeldOut
    thresholds: Thresholds
    counts: Mapping[str, int]
    fingerprint: str

    def probabilities(
        self, scores: Float[np.ndarray, " n"] | Tensor, relations: Int[np.ndarray, " n"] | Tensor
    ) -> Float[np.ndarray, " n"]:
        """Turn scores of whole triples (n,) and their relations' ids (n,) into probabilities (n,), float64."""
        scores, relations = _array(scores).astype(np.float64), _array(relations)
        probabilities = np.empty(len(scores))
        for relation in np.unique(relations).tolist():
            rows = relations == relation
            probabilities[rows] = self.curve(relation)(scores[rows])
        return probabilities

    def curve(self, relation: int) -> Curve:
        """The curve of a relation: its own, or drawn towards the common one, or that."""
        return self.by_relation.get(relation) or self.pooled.get(relation) or self.overall

    def precision(self, relation: int, probability: float) -> float | None:
        """Share of true ones among held-out triples of a relation at this probability or above; None without any.

        At the stated ratio; where this one has too few examples for a curve of its own, over the relations that the
        common curve was fitted on.
        """
        return self.held_out.precision(self._group(relation), probability)

    def threshold(self, relation: int, precision: float) -> float | None:
        """The least probability (in hundredths) at which held-out triples reach a precision; None where none does."""
        return self.held_out.threshold(self._group(relation), precision)

    def save(self, path: Path, relations: tuple[str, ...]) -> None:
        """Write JSON, whole or not at all; `relations` are the names of all relations, by id."""
        per_relation = {
            relations[relation]: {
                "curve": None if (curve := self.curve(relation)) is self.overall else curve.to_dict(),
                "threshold": float(self.thresholds.by_relation[relation]),
                "own_threshold": bool(self.thresholds.own[relation]),
                "examples": int(self.thresholds.examples[relation]),
                "held_out": self.held_out.to_dict(relation),
            }
            for relation in np.flatnonzero(self.thresholds.examples).tolist()
        }
        written = {
            "method": self.method,
            "ratio": self.ratio,
            "seed": self.seed,
            "counts": dict(self.counts),
            "fingerprint": self.fingerprint,
            "overall": {
                "curve": self.overall.to_dict(),
                "threshold": self.thresholds.overall,
                "held_out": self.held_out.to_dict(None),
            },
            "relations": per_relation,
        }
        write_text(path, json.dumps(written, ensure_ascii=False) + "\n")

    def _group(self, relation: int) -> int | None:
        return relation if relation in self.by_relation else None


def fit_calibration(
    model: Model,
    data: Dataset,
    *,
    method: str = "platt",
    ratio: float = 1.0,
    seed: int = 0,
    encode: Encode | None = None,
) -> Calibration:
    """Fit probabilities on the validation split against slot-consistent unknown triples.

    A relation with enough true and unknown examples (platt: 20 of each, isotonic: 100) has a curve of its own, others
    share one. That one is fitted on the others alone, for scores of large relations mean something else; on all where
    the others have too few together. A relation with n examples, true and unknown, but too few takes n / (n + 10) of a
    curve of its own and the rest of the common one. Precision is cross-fitted: each half gets its probabilities from
    curves of the other.

    Args:
        model: a trained model; data: the graph it was trained on.
        method: "platt" (Platt, 1999: two numbers a curve) or "isotonic" (Zadrozny and Elkan, 2002: any curve that
            does not fall; wants more examples).
        ratio: unknown triples for each true one.
        seed: of their draw and of the halves.
        encode: from `model.encode_all()`, where there is one already.

    Raises:
        ConfigError: no validation split, another method, or a ratio that is no positive number.
        DataError: no validation triples, or no unknown ones can be made.
        PictoKGError: a score is NaN.
    """
    check_method(method)
    examples = draw_examples(data, _SPLIT, ratio=ratio, seed=seed)
    scores, num_relations = scores_of(model, examples.triples, encode), data.graph.num_relations
    own = _with_enough(method, examples)
    common = _common(method, examples, own)
    overall, by_relation, pooled = _fit(method, scores, examples, np.ones(len(scores), dtype=bool), own, common)
    second, probability = halves(examples, seed), np.empty(len(scores))
    for half in (second, ~second):
        rest_overall, alone, drawn = _fit(method, scores, examples, ~half, own, common)
        curves: dict[int, Curve] = {**alone, **drawn}
        for relation in np.unique(examples.relation[half]).tolist():
            rows = half & (examples.relation == relation)
            probability[rows] = curves.get(relation, rest_overall)(scores[rows])
    return Calibration(
        method=method,
        ratio=float(ratio),
        seed=seed,
        overall=overall,
        by_relation=by_relation,
        pooled=pooled,
        held_out=HeldOut.count(probability, examples, num_relations, common),
        thresholds=Thresholds.choose(scores, examples.truth, examples.relation, num_relations, least=10),
        counts={"true": int(examples.truth.sum()), "false": int((~examples.truth).sum())},
        fingerprint=fingerprint_of(model, data),
    )


def load_calibration(path: Path, relations: tuple[str, ...], fingerprint: str | None = None) -> Calibration:
    """Read a calibration back.

    Args:
        path: a calibration.json; relations: the names of all relations, by id.
        fingerprint: that the calibration must have, from `fingerprint_of`; None: any.

    Raises:
        DataError: it cannot be read, or it was fitted with other weights or triples.
    """
    remedy = "delete it; it is then fitted anew"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        calibration = _from_dict(found, relations)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"is no calibration ({error!r})", file=path, remedy=remedy) from error
    if fingerprint is not None and calibration.fingerprint != fingerprint:
        raise DataError("was fitted with other weights or other triples", file=path, remedy=remedy)
    return calibration


def calibration_of(folder: Path, model: Model, data: Dataset, *, encode: Encode | None = None) -> Calibration | None:
    """The calibration of a run: read from its folder, or fitted and kept there where there is none that fits.

    None, with a warning that says why, where it cannot be fitted; a folder that cannot be written is warned of too.

    Args:
        folder: of the run; model, data: as loaded from it.
        encode: from `model.encode_all()`, where there is one already.
    """
    path, names = folder / FILE, tuple(data.graph.relations.names)
    if path.exists():
        try:
            return load_calibration(path, names, fingerprint_of(model, data))
        except DataError:
            pass  # stale or spoiled: it is fitted anew
    reason = why_not(data)
    try:
        calibration = None if reason else fit_calibration(model, data, encode=encode)
    except PictoKGError as error:
        calibration, reason = None, str(error)
    if calibration is None:
        warnings.warn(f"no probabilities: {reason}", DataWarning, stacklevel=2)
        return None
    try:
        calibration.save(path, names)
    except PictoKGError as error:
        warnings.warn(f"the calibration is not kept, and fitted anew next time: {error}", DataWarning, stacklevel=2)
    return calibration


def why_not(data: Dataset) -> str:
    """Say why scores of models of this graph cannot be calibrated; "" when they can."""
    if _SPLIT in data.graph.splits and len(data.graph.split(_SPLIT)):
        return ""
    return "the data have no validation triples to calibrate on; pictokg split makes a validation split"


def fingerprint_of(model: Model, data: Dataset) -> str:
    """A digest of the weights, of the score terms in use and of the triples of all splits."""
    digest = blake2b(_FITTED, digest_size=16)
    for name, tensor in [*sorted(model.state_dict().items()), ("term_weights", model.term_weights)]:
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(memoryview(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    for name, triples in data.graph.splits.items():
        digest.update(f"{name} {len(triples)}".encode())
        digest.update(triples.tobytes())
    return digest.hexdigest()


def _with_enough(method: str, examples: Examples) -> list[int]:
    """The relations with enough true and unknown examples for a curve of their own."""
    count = int(examples.relation.max()) + 1
    both = [np.bincount(examples.relation[part], minlength=count) for part in (examples.truth, ~examples.truth)]
    return np.flatnonzero(np.minimum(*both) >= METHODS[method]).tolist()


def _common(method: str, examples: Examples, own: Sequence[int]) -> Bool[np.ndarray, " n"]:
    """The examples of the common curve: those of relations without their own, or all where these are too few."""
    rest = ~np.isin(examples.relation, own)
    least = min((rest & examples.truth).sum(), (rest & ~examples.truth).sum())
    return rest if least >= METHODS[method] else np.ones(len(rest), dtype=bool)


def _fit(
    method: str, scores: np.ndarray, examples: Examples, chosen: np.ndarray, own: Sequence[int], common: np.ndarray
) -> tuple[Curve, dict[int, Curve], dict[int, Pooled]]:
    """Fit on chosen examples the common curve, and that of each relation where both truths are there: own, pooled."""

    def fit(rows: np.ndarray) -> Curve | None:
        truth = examples.truth[rows]
        return fit_curve(method, scores[rows], truth, examples.weight[rows]) if 0 < truth.sum() < len(truth) else None

    overall = fit(chosen & common)
    if overall is None:
        raise DataError("too few validation triples to calibrate on: both halves need a true and an unknown one")
    alone: dict[int, Curve] = {}
    pooled: dict[int, Pooled] = {}
    for relation in np.unique(examples.relation[chosen]).tolist():
        rows = chosen & (examples.relation == relation)
        curve = fit(rows)
        if curve is not None and relation in own:
            alone[relation] = curve
        elif curve is not None:
            pooled[relation] = pool(curve, overall, examples.weight[rows].sum())
    return overall, alone, pooled


def _from_dict(found: Mapping[str, Any], relations: tuple[str, ...]) -> Calibration:
    number = {name: place for place, name in enumerate(relations)}
    per_relation = {number[name]: values for name, values in found["relations"].items()}
    thresholds = np.full(len(relations), float(found["overall"]["threshold"]))
    own, examples = np.zeros(len(relations), dtype=bool), np.zeros(len(relations), dtype=np.int64)
    for relation, values in per_relation.items():
        thresholds[relation], own[relation] = values["threshold"], values["own_threshold"]
        examples[relation] = values["examples"]
    rows = {relation: values["held_out"] for relation, values in per_relation.items()}
    curves = {name: read_curve(values["curve"]) for name, values in per_relation.items() if values["curve"]}
    return Calibration(
        method=str(found["method"]),
        ratio=float(found["ratio"]),
        seed=int(found["seed"]),
        overall=read_curve(found["overall"]["curve"]),
        by_relation={name: curve for name, curve in curves.items() if not isinstance(curve, Pooled)},
        pooled={name: curve for name, curve in curves.items() if isinstance(curve, Pooled)},
        held_out=HeldOut.from_dicts(found["overall"]["held_out"], rows),
        thresholds=Thresholds(float(found["overall"]["threshold"]), thresholds, own, examples),
        counts=found["counts"],
        fingerprint=str(found["fingerprint"]),
    )


def _array(values: np.ndarray | Tensor) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
