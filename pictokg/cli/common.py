"""What several verbs share: options, output, threads."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

RunFolder = Annotated[Path, typer.Argument(help="Folder of a trained run.", metavar="RUN")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or cuda:0 …")]
Threads = Annotated[int, typer.Option(help="Threads to compute with; 0 takes all cores.", min=0)]
DataFolder = Annotated[str | None, typer.Option("--data", help="The data folder, where it has moved since training.")]


def console() -> Console:
    """Where progress and tables for people go: stderr, so that stdout can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(value: Mapping[str, Any]) -> None:
    """Write JSON to stdout; numbers that JSON lacks (NaN, ∞) become null before they get here."""
    json.dump(value, sys.stdout, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def prepare(device: str, threads: int) -> None:
    """Set the number of threads and check the device; ConfigError with what there is."""
    import torch

    from pictokg.errors import ConfigError
    from pictokg.memory import keep_freed_memory

    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        cuda = ", cuda" if torch.cuda.is_available() else ""
        raise ConfigError(f"cannot use device {device!r}; this machine has: cpu{cuda}") from error


@contextmanager
def progress_bar(description: str, total: float | None, unit: str = "") -> Iterator[tuple[Progress, Any]]:
    """A progress bar on stderr; nothing is drawn where stderr is no terminal, but lines printed above it are."""
    with _progress(unit, console()) as progress:
        yield progress, progress.add_task(description, total=total, note="")


@contextmanager
def encoding_bars(screen: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A bar a modality that is being encoded, with its rate; gives the function to report progress to."""
    with _progress("items", screen) as progress:
        started: dict[str, tuple[Any, float]] = {}

        def show(modality: str, done: int, total: int) -> None:
            if modality not in started:
                started[modality] = progress.add_task(f"encoding {modality}", total=total, note=""), time.monotonic()
            task, start = started[modality]
            rate = done / max(time.monotonic() - start, 1e-3)
            progress.update(task, completed=done, note=f"{rate:,.0f}/s")

        yield show


def _progress(unit: str, screen: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
