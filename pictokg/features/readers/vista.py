"""VISTA: `visual_features_ent.pt`, name → (pictures, width), and `textual_features_ent.pt`, name → (width,)."""

from __future__ import annotations

from pathlib import Path

from pictokg.errors import DataError
from pictokg.features.readers._rows import Rows, by_name
from pictokg.features.readers._tensors import load_tensors

ORDER = ""


def read(path: Path) -> Rows:
    """Read the rows of each name; an entity has as many as it has pictures."""
    found = load_tensors(path)
    if not isinstance(found, dict):
        raise DataError(f"holds {type(found).__name__}, not a dictionary of tensors", file=path)
    return by_name(((str(name), part) for name, part in found.items()), path)
