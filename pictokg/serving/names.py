"""Search as you type over names and labels, and the names that come nearest to a wrong one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import numpy as np

_NEXT_TO_A_WORD = " \t\n"


def fold(text: str) -> str:
    r"""Write a text as people type it: lower case, no accents, one space between words.

    >>> fold("  Crème_BRÛLÉE\n"), fold("́")
    ('creme brulee', '́')
    """
    lower = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(letter for letter in lower if not unicodedata.combining(letter))
    spaced = "".join(" " if letter == "_" or letter.isspace() else letter for letter in plain or lower)
    return " ".join(spaced.split())


class NameIndex:
    """Finds entities by any part of their label or name; the weightier of two equal finds comes first.

    All names stand in one text, a line each, the weightiest first: Python searches a million of them in milliseconds,
    and needs nothing beside the text.

    Args:
        names: the name of each entity.
        labels: what people call it; may be its name.
        weight: (n,), such as the number of its facts.

    >>> index = NameIndex(["Q1", "Q2", "Q3"], ["Paris", "Paris Hilton", "Île-de-Paris"], np.array([3, 1, 2]))
    >>> index.search("pari", 5), index.search("ile", 5), index.search("Q2", 5), index.search("hilton paris", 5)
    ([0, 1, 2], [2], [1], [1])
    """

    def __init__(self, names: Sequence[str], labels: Sequence[str], weight: np.ndarray) -> None:
        self._order = np.argsort(-weight, kind="stable")
        lines = []
        for place in self._order.tolist():
            name, label = fold(names[place]), fold(labels[place])
            lines.append(label if label == name else f"{label}\t{name}")
        self._text = "\n" + "\n".join(lines) + "\n"
        lengths = np.fromiter((len(line) + 1 for line in lines), dtype=np.int64, count=len(lines))
        self._starts = 1 + np.cumsum(lengths) - lengths
        self._names, self._labels = names, labels

    def search(self, words: str, limit: int) -> list[int]:
        """Find up to `limit` entities: whole, then beginning so, then a word beginning so, then anywhere in it."""
        wanted = fold(words)
        if not wanted:
            return []
        found: dict[int, None] = {}
        for lines in self._passes(wanted):
            for line in lines:
                found.setdefault(line)
                if len(found) == limit:
                    return self._order[list(found)].tolist()
        return self._order[list(found)].tolist()

    def nearest(self, wrong: str, limit: int = 3) -> list[str]:
        """Names that look like a wrong one, the likest first; only names that share a piece with it are looked at."""
        wanted = fold(wrong[:200])
        candidates: dict[int, None] = {}
        for piece in _pieces(wanted):
            candidates.update(dict.fromkeys(self.search(piece, 60)))
        liked = []
        for place in candidates:
            for text in (self._names[place], self._labels[place]):
                likeness = SequenceMatcher(None, wanted, fold(text[:200])).ratio()
                if likeness >= 0.6:
                    liked.append((-likeness, self._names[place]))
        return list(dict.fromkeys(name for _, name in sorted(liked)))[:limit]

    def _passes(self, wanted: str) -> Iterator[Iterator[int]]:
        yield self._lines(f"\n{wanted}\n")
        yield self._lines(f"\n{wanted}\t")
        yield self._lines(f"\t{wanted}\n")
        yield self._lines(f"\n{wanted}")
        yield self._lines(f"\t{wanted}")
        yield self._lines(f" {wanted}")
        yield self._lines(wanted)
        if " " in wanted:
            yield self._lines_with_all(wanted.split())

    def _lines(self, piece: str, at_most: int | None = None) -> Iterator[int]:
        """Lines that hold a piece, in order."""
        place, seen = self._text.find(piece), 0
        while place >= 0 and (at_most is None or seen < at_most):
            first = place + (piece[0] == "\n")
            line = int(np.searchsorted(self._starts, first, side="right")) - 1
            yield line
            seen += 1
            place = self._text.find(piece, self._end(line))

    def _lines_with_all(self, words: list[str]) -> Iterator[int]:
        """Lines that hold every word, each at a word's beginning, in any order; of the first few thousand."""
        longest = max(words, key=len)
        for line in self._lines(longest, at_most=5000):
            text = self._text[self._starts[line] - 1 : self._end(line)]
            if all(any(f"{mark}{word}" in text for mark in _NEXT_TO_A_WORD) for word in words):
                yield line

    def _end(self, line: int) -> int:
        """Where the newline after a line stands."""
        return int(self._starts[line + 1]) - 1 if line + 1 < len(self._starts) else len(self._text) - 1


def _pieces(text: str) -> list[str]:
    """Parts of a text of which one survives a slip of the finger, the longest first."""
    half, third = len(text) // 2, len(text) // 3
    parts = [text, text[:half], text[half:], text[:third], text[third : 2 * third], text[2 * third :]]
    least = min(2, max(1, len(text) // 3))
    return [part for part in dict.fromkeys(parts) if len(part.strip()) >= least] or [text]
