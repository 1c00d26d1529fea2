"""From runs to the content of a report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pictokg.config import Config
    from pictokg.datasets.dataset import Dataset
    from pictokg.report.content import ModelResult


def write_run_report(
    folder: Path, data: Dataset, history: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any] | None = None
) -> Path:
    """Write RUN/report.html about one run and return its path.

    Args:
        folder: of the run.
        data: what it learned.
        history: its epochs, as in metrics.jsonl.
        evaluation: its evaluation report as a dictionary, where there is one.
    """
    from pictokg.assembly import seed_of
    from pictokg.report.content import Content, DataSummary
    from pictokg.report.page import write_report
    from pictokg.run import load_config

    config, path = load_config(folder), folder / "report.html"
    name = config.name("model")
    content = Content(
        title=f"{name} on {data.name}",
        models=[model_result(name, config, history, evaluation)],
        data=DataSummary.of(data),
        seed=seed_of(config),
        relation_labels=data.relation_labels,
        notes=data.notes,
        **circumstances(folder),
    )
    write_report(path, content)
    return path


def model_result(
    name: str,
    config: Config,
    history: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any] | None,
    seconds: float | None = None,
) -> ModelResult:
    """Put together what a report shows of a run; seconds are those of training alone where none are given."""
    from pictokg.report.content import ModelResult

    trained = sum(record["seconds"] for record in history) if history else None
    return ModelResult(
        name, modalities_of(config), settings_of(config), history, evaluation, trained if seconds is None else seconds
    )


def modalities_of(config: Config) -> tuple[str, ...]:
    """List what a model learns from, structure first."""
    from pictokg.assembly import modalities_read
    from pictokg.report.content import STRUCTURE

    chosen = config.options("model").get("modalities")
    read = tuple(modalities_read(config, config.options("features")))
    return read if chosen and STRUCTURE not in chosen else (STRUCTURE, *read)


def settings_of(config: Config) -> str:
    """Write the choices of a configuration in a line."""
    sections = []
    for section, options in config.sections.items():
        shown = [f"{key}={value}" for key, value in options.items() if key != "name" and value not in (None, "")]
        if "name" in options or shown:
            sections.append(" ".join([section, *filter(None, [options.get("name")]), *shown]))
    return "; ".join(sections)


def circumstances(folder: Path) -> dict[str, Any]:
    """Read from a run folder with what it was made; the time is now."""
    description = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    program, *arguments = description["command"]
    return {
        "versions": description["versions"],
        "command": shlex.join([Path(program).name, *arguments]),
        "time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
