"""Work in progress of an encoding: finished parts on disk, so that a killed one goes on where it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from pictokg.features.encoders import load_encoder
from pictokg.features.encoders.base import Encoded
from pictokg.files import write_atomically, write_text

if TYPE_CHECKING:
    from pictokg.features.encoders.base import Encoder


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
            elif path.name != LOCK:
                path.unlink()
        write_text(mark, fingerprint)

    def fitted(self, encoder: Encoder, items: list[Path] | list[str]) -> Encoder:
        """Return the encoder fitted by an earlier run, else this one, fitted now and saved."""
        folder = self.folder / "encoder"
        if folder.is_dir():
            return load_encoder(folder)
        if not encoder.fitted:
            encoder.fit(items)
        fresh = self.folder / "encoder.new"
        encoder.save(fresh)
        fresh.rename(folder)
        return encoder

    def write(self, number: int, encoded: Encoded) -> None:
        """Write a part, whole or not at all."""
        words = json.dumps({"keys": list(encoded.keys), "skipped": list(encoded.skipped)}).encode()
        content = {
            "values": encoded.values,
            "owner": encoded.owner,
            "words": np.frombuffer(words, dtype=np.uint8),
        }
        write_atomically(self._path(number), lambda path: _save(path, content))

    def read(self, number: int) -> Encoded | None:
        """Read a part of an earlier run; None where there is none, or where the disk has damaged it."""
        try:
            with self._path(number).open("rb") as handle, np.load(handle, allow_pickle=False) as content:
                words = json.loads(content["words"].tobytes())
                skipped = [(place, reason) for place, reason in words["skipped"]]
                return Encoded(content["values"], content["owner"], words["keys"], skipped)
        except (OSError, EOFError, ValueError, TypeError, KeyError, BadZipFile):
            return None

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.npz"


LOCK = "lock"


@contextmanager
def parts_of(table: Path) -> Iterator[Parts]:
    """Open the parts of a table for one process at a time; a second one waits, then finds the table made."""
    folder = table.with_name(f"{table.name}.partial")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("wb") as lock:
        _wait_for(lock.fileno())
        yield Parts(folder)
        # Only after success: an error leaves the parts for the next run.
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(descriptor: int) -> None:
    """Take a file's lock, which the system gives back when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        return


def _save(path: Path, content: dict[str, np.ndarray]) -> None:
    with path.open("wb") as handle:
        np.savez(handle, **content)  # type: ignore[arg-type]  # names are given, none is allow_pickle
