"""Errors people can act on: what is wrong, what was found, what is allowed, what to do.

Every error of ours is a `PictoKGError`; the command line prints its text without a traceback and exits with 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class PictoKGError(Exception):
    """Anything a user can mend; the message says how."""


class DataError(PictoKGError):
    """A file holds something it should not, with the place where.

    >>> print(DataError("expected 3 columns, found 2", file="train.tsv", line=7, remedy="use tabs"))
    train.tsv, line 7: expected 3 columns, found 2; use tabs
    """

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        remedy: str | None = None,
    ) -> None:
        place = "" if file is None else f"{file}" + (f", line {line}" if line is not None else "") + ": "
        super().__init__(place + message + (f"; {remedy}" if remedy else ""))
        self.file, self.line = file, line


class ConfigError(PictoKGError):
    """A choice that does not exist or does not fit the others."""


class MissingExtraError(PictoKGError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}; run: pip install 'pictokg[{extra}]'")


class DataWarning(UserWarning):
    """The data are usable, but a figure measured on them may mislead."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return a hint that names the closest allowed value, or lists a few when none is close.

    >>> nearest("transs", ["transe", "distmult"])
    "did you mean 'transe'?"
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (f", … ({len(names):,} in all)" if len(names) > 12 else "")
    return f"choose one of: {shown}"
