"""An audit as people read it: what was found first, then the figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pictokg.evaluation.slices import KINDS

if TYPE_CHECKING:
    from pictokg.audit.audit import Audit

_STYLES = {"leak": "bold red", "warning": "yellow", "note": "dim"}
_BROKEN_SHOWN = 10
_RULES_SHOWN = 5
_ATTRIBUTES_SHOWN = 8
_ATTRIBUTE_WIDTH = 28
_METRICS = ("mrr", "mr", "hits@1", "hits@3", "hits@10")


def render(audit: Audit, name: str) -> Group:
    """Lay an audit out for a terminal; `name` is what to call the data."""
    triples = sum(counts.rows for counts in audit.splits.values())
    head = f"{name}: {audit.entities:,} entities, {audit.relations:,} relations, {triples:,} rows of triples"
    parts: list[RenderableType] = [Text(head, style="bold"), Text(), *_findings(audit), *_splits(audit)]
    if audit.leakage:
        parts += _held_out(audit)
    if audit.inverse_rule:
        parts += _inverse_rule(audit)
    parts += [*_kinds(audit), *_degree(audit), *_coverage(audit), *_numbers(audit), *_pictures(audit)]
    return Group(*parts)


def _findings(audit: Audit) -> Iterator[Text]:
    if not any(finding.severity == "leak" for finding in audit.findings):
        yield Text(
            "no leaks: " + ("one split" if len(audit.splits) == 1 else "the splits share no triple"),
            style="green",
        )
    for finding in audit.findings:
        yield Text.assemble((f"{finding.severity}: ", _STYLES[finding.severity]), finding.message)


def _splits(audit: Audit) -> list[RenderableType]:
    names = list(audit.splits)
    rows = []
    for name, counts in audit.splits.items():
        shared = [
            "" if other == name else f"{counts.shared[other].rows:,} ({counts.shared[other].distinct:,})"
            for other in names
        ]
        rows.append([name, f"{counts.rows:,}", f"{counts.distinct:,}", f"{counts.duplicates:,}", *shared])
    return _table("Splits", ["", "rows", "distinct", "repeated", *(f"in {name} (distinct)" for name in names)], rows)


def _held_out(audit: Audit) -> list[RenderableType]:
    rows = [
        [
            name,
            f"{leakage.inverse:,} ({leakage.inverse_share:.1%})",
            f"{leakage.same_pair:,} ({leakage.same_pair_share:.1%})",
            f"{audit.unseen[name].triples_with_unseen_entity:,} ({audit.unseen[name].entities:,})",
            f"{audit.unseen[name].triples_with_unseen_relation:,} ({audit.unseen[name].relations:,})",
        ]
        for name, leakage in audit.leakage.items()
    ]
    columns = [
        "rows of",
        f"pair reversed in {audit.base}",
        f"pair otherwise in {audit.base}",
        "with unseen entities",
        "with unseen relations",
    ]
    return _table(f"What {audit.base} shows of the other splits", columns, rows)


def _inverse_rule(audit: Audit) -> Iterator[RenderableType]:
    rule = audit.inverse_rule
    assert rule is not None, "checked by the caller"
    yield Text(f"\nThe inverse rule on {rule.split} (no learning; filtered, both sides)", style="bold")
    yield Text("   ".join(f"{name} {rule.metrics[name]:,.4g}" for name in _METRICS))
    best = [
        [one["relation"], one["inverse"], f"{one['support']:,}", f"{one['confidence']:.1%}"]
        for one in rule.rules[:_RULES_SHOWN]
    ]
    if best:
        yield from _table(
            "Its most used rules", ["relation", "from the reverse of", "pairs", "holds for"], best, left=2
        )


def _kinds(audit: Audit) -> list[RenderableType]:
    rows = [[kind, f"{audit.kinds[kind]['relations']:,}", f"{audit.kinds[kind]['triples']:,}"] for kind in KINDS]
    return _table(
        f"Relation kinds in {audit.base} (cut-off {audit.kinds['cutoff']:g})",
        ["", "relations", "triples"],
        rows,
    )


def _degree(audit: Audit) -> Iterator[Text]:
    spread = audit.degree
    yield Text(f"\nDegree in {audit.base}", style="bold")
    yield Text(
        f"from {spread.min:,} to {spread.max:,}, median {spread.median:,.4g}, mean {spread.mean:,.4g},"
        f" Gini {spread.gini:.2f}; {spread.isolated:,} entities have no triple there"
    )
    yield Text("most linked: " + ", ".join(f"{name} ({count:,})" for name, count in list(spread.top.items())[:5]))


def _coverage(audit: Audit) -> list[RenderableType]:
    rows = [
        [
            kind,
            f"{part.entities:,}",
            f"{part.share:.1%}",
            f"{part.items:,}",
            f"{part.mean:.3g}",
            f"{part.max:,}",
        ]
        for kind, part in audit.coverage.items()
    ]
    return _table("What entities have", ["", "entities", "share", "items", "mean", "most"], rows)


def _numbers(audit: Audit) -> Iterator[RenderableType]:
    if not audit.numbers:
        return
    rows = [
        [
            attribute if len(attribute) <= _ATTRIBUTE_WIDTH else f"…{attribute[1 - _ATTRIBUTE_WIDTH :]}",
            f"{part.entities:,}",
            f"{part.share:.1%}",
            *(f"{value:,.5g}" for value in (part.min, part.median, part.max)),
        ]
        for attribute, part in list(audit.numbers.items())[:_ATTRIBUTES_SHOWN]
    ]
    count = len(audit.numbers)
    title = f"Numbers: {count:,} attribute{'s' * (count > 1)}"
    columns = ["", "entities", "share", "least", "median", "most"]
    yield from _table(title, columns, rows)
    if count > _ATTRIBUTES_SHOWN:
        yield Text(f"… and {count - _ATTRIBUTES_SHOWN:,} more; --json lists them all", style="dim")


def _pictures(audit: Audit) -> Iterator[Text]:
    pictures = audit.pictures
    if pictures.files > pictures.checked:
        yield Text("pictures were not opened (--no-pictures)", style="dim")
    for broken in pictures.undecodable[:_BROKEN_SHOWN]:
        yield Text.assemble(("undecodable: ", "yellow"), f"{broken.path} ({broken.entity}): {broken.reason}")
    if len(pictures.undecodable) > _BROKEN_SHOWN:
        yield Text(f"… and {len(pictures.undecodable) - _BROKEN_SHOWN:,} more; --json lists them all")


def _table(title: str, columns: list[str], rows: Iterable[list[str]], left: int = 1) -> list[RenderableType]:
    """Lay out a title and a plain table whose first `left` columns are words and whose others are numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return [Text(f"\n{title}", style="bold"), table]
