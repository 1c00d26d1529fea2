"""Files of tensors and arrays from strangers, whatever wrote them: torch, pickle or NumPy."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from pictokg.errors import DataError
from pictokg.features.readers._pickles import REMEDY, load_pickle

_TORCH = (b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")  # how torch.save begins: today's way, the old one
_NUMPY = b"\x93NUMPY"


def load_tensors(path: Path) -> Any:
    """Read an array, or dictionaries and lists of arrays; tensors become arrays, code is never run.

    How the file begins tells what wrote it. torch loads weights only; a whole `nn.Embedding` counts as its weights.

    Raises:
        DataError: there is no such file, it is damaged, or it holds Python objects of other kinds.
    """
    try:
        with path.open("rb") as handle:
            start = handle.read(16)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", file=path) from error
    if start.startswith(_TORCH):
        return _load_torch(path)
    return load_array(path) if start.startswith(_NUMPY) else load_pickle(path)


def load_array(path: Path) -> np.ndarray:
    """Read a .npy file; pickled objects are refused."""
    try:
        with path.open("rb") as handle:
            found: np.ndarray = np.lib.format.read_array(handle, allow_pickle=False)
            return found
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"is no array of numbers in NumPy's format ({error})", file=path, remedy=REMEDY) from error


def _load_torch(path: Path) -> Any:
    import torch
    from torch import nn

    try:
        with torch.serialization.safe_globals([nn.Embedding, set]):
            return _arrays(torch.load(path, map_location="cpu", weights_only=True), path)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({asked[1]})" if asked else ""
        raise DataError(
            f"holds Python objects{what}, which could run a program; it was not loaded",
            file=path,
            remedy=REMEDY,
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
        short = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"is damaged ({short})", file=path, remedy="copy it anew") from error


def _arrays(found: Any, path: Path) -> Any:
    """Put arrays for tensors, at any depth of dictionaries and lists."""
    import torch
    from torch import nn

    if isinstance(found, nn.Embedding):  # its weights as they were stored; the module's own code is not called
        found = found.__dict__["_parameters"]["weight"]
    if isinstance(found, torch.Tensor):
        found = found.detach()
        return (found.float() if found.dtype == torch.bfloat16 else found).numpy()
    if isinstance(found, dict):
        return {name: _arrays(part, path) for name, part in found.items()}
    if isinstance(found, (list, tuple)):
        return [_arrays(part, path) for part in found]
    return found
