"""The relations of the glyphs graph: each a rule from a character to tails, with its words and source.

A tail is another entity: a character (`U+0041`) or a value (`category:Lu`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pictokg.datasets.glyphs import names, properties


@dataclass(frozen=True)
class Relation:
    """One kind of fact; `tails(character)` lists what the character is related to."""

    tails: Callable[[str], Iterable[str]]
    label: str
    source: str
    group: str

    @property
    def name(self) -> str:
        """The name of its rule."""
        return self.tails.__name__


def _stated(rule: Callable[[str], Iterable[str]], label: str, source: str) -> Relation:
    return Relation(rule, label, f"Unicode Character Database: {source}.", "unicode_data")


def _named(rule: Callable[[str], Iterable[str]], label: str, source: str) -> Relation:
    return Relation(rule, label, f"Read off the Unicode name: {source}.", "name_derived")


RELATIONS: tuple[Relation, ...] = (
    _stated(properties.general_category, "has general category", "General_Category"),
    _stated(properties.script, "is written in script", "Script"),
    _stated(properties.block, "stands in block", "Block"),
    _stated(properties.bidi_class, "has bidirectional class", "Bidi_Class"),
    _stated(properties.uppercase, "has uppercase", "Uppercase_Mapping of one character"),
    _stated(properties.lowercase, "has lowercase", "Lowercase_Mapping of one character"),
    _stated(properties.base_character, "decomposes to base", "first of the canonical Decomposition_Mapping"),
    _stated(properties.combining_mark, "decomposes to mark", "second of the canonical Decomposition_Mapping"),
    _stated(properties.combining_class, "has combining class", "Canonical_Combining_Class"),
    _stated(properties.compatibility_style, "has the form", "tag of the Decomposition_Mapping"),
    _stated(properties.compatibility_character, "is a form of", "Decomposition_Mapping to one, tagged"),
    _stated(properties.compatibility_part, "is composed of", "Decomposition_Mapping to several, tagged"),
    _stated(properties.numeric_value, "has numeric value", "Numeric_Value"),
    _stated(properties.mirrored_partner, "is mirrored as", "Bidi_Mirroring_Glyph"),
    _named(names.has_dot, "has raised dot", "BRAILLE PATTERN DOTS-dots"),
    _named(names.domino_first, "has first half", "DOMINO TILE direction-first-second"),
    _named(names.domino_second, "has second half", "DOMINO TILE direction-first-second"),
    _named(names.card_suit, "has suit", "PLAYING CARD rank OF suit, colour suit SUIT"),
    _named(names.card_rank, "has rank", "PLAYING CARD rank OF suit"),
    _named(names.chess_piece, "is the chess piece", "colour CHESS piece"),
    _named(names.colour, "has colour", "BLACK and WHITE in the names of symbols"),
    _named(names.shape, "has shape", "the last noun in the names of geometric symbols"),
    _named(names.arrow_direction, "points to", "the directions of ARROW and HARPOON"),
    _named(names.box_stroke, "has stroke", "BOX DRAWINGS weights and directions"),
    _named(names.math_style, "has mathematical style", "MATHEMATICAL styles letter"),
    _named(names.has_diacritic, "has diacritic", "LETTER letter WITH diacritics"),
)
