"""NumPy archives with two arrays: `ids`, the entities' names, and `x`, one row for each.

`x` may be (names, k, width), k rows a name, with a `mask` (names, k) that says which of them are there.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from pictokg.errors import DataError
from pictokg.features.readers._rows import Rows, in_order

ORDER = "the file of ids that it was made with"
_REMEDY = "write it with numpy.savez(path, ids=names, x=rows)"


def read(path: Path, *, array: str = "x") -> Rows:
    """Read the rows of an archive; pickled objects are refused.

    Args:
        path: written as `numpy.savez(path, ids=names, x=rows)`; an entity may have several rows. Without `ids` the rows
            have no names, and an order must be declared.
        array: the name of the rows' array.

    Raises:
        DataError: no archive; the array is missing or holds objects; there is not one name a row.
    """
    ids, values, mask = _arrays(path, array)
    if ids is None:
        return in_order(values, path, mask)
    if ids.dtype.kind not in "US" or ids.ndim != 1:
        raise DataError(
            f"ids should be strings (rows,), found {ids.dtype} {ids.shape}",
            file=path,
            remedy="write ids=numpy.array(names, dtype=str)",
        )
    if len(values) != len(ids):
        raise DataError(f"has {len(values):,} rows but {len(ids):,} names", file=path, remedy="give each row one name")
    names = (np.char.decode(ids, "utf-8") if ids.dtype.kind == "S" else ids).tolist()
    rows = in_order(values, path, mask)
    return Rows(rows.values, [names[place] for place in np.asarray(rows.owner).tolist()], rows.keys)


def _arrays(path: Path, array: str) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """Read the names, the rows and the mask, or say why there are no rows."""
    try:
        # Opened here, because NumPy leaves the file open when it is no archive.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
            if array not in archive:
                there = ", ".join(archive) or "nothing"
                raise DataError(f"has no array {array!r}, only: {there}", file=path, remedy=_REMEDY)
            return archive.get("ids"), archive[array], archive.get("mask")
    except (OSError, EOFError, BadZipFile, TypeError) as error:
        raise DataError(f"is no NumPy archive ({error})", file=path, remedy="write it with numpy.savez") from error
    except ValueError as error:  # NumPy's refusal to unpickle
        raise DataError(
            f"holds Python objects, which are not loaded ({error})",
            file=path,
            remedy="write names as strings and rows as floats",
        ) from error
