"""Pickles from strangers: plain containers, arrays and tensors are rebuilt; anything else is refused before it runs.

A pickle is a program. This one may call the few functions of a list, and not even those are NumPy's or torch's
own: stand-ins note sizes, types and bytes, and arrays are made from them afterwards, once they fit together.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pictokg.errors import DataError

_PLAIN = re.compile(r"[<>=|]?([biufSUO?])(\d*)")
_OBJECTS = "O"
REMEDY = (
    "ask its author for the array alone; or, where you trust it, load it in Python yourself and write"
    " numpy.savez(path, ids=names, x=rows)"
)


def load_pickle(path: Path) -> Any:
    """Read a pickle of dictionaries, lists, numbers, strings, NumPy arrays and torch tensors; tensors become arrays.

    Strings that Python 2 wrote are read as UTF-8, else as Latin-1.

    Raises:
        DataError: the pickle asks for anything else, or is damaged.
    """
    try:
        with path.open("rb") as handle:
            return _plain(_Unpickler(handle, encoding="bytes").load(), {})
    except DataError as error:
        raise DataError(str(error), file=path, remedy=REMEDY) from error
    except (OSError, MemoryError) as error:
        raise DataError(f"cannot be read ({error or type(error).__name__})", file=path) from error
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(
            f"is no pickle, or a damaged one ({type(error).__name__}: {error})",
            file=path,
            remedy="copy it anew, or choose the --format that the file has",
        ) from error


class _Dtype:
    """Stands for `numpy.dtype`: numbers, strings and objects, without fields."""

    __slots__ = ("kind", "order", "size")

    def __init__(self, code: str | bytes, *rest: Any) -> None:
        match = _PLAIN.fullmatch(_text(code))
        if match is None:
            raise DataError(f"has an array of type {_text(code)!r}, which is not read")
        self.kind, self.size, self.order = match[1], int(match[2] or 1), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *composed = state[:5]
        if any(part is not None for part in composed):
            raise DataError("has an array with fields, which is not read")
        self.order = _text(order)

    def real(self) -> np.dtype:
        """The type that it stands for."""
        return np.dtype(f"{'' if self.order == '|' else self.order}{self.kind}{self.size}")


class _Array:
    """Stands for a NumPy array until all of it is read."""

    __slots__ = ("content",)

    def __init__(self, *ignored: Any) -> None:
        self.content: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self.content = _array(data, dtype, shape, "F" if fortran else "C")


def _array(data: Any, dtype: _Dtype, shape: Any, order: Any = "C") -> Any:
    """Make an array from its bytes; of an array of objects, the list of them."""
    if not isinstance(dtype, _Dtype):
        raise DataError("has an array without a type")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if dtype.kind == _OBJECTS:
        if len(shape) != 1 or not isinstance(data, list):
            raise DataError(f"has an array {shape} of objects, which is not read")
        return data
    data, real = bytes(data), dtype.real()
    if any(side < 0 for side in shape) or math.prod(shape) * real.itemsize != len(data):
        raise DataError(f"has {len(data):,} bytes for an array {shape} of {real}")
    return np.frombuffer(data, real).reshape(shape, order=_text(order))  # type: ignore[call-overload]  # C or F


def _scalar(dtype: _Dtype, data: Any = b"") -> Any:
    return _array(data, dtype, ()).item()


def _codecs_encode(text: str, encoding: str | bytes = "latin1") -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if _text(encoding) not in ("latin1", "latin-1"):
        raise DataError(f"encodes text as {_text(encoding)!r}")
    return text.encode("latin1")


def _storage(data: bytes) -> Any:
    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError("has Python objects in a tensor, which could run a program; it was not loaded") from error


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *ignored: Any) -> Any:
    import torch

    if not isinstance(storage, torch.storage.TypedStorage):
        raise DataError("has a tensor without its numbers")
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (0 not in size and last >= storage._size()):
        raise DataError(f"has {storage._size():,} numbers for a tensor {tuple(size)}")
    return torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage, offset, tuple(size), tuple(stride))


def _no_bytes() -> bytes:
    """How Python 3 writes empty bytes for Python 2."""
    return b""


def _uncalled(*ignored: Any) -> Any:
    raise DataError("makes an array in a way that is not read")


_MAKERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _uncalled,  # named as what `_reconstruct` is to make
    ("_codecs", "encode"): _codecs_encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("collections", "OrderedDict"): dict,
    ("collections", "defaultdict"): lambda *ignored: {},
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *ignored: tensor,
    ("torch", "Size"): tuple,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _array for core in ("core", "_core")},
    **{(home, kind.__name__): kind for home in ("builtins", "__builtin__") for kind in (set, frozenset, list, dict)},
}


class _Maker:
    """What a pickle gets for a name on the list: it can be called, and nothing of it can be changed."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "make", make)

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)  # type: ignore[attr-defined]  # set past __setattr__

    def __setattr__(self, name: str, value: Any) -> None:
        raise DataError("changes a function")

    def __setstate__(self, state: Any) -> None:
        raise DataError("changes a function")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Give what stands for a name on the list; refuse all others."""
        if (module, name) not in _MAKERS:
            raise DataError(f"is a pickle that asks for {module}.{name}, which could run a program; it was not loaded")
        return _Maker(_MAKERS[module, name])

    def persistent_load(self, pid: Any) -> Any:
        """Refuse objects that stand outside the file."""
        raise DataError("is a pickle with parts outside it")


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    """Put arrays for what stands for them, and strings for Python 2's bytes."""
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, _Array):
        return _plain(value.content, seen)
    if isinstance(value, (_Dtype, _Maker)):
        raise DataError("holds a type or a function where a value should stand")
    if isinstance(value, tuple):
        return tuple(_plain(part, seen) for part in value)
    if id(value) in seen:  # a list may hold itself
        return seen[id(value)]
    if isinstance(value, list):
        seen[id(value)] = of_list = list[Any]()
        of_list.extend(_plain(part, seen) for part in value)
        return of_list
    if isinstance(value, dict):
        seen[id(value)] = of_dictionary = dict[Any, Any]()
        of_dictionary.update({_plain(key, seen): _plain(part, seen) for key, part in value.items()})
        return of_dictionary
    return value.detach().float().numpy() if type(value).__module__ == "torch" else value


def _text(found: str | bytes) -> str:
    if isinstance(found, str):
        return found
    try:
        return found.decode()
    except UnicodeDecodeError:
        return found.decode("latin1")
