"""pictokg export: vectors with names, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pictokg.cli.common import AsJson, DataFolder, Device, RunFolder, Threads, console, prepare, print_json


def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    as_npy: Annotated[bool, typer.Option("--npy", help="Write .npy files and name lists instead of Parquet.")] = False,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
    data: DataFolder = None,
) -> None:
    """Write entity and relation vectors with their names: entities.parquet and relations.parquet, or .npy + .txt."""
    import torch

    from pictokg.prediction.export import export_vectors
    from pictokg.run import load_run

    prepare(device, threads)
    trained = load_run(run, device=device, data=data)
    with torch.no_grad():
        written = export_vectors(trained.model, trained.data, out, npy=as_npy)
    if as_json:
        print_json({"files": [{"path": str(path), "rows": rows, "width": width} for path, rows, width in written]})
        return
    for path, rows, width in written:
        console().print(f"{path}: {rows:,} vectors of width {width}")
