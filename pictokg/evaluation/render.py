"""Evaluation reports as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from pictokg.evaluation.classification import ClassificationReport
    from pictokg.evaluation.metrics import Metrics
    from pictokg.evaluation.report import Report

_SHOWN = ("mrr", "hits@1", "hits@3", "hits@10", "mr", "amri")
_RELATIONS = 12  # rows of a table by relation; the JSON has all


def as_text(parts: Sequence[Table | str]) -> str:
    """Titles and tables as plain text."""
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    Console(file=out, width=110, highlight=False, markup=False).print(*parts, sep="\n")
    return out.getvalue().rstrip()


def ranking_tables(report: Report) -> list[Table | str]:
    """All, sides, kinds and slices in one table; the relations most asked about in another."""
    protocol = report.protocol
    against = f"{protocol['candidates']:,}" + (" SAMPLED entities" if protocol["sampled"] else " entities")
    filtered = "filtered" if protocol["filtered"] else "raw"
    title = f"{protocol['split']}: {protocol['questions']:,} questions, {against}, {filtered}, {protocol['ties']}"
    everything = {"all": {"count": protocol["questions"], **report.metrics}}
    groups = [everything, report.by_side, report.by_kind, report.slices]
    if report.relations:
        groups.append({"which relation": report.relations})
    parts: list[Table | str] = [title, _ranking_table(groups)]
    if len(report.by_relation) > 1:
        most = sorted(report.by_relation.items(), key=lambda item: -(item[1]["count"] or 0))
        more = f" (the {_RELATIONS} most asked of {len(most)})" if len(most) > _RELATIONS else ""
        parts += [f"by relation{more}", _ranking_table([dict(most[:_RELATIONS])])]
    return parts


def classification_tables(report: ClassificationReport) -> list[Table | str]:
    """The accuracies over all, and those of the largest relations."""
    negatives = ", ".join(sorted(set(report.protocol["negatives"].values())))
    table = _table("triples", "accuracy", "threshold")
    table.add_row("micro", f"{report.count:,}", f"{report.micro:.4f}", "")
    table.add_row("macro", "", f"{report.macro:.4f}", "")
    if report.auc is not None:
        table.add_row("AUC", "", f"{report.auc:.4f}", "")
    most = sorted(report.by_relation.items(), key=lambda item: -item[1]["count"])
    for name, figures in most[:_RELATIONS]:
        note = "" if figures["own_threshold"] else " (global)"
        table.add_row(name, f"{figures['count']:,}", f"{figures['accuracy']:.4f}", f"{figures['threshold']:.4g}{note}")
    return [f"{report.protocol['split']}: are these triples true? (false ones {negatives})", table]


def _table(*columns: str) -> Table:
    """A table of figures: a column of names, which fold rather than lose their end, and these."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)  # slices fit 80 columns
    table.add_column("", min_width=23, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _ranking_table(groups: Sequence[Mapping[str, Metrics]]) -> Table:
    table = _table("questions", *_SHOWN)
    for group in groups:
        for name, metrics in group.items():
            table.add_row(name, f"{metrics['count']:,}", *(_figure(metrics[key], key) for key in _SHOWN))
        table.add_section()
    return table


def _figure(value: float | None, name: str) -> str:
    if value is None:
        return "–"
    return f"{value:,.1f}" if name == "mr" else f"{value:.4f}"
