"""NumPy arrays: rows in a declared order, as OTKGE's `matrix_wn_visual.npy`."""

from __future__ import annotations

from pathlib import Path

from pictokg.features.readers._rows import Rows, in_order
from pictokg.features.readers._tensors import load_array

ORDER = "the file of ids that it was made with; OTKGE's is *-entities2id.pkl"


def read(path: Path) -> Rows:
    """Read an array (entities, width), or (entities, k, width) with k rows an entity."""
    return in_order(load_array(path), path)
