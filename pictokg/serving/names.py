"""Search as you type over names and labels, and the names that come nearest to a wrong one."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
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

    All names stand in one text, a line each, the weightiest first. What begins as the words do is found by halving, in
    the alphabet's order of the lines; only where that is too little is the text read, milliseconds for a million names.

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
        called = [(fold(labels[place]), fold(names[place])) for place in self._order.tolist()]
        lines = [label if label == name else f"{label}\t{name}" for label, name in called]
        self._text = "\n" + "\n".join(lines) + "\n"
        lengths = np.fromiter((len(line) + 1 for line in lines), dtype=np.int64, count=len(lines))
        self._starts = 1 + np.cumsum(lengths) - lengths
        self._names, self._labels = names, labels
        named = (line for line, (label, name) in enumerate(called) if label != name)
        self._alphabet: tuple[tuple[np.ndarray, Callable[[int], str]], ...] = (
            (np.array(sorted(range(len(lines)), key=called.__getitem__), dtype=np.int64), self._label),
            (np.array(sorted(named, key=lambda line: called[line][1]), dtype=np.int64), self._name),
        )

    def search(self, words: str, limit: int) -> list[int]:
        """Find up to `limit` entities: whole, then beginning so, then a word beginning so, then anywhere in it."""
        wanted = fold(words)
        if not wanted:
            return []
        found: dict[int, None] = {}
        for lines in self._passes(wanted, limit):
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

    def _passes(self, wanted: str, limit: int) -> Iterator[Iterator[int]]:
        ranges = [self._beginning(wanted, lines, read) for lines, read in self._alphabet]
        for whole, _ in ranges:
            yield _first(whole, limit)
        for _, beginning in ranges:
            yield _first(beginning, 3 * limit)  # those that are the words whole stand among them again
        yield self._lines(f" {wanted}")
        yield self._lines(wanted)
        if " " in wanted:
            yield self._lines_with_all(wanted.split())

    @staticmethod
    def _beginning(wanted: str, lines: np.ndarray, read: Callable[[int], str]) -> tuple[np.ndarray, np.ndarray]:
        """Of lines in the alphabet's order: those that are the words, and those that begin with them."""
        first = bisect_left(lines, wanted, key=read)
        last = bisect_right(lines, wanted, lo=first, key=lambda line: read(line)[: len(wanted)])
        return lines[first : bisect_right(lines, wanted, lo=first, hi=last, key=read)], lines[first:last]

    def _label(self, line: int) -> str:
        return self._text[self._starts[line] : self._end(line)].partition("\t")[0]

    def _name(self, line: int) -> str:
        return self._text[self._starts[line] : self._end(line)].rpartition("\t")[2]

    def _lines(self, piece: str, at_most: int | None = None) -> Iterator[int]:
        """Lines that hold a piece, in order."""
        place, seen = self._text.find(piece), 0
        while place >= 0 and (at_most is None or seen < at_most):
            line = int(np.searchsorted(self._starts, place, side="right")) - 1
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


def _first(lines: np.ndarray, count: int) -> Iterator[int]:
    """The weightiest of some lines, in order."""
    if len(lines) > count:
        lines = np.partition(lines, count)[:count]
    return iter(np.sort(lines).tolist())


def _pieces(text: str) -> list[str]:
    """Parts of a text of which one survives a slip of the finger, the longest first."""
    half, third = len(text) // 2, len(text) // 3
    parts = [text, text[:half], text[half:], text[:third], text[third : 2 * third], text[2 * third :]]
    least = min(2, max(1, len(text) // 3))
    return [part for part in dict.fromkeys(parts) if len(part.strip()) >= least] or [text]
