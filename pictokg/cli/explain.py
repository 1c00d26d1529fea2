"""pictokg explain: why a fact has its score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pictokg.cli.answering import predictor_of
from pictokg.cli.common import AsJson, DataFolder, Device, RunFolder, Threads, prepare, print_json
from pictokg.cli.newcomer import Facts, Images, Label, NewEntity, Text, told_of

if TYPE_CHECKING:
    from pictokg.prediction.explanation import Explanation, Parts


def explain(
    run: RunFolder,
    head: Annotated[str, typer.Argument(help="Name of the head entity.", metavar="HEAD")],
    relation: Annotated[str, typer.Argument(help="Name of the relation.", metavar="RELATION")],
    tail: Annotated[str, typer.Argument(help="Name of the tail entity.", metavar="TAIL")],
    side: Annotated[Literal["tail", "head"], typer.Option(help="Which slot was asked for.")] = "tail",
    nearest: Annotated[int, typer.Option(help="Training facts to list.", min=0)] = 5,
    out: Annotated[Path | None, typer.Option(help="Write a page with pictures and heat maps there (.html).")] = None,
    new_entity: NewEntity = None,
    image: Images = None,
    label: Label = None,
    text: Text = None,
    facts: Facts = None,
    device: Device = "cpu",
    threads: Threads = 0,
    as_json: AsJson = False,
    data: DataFolder = None,
) -> None:
    """Say what the row, each picture and the words of both entities contributed to a fact's score."""
    from pictokg.errors import ConfigError
    from pictokg.prediction.reasons import explain as find_reasons
    from pictokg.run import attention_of, load_run

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out writes a page and should end in .html; got {out}")
    newcomer = told_of(new_entity, image, label, text, facts)
    prepare(device, threads)
    trained = load_run(run, device=device, data=data)
    predictor = predictor_of(run, trained, newcomer)
    attention = attention_of(trained)
    found = find_reasons(predictor, (head, relation, tail), side=side, facts=nearest, sampler=attention)
    if out is not None:
        from pictokg.report.reasons import write_reasons

        write_reasons(out, found, predictor.data)
    if as_json:
        print_json(found.as_json())
    else:
        print_explanation(found)


def print_explanation(found: Explanation) -> None:
    """Print an explanation for people."""
    from rich.console import Console

    screen = Console(highlight=False, markup=False)
    probability = "" if found.probability is None else f", probability {found.probability:.1%}"
    known = "known" if found.known else "new"
    screen.print(f"{found.head}  {found.relation}  {found.tail}   ({known})")
    screen.print(
        f"score {found.score:.3f}, place {found.rank:,} of {found.entities:,} as the {found.side}{probability}"
    )
    if found.terms:
        screen.print("terms: " + "  ".join(f"{name} {value:.3f}" for name, value in found.terms.items()))
    for parts in (found.asked, found.given):
        screen.print()
        screen.print(table_of(parts))
        if parts.sampler_attention:
            screen.print()
            screen.print(attention_table(parts))
    if found.sampler_attention:
        screen.print(f"\n{found.sampler_attention}")
    if found.facts:
        screen.print("\nnearest training facts")
    for fact in found.facts:
        screen.print(
            f"  {fact.similarity:.2f}  {named(fact.head, fact.head_label)}  →  {named(fact.tail, fact.tail_label)}"
        )


def table_of(parts: Parts) -> object:
    """Make a table of what the pieces of one entity contributed."""
    from rich.table import Table

    how = {"exact": "each adds the same whatever else is known", "shapley": "means over all orders"}
    title = (
        f"{parts.role}: {named(parts.entity, parts.label)}; {parts.baseline:.3f} with nothing known of it,"
        f" {parts.score:.3f} with all ({how.get(parts.method, 'means over some orders')})"
    )
    table = Table(title=title, title_justify="left", box=None)
    for column in ("share", "adds", "what", "", "attention"):
        table.add_column(column, justify="left" if column in ("what", "") else "right", overflow="fold")
    for one in parts.contributions:
        attention = "" if one.attention is None else f"{one.attention:.0%}"
        table.add_row(f"{one.share:+.0%}", f"{one.value:+.3f}", one.modality, one.key, attention)
    return table


def attention_table(parts: Parts) -> object:
    """Make a table of the slots of one entity that the training sampler looked at most."""
    from rich.table import Table

    title = f"the sampler's attention to {named(parts.entity, parts.label)}"
    table = Table(title=title, title_justify="left", box=None)
    for column in ("independent", "guided", "what", "", "seen by"):
        left = column in ("what", "", "seen by")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for attention in parts.sampler_attention:
        shown, rest = attention.foremost()
        rows = [(one.independent, one.guided, one.key or "(empty slots)") for one in shown]
        if rest:
            more = sum(one.independent for one in rest), sum(one.guided for one in rest)
            rows.append((*more, f"{len(rest)} more together"))
        for independent, guided, key in rows:
            table.add_row(f"{independent:.0%}", f"{guided:+.0%}", attention.modality, key, attention.by)
    return table


def named(name: str, label: str) -> str:
    """A name, with its label where that says more."""
    return name if label == name else f"{name} ({label})"
