"""pictokg complete: propose new facts for a whole graph, or for some of its relations or entities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pictokg.cli.answering import predictor_of
from pictokg.cli.common import (
    AsJson,
    DataFolder,
    Device,
    RunFolder,
    Threads,
    console,
    prepare,
    print_json,
    progress_bar,
)
from pictokg.cli.completed import Kept, precision_of, table_of

if TYPE_CHECKING:
    from rich.console import Console

    from pictokg.prediction.completion import Completer, Fact


def complete(
    run: RunFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .parquet, .tsv or .nt (N-Triples).")],
    relation: Annotated[list[str] | None, typer.Option(help="Keep to this relation; may be given again.")] = None,
    entity: Annotated[list[str] | None, typer.Option(help="Ask about this entity only; may be given again.")] = None,
    per_query: Annotated[int, typer.Option(help="New answers a question at most.", min=1)] = 10,
    limit: Annotated[int | None, typer.Option(help="Keep the most probable of all facts only.", min=1)] = None,
    min_probability: Annotated[
        float | None, typer.Option(help="Leave out less probable facts; nothing is left out by default.", min=0, max=1)
    ] = None,
    questions: Annotated[
        int, typer.Option(help="Questions at most: those that most probably lack an answer.", min=1)
    ] = 100_000,
    review: Annotated[Path | None, typer.Option(help="Also write a page (.html) to accept or reject facts on.")] = None,
    review_facts: Annotated[int, typer.Option(help="Facts on that page: the most probable ones.", min=1)] = 200,
    search: Annotated[str, typer.Option(help="auto, scan (exact) or index (faiss).")] = "auto",
    memory: Annotated[int, typer.Option(help="MiB to use beside the model.", min=1)] = 512,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
    data: DataFolder = None,
) -> None:
    """Propose new facts with their probabilities, and write them to a file."""
    from pictokg.prediction.completion import Completer
    from pictokg.prediction.completion import complete as new_facts
    from pictokg.prediction.fact_files import write_facts
    from pictokg.prediction.index import make_search
    from pictokg.run import load_run

    check_endings(out, review)  # before the work, not after it
    prepare(device, threads)
    screen = console()
    trained = load_run(run, device=device, data=data)
    predictor = predictor_of(run, trained)
    finder = make_search(trained.model, trained.data, predictor.encode, kind=search, memory=memory)
    screen.print(f"search: {finder.description}", markup=False, soft_wrap=True)
    with progress_bar("asking", None, "questions") as (bar, task):
        completer = Completer(
            predictor,
            search=finder,
            questions=questions,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        facts = new_facts(
            completer,
            relations=relation,
            entities=entity,
            per_query=per_query,
            limit=limit,
            min_probability=min_probability,
        )
        kept = Kept(review_facts if review else 0)
        write_facts(out, kept.passing(facts))
    precision = say_facts(out, kept, completer, min_probability)
    if review is not None:
        write_page(review, completer, kept.best(), screen)
    if as_json:
        print_summary(out, review, kept, completer, precision)


def check_endings(out: Path, review: Path | None) -> None:
    """ConfigError for a file whose ending says that it is none of ours."""
    from pictokg.errors import ConfigError
    from pictokg.prediction.fact_files import writer_of

    writer_of(out)
    if review is not None and review.suffix not in (".html", ".htm"):
        raise ConfigError(f"{review}: the review page is HTML; give a file that ends in .html")


def say_facts(out: Path, kept: Kept, completer: Completer, threshold: float | None) -> dict[str, dict[str, Any]]:
    """Say how many facts were written and how precise such facts were; that precision, by relation."""
    screen, precision = console(), precision_of(kept, completer, threshold)
    screen.print(f"{kept.count.total():,} new facts in {out}", markup=False, soft_wrap=True)
    if precision:
        screen.print(table_of(kept, precision), markup=False)
        screen.print(
            "precision: of held-out triples as probable or more, beside unknown ones at the ratio of the calibration"
        )
    return precision


def print_summary(
    out: Path, review: Path | None, kept: Kept, completer: Completer, precision: dict[str, dict[str, Any]]
) -> None:
    """Print what was written as JSON."""
    print_json(
        {
            "facts": kept.count.total(),
            "by_relation": dict(kept.count),
            "precision": precision,
            "file": str(out),
            "review": None if review is None else str(review),
            "search": completer.search.description,
            "calibrated": completer.predictor.calibration is not None,
        }
    )


def write_page(path: Path, completer: Completer, facts: list[Fact], screen: Console) -> None:
    """Write the review page and say so."""
    from pictokg.report.review import nearest_fact, write_review

    predictor = completer.predictor
    write_review(path, predictor.data, facts, nearest_fact(predictor), predictor.calibration)
    screen.print(f"{len(facts):,} of them to review on {path}", markup=False, soft_wrap=True)
