"""pictokg score: how true are these triples?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pictokg.cli.common import AsJson, DataFolder, Device, RunFolder, Threads, prepare, print_json


def score(
    run: RunFolder,
    triples: Annotated[Path, typer.Argument(help="Triples to score: .tsv, .csv, .parquet, .nt …", metavar="TRIPLES")],
    out: Annotated[Path | None, typer.Option(help="Write a TSV there instead of to stdout.")] = None,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
    data: DataFolder = None,
) -> None:
    """Score given triples; higher is truer. Prints head, relation, tail, score by tabs."""
    from pictokg.errors import DataError
    from pictokg.files import write_text
    from pictokg.graph.read import read_triples
    from pictokg.prediction.predictor import Predictor
    from pictokg.run import load_run

    prepare(device, threads)
    rows = [(head, relation, tail) for head, relation, tail in read_triples(triples).iter_rows()]
    trained = load_run(run, device=device, data=data)
    graph = trained.data.graph
    for number, (head, relation, tail) in enumerate(rows, start=1):
        for name, vocabulary, kind in (
            (head, graph.entities, "entity"),
            (relation, graph.relations, "relation"),
            (tail, graph.entities, "entity"),
        ):
            if name not in vocabulary:
                remedy = f"the run knows only the {kind} names it was trained with"
                raise DataError(f"triple {number}: {name!r} is no {kind} of the run", file=triples, remedy=remedy)
    scores = Predictor(trained.model, trained.data).scores(rows)
    if as_json:
        print_json(
            {
                "triples": [
                    {"head": row[0], "relation": row[1], "tail": row[2], "score": value}
                    for row, value in zip(rows, scores, strict=True)
                ]
            }
        )
        return
    text = "".join("\t".join([*row, f"{value:.6g}"]) + "\n" for row, value in zip(rows, scores, strict=True))
    if out:
        write_text(out, text)
    else:
        print(text, end="")
