"""What every encoder is: fitted on items, it turns each into rows, and is saved with what it fitted."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

import numpy as np

from pictokg.errors import DataError
from pictokg.files import write_atomically, write_text

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from PIL.Image import Image

Item: TypeAlias = "Path | Image | str"  # a picture file, a picture, or a text
Result = TypeVar("Result")


class MissingWeightsError(DataError):
    """An encoder's weights are not on this machine; the message says how to get them."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows of a batch of items, in the order of the items.

    Attributes:
        values: the rows, float32.
        owner: for each row, its item's place in the batch, ascending; an item may own several rows, or none.
        keys: for each row, which part of its item it shows, as "patch 0,1"; empty for the whole item.
        skipped: (place of the item, why) for each that gave no row.
        shortened: (place of the item, how) for each of which only a part was read, as a text that is too long.
    """

    values: Float[np.ndarray, "rows width"]
    owner: Int[np.ndarray, " rows"]
    keys: Sequence[str]
    skipped: Sequence[tuple[int, str]] = field(default_factory=list)
    shortened: Sequence[tuple[int, str]] = field(default_factory=list)


def joined(batches: Sequence[Encoded], starts: Sequence[int]) -> Encoded:
    """One batch of several, whose items started at these places.

    >>> one = Encoded(np.zeros((2, 3), dtype="float32"), np.array([0, 2]), ["", ""], [(1, "empty file")])
    >>> joined([one, one], [0, 3]).owner.tolist(), joined([one, one], [0, 3]).skipped
    ([0, 2, 3, 5], [(1, 'empty file'), (4, 'empty file')])
    """
    pairs = list(zip(batches, starts, strict=True))
    return Encoded(
        np.concatenate([batch.values for batch in batches]),
        np.concatenate([batch.owner + start for batch, start in pairs]),
        [key for batch in batches for key in batch.keys],
        [(place + start, why) for batch, start in pairs for place, why in batch.skipped],
        [(place + start, how) for batch, start in pairs for place, how in batch.shortened],
    )


@dataclass(frozen=True, eq=False)
class Ready:
    """Items read and brought to the form that a network takes.

    Attributes:
        arrays: what they became, by name; the first axis counts the items that could be read.
        places: the place in the batch of each of those.
        skipped: (place, why) of the others.
    """

    arrays: Mapping[str, np.ndarray]
    places: Sequence[int]
    skipped: Sequence[tuple[int, str]]


Reader: TypeAlias = Callable[[Sequence[Item]], Ready]


class Encoder(Protocol):
    """Turns items into rows of numbers.

    What needs no fitting, as a pretrained network, is fitted from the start. The keyword arguments of the
    constructor are the options: int, float, bool, str or Literal, all with defaults.

    Attributes:
        name: the name of the file that defines it.
        modality: "image" (items are pictures or their files) or "text".
        width: numbers in a row; fitting on few items may make it smaller.
        fitted: whether `encode` can be called.
    """

    name: str
    modality: str
    width: int
    fitted: bool

    def options(self) -> dict[str, Any]:
        """Return the arguments it was made with."""

    def fingerprint(self) -> str:
        """Digest the options and what was fitted: equal fingerprints encode equally."""

    def fit(self, items: Sequence[Item]) -> None:
        """Learn from items; deterministic. DataError when none of them can be read."""

    def encode(self, items: Sequence[Item]) -> Encoded:
        """Encode a batch; an item that cannot be read is skipped with the reason, never an error."""

    def save(self, folder: Path) -> None:
        """Write options and fitted state; no pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; encodes exactly as the saved one did."""


@runtime_checkable
class ReadsAhead(Protocol):
    """An encoder whose items other processes can read and prepare while it is busy with those before.

    Attributes:
        batch: items prepared together.
        part: items between two writes of work in progress; equal for equal fingerprints.
    """

    batch: int
    part: int

    def reader(self) -> Reader | None:
        """Return what prepares items; it is pickled and sent to other processes. None: nothing is worth it."""

    def encode_ready(self, ready: Ready) -> Encoded:
        """Encode a prepared batch; `encode(items)` gives the same rows as `encode_ready(reader()(items))`."""


@runtime_checkable
class NeedsMore(Protocol):
    """An encoder that needs packages or weights which may be missing."""

    def check(self) -> None:
        """Raise, with what to do, where something is missing."""


def encode_in_batches(encoder: ReadsAhead, reader: Reader, items: Sequence[Item]) -> Encoded:
    """What `encode` is of an encoder that reads ahead: its batches one after another, in this process."""
    starts, batches = list(range(0, len(items), encoder.batch)) or [0], []
    for start in starts:
        with without_warnings():
            ready = reader(items[start : start + encoder.batch])
        batches.append(encoder.encode_ready(ready))
    return joined(batches, starts)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Do not show what decoders say of files that they do read.

    In the main thread only: Python's filters of warnings are those of the whole process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def digest(settings: Mapping[str, Any], state: Mapping[str, np.ndarray] | None = None) -> str:
    """Digest settings (as JSON) and arrays.

    >>> digest({"width": 2}) == digest({"width": 2}) != digest({"width": 3})
    True
    """
    found = hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode())
    for name, array in sorted((state or {}).items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:32]


def save_state(folder: Path, settings: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
    """Write encoder.json and state.safetensors."""
    from safetensors.numpy import save

    write_text(folder / "encoder.json", json.dumps(settings, indent=1, ensure_ascii=False) + "\n")
    arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
    content = save(arrays)  # not save_file, whose files only their owner may read
    write_atomically(folder / "state.safetensors", lambda path: _write(path, content))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `save_state` wrote."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        settings = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        return settings, load_file(folder / "state.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(
            f"is no saved encoder ({error})", file=folder, remedy="encode again: pictokg encode FOLDER"
        ) from error


def in_threads(function: Callable[[Sequence[Item]], Result], items: Sequence[Item], size: int) -> list[Result]:
    """Apply a function to batches of `size` items on all cores; results come in the order of the batches.

    Matrix products stay on one thread each, so that results do not depend on the number of cores. Warnings of
    decoders about files that they do read are not shown.
    """
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    with one_thread(), warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")
        return list(pool.map(function, batches))


def one_thread() -> AbstractContextManager[object]:
    """Keep matrix products on one thread: with more, the last digits depend on how many."""
    import scipy.linalg  # noqa: F401 - only a library that is loaded can be limited
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no stubs

    return threadpool_limits(1)


def unit_rows(rows: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, "rows width"]:
    """Scale rows to norm 1; rows of zeros stay.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)
