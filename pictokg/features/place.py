"""Where feature tables of a data folder live: in its own features/, or in the user's cache if it is read-only."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache: `$PICTOKG_CACHE`, else `$XDG_CACHE_HOME/pictokg`, else `~/.cache/pictokg`."""
    if chosen := os.environ.get("PICTOKG_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pictokg"


def features_folder(data_folder: Path) -> Path:
    """Where to store tables made for a data folder: DATA/features, or the cache when DATA is read-only."""
    data_folder = data_folder.resolve()
    # The mode is looked at too: root may write into a folder that its owner has marked read-only, and should not.
    if os.access(data_folder, os.W_OK) and data_folder.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        return data_folder / "features"
    digest = hashlib.sha256(str(data_folder).encode()).hexdigest()[:12]
    return cache_folder() / "features" / f"{data_folder.name}-{digest}"
