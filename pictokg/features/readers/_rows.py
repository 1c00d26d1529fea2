"""Rows as a file holds them, before they are joined to the entities of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pictokg.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Int, Num


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a file, each with whose it is: a name, or a number in an order that stands elsewhere.

    Attributes:
        values: the rows.
        owner: for each row the name of its entity, or its number.
        keys: for each row what it shows: a picture, a sentence, a token.
        places: for a file without names that holds something for every entity: for how many.
    """

    values: Num[np.ndarray, "rows width"]
    owner: Sequence[str] | Int[np.ndarray, " rows"]
    keys: Sequence[str]
    places: int | None = None


def in_order(array: Any, path: Path, mask: Any = None) -> Rows:
    """Take an array (entities, width), or (entities, k, width) with k rows an entity, whose rows have no names.

    Args:
        array: of numbers.
        path: for errors.
        mask: (entities, k), true where a row is there; all are when None.

    >>> in_order(np.zeros((3, 2, 4)), Path("x.npy")).owner.tolist()
    [0, 0, 1, 1, 2, 2]
    """
    array = numbers(array, path, "the file")
    if array.ndim not in (2, 3):
        shape = "(entities, width) or (entities, rows, width)"
        raise DataError(f"expected an array {shape}, found {array.shape}", file=path)
    of_each = 1 if array.ndim == 2 else array.shape[1]
    owner = np.repeat(np.arange(len(array)), of_each)
    keys = [f"row {place}" for place in range(len(array))]
    if array.ndim == 3:
        keys = [f"row {place},{part}" for place in range(len(array)) for part in range(of_each)]
    rows = Rows(array.reshape(len(owner), array.shape[-1]), owner, keys, len(array))
    return rows if mask is None else keep(rows, _mask(mask, array, path))


def by_name(parts: Iterable[tuple[str, Any]], path: Path) -> Rows:
    """Join what a file has under each name: a vector (width,), or rows (k, width).

    Raises:
        DataError: something is no array of numbers, or the widths differ; with the name.

    >>> rows = by_name([("Paris", np.zeros(2)), ("Rome", np.ones((2, 2)))], Path("x.pkl"))
    >>> rows.owner, rows.keys
    (['Paris', 'Rome', 'Rome'], ['row 0', 'row 0', 'row 1'])
    """
    arrays: list[np.ndarray] = []
    owner: list[str] = []
    keys: list[str] = []
    for name, found in parts:
        array = numbers(found, path, f"entity {name!r}")
        if array.ndim not in (1, 2):
            raise DataError(f"entity {name!r} has an array {array.shape}, not (width,) or (rows, width)", file=path)
        array = np.atleast_2d(array) if array.size else array.reshape(0, array.shape[-1])
        if arrays and array.shape[1] != arrays[0].shape[1]:
            raise DataError(
                f"entity {name!r} has rows of width {array.shape[1]}, those before it of {arrays[0].shape[1]}",
                file=path,
                remedy="all rows of a file must be as wide",
            )
        arrays.append(array)
        owner += [name] * len(array)
        keys += [f"row {row}" for row in range(len(array))]
    if not arrays:
        raise DataError("holds no entity", file=path, remedy="choose the --format that the file has")
    return Rows(np.concatenate(arrays), owner, keys)


def numbers(found: Any, path: Path, what: str) -> np.ndarray:
    """Take an array of real numbers, or say what stands there instead; lists of numbers count as arrays."""
    try:
        array = np.asarray(found)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        kind = f"{array.dtype} {array.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise DataError(
            f"{what} holds {kind} where numbers are expected",
            file=path,
            remedy="choose the --format that the file has; docs/feature-files.md shows them",
        )
    return array


def keep(rows: Rows, kept: np.ndarray) -> Rows:
    """Leave out the rows that are not `kept`."""
    places = np.flatnonzero(kept)
    owner = rows.owner[places] if isinstance(rows.owner, np.ndarray) else [rows.owner[row] for row in places.tolist()]
    return Rows(rows.values[places], owner, [rows.keys[row] for row in places.tolist()], rows.places)


def _mask(mask: Any, array: np.ndarray, path: Path) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.shape != array.shape[:-1] or mask.dtype.kind not in "biu":
        raise DataError(
            f"the mask is {mask.dtype} {mask.shape}, for rows {array.shape[:-1]}",
            file=path,
            remedy="give one true or false a row",
        )
    return mask.astype(bool).reshape(-1)
