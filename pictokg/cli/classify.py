"""`pictokg classify`: call the triples of a split true or false."""

from __future__ import annotations

from typing import Annotated

import typer

from pictokg.cli.common import AsJson, DataFolder, Device, RunFolder, Threads, prepare, print_json
from pictokg.cli.evaluate import Terms


def classify(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="Whose triples to classify.")] = "test",
    validation: Annotated[str, typer.Option(help="Where the thresholds are chosen.")] = "valid",
    terms: Terms = None,
    seed: Annotated[int, typer.Option(help="Seed of the false triples, where the data give none.", min=0)] = 0,
    least_examples: Annotated[
        int, typer.Option(help="Validation examples a relation needs for a threshold of its own.", min=1)
    ] = 10,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
    data: DataFolder = None,
) -> None:
    """Say how often a run tells true triples from false ones, by thresholds chosen on validation."""
    from pictokg.evaluation.classification import classify as classify_all
    from pictokg.run import load_run

    prepare(device, threads)
    trained = load_run(run, device=device, data=data)
    if terms is not None:
        trained.model.use_terms(terms)
    report = classify_all(
        trained.model, trained.data, split, validation=validation, seed=seed, least_examples=least_examples
    )
    if as_json:
        print_json({**report.to_dict(), "terms": terms})
        return
    from rich.console import Console

    from pictokg.evaluation.render import classification_tables

    Console(highlight=False, markup=False).print(*classification_tables(report), sep="\n")
