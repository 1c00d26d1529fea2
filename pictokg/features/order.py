"""Named orders of entities: whose row is number i of a file without names. Never guessed, always declared.

| order | numbers |
| --- | --- |
| `graph` | those of the graph, as `entities.tsv` has them |
| `sorted` | of the graph's names in lexicographic order, as kbc's descendants number them |
| `entity2id.txt` `ent_id` | name, number |
| `entities.dict` `entities.tsv` `ent_ids_1` `ent_ids_2` | number, name |
| `entities.txt` | a name a line, from 0 |
| `*.pkl` `*.pickle` | a dictionary name → number |
| `KIND:FILE` | a file of any name, of the kind `entity2id`, `numbered`, `list` or `pickle` |
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pictokg.errors import ConfigError, DataError
from pictokg.features.readers._pickles import load_pickle
from pictokg.graph.read.openke import read_names
from pictokg.graph.read.table import read_table

if TYPE_CHECKING:
    from pictokg.graph.vocabulary import Vocabulary

KINDS = ("entity2id", "numbered", "list", "pickle")
_BY_NAME = {
    "entity2id.txt": "entity2id",
    "ent_id": "entity2id",
    "entities.dict": "numbered",
    "entities.tsv": "numbered",
    "ent_ids_1": "numbered",
    "ent_ids_2": "numbered",
    "entities.txt": "list",
    ".pkl": "pickle",
    ".pickle": "pickle",
}


def names_in_order(order: str, entities: Vocabulary) -> dict[int, str]:
    """Number → name, as an order declares them.

    Raises:
        ConfigError: the order is none of those above. DataError: its file is not as it should be.

    >>> from pictokg.graph.vocabulary import Vocabulary
    >>> names_in_order("sorted", Vocabulary(["Rome", "Paris"]))
    {0: 'Paris', 1: 'Rome'}
    """
    if order in ("graph", "sorted"):
        return dict(enumerate(entities.names if order == "graph" else sorted(entities.names)))
    kind, path = _kind_and_file(order)
    if kind == "entity2id":
        return dict(enumerate(read_names(path)))
    if kind == "list":
        return dict(enumerate(read_table(path, ("name",), filled=("name",))["name"]))
    pairs = _numbered(path) if kind == "numbered" else _pickled(path)
    found: dict[int, str] = {}
    for number, name in pairs:
        if number in found:
            raise DataError(f"the number {number} stands for {found[number]!r} and {name!r}", file=path)
        found[number] = name
    return found


def _kind_and_file(order: str) -> tuple[str, Path]:
    kind, colon, file = order.partition(":")
    if colon and kind in KINDS:
        return kind, Path(file)
    path = Path(order)
    by_name = _BY_NAME.get(path.name) or _BY_NAME.get(path.suffix)
    if by_name is None:
        raise ConfigError(
            f"--order {order!r}: neither graph nor sorted nor a file whose name tells what is in it"
            f" ({', '.join(_BY_NAME)}); say what it is: {', '.join(f'{kind}:FILE' for kind in KINDS)}"
        )
    return by_name, path


def _numbered(path: Path) -> list[tuple[int, str]]:
    table = read_table(path, ("number", "name"), filled=("number", "name"))
    for line, number in zip(table["line"], table["number"], strict=True):
        if not number.isdecimal():
            raise DataError(f"expected a number and a name, found {number!r} first", file=path, line=line)
    return [(int(number), name) for number, name in zip(table["number"], table["name"], strict=True)]


def _pickled(path: Path) -> list[tuple[int, str]]:
    found = load_pickle(path)
    if not isinstance(found, dict) or not all(type(number) is int for number in found.values()):
        raise DataError("expected a dictionary name → number", file=path)
    return [(number, str(name)) for name, number in found.items()]
