"""The glyphs folder in the user's cache, generated on first use."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from pictokg.datasets.glyphs.folder import FORMAT, generate
from pictokg.errors import PictoKGError
from pictokg.features.place import cache_folder


def cached(
    cache_root: Path | None = None, *, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Return the folder of the glyphs graph, generated when these versions and this seed have none yet.

    The folder appears at once, complete: a generation that is killed is never taken for a finished one.
    """
    folder = (cache_root or cache_folder()) / _key(seed)
    if (folder / "manifest.toml").is_file():
        return folder
    try:
        generate(folder, seed=seed, progress=progress)
    except PictoKGError:
        if not (folder / "manifest.toml").is_file():  # else another process was faster, with the same result
            raise
    return folder


def _key(seed: int) -> str:
    """Name what decides the bytes: our format, Unicode data, fonts and renderer (by package), the seed."""
    packages = [f"{package}={version(package)}" for package in ("matplotlib", "fonttools", "pillow")]
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    return f"glyphs-{FORMAT}-unicode{unicodedata.unidata_version}-{digest}-seed{seed}"
