"""Pickled dictionaries: entity → vector, or number → vector.

MMEA (MEAformer, MCLEA, EVA): `*_id_img_feature_dict.pkl` with the integers of `ent_ids_1` and `ent_ids_2`; starsem18:
`*_normalized.pkl` by name, written by Python 2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pictokg.errors import DataError
from pictokg.features.readers._rows import Rows, by_name
from pictokg.features.readers._tensors import load_tensors

ORDER = "ent_ids_1 beside it"


def read(path: Path) -> Rows:
    """Read a dictionary of vectors (width,) or of several rows (k, width) a key; pickles are restricted to arrays."""
    found = load_tensors(path)
    if not isinstance(found, dict):
        raise DataError(f"holds {type(found).__name__}, not a dictionary of vectors", file=path)
    rows = by_name(((str(name), part) for name, part in found.items()), path)
    if not all(isinstance(name, int) for name in found):
        return rows
    return Rows(rows.values, np.array([int(name) for name in rows.owner], dtype=np.int64), rows.keys)
