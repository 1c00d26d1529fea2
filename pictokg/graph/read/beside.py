"""The files beside the triples: words, pictures, numbers, false triples, groups, joined to the graph by name.

Lines about names that the graph does not have are skipped, counted, and noted with the first of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import numpy as np
import polars as pl

from pictokg.errors import DataError
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.read.table import LINE, TRIPLE, read_table, refuse_header
from pictokg.graph.vocabulary import Vocabulary


@dataclass(frozen=True)
class Beside:
    """Reads the files beside the triples of one folder.

    Attributes:
        path: the folder.
        graph: whose names count.
        notes: what is skipped is added here.
        strict: raise instead.
    """

    path: Path
    graph: KnowledgeGraph
    notes: list[str]
    strict: bool = False

    def texts(self, name: str, slot: str) -> tuple[dict[str, str], dict[str, str]]:
        """Labels and descriptions by name; names without one are left out."""
        table = self._table(name, (slot, "label", "description"), required=2, filled=(slot,))
        if table is None:
            return {}, {}
        table = self._of_graph(table, name, slot)
        table = self._keep(table, ~table[slot].is_first_distinct(), name, slot, "stands there twice; the first counts")
        labels, descriptions = (
            {key: text for key, text in zip(table[slot], table[column], strict=True) if text}
            for column in ("label", "description")
        )
        return labels, descriptions

    def numeric(self) -> pl.DataFrame | None:
        """Read the numbers of entities: entity, attribute, value, and type where the file has it."""
        name, columns = "numeric.tsv", ("entity", "attribute", "value", "type")
        table = self._table(name, columns, required=3, filled=columns[:3])
        if table is None:
            return None
        table = self._of_graph(table, name, "entity")
        value = table["value"].cast(pl.Float64, strict=False)
        finite = (value.is_not_null() & value.is_finite()).fill_null(False)
        table = self._keep(table, ~finite, name, "value", "is not a finite number")
        value = table["value"].cast(pl.Float64)
        kept = columns if table["type"].null_count() < len(table) else columns[:3]
        return table.with_columns(value).select(kept)

    def negatives(self, splits: Sequence[str]) -> dict[str, np.ndarray]:
        """Read false triples (n, 3) int32 of each split whose file `<split>_negatives.tsv` there is."""
        found = {}
        for split in splits:
            name = f"{split}_negatives.tsv"
            table = self._table(name, TRIPLE, filled=TRIPLE)
            if table is None:
                continue
            refuse_header(table, TRIPLE, self.path / name)
            for slot in TRIPLE:
                table = self._of_graph(table, name, slot)
            columns = [self._vocabulary(slot).ids(table[slot].to_list()) for slot in TRIPLE]
            found[split] = np.stack(columns, axis=1).astype(np.int32)
        return found

    def relation_groups(self) -> dict[str, list[str]]:
        """Group → relations, in the order of the file."""
        name, groups = "relation_groups.tsv", dict[str, list[str]]()
        table = self._table(name, ("group", "relation"), filled=("group", "relation"))
        if table is not None:
            table = self._of_graph(table, name, "relation")
            for group, relation in zip(table["group"], table["relation"], strict=True):
                groups.setdefault(group, []).append(relation)
        return groups

    def pictures(self) -> dict[str, list[Path]]:
        """Entity → picture files: from images.tsv, or else from the folders of images/."""
        table = self._table("images.tsv", ("entity", "file"), filled=("entity", "file"))
        return self._pictures_in_folders() if table is None else self._pictures_listed(table)

    def _pictures_listed(self, table: pl.DataFrame) -> dict[str, list[Path]]:
        name = "images.tsv"
        table = self._of_graph(table, name, "entity")
        parts = {file: PurePosixPath(file) for file in table["file"].unique()}
        for number, file in zip(table[LINE], table["file"], strict=True):
            if parts[file].is_absolute() or ".." in parts[file].parts:
                raise DataError(
                    f"{file!r} does not lie inside the folder",
                    file=self.path / name,
                    line=number,
                    remedy="copy or link the pictures into the folder and write their path relative to it",
                )
        there = {folder: self._files(self.path / folder) for folder in {file.parent for file in parts.values()}}
        missing = {file for file, part in parts.items() if part.name not in there[part.parent]}
        absent = table["file"].is_in(list(missing))
        table = self._keep(table, absent, name, "file", "does not exist")
        pictures: dict[str, list[Path]] = {}
        for entity, file in zip(table["entity"], table["file"], strict=True):
            pictures.setdefault(entity, []).append(self.path / parts[file])
        return pictures

    def _pictures_in_folders(self) -> dict[str, list[Path]]:
        folder = self.path / "images"
        if not folder.is_dir():
            return {}
        found, strangers, loose = dict[str, list[Path]](), [], []
        for child in sorted(folder.iterdir()):
            if child.name.startswith("."):
                continue
            decoded = unquote(child.name)
            entity = child.name if child.name in self.graph.entities else decoded
            if not child.is_dir():
                loose.append(child.name)
            elif entity not in self.graph.entities:
                strangers.append(child.name)
            elif files := sorted(self._files(child)):
                found.setdefault(entity, []).extend(child / file for file in files)
        self._note("images", loose, "lies in no folder of an entity; list the files in images.tsv")
        self._note("images", strangers, "is not an entity of the graph")
        return found

    def _files(self, folder: Path) -> set[str]:
        if not folder.is_dir():
            return set()
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()}

    def _table(
        self, name: str, columns: Sequence[str], *, required: int | None = None, filled: Sequence[str] = ()
    ) -> pl.DataFrame | None:
        path = self.path / name
        return read_table(path, columns, required=required, filled=filled) if path.exists() else None

    def _vocabulary(self, slot: str) -> Vocabulary:
        return self.graph.relations if slot == "relation" else self.graph.entities

    def _of_graph(self, table: pl.DataFrame, name: str, slot: str) -> pl.DataFrame:
        kind = "a relation" if slot == "relation" else "an entity"
        unknown = pl.Series(self._vocabulary(slot).ids(table[slot].to_list()) < 0, dtype=pl.Boolean)
        return self._keep(table, unknown, name, slot, f"is not {kind} of the graph")

    def _keep(self, table: pl.DataFrame, wrong: pl.Series, name: str, column: str, what: str) -> pl.DataFrame:
        """Leave out the wrong lines, with a note on the first and how many there are."""
        if not wrong.any():
            return table
        first = table.filter(wrong).head(1)
        line, count = first[LINE][0], int(wrong.sum())
        lines = "line" if count == 1 else "lines"
        message = f"{first[column][0]!r} {what}"
        if self.strict:
            raise DataError(message, file=self.path / name, line=line, remedy=f"{count:,} such {lines}; mend or remove")
        self.notes.append(f"{name}, line {line}: {message} ({count:,} such {lines} skipped)")
        return table.filter(~wrong)

    def _note(self, name: str, wrong: Iterable[str], what: str) -> None:
        wrong = list(wrong)
        if not wrong:
            return
        message = f"{wrong[0]!r} {what}"
        if self.strict:
            raise DataError(message, file=self.path / name, remedy=f"{len(wrong):,} such; mend or remove")
        self.notes.append(f"{name}: {message} ({len(wrong):,} such skipped)")
