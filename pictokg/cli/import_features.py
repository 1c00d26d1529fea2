"""`pictokg import-features`: bring a feature file of another project into a data folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from pictokg.cli.common import AsJson, console, print_json


def import_features(
    source: Annotated[str, typer.Argument(help="Data folder, or 'glyphs'.", metavar="FOLDER")],
    file: Annotated[Path, typer.Argument(help="The feature file.", metavar="FILE")],
    modality: Annotated[str, typer.Option(help="What it describes: image, text, or another word.")],
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="Format, as openke or mmrns. [default: the ending of FILE's name]")
    ] = "",
    order: Annotated[
        str, typer.Option(help="Whose row is which, where rows have no names: graph, sorted, or a file.")
    ] = "",
    names: Annotated[Path | None, typer.Option(help="File of entities, and after a tab their names in FILE.")] = None,
    prefix: Annotated[str, typer.Option(help="What to put before the names in FILE.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Option of the format, as codebook=FILE; repeatable.")
    ] = None,
    absent: Annotated[str, typer.Option(help="Rows that stand for nothing: none, zeros, repeated.")] = "none",
    fill: Annotated[str, typer.Option(help="What to invent for what is missing: none, zeros, mean, noise.")] = "none",
    seed: Annotated[int, typer.Option(help="Seed of --fill noise.", min=0)] = 0,
    name: Annotated[str, typer.Option(help="What to call the table. [default: MODALITY-NAME of FILE]")] = "",
    out: Annotated[Path | None, typer.Option(help="Where to store it. [default: FOLDER/features]")] = None,
    as_json: AsJson = False,
) -> None:
    """Read a feature file, give each entity its rows, and store the table, so that train finds it.

    Rows are joined by name, or by an order that is declared; nothing is guessed. Entities without rows have none,
    unless --fill asks for some. Pickles are read without running what is in them.
    """
    from pictokg.datasets.load import load
    from pictokg.features.gaps import Gaps
    from pictokg.features.importing import FeatureFile
    from pictokg.features.importing import import_features as run
    from pictokg.features.place import features_folder

    _check_choices(absent=absent, fill=fill)
    data = load(source, modalities=[])
    root = data.folder or Path()
    called = name or f"{modality}-{_plain(file.stem)}"
    _check_name(called)
    _check_name(modality)
    folder = (out or features_folder(root)) / called
    wanted = FeatureFile(file, format, order, names, prefix, dict(_setting(text) for text in settings or []))
    gaps = Gaps(absent, fill, seed)  # type: ignore[arg-type]  # checked above
    done = run(wanted, data.graph.entities, folder, modality=modality, gaps=gaps)
    if as_json:
        figures = {"folder": str(done.folder), "width": done.table.width, "coverage": done.coverage.as_dict()}
        print_json({**figures, "fingerprint": done.table.fingerprint, "notes": list(done.notes)})
        return
    screen = console()
    lines = [str(done.coverage), *(f"  note: {note}" for note in done.notes), f"  written to {done.folder}"]
    if out is None:
        lines.append(f"  train with it: pictokg train {source} --set features.{modality}={called} --out RUN")
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def _check_choices(**choices: str) -> None:
    from typing import get_args

    from pictokg.errors import ConfigError, nearest
    from pictokg.features.gaps import Absent, Fill

    allowed = {"absent": get_args(Absent), "fill": get_args(Fill)}
    for option, value in choices.items():
        if value not in allowed[option]:
            raise ConfigError(f"--{option} {value!r} does not exist; {nearest(value, allowed[option])}")


def _check_name(name: str) -> None:
    """A table's name is a folder's and a modality is a key of configurations: letters, digits, and - . _ within."""
    from pictokg.errors import ConfigError

    if _plain(name) != name or not name:
        raise ConfigError(f"{name!r} cannot name a table or a modality; take letters, digits, -, _ and .")


def _plain(name: str) -> str:
    """The name without signs that a folder should not have, and without dots at its start."""
    return re.sub(r"[^\w.-]+", "-", name).lstrip(".")


def _setting(text: str) -> tuple[str, str]:
    from pictokg.errors import ConfigError

    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text!r}: write it as option=value")
    return key.strip(), value.strip()
