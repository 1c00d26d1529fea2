"""MMRNS: `MKG_W_description_sentences.h5`, `MKG_W_img_BEIT_16-224.h5`: an HDF5 data set (rows, width) an entity.

Texts have a row a sentence, of which the paper uses the first four (`--set first=4`); pictures 24 rows. Keys are
DBpedia's local names, or Freebase ids written `m.0xyz`: see `--prefix` and `--names`.
"""

from __future__ import annotations

from pathlib import Path

from pictokg.errors import ConfigError
from pictokg.features.readers._hdf5 import data_sets
from pictokg.features.readers._rows import Rows, by_name

ORDER = ""


def read(path: Path, *, first: int = 0) -> Rows:
    """Read the rows of each entity: the first so many, all when 0."""
    if first < 0:
        raise ConfigError(f"first is a number of rows, or 0 for all; got {first}")
    return by_name(((name, found[:first] if first else found) for name, found in data_sets(path)), path)
