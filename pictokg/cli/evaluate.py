"""`pictokg evaluate`: rank the answers of a split among all candidates."""

from __future__ import annotations

from typing import Annotated

import typer

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

Terms = Annotated[
    str | None, typer.Option(help="Score terms to use: sbr, ibr, union, all, or a list such as ss,ii (IKRL).")
]


def evaluate(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="Whose triples to ask about.")] = "test",
    terms: Terms = None,
    raw: Annotated[bool, typer.Option("--raw", help="Keep other known answers among the candidates.")] = False,
    ties: Annotated[str, typer.Option(help="realistic, optimistic or pessimistic ranks.")] = "realistic",
    relations: Annotated[
        bool, typer.Option("--relations/--no-relations", help="Also ask (head, ?, tail), reported apart.")
    ] = True,
    sampled: Annotated[
        int | None, typer.Option(help="Rank against so many random entities only, for graphs of millions.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw of those entities.", min=0)] = 0,
    memory: Annotated[int, typer.Option(help="MiB to use beside the model.", min=1)] = 512,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
    data: DataFolder = None,
) -> None:
    """Say how good a run is: MRR, mean rank and Hits@k over all entities, by side, relation and slice."""
    from pictokg.cli.reporting import write_run_report
    from pictokg.errors import PictoKGError
    from pictokg.evaluation.options import RankingOptions
    from pictokg.evaluation.ranking import evaluate as rank_all
    from pictokg.run import load_run
    from pictokg.training.fit import read_metrics

    options = RankingOptions(
        filtered=not raw,
        ties=ties,
        sides=("head", "relation", "tail") if relations else ("head", "tail"),
        memory=memory,
        sampled=sampled,
        seed=seed,
    )
    prepare(device, threads)
    trained = load_run(run, device=device, data=data)
    if terms is not None:
        trained.model.use_terms(terms)
    with progress_bar("ranking", None, "questions") as (bar, task):
        report = rank_all(
            trained.model,
            trained.data,
            split,
            options,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if (split, terms, options.sampled, options.filtered) == ("test", None, None, True):
        try:
            write_run_report(run, trained.data, read_metrics(run), report.to_dict())
        except PictoKGError as error:  # the figures are what was asked for; the run may be read-only
            console().print(f"warning: no report: {error}", markup=False, soft_wrap=True)
    if as_json:
        print_json({**report.to_dict(), "terms": terms})
        return
    from rich.console import Console

    from pictokg.evaluation.render import ranking_tables

    Console(highlight=False, markup=False).print(*ranking_tables(report), sep="\n")
