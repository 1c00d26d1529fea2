"""kbc's descendants RSME, MoSE, OTKGE, DySarl: `img_vec_id_<data>_vit.pickle`, `dscp_vec.pickle`: an array.

Its rows stand in the order of `ent_id`, which is the lexicographic order of all entities of the three splits. Entities
without a picture have Gaussian noise there, which nobody can tell from features afterwards: `--names` with a list of
those that do have pictures leaves it out.
"""

from __future__ import annotations

from pathlib import Path

from pictokg.features.readers._rows import Rows, in_order
from pictokg.features.readers._tensors import load_tensors

ORDER = "sorted, or the file ent_id that preprocessing wrote"


def read(path: Path) -> Rows:
    """Read a pickled array (entities, width); pickles are restricted to arrays."""
    return in_order(load_tensors(path), path)
