"""The embedded data set: the characters of the Unicode standard, their pictures, names and facts.

>>> from pictokg.datasets import glyphs
>>> folder = glyphs.cached()  # doctest: +SKIP
"""

from __future__ import annotations

from pictokg.datasets.glyphs.cache import cached
from pictokg.datasets.glyphs.folder import generate

__all__ = ["cached", "generate"]
