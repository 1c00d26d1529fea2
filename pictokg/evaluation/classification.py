"""Triple classification: whether a triple is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pictokg.errors import DataError, PictoKGError
from pictokg.evaluation.modes import evaluating
from pictokg.evaluation.negatives import SlotPool, slot_consistent
from pictokg.evaluation.thresholds import Thresholds
from pictokg.evaluation.workspace import triples_at_once
from pictokg.graph.query import Side

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Encode, Model

_MEMORY = 512  # MiB for a block of triples


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """How many triples were called true or false rightly.

    Attributes:
        micro: share of all triples.
        macro: mean of the relations' shares; another figure where small relations differ from large ones.
        auc: chance that a true triple scores higher than a false one of any relation, ties counting half.
        count: triples classified, true and false.
        by_relation: name → count, accuracy, threshold, own_threshold (False: the global one) and
            validation_examples.
        global_threshold: for relations with too few validation examples.
        protocol: what was classified and how; `without_negative` counts true triples that no false one could
            be made of.
    """

    micro: float
    macro: float
    auc: float | None
    count: int
    by_relation: dict[str, dict[str, Any]]
    global_threshold: float
    protocol: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON: `{"accuracy": {"micro": …, "macro": …}, …}`."""
        rest = {name: value for name, value in vars(self).items() if name not in ("micro", "macro")}
        return {"accuracy": {"micro": self.micro, "macro": self.macro}, **rest}

    def __str__(self) -> str:
        from pictokg.evaluation.render import as_text, classification_tables

        return as_text(classification_tables(self))


@dataclass(frozen=True, eq=False)
class _Examples:
    """True and false triples (n, 3) of a split, whence the false ones, and how many true ones made none."""

    triples: np.ndarray
    truth: np.ndarray
    source: str
    without_negative: int


def classify(
    model: Model,
    data: Dataset,
    split: str = "test",
    *,
    validation: str = "valid",
    seed: int = 0,
    least_examples: int = 10,
) -> ClassificationReport:
    """Call the triples of a split true or false by thresholds chosen on validation (Socher et al., 2013).

    False triples are those the data give for a split (CoDEx); else one is made of each true one by replacing
    its head or tail with an entity seen in the same slot of the same relation anywhere in the graph, never
    making a known triple.

    Args:
        model: any model of the graph.
        data: the graph.
        split: what to classify.
        validation: where each relation's threshold is chosen.
        seed: of the false triples made.
        least_examples: relations with fewer validation examples use one threshold for all relations.

    Raises:
        ConfigError: no such split.
        DataError: a split is empty, or no false triples can be had.
        PictoKGError: a score is NaN.
    """
    pool = SlotPool(data.graph.triples(), data.graph.num_relations)
    seen, asked = (
        _examples(data, name, pool, np.random.default_rng([seed, stream]))
        for stream, name in enumerate((validation, split))
    )
    scores = scores_of(model, np.concatenate([seen.triples, asked.triples]))
    seen_scores, scores = np.split(scores, [len(seen.triples)])
    num_relations, relation = data.graph.num_relations, asked.triples[:, Side.RELATION]
    thresholds = Thresholds.choose(
        seen_scores, seen.truth, seen.triples[:, Side.RELATION], num_relations, least_examples
    )
    right = (scores >= thresholds.by_relation[relation]) == asked.truth
    by_relation = _by_relation(right, relation, thresholds, data)
    return ClassificationReport(
        micro=float(right.mean()),
        macro=float(np.mean([figures["accuracy"] for figures in by_relation.values()])),
        auc=_auc(scores[asked.truth], scores[~asked.truth]),
        count=len(right),
        by_relation=by_relation,
        global_threshold=thresholds.overall,
        protocol={
            "split": split,
            "validation": validation,
            "negatives": {validation: seen.source, split: asked.source},
            "without_negative": {validation: seen.without_negative, split: asked.without_negative},
            "seed": seed,
            "least_examples": least_examples,
        },
    )


def _examples(data: Dataset, split: str, pool: SlotPool, generator: np.random.Generator) -> _Examples:
    true = data.graph.split(split).astype(np.int64)
    if not len(true):
        raise DataError(f"the split {split!r} has no triples; there is nothing to classify")
    given = data.negatives.get(split)
    if given is None:
        false, source = slot_consistent(true, pool, data.known(), generator), "slot-consistent"
    else:
        false, source = given.astype(np.int64), "given"
    if not len(false):
        raise DataError(
            f"the split {split!r} has no false triples, given or made; every replacement is known to be true"
        )
    truth = np.r_[np.ones(len(true), dtype=bool), np.zeros(len(false), dtype=bool)]
    return _Examples(np.concatenate([true, false]), truth, source, 0 if source == "given" else len(true) - len(false))


def scores_of(model: Model, triples: np.ndarray, encode: Encode | None = None) -> np.ndarray:
    """Score whole triples (n, 3) in blocks: (n,) float64; PictoKGError when one is NaN."""
    with evaluating(model):
        encode = encode or model.encode_all()
        blocks = torch.from_numpy(triples).split(triples_at_once(model, encode, _MEMORY))
        parts = [model.score_triples(block.to(model.device), encode).cpu() for block in blocks]
    scores = torch.cat(parts).double().numpy()
    if np.isnan(scores).any():
        raise PictoKGError(
            f"the model scores {int(np.isnan(scores).sum()):,} of {len(scores):,} triples NaN, so they say"
            " nothing. Its parameters or its features hold NaN: train again with a lower learning rate"
        )
    return scores


def _by_relation(
    right: np.ndarray, relation: np.ndarray, thresholds: Thresholds, data: Dataset
) -> dict[str, dict[str, Any]]:
    count = np.bincount(relation, minlength=len(thresholds.own))
    correct = np.bincount(relation[right], minlength=len(thresholds.own))
    return {
        data.graph.relations.name(number): {
            "count": int(count[number]),
            "accuracy": float(correct[number] / count[number]),
            "threshold": float(thresholds.by_relation[number]),
            "own_threshold": bool(thresholds.own[number]),
            "validation_examples": int(thresholds.examples[number]),
        }
        for number in np.flatnonzero(count).tolist()
    }


def _auc(true: np.ndarray, false: np.ndarray) -> float | None:
    """Area under the receiver operating characteristic: P(true > false) + P(equal) / 2; None without both."""
    if not len(true) or not len(false):
        return None
    ordered = np.sort(false)
    below = np.searchsorted(ordered, true, side="left") + np.searchsorted(ordered, true, side="right")
    return float(below.mean() / 2 / len(false))
