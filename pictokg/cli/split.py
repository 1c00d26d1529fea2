"""pictokg split: a clean train, valid and test from a leaking folder or from one file of triples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pictokg.cli.common import AsJson, print_json


def split(
    folder: Annotated[Path, typer.Argument(help="Data folder.", metavar="FOLDER")],
    out: Annotated[Path, typer.Option(help="The new data folder; must be empty or not exist.")],
    valid: Annotated[
        float,
        typer.Option(help="Share (or number, from 1 on) of the pooled triples to carve out for validation."),
    ] = 0.1,
    test: Annotated[
        float | None,
        typer.Option(help="The same for test, where there is none. [default: 0.1]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.", min=0)] = 0,
    per_relation: Annotated[
        bool, typer.Option("--per-relation", help="Take the shares from every relation alike.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a data folder whose splits share no triple, with all other files of the old one.

    The test file stays as it is, row for row. All other triples are pooled, each once: repetitions and
    triples of test are dropped and counted; old validation triples that are new are pooled too. Validation is
    then carved out of the pool such that train keeps every entity and relation of it. Without a test file,
    test is cut first.
    """
    from pictokg.audit.resplit import SplitOptions, resplit
    from pictokg.audit.rewrite import check_target, write_resplit
    from pictokg.graph.read.folder import read_folder

    check_target(folder, out)
    graph = read_folder(folder).graph
    new = resplit(graph, SplitOptions(valid, test, seed, per_relation))
    write_resplit(folder, out, graph, new.splits)
    sizes = {name: len(triples) for name, triples in new.splits.items()}
    if as_json:
        print_json({"out": str(out), "splits": sizes, "changes": new.changes})
        return
    for change in new.changes:
        print(change)
    print(f"written to {out}: " + ", ".join(f"{size:,} {name}" for name, size in sizes.items()))
