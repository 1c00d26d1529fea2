"""pictokg predict: answer questions by name."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pictokg.cli.answering import predictor_of
from pictokg.cli.common import AsJson, DataFolder, Device, RunFolder, Threads, prepare, print_json
from pictokg.cli.newcomer import Facts, Images, Label, NewEntity, Text, told_of

if TYPE_CHECKING:
    from pictokg.prediction.predictor import Answer

Question = tuple[str | None, str | None, str | None]


def predict(
    run: RunFolder,
    head: Annotated[str | None, typer.Option(help="Name of the head entity.")] = None,
    relation: Annotated[str | None, typer.Option(help="Name of the relation.")] = None,
    tail: Annotated[str | None, typer.Option(help="Name of the tail entity.")] = None,
    queries: Annotated[
        Path | None,
        typer.Option(help="File of questions: head, relation, tail by tabs, '?' in the slot asked for."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Answers a question.", min=1)] = 10,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave out what the graph knows.")] = False,
    observed_types: Annotated[
        bool, typer.Option("--observed-types", help="Keep to answers seen in that slot of the relation.")
    ] = False,
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
    """Answer (head, relation, ?), (?, relation, tail) or (head, ?, tail): give two of three, or a file of questions."""
    from pictokg.errors import ConfigError
    from pictokg.prediction.candidates import ObservedTypes
    from pictokg.run import load_run

    newcomer = told_of(new_entity, image, label, text, facts)
    if newcomer is not None and queries is None and head is None and tail is None:
        head = newcomer.name
    if queries is not None and (head or relation or tail):
        raise ConfigError("give either --queries or two of --head, --relation and --tail")
    if queries is None and [head, relation, tail].count(None) != 1:
        raise ConfigError("give two of --head, --relation and --tail; the third is answered")
    prepare(device, threads)
    trained = load_run(run, device=device, data=data)
    questions: list[Question] = read_questions(queries) if queries else [(head, relation, tail)]
    predictor = predictor_of(run, trained, newcomer, warns=False)  # answers are what was asked for
    types = ObservedTypes(predictor.data.graph) if observed_types else None
    answered = predictor.answers(questions, k, new_only=new_only, types=types)
    if as_json:
        print_as_json(questions if queries else None, answered)
        return
    for question, answers in zip(questions, answered, strict=True):
        print_answers(question, answers)


def read_questions(path: Path) -> list[Question]:
    """Read a file of questions, one a line; DataError with the line that is none."""
    from pictokg.errors import DataError

    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # names may hold what else Unicode calls a line's end
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read ({error})", file=path) from error
    questions: list[Question] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        slots = tuple(None if slot.strip() == "?" else slot for slot in line.split("\t"))
        slots = tuple("?" if slot == r"\?" else slot for slot in slots)  # something whose name is a question mark
        if len(slots) != 3 or slots.count(None) != 1:
            remedy = "write head, relation, tail by tabs, with ? in the slot asked for, and \\? for a name that is ?"
            raise DataError(f"is no question: {line!r}", file=path, line=number, remedy=remedy)
        questions.append((slots[0], slots[1], slots[2]))
    if not questions:
        raise DataError("holds no questions", file=path)
    return questions


def print_as_json(questions: list[Question] | None, answered: list[list[Answer]]) -> None:
    """Print the answers to questions, each with its question; without questions, those to the only one."""
    results = [{"answers": [asdict(answer) for answer in answers]} for answers in answered]
    if questions is None:
        print_json(results[0])
        return
    asked = [dict(zip(("head", "relation", "tail"), question, strict=True)) for question in questions]
    print_json({"questions": [{**question, **result} for question, result in zip(asked, results, strict=True)]})


def print_answers(question: Question, answers: list[Answer]) -> None:
    """Print a table of answers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="  ".join(slot or "?" for slot in question), title_justify="left", box=None)
    for column in ("", "name", "label", "probability", "score", "known"):
        table.add_column(column, justify="right" if column in ("", "probability", "score") else "left", overflow="fold")
    for place, answer in enumerate(answers, start=1):
        label = answer.label if answer.label != answer.name else ""
        chance = "" if answer.probability is None else f"{answer.probability:.1%}"
        known = "known" if answer.known else "new"
        table.add_row(str(place), answer.name, label, chance, f"{answer.score:.3f}", known)
    Console(highlight=False, markup=False).print(table)
