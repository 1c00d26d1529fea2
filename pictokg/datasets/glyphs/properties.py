"""Facts that the Unicode Character Database states, as Python and fontTools carry it.

Every rule takes a character and lists tails; an empty list means that the database says nothing.
"""

from __future__ import annotations

import unicodedata
from fractions import Fraction


def entity(character: str) -> str:
    """Name the entity of a character.

    >>> entity("Á")
    'U+00C1'
    """
    return f"U+{ord(character):04X}"


def general_category(character: str) -> list[str]:
    """General category: `category:Lu`."""
    return [f"category:{unicodedata.category(character)}"]


def script(character: str) -> list[str]:
    """Script by its long name: `script:Latin`."""
    from fontTools import unicodedata as font_unicode

    return [f"script:{font_unicode.script_name(font_unicode.script(character))}"]


def block(character: str) -> list[str]:
    """Block of code points: `block:Latin-1 Supplement`."""
    from fontTools import unicodedata as font_unicode

    return [f"block:{font_unicode.block(character)}"]


def bidi_class(character: str) -> list[str]:
    """Bidirectional class: `bidi:L`."""
    return [f"bidi:{unicodedata.bidirectional(character)}"]


def uppercase(character: str) -> list[str]:
    """Find the one character that is its capital; longer mappings (ß to SS) are no partner."""
    return _partner(character, character.upper())


def lowercase(character: str) -> list[str]:
    """Find the one character that is its small letter."""
    return _partner(character, character.lower())


def _partner(character: str, other: str) -> list[str]:
    return [entity(other)] if len(other) == 1 and other != character else []


def _decomposition(character: str) -> tuple[str, list[str]]:
    """Return the tag ('' for a canonical decomposition) and the entities of the parts."""
    parts = unicodedata.decomposition(character).split()
    tag = parts.pop(0)[1:-1] if parts and parts[0].startswith("<") else ""
    return tag, [entity(chr(int(part, 16))) for part in parts]


def base_character(character: str) -> list[str]:
    """First character of the canonical decomposition, one step deep.

    >>> base_character("Á"), base_character("Ấ")
    (['U+0041'], ['U+00C2'])
    """
    tag, parts = _decomposition(character)
    return parts[:1] if not tag else []


def combining_mark(character: str) -> list[str]:
    """Second character of the canonical decomposition.

    >>> combining_mark("Á")
    ['U+0301']
    """
    tag, parts = _decomposition(character)
    return parts[1:] if not tag else []


def combining_class(character: str) -> list[str]:
    """Canonical combining class of a mark: `combining:230`."""
    number = unicodedata.combining(character)
    return [f"combining:{number}"] if number else []


def compatibility_style(character: str) -> list[str]:
    """Tag of the compatibility decomposition: `form:super`."""
    tag, _ = _decomposition(character)
    return [f"form:{tag}"] if tag else []


def compatibility_character(character: str) -> list[str]:
    """Find the one character that this one is a styled form of.

    >>> compatibility_character("²")
    ['U+0032']
    """
    tag, parts = _decomposition(character)
    return parts if tag and len(parts) == 1 else []


def compatibility_part(character: str) -> list[str]:
    """List the characters that a ligature or fraction is composed of.

    >>> compatibility_part("½")
    ['U+0031', 'U+2044', 'U+0032']
    """
    tag, parts = _decomposition(character)
    return list(dict.fromkeys(parts)) if tag and len(parts) > 1 else []


def numeric_value(character: str) -> list[str]:
    """Numeric value, fractions as such: `value:5`, `value:1/2`."""
    number = unicodedata.numeric(character, None)
    return [] if number is None else [f"value:{Fraction(number).limit_denominator(1000)}"]


def mirrored_partner(character: str) -> list[str]:
    """Find the character with the mirrored picture.

    >>> mirrored_partner("(")
    ['U+0029']
    """
    from fontTools.unicodedata import Mirrored

    other = Mirrored.MIRRORED.get(ord(character))
    return [entity(chr(other))] if other is not None and unicodedata.mirrored(character) else []
