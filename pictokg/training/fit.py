"""A whole run: train, validate, stop early, keep the best, save so that a killed run can go on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.files import write_text
from pictokg.graph.graph import KnowledgeGraph
from pictokg.memory import give_back_memory
from pictokg.training.checkpoint import (
    load_checkpoint,
    load_parameters,
    load_tensors,
    save_checkpoint,
    save_tensors,
)

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.graph.known import Known
    from pictokg.training.loop import EpochReport, Trainer

SECONDS_BETWEEN_CHECKPOINTS = 5.0  # an epoch of a small graph takes milliseconds, its checkpoint should not cost more


@dataclass(slots=True)
class Progress:
    """How far a run is: the best validation MRR so far, when it was, and what every epoch reported."""

    best_mrr: float = -1.0
    best_epoch: int = 0
    validations_since_best: int = 0
    finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


def fit(
    trainer: Trainer,
    data: Dataset,
    *,
    folder: Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Progress:
    """Train to the end and leave the best parameters in the model.

    Args:
        trainer: model, objective and options.
        data: its valid split chooses the best epoch; without one the last epoch is kept.
        folder: run folder for metrics.jsonl and checkpoints/; None keeps everything in memory.
        resume: go on from the folder's checkpoint, if it has one.
        on_epoch: called with each epoch's record.
    """
    progress = _restore(trainer, folder) if resume and folder else Progress()
    keeper = Keeper(trainer, folder, data.known())
    validation = validation_data(data, trainer.options.validation_triples, trainer.options.seed)
    if not progress.finished:
        for report in trainer.epochs():
            record = _record(trainer, report, validation, progress, keeper)
            progress.history.append(record)
            progress.finished = _is_over(trainer, progress)
            keeper.save(progress)
            give_back_memory()
            if on_epoch:
                on_epoch(record)
            if progress.finished:
                break
    keeper.restore_best(progress)
    return progress


def validation_data(data: Dataset, at_most: int, seed: int) -> Dataset | None:
    """The data with a split "validation": valid, or a seeded sample of it; None where there is no valid split."""
    valid = data.graph.splits.get("valid")
    if valid is None or not len(valid):
        return None
    if at_most and len(valid) > at_most:
        valid = valid[np.sort(np.random.default_rng(seed).choice(len(valid), at_most, replace=False))]
    graph = KnowledgeGraph(data.graph.entities, data.graph.relations, {**data.graph.splits, "validation": valid})
    return replace(data, graph=graph)


class Keeper:
    """Keeps the best parameters, in the run folder or in memory, the checkpoint to resume from, the true answers."""

    def __init__(self, trainer: Trainer, folder: Path | None, known: Known) -> None:
        self.trainer, self.folder, self.known = trainer, folder, known
        self._best: dict[str, Any] | None = None
        self._saved = time.monotonic()

    def keep_best(self) -> None:
        """Remember the parameters as they are now."""
        if self.folder:
            save_tensors(best_path(self.folder), self.trainer.model.state_dict(), {})
        else:
            self._best = {name: value.detach().clone() for name, value in self.trainer.model.state_dict().items()}

    def save(self, progress: Progress) -> None:
        """Write metrics and a checkpoint: every few seconds, and at the end."""
        if not self.folder or not (progress.finished or time.monotonic() - self._saved > SECONDS_BETWEEN_CHECKPOINTS):
            return
        write_metrics(self.folder, progress.history)
        save_checkpoint(last_path(self.folder), self.trainer, asdict(progress))
        self._saved = time.monotonic()

    def restore_best(self, progress: Progress) -> None:
        """Put the best parameters back; without validations the last ones are the best."""
        if progress.best_epoch == 0:
            self.keep_best()
        elif self.folder:
            tensors, _ = load_tensors(best_path(self.folder))
            load_parameters(self.trainer.model, tensors, best_path(self.folder))
        elif self._best is not None:
            self.trainer.model.load_state_dict(self._best)
        self.trainer.model.eval()


def best_path(folder: Path) -> Path:
    """Where a run keeps its best parameters."""
    return folder / "checkpoints" / "best.safetensors"


def last_path(folder: Path) -> Path:
    """Where a run keeps what it needs to go on."""
    return folder / "checkpoints" / "last.safetensors"


def write_metrics(folder: Path, history: Iterable[dict[str, Any]]) -> None:
    """Write metrics.jsonl, one line an epoch."""
    write_text(folder / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in history))


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Read what `write_metrics` wrote."""
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _restore(trainer: Trainer, folder: Path) -> Progress:
    """Go on from the checkpoint; from the start where the run was killed before its first."""
    path = last_path(folder)
    return Progress(**load_checkpoint(path, trainer)) if path.exists() else Progress()


def _record(
    trainer: Trainer, report: EpochReport, validation: Dataset | None, progress: Progress, keeper: Keeper
) -> dict[str, Any]:
    """The epoch's line in metrics.jsonl, with a validation when one is due; keeps the best parameters."""
    record: dict[str, Any] = asdict(report)
    options = trainer.options
    due = options.validate_every and (report.epoch % options.validate_every == 0 or report.epoch == options.epochs)
    if not due or validation is None:
        return record
    from pictokg.evaluation.metrics import summarise
    from pictokg.evaluation.ranking import rank

    start = time.perf_counter()
    ranks = rank(trainer.model, validation, "validation", known=keeper.known)
    metrics = summarise(ranks.by("realistic"), ranks.candidates)
    record["validation"] = {**metrics, "seconds": time.perf_counter() - start}
    mrr = metrics["mrr"]
    assert mrr is not None, "a validation split that is not empty has an MRR"
    if mrr > progress.best_mrr:
        progress.best_mrr, progress.best_epoch, progress.validations_since_best = mrr, report.epoch, 0
        keeper.keep_best()
    else:
        progress.validations_since_best += 1
    return record


def _is_over(trainer: Trainer, progress: Progress) -> bool:
    """Whether all epochs are done or validation has stopped getting better."""
    patience = trainer.options.patience
    return trainer.epoch >= trainer.options.epochs or (patience > 0 and progress.validations_since_best >= patience)
