"""`pictokg glyphs`: write the embedded data set as an ordinary data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pictokg.cli.common import AsJson, print_json


def glyphs(
    out: Annotated[Path, typer.Option(help="Folder to write; it must be empty or not exist.")],
    seed: Annotated[int, typer.Option(help="Seed of the split into train, valid and test.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Write the glyphs graph (Unicode characters, their pictures, names and facts) as a data folder."""
    import tomllib

    from rich.console import Console
    from rich.progress import Progress

    from pictokg.datasets.glyphs import generate

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Drawing characters", total=None)
        generate(out, seed=seed, progress=lambda done, total: bar.update(task, completed=done, total=total))
    manifest = tomllib.loads((out / "manifest.toml").read_text(encoding="utf-8"))
    counts, versions = manifest["counts"], manifest["versions"]
    if as_json:
        print_json({"folder": str(out), "counts": counts, "versions": versions})
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"entities   {counts['characters']:,} characters and {counts['values']:,} values")
    console.print(f"triples    {counts['triples']:,} in {counts['relations']} relations")
    console.print(f"splits     {counts['train']:,} train, {counts['valid']:,} valid, {counts['test']:,} test")
    console.print(f"pictures   {counts['pictures']:,} (Unicode {versions['unicode']}, DejaVu {versions['dejavu']})")
    console.print(f"folder     {out}", markup=False)
