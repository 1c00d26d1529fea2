"""NumPy archives with two arrays: `ids`, the entities' names, and `x`, one row for each."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from pictokg.errors import DataError
from pictokg.features.align import Coverage, align

if TYPE_CHECKING:
    from pictokg.features.table import FeatureTable
    from pictokg.graph.vocabulary import Vocabulary


def read(path: Path, entities: Vocabulary) -> tuple[FeatureTable, Coverage]:
    """Read the rows of an archive and give each entity those that bear its name; pickled objects are refused.

    Args:
        path: written as `numpy.savez(path, ids=names, x=rows)`; an entity may have several rows.
        entities: of the graph.

    Raises:
        DataError: no archive; an array is missing or holds objects; there is not one name a row; a NaN.
    """
    ids, values = _arrays(path)
    if ids.dtype.kind not in "US" or ids.ndim != 1:
        raise DataError(
            f"ids should be strings (rows,), found {ids.dtype} {ids.shape}",
            file=path,
            remedy="write ids=numpy.array(names, dtype=str)",
        )
    names = (np.char.decode(ids, "utf-8") if ids.dtype.kind == "S" else ids).tolist()
    table, coverage = align(path.stem, names, values, entities, source=path)
    with path.open("rb") as handle:
        fingerprint = hashlib.file_digest(handle, "sha256").hexdigest()[:32]
    return replace(table, fingerprint=fingerprint), coverage


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the arrays `ids` and `x`, or say why there are none."""
    try:
        # Opened here, because NumPy leaves the file open when it is no archive.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
            missing = [name for name in ("ids", "x") if name not in archive]
            if missing:
                raise DataError(
                    f"has no array {missing[0]!r}, only: {', '.join(archive) or 'nothing'}",
                    file=path,
                    remedy="write it with numpy.savez(path, ids=names, x=rows)",
                )
            return archive["ids"], archive["x"]
    except (OSError, EOFError, BadZipFile, TypeError) as error:
        raise DataError(f"is no NumPy archive ({error})", file=path, remedy="write it with numpy.savez") from error
    except ValueError as error:  # NumPy's refusal to unpickle
        raise DataError(
            f"holds Python objects, which are not loaded ({error})",
            file=path,
            remedy="write names as strings and rows as floats",
        ) from error
