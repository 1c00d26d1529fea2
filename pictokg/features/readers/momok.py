"""MoMoK and IMF: `img_features.pkl`, `text_features.pth`, `gat_entity_vec.pkl`: an array (entities, width).

Rows stand in the order of the lines of their `entity2id.txt`. Entities without a picture have the mean of the others
there (`--absent repeated` takes it out again).
"""

from __future__ import annotations

from pathlib import Path

from pictokg.features.readers._rows import Rows, in_order
from pictokg.features.readers._tensors import load_tensors

ORDER = "entity2id.txt beside it"


def read(path: Path) -> Rows:
    """Read a pickled array, or a tensor; pickles are restricted to arrays."""
    return in_order(load_tensors(path), path)
