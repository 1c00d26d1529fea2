"""`pictokg demo`: structure against pictures and words, on the embedded data set."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictokg.cli.common import AsJson, Device, Threads, console, prepare, print_json, progress_bar

if TYPE_CHECKING:
    from pictokg.config import Config
    from pictokg.datasets.dataset import Dataset
    from pictokg.models.base import Model
    from pictokg.report.content import ModelResult, NewFact


@dataclass(frozen=True, slots=True)
class Trial:
    """A model to train and its settings, as --set takes them."""

    model: str
    settings: Mapping[str, Any]


# Sized so that all of them, with drawing and encoding, take less than three minutes on two cores: small, and stopped
# before they have converged. What they reach when they are given more time stands in docs/measurements.md.
FAST = {"dim": 64, "precision": "bf16", "validate_every": 2}
TRIALS: Mapping[str, Trial] = {
    "transe": Trial("transe", {"dim": 64, "negatives": 32, "learning_rate": 0.01, "epochs": 10, "validate_every": 5}),
    "complex": Trial("complex", {**FAST, "epochs": 4}),
    "ikrl": Trial("ikrl", {**FAST, "negatives": 8, "learning_rate": 0.01, "epochs": 4, "validate_every": 4}),
    "gated-image": Trial("gated", {**FAST, "modalities": "structure,image", "epochs": 4}),
    "gated-text": Trial("gated", {**FAST, "modalities": "structure,text", "epochs": 4}),
    "gated-image-text": Trial("gated", {**FAST, "modalities": "structure,image,text", "epochs": 4}),
}
SHOWN = {"MRR": "mrr", "Hits@1": "hits@1", "Hits@3": "hits@3", "Hits@10": "hits@10", "seconds": "seconds"}
MARKER = "demo.json"  # says that a folder is a demo's, and which of its folders a new demo may replace


def demo(
    out: Annotated[Path, typer.Option(help="Where to write; an earlier demo there is replaced.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(help="Seed of every random draw.", min=0)] = 0,
    source: Annotated[str, typer.Option(help="Data folder with pictures and words, or 'glyphs'.")] = "glyphs",
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Train on triples alone, with pictures, with words and with both; compare on test; predict new facts.

    Writes a run folder a model, report.html and summary.json. A demo that was killed is started again with the same
    command.
    """
    prepare(device, threads)
    summary = run_demo(out, source=source, seed=seed, device=device)
    if as_json:
        print_json(summary)
        return
    _print_table(summary)
    console().print(f"report: {out / 'report.html'}   figures: {out / 'summary.json'}", markup=False)
    console().print(f"ask it on a page: {serve_command(out, summary)}", markup=False, soft_wrap=True)


def run_demo(
    out: Path, *, source: str = "glyphs", seed: int = 0, device: str = "cpu", trials: Mapping[str, Trial] = TRIALS
) -> dict[str, Any]:
    """Train and evaluate every trial, write runs, report and summary; the summary.

    Raises:
        DataError: `out` holds something that is no demo's.
    """
    from pictokg.prediction.predictor import Predictor
    from pictokg.report.new_facts import find_new_facts

    claim(out, list(trials))
    data = _load(source, seed, trials)
    results: list[ModelResult] = []
    best: tuple[float, str, Model] | None = None
    for name, trial in trials.items():
        result, model = _run_trial(out / name, _configuration(trial, seed), data, device)
        mrr = result.metric("mrr") or 0.0
        console().print(f"{name}: test MRR {mrr:.3f} after {result.seconds:.1f} s", markup=False)
        if best is None or mrr > best[0]:
            best = mrr, name, model
        results.append(result)
    assert best is not None, "a demo has trials"
    facts = find_new_facts(Predictor(best[2], data))
    return _write(out, data, seed, results, facts, best[1])


def serve_command(out: Path, summary: Mapping[str, Any]) -> str:
    """The command that opens the page on the best run, with the best of those that know triples alone beside it."""
    program = Path(sys.argv[0]).parent / "pictokg"  # in the virtual environment that `make demo` made
    others = [name for name in ("complex", "transe") if name in summary["models"] and name != summary["predicted_by"]]
    runs = [out / name for name in (summary["predicted_by"], *others[:1])]
    return " ".join([str(program) if program.exists() else "pictokg", "serve", *map(str, runs)])


def claim(out: Path, names: list[str]) -> None:
    """Make `out` the folder of a new demo: remove the runs and results of the demo that was there, and nothing else.

    Raises:
        DataError: it holds something and is no demo's.
    """
    from pictokg.errors import DataError
    from pictokg.files import write_text

    marker = out / MARKER
    old = _runs_of(marker)
    if old is None and out.exists() and any(out.iterdir()):
        raise DataError("holds something that no demo wrote", file=out, remedy="choose another folder with --out")
    # First of all, so that a demo that is killed at any later moment is known as one.
    write_text(marker, json.dumps({"runs": sorted({*(old or ()), *names})}) + "\n")
    for name in old or ():
        if (out / name).is_dir():
            shutil.rmtree(out / name)
    for name in ("report.html", "summary.json"):
        (out / name).unlink(missing_ok=True)


def _runs_of(marker: Path) -> list[str] | None:
    """Read which folders beside the marker are a demo's; None where it is not one of ours."""
    try:
        runs = json.loads(marker.read_text(encoding="utf-8"))["runs"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Folders will be removed by these names: none may lead out of the demo's own.
    plain = isinstance(runs, list) and all(isinstance(name, str) and Path(name).name == name for name in runs)
    return runs if plain and ".." not in runs else None


def _configuration(trial: Trial, seed: int) -> Config:
    from pictokg.config import configure

    return configure(trial.model, settings=[*trial.settings.items(), ("training.seed", seed)])


def _load(source: str, seed: int, trials: Mapping[str, Trial]) -> Dataset:
    """Load the data with every table that a trial reads, drawing and encoding what is not cached."""
    from pictokg.assembly import modalities_read
    from pictokg.cli.data import load_for_people

    if source == "glyphs":
        from pictokg.datasets.glyphs import cached

        with progress_bar("drawing characters", None, "characters") as (bar, task):
            cached(progress=lambda done, total: bar.update(task, completed=done, total=total))
    configs = [_configuration(trial, seed) for trial in trials.values()]

    def wanted(available: Mapping[str, Any]) -> list[str]:
        read = {name for config in configs for name in modalities_read(config, available)}
        return [name for name in available if name in read]

    return load_for_people(source, {}, wanted)


def _run_trial(folder: Path, config: Config, data: Dataset, device: str) -> tuple[ModelResult, Model]:
    """Train in a run folder, as `pictokg train` does, and evaluate on test."""
    from pictokg.assembly import modalities_read
    from pictokg.cli.reporting import model_result, write_run_report
    from pictokg.cli.train import train_to_end
    from pictokg.evaluation.ranking import evaluate
    from pictokg.run import create, with_features

    read = modalities_read(config, data.tables)
    features = {modality: name for modality, name in data.features.items() if modality in read}
    config = with_features(config, replace(data, features=features))
    start = time.perf_counter()
    begin = partial(create, folder, config, data, sys.argv)
    model, progress = train_to_end(config, data, folder, device, begin=begin)
    seconds = time.perf_counter() - start
    with progress_bar(f"ranking with {folder.name}", None, "questions") as (bar, task):
        report = evaluate(
            model, data, progress=lambda done, total: bar.update(task, completed=done, total=total)
        ).to_dict()
    write_run_report(folder, data, progress.history, report)
    return model_result(folder.name, config, progress.history, report, seconds), model


def _write(
    out: Path, data: Dataset, seed: int, results: list[ModelResult], facts: list[NewFact], best: str
) -> dict[str, Any]:
    """Write report.html and summary.json; the summary."""
    from pictokg.cli.reporting import circumstances
    from pictokg.files import write_text
    from pictokg.report.content import Content, DataSummary
    from pictokg.report.page import write_report

    made = circumstances(out / results[0].name)
    content = Content(
        title=f"What pictures and words add: {data.name}",
        models=results,
        data=DataSummary.of(data),
        seed=seed,
        relation_labels=data.relation_labels,
        new_facts=facts,
        predicted_by=best,
        notes=data.notes,
        **made,
    )
    summary = {
        "models": {result.name: _figures(result) for result in results},
        "seed": seed,
        "versions": made["versions"],
        "data": asdict(content.data),
        "new_facts": [
            {"head": fact.head.name, "relation": fact.relation, "tail": fact.tail.name, "score": fact.score}
            for fact in facts
        ],
        "predicted_by": best,
    }
    write_report(out / "report.html", content)
    write_text(out / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return summary


def _figures(result: ModelResult) -> dict[str, Any]:
    """All metrics, the seconds, and the MRR of each relation and slice: the figures of the report."""
    found: Mapping[str, Any] = result.evaluation or {}
    groups = ("by_relation", "by_side", "by_kind", "slices")
    mrr = {group: {key: metrics["mrr"] for key, metrics in found[group].items()} for group in groups}
    return {**found["metrics"], "seconds": result.seconds, "epochs": len(result.history), "mrr_by": mrr}


def _print_table(summary: Mapping[str, Any]) -> None:
    """Print a row a model."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{summary['data']['name']}, test", title_justify="left", box=None)
    table.add_column("model")
    for title in SHOWN:
        table.add_column(title, justify="right")
    for name, figures in summary["models"].items():
        cells = [
            "–" if figures[key] is None else f"{figures[key]:.{1 if key == 'seconds' else 3}f}"
            for key in SHOWN.values()
        ]
        table.add_row(name, *cells)
    Console(highlight=False, markup=False).print(table)
