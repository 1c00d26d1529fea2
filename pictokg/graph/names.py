"""A vocabulary on disk: one name a line."""

from __future__ import annotations

import re
from pathlib import Path

from pictokg.files import write_text
from pictokg.graph.vocabulary import Vocabulary

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\([\\nr])")
_UNESCAPES = {"\\": "\\", "n": "\n", "r": "\r"}


def write_names(path: Path | str, names: Vocabulary) -> None:
    r"""Write one name a line in UTF-8, line breaks in names as \n and \r; atomically."""
    escaped = str.maketrans(_ESCAPES)
    write_text(Path(path), "".join(f"{name.translate(escaped)}\n" for name in names.names))


def read_names(path: Path | str) -> Vocabulary:
    """Read what `write_names` wrote."""
    with Path(path).open(encoding="utf-8", newline="\n") as handle:
        text = handle.read()
    if "\\" in text:
        lines = [_ESCAPED.sub(lambda match: _UNESCAPES[match[1]], line) for line in text.split("\n")]
    else:
        lines = text.split("\n")
    return Vocabulary(lines[:-1])
