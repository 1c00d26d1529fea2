"""HDF5 files from strangers: data sets of numbers by name; links that lead out of the file are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pictokg.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np


def data_sets(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Read each data set with its name; names may hold a slash, as a path in the file's groups.

    Raises:
        DataError: the file is no HDF5, is cut short, or points to other files. MissingExtraError: h5py is not there.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "encoders", "reading HDF5 files") from error
    try:
        with h5py.File(path, "r") as file:
            for name in _names(file, path):
                yield name, file[name][()]
    except (OSError, RuntimeError) as error:
        raise DataError(f"is no sound HDF5 file ({error})", file=path, remedy="copy it anew") from error


def _names(file: Any, path: Path) -> list[str]:
    import h5py

    links: list[tuple[str, Any]] = []
    file.visititems_links(lambda name, link: links.append((name, link)))  # each group once, however it is linked
    names = []
    for name, link in links:
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{name!r} is a link to elsewhere, which is not followed", file=path)
        found = file[name]
        if not isinstance(found, h5py.Dataset):
            continue
        if found.external or found.is_virtual:
            raise DataError(f"{name!r} has its numbers in another file, which is not opened", file=path)
        names.append(name)
    return names
