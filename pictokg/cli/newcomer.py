"""Options that tell of an entity that the run has never seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pictokg.prediction.newcomer import Fact, Newcomer

NewEntity = Annotated[
    str | None,
    typer.Option("--new-entity", help="Name of an entity never seen in training; it is the head if none is."),
]
Images = Annotated[list[Path] | None, typer.Option("--image", help="A picture of the new entity; may be repeated.")]
Label = Annotated[str | None, typer.Option("--label", help="What the new entity is called.")]
Text = Annotated[str | None, typer.Option("--text", help="A description of the new entity.")]
Facts = Annotated[
    Path | None,
    typer.Option("--facts", help="File of triples about the new entity, with its name as head or tail."),
]


def told_of(
    name: str | None, images: list[Path] | None, label: str | None, text: str | None, facts: Path | None
) -> Newcomer | None:
    """What the options tell of a new entity; None where there is none, an error for what makes no sense."""
    from pictokg.errors import ConfigError
    from pictokg.prediction.newcomer import Newcomer

    if name is None:
        if images or label is not None or text is not None or facts is not None:
            raise ConfigError("--image, --label, --text and --facts tell of a new entity; name it with --new-entity")
        return None
    for option, value in (("--label", label), ("--text", text)):
        if value is not None and not value.strip():
            raise ConfigError(f"{option} is empty; write some words, or leave it out")
    known = read_facts(facts, name) if facts is not None else []
    return Newcomer(name, label or "", text or "", list(images or []), known)


def read_facts(path: Path, name: str) -> list[Fact]:
    """Read triples of which each has the new entity in one slot; DataError naming the triple that has not."""
    from pictokg.errors import DataError
    from pictokg.graph.read import read_triples
    from pictokg.prediction.newcomer import Fact

    facts = []
    for number, (head, relation, tail) in enumerate(read_triples(path).iter_rows(), start=1):
        if (head == name) == (tail == name):
            where = "twice" if head == name else "in none"
            raise DataError(
                f"triple {number} ({head}, {relation}, {tail}) has {name!r} {where} of its slots",
                file=path,
                remedy="write facts of the new entity, with its name as head or as tail",
            )
        facts.append(Fact(relation, tail if head == name else head, head == name))
    if not facts:
        raise DataError("holds no triples", file=path, remedy="leave --facts out where there are none")
    return facts
