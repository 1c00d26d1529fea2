"""pictokg calibrate: turn a run's scores into probabilities, and say how far to trust them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pictokg.cli.common import AsJson, DataFolder, Device, RunFolder, Threads, console, prepare, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from pictokg.prediction.reliability import Reliability


def calibrate(
    run: RunFolder,
    method: Annotated[str, typer.Option(help="platt or isotonic.")] = "platt",
    ratio: Annotated[float, typer.Option(help="Unknown triples for each true one.")] = 1.0,
    split: Annotated[str, typer.Option(help="Whose triples to hold the probabilities against.")] = "test",
    seed: Annotated[int, typer.Option(help="Seed of the unknown triples and of the halves.", min=0)] = 0,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
    data: DataFolder = None,
) -> None:
    """Fit probabilities on validation, keep them in RUN/calibration.json, and measure and plot them on test."""
    from pictokg.prediction.calibration import FILE, fit_calibration
    from pictokg.prediction.reliability import measure_reliability
    from pictokg.report.reliability import write_reliability_plot
    from pictokg.run import load_run

    prepare(device, threads)
    trained = load_run(run, device=device, data=data)
    model, graph = trained.model, trained.data.graph
    encode = model.encode_all()
    calibration = fit_calibration(model, trained.data, method=method, ratio=ratio, seed=seed, encode=encode)
    calibration.save(run / FILE, tuple(graph.relations.names))
    reliability = measure_reliability(model, trained.data, calibration, split, encode=encode)
    write_reliability_plot(run / "reliability.svg", reliability)
    console().print(f"kept in {run / FILE}; plot in {run / 'reliability.svg'}", markup=False, soft_wrap=True)
    if as_json:
        print_json(reliability.to_dict())
        return
    from rich.console import Console

    Console(highlight=False, markup=False).print(*said_of(reliability), sep="\n", soft_wrap=False)


def said_of(reliability: Reliability) -> list[str | Table]:
    """What is printed: the error and the bins, then the relations."""
    said, common = reliability.protocol, reliability.common_error
    errors = f"expected calibration error {reliability.error:.3f}, Brier score {reliability.brier:.3f}"
    counts = f"{said['true']:,} true and {said['false']:,} unknown triples, ratio 1 : {said['ratio']:g}"
    few = "" if common is None else f"those without a curve of their own together: error {common:.3f}\n"
    return [
        f"{said['split']}: {errors}; {counts}, {said['method']}",
        table_of_bins(reliability),
        f"{few}thresholds for a precision of {said['precision']:g}, chosen on validation:",
        table_of_relations(reliability),
    ]


def table_of_bins(reliability: Reliability) -> Table:
    """How probable triples were said to be, and how many of them are true."""
    from rich.table import Table

    bins = Table(box=None)
    for column in ("probability", "mean", "true", "of all"):
        bins.add_column(column, justify="right")
    for found in reliability.bins:
        shares = (f"{found[name]:.3f}" for name in ("probability", "true", "weight"))
        bins.add_row(f"{found['lower']:.1f}–{found['upper']:.1f}", *shares)
    return bins


def table_of_relations(reliability: Reliability) -> Table:
    """The same relation by relation."""
    from rich.table import Table

    relations = Table(box=None)
    columns = ("relation", "true", "unknown", "error", "curve", "threshold", "precision", "recall")
    for column in columns:
        relations.add_column(column, justify="left" if column in ("relation", "curve") else "right", overflow="fold")
    for name, found in reliability.by_relation.items():
        figures = ("–" if found[key] is None else f"{found[key]:.3f}" for key in ("threshold", "precision", "recall"))
        cells = f"{found['true']:,}", f"{found['false']:,}", f"{found['error']:.3f}", found["curve"], *figures
        relations.add_row(name, *cells)
    return relations
