"""OpenKE-style files: one tensor (entities, width) in the order of `entity2id.txt`.

AdaMF-MAT, NATIVE, DHNS, LBMKGC, MMKGC: `embeddings/<DATA>-visual.pth`, `-textual.pth`, `-numeric.pth`, `-audio.pth`,
`-video.pth`; MACO: `<DATA>-vit.pth`. A `Parameter` or a whole `nn.Embedding` counts as its tensor.
"""

from __future__ import annotations

from pathlib import Path

from pictokg.features.readers._rows import Rows, in_order
from pictokg.features.readers._tensors import load_tensors

ORDER = "entity2id.txt of the benchmark it belongs to"


def read(path: Path) -> Rows:
    """Read row i as that of the entity with id i."""
    return in_order(load_tensors(path), path)
