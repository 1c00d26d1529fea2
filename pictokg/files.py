"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pictokg.errors import PictoKGError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then rename it over `path`.

    Raises:
        PictoKGError: the disk refuses (full, read-only); what stood at `path` before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException as error:  # Ctrl-C too leaves nothing behind
        with suppress(OSError):
            temporary.unlink()
        if not isinstance(error, Exception) or not is_disk_error(error):
            raise
        raise PictoKGError(
            f"cannot write {path}: {error}; what was there before is kept. Free some space (or choose another folder)"
            " and start again with the same command, or resume"
        ) from error


def is_disk_error(error: Exception) -> bool:
    """Whether the operating system refused a write, also where a library wraps that in an error of its own."""
    return isinstance(error, OSError) or "No space left" in str(error) or "I/O error" in str(error)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda temporary: _write(temporary, text))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
