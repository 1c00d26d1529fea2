"""safetensors: a matrix with names in its header, a matrix in a declared order, or a tensor a name."""

from __future__ import annotations

import json
from pathlib import Path

from pictokg.errors import DataError
from pictokg.features.readers._rows import Rows, by_name, in_order

ORDER = "the file of ids that it was made with"


def read(path: Path, *, tensor: str = "x") -> Rows:
    """Read the matrix `tensor`, or where there is none of this name, each tensor as that of the entity of its name.

    The names of the matrix's rows stand in the header as JSON, written by
    `save_file({"x": rows}, path, metadata={"ids": json.dumps(names)})`; without them an order must be declared.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            header = file.metadata() or {}
            wanted = [tensor] if tensor in names else names
            found = {name: file.get_tensor(name) for name in wanted}
    except (OSError, SafetensorError) as error:
        raise DataError(f"is no sound safetensors file ({error})", file=path, remedy="copy it anew") from error
    arrays = {name: (part if part.dtype.itemsize > 2 else part.float()).numpy() for name, part in found.items()}
    if tensor not in names:
        return by_name(arrays.items(), path)
    rows = in_order(arrays[tensor], path)
    return rows if "ids" not in header else _named(rows, header["ids"], path)


def _named(rows: Rows, header: str, path: Path) -> Rows:
    try:
        ids = json.loads(header)
    except ValueError as error:
        raise DataError(f"has ids in its header that are no JSON ({error})", file=path) from error
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise DataError("has ids in its header that are no list of strings", file=path)
    if len(ids) != rows.places:
        raise DataError(f"has {rows.places:,} rows but {len(ids):,} names", file=path, remedy="give each row one name")
    return Rows(rows.values, [ids[int(place)] for place in rows.owner], rows.keys)
