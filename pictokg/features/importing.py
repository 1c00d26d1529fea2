"""A feature file from elsewhere becomes a stored table: read, joined to the entities, gaps looked at, written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.errors import ConfigError, DataError
from pictokg.features import store
from pictokg.features.align import Coverage, align, examples
from pictokg.features.encoders.base import digest
from pictokg.features.gaps import Gaps, fill, take_out
from pictokg.features.order import names_in_order
from pictokg.features.readers import read_rows, usual_order
from pictokg.features.readers._rows import Rows
from pictokg.files import write_text
from pictokg.graph.read.table import read_table

if TYPE_CHECKING:
    from pictokg.features.table import FeatureTable
    from pictokg.graph.vocabulary import Vocabulary

SOURCE = "source.json"


@dataclass(frozen=True)
class FeatureFile:
    """A feature file, and how to read it.

    Attributes:
        path: the file.
        format: one of `readers.formats()`; may be left out where the ending of the name is one.
        order: for rows without names, see `features.order`.
        names: a file with an entity a line, and where the feature file calls it otherwise, that name after a tab; what
            it does not list is left out.
        prefix: to put before the feature file's names.
        options: of the format.
    """

    path: Path
    format: str = ""
    order: str = ""
    names: Path | None = None
    prefix: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Imported:
    """What an import gave: the table, where it is stored, how it covers the graph, and what people should know."""

    table: FeatureTable
    folder: Path
    coverage: Coverage
    notes: tuple[str, ...]


def import_features(
    file: FeatureFile, entities: Vocabulary, folder: Path, *, modality: str, gaps: Gaps | None = None
) -> Imported:
    """Read a feature file, give each entity its rows, and store the table.

    Args:
        file: what to read, and how.
        entities: of the graph.
        folder: of the table; its name becomes the table's, and a table there is replaced.
        modality: what the rows describe: image, text, or any other word.
        gaps: what to do about entities without features; they stay without by default.

    Raises:
        ConfigError: a format, option or order that does not exist, or an order missing. DataError: the file is not as
            it should be, or does not fit the graph.
    """
    gaps = gaps or Gaps()
    rows, notes = take_out(read_rows(file.path, file.format, file.options), gaps.absent)
    rows, strangers = _renamed(_named(rows, file, entities), file, entities)
    names = [str(name) for name in rows.owner]
    table, coverage = align(folder.name, names, rows.values, entities, keys=rows.keys, source=file.path)
    table = fill(table, gaps)
    if made := int(table.present.sum()) - coverage.present:
        notes.append(f"{made:,} entities without rows were filled with {gaps.fill}; they count as having features now")
    content = {"values": np.asarray(table.values), "offsets": table.offsets}
    table = replace(table, fingerprint=digest({"entities": list(entities.names)}, content))
    origin = _origin(file, gaps)
    store.save(
        table,
        folder,
        entities,
        modality=modality,
        write_more=lambda fresh: write_text(fresh / SOURCE, json.dumps(origin, indent=1, ensure_ascii=False) + "\n"),
    )
    return Imported(
        table, folder, replace(coverage, unknown=tuple(sorted({*coverage.unknown, *strangers}))), tuple(notes)
    )


def _named(rows: Rows, file: FeatureFile, entities: Vocabulary) -> Rows:
    """Names for numbers, by the declared order; ConfigError where none is declared, or where it would not be used."""
    numbered = isinstance(rows.owner, np.ndarray)
    if not file.order:
        if numbered:
            usual = usual_order(file.format, file.path)
            hint = f" (for this format usually {usual})" if usual else ""
            raise ConfigError(
                f"{file.path}: its rows have no names; declare their order: --order graph, sorted, or a file{hint}"
            )
        return rows
    if not numbered and not all(name.isdecimal() for name in rows.owner):
        first = next(name for name in rows.owner if not name.isdecimal())
        raise ConfigError(f"{file.path}: its rows have names, as {first!r}; leave out --order")
    order = names_in_order(file.order, entities)
    if rows.places is not None and rows.places != len(order):
        raise DataError(
            f"has rows for {rows.places:,} entities, but the order {file.order} numbers {len(order):,}",
            file=file.path,
            remedy="declare the order that the file was made with",
        )
    owner = [int(number) for number in rows.owner]
    lost = next((number for number in owner if number not in order), None)
    if lost is not None:
        raise DataError(f"has rows of number {lost}, which the order {file.order} does not have", file=file.path)
    return Rows(rows.values, [order[number] for number in owner], rows.keys)


def _renamed(rows: Rows, file: FeatureFile, entities: Vocabulary) -> tuple[Rows, list[str]]:
    """The graph's names for the file's, as declared; with the names that the declaration leaves out.

    An IRI in angle brackets counts as the one without, where the graph has only that.
    """
    if file.names is None:
        return replace(rows, owner=[_bare(file.prefix + str(name), entities) for name in rows.owner]), []
    if file.prefix:
        raise ConfigError("give --names or --prefix, not both")
    table = read_table(file.names, ("entity", "name"), required=1, filled=("entity",))
    meant: dict[str, list[str]] = {}
    for entity, name in zip(table["entity"], table["name"], strict=True):
        meant.setdefault(name or entity, []).append(_bare(entity, entities))
    owners = [(row, entity) for row, name in enumerate(rows.owner) for entity in meant.get(str(name), ())]
    strangers = sorted({str(name) for name in rows.owner} - set(meant))
    if not owners:
        raise DataError(
            f"none of its names ({examples(strangers)}) is in {file.names}",
            file=file.path,
            remedy="list entity, tab, name in the feature file",
        )
    picked = [row for row, _ in owners]
    return Rows(rows.values[picked], [entity for _, entity in owners], [rows.keys[row] for row in picked]), strangers


def _bare(name: str, entities: Vocabulary) -> str:
    bracketed = name not in entities and name.startswith("<") and name.endswith(">")
    return name[1:-1] if bracketed and name[1:-1] in entities else name


def _origin(file: FeatureFile, gaps: Gaps) -> dict[str, Any]:
    """What the table was made from and how, to be kept beside it."""
    with file.path.open("rb") as handle:
        checksum = hashlib.file_digest(handle, "sha256").hexdigest()
    how = {name: str(value) for name, value in asdict(replace(file, options={})).items() if value}
    return {**how, "options": {name: str(value) for name, value in file.options.items()}, "sha256": checksum} | asdict(
        gaps
    )
