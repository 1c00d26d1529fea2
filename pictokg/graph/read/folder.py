"""A data folder: triples in splits, and beside them words, pictures and numbers of the same entities.

| file | columns |
| --- | --- |
| `train.*` `valid.*` `test.*`, or one `triples.*` | head, relation, tail; any format of `read_triples` |
| `entities.tsv` `relations.tsv` | number, name: the order of ids, else that of first occurrence |
| `text.tsv` | entity, label [, description] |
| `relation_text.tsv` | relation, label [, description] |
| `images.tsv`, or else folders `images/<entity>/` | entity, file inside the folder; several lines an entity |
| `numeric.tsv` | entity, attribute, value [, type] |
| `valid_negatives.tsv` `test_negatives.tsv` | head, relation, tail known to be false |
| `relation_groups.tsv` | group, relation |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from pictokg.errors import DataError
from pictokg.graph.graph import KnowledgeGraph
from pictokg.graph.read import ending_of, read_triples
from pictokg.graph.read.beside import Beside
from pictokg.graph.read.openke import read_names
from pictokg.graph.read.table import LINE, read_table
from pictokg.graph.splitting import split

SPLITS = ("train", "valid", "test")
UNSPLIT = "all"


@dataclass(frozen=True)
class RawFolder:
    """What a data folder holds, with the notes that whoever reads it has to show.

    Attributes:
        path: the folder.
        graph: the triples; one split "all" where the folder has a single file `triples.*`.
        labels, descriptions: entity → words, where there are any; relation_labels: relation → words.
        pictures: entity → files, in the order listed.
        numeric: frame with the columns entity, attribute, value (Float64) and perhaps type.
        negatives: split → triples (n, 3) int32 that are known to be false.
        relation_groups: group → relations.
        notes: what was skipped, with file, first line and count.
    """

    path: Path
    graph: KnowledgeGraph
    labels: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    relation_labels: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, list[Path]] = field(default_factory=dict)
    numeric: pl.DataFrame | None = None
    negatives: dict[str, np.ndarray] = field(default_factory=dict)
    relation_groups: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def needs_splitting(self) -> bool:
        """Whether the folder has one file of triples and no splits."""
        return UNSPLIT in self.graph.splits

    def with_splits(
        self, fractions: Sequence[float] = (0.8, 0.1, 0.1), *, seed: int, per_relation: bool = False
    ) -> RawFolder:
        """Split the triples at random into train, valid and test; every name stays in train."""
        parts = split(self.graph.split(UNSPLIT), fractions, seed=seed, per_relation=per_relation)
        splits = dict(zip(SPLITS, parts, strict=True))
        return replace(self, graph=KnowledgeGraph(self.graph.entities, self.graph.relations, splits))


def read_folder(path: Path | str, columns: Sequence[str] | None = None, *, strict: bool = False) -> RawFolder:
    """Read a data folder; see the table at the top of this module.

    Args:
        path: the folder.
        columns: the order of the columns of the files of triples, where it is not the format's own.
        strict: raise at what would otherwise be skipped with a note: names in the files beside the triples
            that the graph does not have, pictures that do not exist, values that are no numbers.

    Raises:
        DataError: there are no triples, two files for one split, or a file is not as it should be.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError("there is no such folder", file=path)
    notes: list[str] = []
    graph = _read_graph(path, columns, notes)
    beside = Beside(path, graph, notes, strict)
    labels, descriptions = beside.texts("text.tsv", "entity")
    relation_labels, _ = beside.texts("relation_text.tsv", "relation")
    return RawFolder(
        path=path,
        graph=graph,
        labels=labels,
        descriptions=descriptions,
        relation_labels=relation_labels,
        pictures=beside.pictures(),
        numeric=beside.numeric(),
        negatives=beside.negatives(SPLITS),
        relation_groups=beside.relation_groups(),
        notes=notes,
    )


def _read_graph(path: Path, columns: Sequence[str] | None, notes: list[str]) -> KnowledgeGraph:
    files = _find_splits(path)
    frames = {name: read_triples(file, columns, notes) for name, file in files.items()}
    openke = any(ending_of(file.name) == "2id.txt" for file in files.values())
    entities = _read_order(path / "entities.tsv", path / "entity2id.txt" if openke else None)
    relations = _read_order(path / "relations.tsv", path / "relation2id.txt" if openke else None)
    try:
        return KnowledgeGraph.from_frames(frames, entities, relations)
    except DataError as error:
        raise DataError(str(error), file=path) from None


def _find_splits(path: Path) -> dict[str, Path]:
    """Find the file of each split; the one of `triples.*` as the split "all"."""
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        ending = ending_of(file.name)
        name = file.name.removesuffix(ending or "")
        if ending is None or name not in (*SPLITS, "triples") or not file.is_file():
            continue
        if name in files:
            raise DataError(
                f"both {files[name].name} and {file.name} hold {name}",
                file=path,
                remedy="keep one of the two",
            )
        files[name] = file
    if "triples" in files and len(files) > 1:
        raise DataError(f"both triples and splits: {', '.join(f.name for f in files.values())}", file=path)
    if not files.keys() & {"train", "triples"}:
        raise DataError(
            "no triples: there is neither train.* nor triples.*",
            file=path,
            remedy="put train.tsv (and valid.tsv, test.tsv) or triples.tsv there, with head, relation, tail",
        )
    names = {UNSPLIT: "triples"} if "triples" in files else {name: name for name in SPLITS if name in files}
    return {name: files[stem] for name, stem in names.items()}


def _read_order(path: Path, openke: Path | None) -> list[str] | None:
    """Names in the order of their numbers: from `entities.tsv` or its like, from OpenKE's file, or None."""
    if not path.exists():
        return None if openke is None else read_names(openke)
    table = read_table(path, ("number", "name"), filled=("number", "name"))
    number = table["number"].cast(pl.Int64, strict=False)
    expected = pl.int_range(len(table), eager=True)
    if not number.sort().equals(expected, check_names=False):
        wrong = number.is_null() | ~number.is_between(0, len(table) - 1) | ~number.is_first_distinct()
        row = wrong.arg_max() or 0
        raise DataError(
            f"the numbers must be 0 to {len(table) - 1}, each once; found {table['number'][row]!r}",
            file=path,
            line=table[LINE][row],
            remedy="number the names from 0 (first column), or remove the file to number them as they occur",
        )
    repeated = ~table["name"].is_first_distinct()
    if repeated.any():
        row = repeated.arg_max() or 0
        raise DataError(f"the name {table['name'][row]!r} stands twice", file=path, line=table[LINE][row])
    return table["name"].gather(number.arg_sort()).to_list()
