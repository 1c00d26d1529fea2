"""Where sentences end, in any script."""

from __future__ import annotations

import re

SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|\n+")


def parts_of_text(text: str, *, sentences: bool) -> list[tuple[str, str]]:
    """(key, text) of what makes a row: the whole text, or each of its sentences.

    >>> parts_of_text("A city. On the Seine!", sentences=True)
    [('sentence 0', 'A city.'), ('sentence 1', 'On the Seine!')]
    >>> parts_of_text("A city. On the Seine!", sentences=False)
    [('', 'A city. On the Seine!')]
    """
    if not sentences:
        return [("", text)]
    found = [part.strip() for part in SENTENCE_END.split(text) if part.strip()]
    return [(f"sentence {number}", sentence) for number, sentence in enumerate(found)]
