"""pictokg inspect: what is wrong with a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pictokg.cli.common import AsJson, print_json, progress_bar

if TYPE_CHECKING:
    from pictokg.audit.audit import Audit


def inspect(
    source: Annotated[str, typer.Argument(help="Data folder, or 'glyphs'.", metavar="FOLDER")],
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 on leaks.")] = False,
    pictures: Annotated[
        bool,
        typer.Option("--pictures/--no-pictures", help="Open every picture to see whether it can be decoded."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Audit a data folder: leaks between splits, repeated triples, unseen names, missing and broken pictures.

    A leak is a triple that stands in two splits, or a test set of which the inverse rule, a look-up without
    learning, answers more than half (Hits@1 above 0.5). Fewer inverses, repeated triples, unseen names and
    broken pictures are warnings.
    """
    from pictokg.datasets.load import locate

    folder = locate(source)
    report = _audit(folder, pictures)
    if as_json:
        print_json(report.as_json())
    else:
        from rich.console import Console

        from pictokg.audit.report import render

        Console(highlight=False).print(render(report, folder.resolve().name))
    if strict and report.leaks:
        raise typer.Exit(1)


def _audit(folder: Path, pictures: bool) -> Audit:
    """Read and audit, with a bar while pictures are opened."""
    from pictokg.audit.audit import audit
    from pictokg.graph.read.folder import read_folder

    raw = read_folder(folder)
    files = sum(map(len, raw.pictures.values()))
    if not pictures or not files:
        return audit(raw, decode_pictures=False)
    with progress_bar("opening pictures", files, "pictures") as (bar, task):
        return audit(raw, progress=lambda done: bar.update(task, completed=done))
