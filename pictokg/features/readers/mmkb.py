"""MMKB: `<KG>_ImageData.h5`, an HDF5 data set (1, 4096) a picture, with `<KG>_ImageIndex.txt`: entity, key."""

from __future__ import annotations

from pathlib import Path

from pictokg.errors import DataError
from pictokg.features.align import examples
from pictokg.features.readers._hdf5 import data_sets
from pictokg.features.readers._rows import Rows, by_name
from pictokg.graph.read.table import read_table

ORDER = ""


def read(path: Path, *, index: Path) -> Rows:
    """Read the pictures of the entities that an index names, in its order; its lines are entity, tab, key.

    Raises:
        DataError: no key of the index is in the file. Keys that are in one only are left out, as MMKB lacks pictures.
    """
    lines = read_table(index, ("entity", "key"), filled=("entity", "key"))
    found = dict(data_sets(path))
    named = [(entity, key) for entity, key in zip(lines["entity"], lines["key"], strict=True) if key in found]
    if not named:
        raise DataError(
            f"has none of the {len(lines):,} keys of {index.name} ({examples(lines['key'].to_list())});"
            f" it has {examples(sorted(found))}",
            file=path,
            remedy="give the index that belongs to it: --set index=FILE",
        )
    rows = by_name(((entity, found[key]) for entity, key in named), path)
    per_key = [key for _, key in named for _ in range(len(found[key]) if found[key].ndim == 2 else 1)]
    return Rows(rows.values, rows.owner, per_key)
