"""pictokg score: how true are these triples?"""

from __future__ import annotations

import re
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
    for number, row in enumerate(rows, start=1):
        kinds = (("entity", graph.entities), ("relation", graph.relations), ("entity", graph.entities))
        for name, (kind, vocabulary) in zip(row, kinds, strict=True):
            if name not in vocabulary:
                remedy = f"the run knows only the {kind} names it was trained with"
                raise DataError(
                    f"triple {number}: {name!r} is no {kind} of the run",
                    file=triples,
                    line=line_of(triples, name),
                    remedy=remedy,
                )
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


def line_of(file: Path, name: str) -> int | None:
    """The first line of a text file with this name between separators; None in other files."""
    try:
        with file.open(encoding="utf-8") as lines:
            return next((number for number, line in enumerate(lines, start=1) if name in fields(line)), None)
    except UnicodeDecodeError:
        return None


def fields(line: str) -> list[str]:
    """What stands between tabs, commas, spaces, quotes and angle brackets."""
    return re.split(r"\t|,", line.strip()) + re.split(r'[\s,"<>]+', line.strip())
