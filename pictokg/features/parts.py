"""Work in progress of an encoding: finished parts on disk, so that a killed one goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from zipfile import BadZipFile

import numpy as np

from pictokg.errors import PictoKGError
from pictokg.features.encoders import load_encoder
from pictokg.features.encoders.base import Encoded
from pictokg.files import write_atomically, write_text

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Encoder


LOCK, FITTING, JOINING = "lock", "fitting.lock", "joining.lock"


@dataclass(frozen=True)
class Parts:
    """The folder TABLE.partial: fingerprint of the work, fitted encoder, part-00001.npz and so on."""

    folder: Path

    def begin(self, fingerprint: str) -> None:
        """Keep what an earlier run left of the same work and remove anything else."""
        mark = self.folder / "fingerprint.txt"
        if mark.is_file() and mark.read_text(encoding="utf-8") == fingerprint:
            return
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif not path.name.endswith(LOCK):
                path.unlink()
        write_text(mark, fingerprint)

    def fitted(self, encoder: Encoder, items: list[Path] | list[str]) -> Encoder:
        """Return the encoder fitted by an earlier run, else this one, fitted now and saved."""
        if encoder.fitted:
            return encoder
        folder = self.folder / "encoder"
        if folder.is_dir():
            return load_encoder(folder)
        encoder.fit(items)
        fresh = self.folder / "encoder.new"
        encoder.save(fresh)
        fresh.rename(folder)
        return encoder

    def write(self, number: int, encoded: Encoded) -> None:
        """Write a part, whole or not at all."""
        words = {
            "keys": list(encoded.keys),
            "skipped": list(encoded.skipped),
            "shortened": list(encoded.shortened),
        }
        content = {
            "values": encoded.values,
            "owner": encoded.owner,
            "words": np.frombuffer(json.dumps(words).encode(), dtype=np.uint8),
        }
        write_atomically(self._path(number), lambda path: _save(path, content))

    def is_there(self, number: int) -> bool:
        """Whether a part has been written, by this process or another one."""
        return self._path(number).is_file()

    def read(self, number: int) -> Encoded | None:
        """Read a part of an earlier run; None where there is none, or where the disk has damaged it."""
        try:
            with self._path(number).open("rb") as handle, np.load(handle, allow_pickle=False) as content:
                words = json.loads(content["words"].tobytes())
                skipped = [(place, reason) for place, reason in words["skipped"]]
                shortened = [(place, how) for place, how in words["shortened"]]
                return Encoded(content["values"], content["owner"], words["keys"], skipped, shortened)
        except (OSError, EOFError, ValueError, TypeError, KeyError, BadZipFile):
            return None

    def values_file(self) -> Path:
        """Where the rows of all parts are brought together."""
        return self.folder / "values.npy"

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """One process at a time; `what` is FITTING or JOINING."""
        with (self.folder / what).open("wb") as lock:
            _take(lock.fileno())
            yield

    def claim(self, number: int) -> BinaryIO | None:
        """Take a part to work on; None where another process has it. It is given back by closing, or by dying."""
        lock = self._path(number).with_suffix(".lock").open("wb")
        if _take(lock.fileno(), wait=False) is False:
            lock.close()
            return None
        return lock

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.npz"


@contextmanager
def parts_of(table: Path, *, shared: bool = False) -> Iterator[Parts]:
    """Open the parts of a table for one process at a time; a second one waits, then finds the table made.

    Args:
        table: the folder of the table.
        shared: for several processes that share the work, and no others.

    Raises:
        PictoKGError: the work is to be shared, on a disk without locks.
    """
    folder = table.with_name(f"{table.name}.partial")
    with _locked(folder, shared) as lock:
        yield Parts(folder)
        # Only after success: an error leaves the parts for the next run, and others may still be at work.
        if not shared or _is_last(lock):
            shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path, shared: bool) -> BinaryIO:
    """Make the folder and take its lock, again where the process that had it has removed the folder."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = (folder / LOCK).open("wb")
        except FileNotFoundError:
            continue
        if _take(lock.fileno(), shared=shared) is None and shared:
            raise PictoKGError(
                f"the disk of {folder} has no locks, so that processes cannot share the work; encode with one process,"
                " or into a folder on another disk (--out)"
            )
        if _is_same(lock, folder / LOCK):
            return lock
        lock.close()


def _is_same(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _is_last(lock: BinaryIO) -> bool:
    """Give a shared lock back; whether nobody else holds it."""
    import fcntl

    fcntl.flock(lock.fileno(), fcntl.LOCK_UN)  # first, so that of two who end together one finds the other gone
    return _take(lock.fileno(), wait=False) is True


def _take(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool | None:
    """Take a file's lock, which the system gives back when the process ends, however it ends.

    Returns:
        whether it was taken; None where there are no locks, as on Windows.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _save(path: Path, content: dict[str, np.ndarray]) -> None:
    with path.open("wb") as handle:
        np.savez(handle, **content)  # type: ignore[arg-type]  # names are given, none is allow_pickle
