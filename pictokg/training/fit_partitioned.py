"""A whole run whose entity rows lie on disk: train, save so that a killed run can go on, write the model at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pictokg.errors import ConfigError
from pictokg.training.fit import SECONDS_BETWEEN_CHECKPOINTS, Progress, best_path, last_path, write_metrics

if TYPE_CHECKING:
    from pictokg.training.loop import TrainingOptions
    from pictokg.training.partitioned import PartitionedTrainer


def table_path(folder: Path) -> Path:
    """Where the rows of a run lie while it trains."""
    return folder / "checkpoints" / "table.npy"


def check(options: TrainingOptions, device: str) -> None:
    """ConfigError where a run larger than memory is asked for what needs the whole table in memory."""
    if options.validate_every:
        raise ConfigError("validation needs all entity rows in memory; with memory_budget set validate_every=0")
    if device != "cpu":
        raise ConfigError(f"memory_budget is for training on the CPU, not on {device}")


def fit_partitioned(
    trainer: PartitionedTrainer,
    folder: Path,
    *,
    resume: bool = False,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Progress:
    """Train to the end; the last epoch is kept, in the run folder, as a model like any other.

    Args:
        trainer: whose table lies at `table_path(folder)`.
        folder: run folder for metrics.jsonl and checkpoints/.
        resume: go on from the folder's checkpoint, if it has one.
        on_epoch: called with each epoch's record.
    """
    checkpoints, progress, saved = last_path(folder).parent, Progress(), time.monotonic()
    if resume and last_path(folder).exists():
        progress = Progress(**trainer.load(checkpoints))
    for report in trainer.epochs():
        record = asdict(report)
        progress.history.append(record)
        progress.finished = trainer.epoch >= trainer.options.epochs
        if progress.finished or time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
            write_metrics(folder, progress.history)
            trainer.save(checkpoints, asdict(progress))
            saved = time.monotonic()
        if on_epoch:
            on_epoch(record)
    trainer.write_model(best_path(folder))
    table_path(folder).unlink()
    return progress
