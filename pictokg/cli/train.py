"""pictokg train: learn from a folder, or go on with a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictokg.cli.common import AsJson, DataFolder, Device, Threads, console, prepare, print_json, progress_bar

if TYPE_CHECKING:
    from pictokg.config import Config
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model
    from pictokg.training.fit import Progress


def train(
    source: Annotated[str | None, typer.Argument(help="Data folder, or 'glyphs'.", metavar="[FOLDER]")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the run.")] = None,
    model: Annotated[str, typer.Option(help="Model: a name, a file, module:object. [default: gated]")] = "",
    sampler: Annotated[str, typer.Option(help="Negative sampler. [default: what suits the model]")] = "",
    loss: Annotated[str, typer.Option(help="Loss. [default: what suits the model]")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, as dim=128 or loss.margin=6; repeatable.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of choices.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw. [default: 0]", min=0)] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run.", metavar="RUN")] = None,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
    data: DataFolder = None,
) -> None:
    """Train a model on a data folder: triples, and pictures and words where there are any.

    Pictures and words without a feature table are encoded first (pixels, tfidf) and cached. The best epoch by
    validation MRR is kept. A killed run goes on with --resume to the numbers of an unbroken one.
    """
    from pictokg.config import configure, parse_setting
    from pictokg.errors import ConfigError

    if (source is None) == (resume is None):
        raise ConfigError("give either a data folder to train on, or --resume RUN to go on with a run")
    if resume is not None:
        chosen = {"--set": settings, "--config": config, "--model": model, "--sampler": sampler, "--loss": loss}
        given = [option for option, value in {**chosen, "--out": out, "--seed": seed}.items() if value or value == 0]
        if given:
            raise ConfigError(
                f"a run goes on with the choices it was made with (its config.toml); leave out {', '.join(given)}"
            )
    prepare(device, threads)
    if resume is not None:
        progress, folder = _resume(resume, device, data), resume
    else:
        assert source is not None, "checked above"
        if out is None:
            raise ConfigError("say where to write the run: --out RUN")
        pairs = [parse_setting(text) for text in settings or []]
        if seed is not None:
            pairs.append(("training.seed", seed))
        choose = partial(
            configure, model or None, file=config, parts={"sampler": sampler, "loss": loss}, settings=pairs
        )
        progress, folder = _start(source, choose, out, device), out
    _report(progress, folder, as_json)


def _start(source: str, choose: Callable[..., Config], out: Path, device: str) -> Progress:
    """Read (and where needed encode) the data, write the run folder, train."""
    from pictokg.assembly import build_objective, modalities_loaded
    from pictokg.cli.data import load_for_people
    from pictokg.config import size_of
    from pictokg.run import create, refuse_other_files, with_features

    config = _chosen_unread(choose)
    build_objective(config)
    refuse_other_files(out)
    data = load_for_people(source, config.options("features"), lambda available: modalities_loaded(config, available))
    size = size_of(data.graph.num_entities, len(data.graph.split("train")))
    config = with_features(choose(size=size), data)
    return _train(config, data, out, device, begin=partial(create, out, config, data, sys.argv))


def _chosen_unread(choose: Callable[..., Config]) -> Config:
    """The configuration before the data are read: a typo should not cost the time of reading them.

    An option may suit the defaults for graphs of one size alone, as `shared` those for large ones.
    """
    from pictokg.errors import ConfigError

    try:
        return choose()
    except ConfigError:
        with suppress(ConfigError):
            return choose(size="large")
        raise


def _resume(folder: Path, device: str, source: str | None) -> Progress:
    """Read the data that the run remembers and go on."""
    from pictokg.run import load_config, load_data

    config = load_config(folder)
    return _train(config, load_data(folder, config, source), folder, device)


def _train(
    config: Config, data: Dataset, folder: Path, device: str, *, begin: Callable[[], None] | None = None
) -> Progress:
    """Train to the end and write the report of the run; one that has ended keeps the report it has."""
    from pictokg.cli.reporting import write_run_report
    from pictokg.training.fit import read_metrics

    before = len(read_metrics(folder))
    if config.options("training")["memory_budget"]:
        progress = _train_on_disk(config, data, folder, device, begin=begin)
    else:
        _, progress = train_to_end(config, data, folder, device, begin=begin)
    if len(progress.history) > before or not (folder / "report.html").exists():
        write_run_report(folder, data, progress.history)
    return progress


def _train_on_disk(
    config: Config, data: Dataset, folder: Path, device: str, *, begin: Callable[[], None] | None = None
) -> Progress:
    """As `train_to_end`, with most entity rows on disk, beside the run's checkpoints."""
    from pictokg.assembly import build_partitioned
    from pictokg.training.fit_partitioned import check, fit_partitioned, table_path
    from pictokg.training.loop import TrainingOptions

    check(TrainingOptions(**config.options("training")), device)
    with progress_bar("training", None, "triples") as (bar, task):
        trainer = build_partitioned(config, data, table_path(folder), lambda done: bar.update(task, completed=done))
        if begin:
            begin()
        bar.update(task, total=len(trainer.triples))

        def show(record: dict[str, Any]) -> None:
            description = f"epoch {record['epoch']}/{trainer.options.epochs}"
            bar.update(task, description=description, note=f"loss {record['loss']:.4f}")

        return fit_partitioned(trainer, folder, resume=begin is None, on_epoch=show)


def train_to_end(
    config: Config, data: Dataset, folder: Path, device: str, *, begin: Callable[[], None] | None = None
) -> tuple[Model, Progress]:
    """Train with a progress bar; the model with its best parameters, and how it went.

    Args:
        config: what to train; data: what on.
        folder: of the run; device: where to compute.
        begin: makes the run folder, once all that can be refused has been; None goes on with the run in it.
    """
    from pictokg.assembly import build_model, build_trainer, seed_of
    from pictokg.training.fit import fit, last_path
    from pictokg.training.warm_start import warm_start

    model = build_model(config, data, seed=seed_of(config))
    resume, start = begin is None, config.options("training")["warm_start"]
    if start and not (resume and last_path(folder).exists()):
        warm_start(model, data, Path(start))
    model.to(device)
    with progress_bar("training", None, "triples") as (bar, task):
        trainer = build_trainer(config, model, data, on_batch=lambda done: bar.update(task, completed=done))
        bar.update(task, total=len(trainer.triples))
        if begin:
            begin()

        def show(record: dict[str, Any]) -> None:
            epochs = trainer.options.epochs
            bar.update(task, description=f"epoch {record['epoch']}/{epochs}", note=f"loss {record['loss']:.4f}")
            if "validation" in record:
                bar.console.print(
                    f"epoch {record['epoch']:>4}/{epochs}   loss {record['loss']:.4f}"
                    f"   validation MRR {record['validation']['mrr']:.4f}"
                    f"   {record['triples_per_second']:,.0f} triples/s"
                )

        return model, fit(trainer, data, folder=folder, resume=resume, on_epoch=show)


def _report(progress: Progress, folder: Path, as_json: bool) -> None:
    """Say how it went and what to do next."""
    if as_json:
        best = None if progress.best_epoch == 0 else {"epoch": progress.best_epoch, "mrr": progress.best_mrr}
        print_json({"run": str(folder), "epochs": len(progress.history), "best": best})
        return
    screen = console()
    if progress.best_epoch:
        screen.print(f"best epoch {progress.best_epoch}: validation MRR {progress.best_mrr:.4f}")
    screen.print(f"run written to {folder}; next: {next_verb(folder)}")


def next_verb(folder: Path) -> str:
    """What can be done with a run: evaluate on a split that its data have, else predict."""
    splits = json.loads((folder / "run.json").read_text(encoding="utf-8"))["data"]["splits"]
    if splits.get("test"):
        return f"pictokg evaluate {folder}"
    if splits.get("valid"):
        return f"pictokg evaluate {folder} --split valid"
    return f"pictokg predict {folder} --head NAME --relation NAME"
