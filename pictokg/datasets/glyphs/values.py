"""Readable labels for the values that facts point to."""

from __future__ import annotations

CATEGORIES = {
    "Cf": "format control",
    "Ll": "lowercase letter",
    "Lm": "modifier letter",
    "Lo": "letter without case",
    "Lt": "titlecase letter",
    "Lu": "uppercase letter",
    "Mc": "spacing mark",
    "Me": "enclosing mark",
    "Mn": "nonspacing mark",
    "Nd": "decimal digit",
    "Nl": "letter number",
    "No": "other number",
    "Pc": "connector punctuation",
    "Pd": "dash",
    "Pe": "closing punctuation",
    "Pf": "final quotation mark",
    "Pi": "initial quotation mark",
    "Po": "other punctuation",
    "Ps": "opening punctuation",
    "Sc": "currency symbol",
    "Sk": "modifier symbol",
    "Sm": "mathematical symbol",
    "So": "other symbol",
    "Zl": "line separator",
    "Zp": "paragraph separator",
    "Zs": "space separator",
}
BIDI = {
    "AL": "Arabic letter",
    "AN": "Arabic number",
    "B": "paragraph separator",
    "BN": "boundary neutral",
    "CS": "common separator",
    "EN": "European number",
    "ES": "European separator",
    "ET": "European terminator",
    "L": "left to right",
    "NSM": "nonspacing mark",
    "ON": "other neutral",
    "R": "right to left",
    "WS": "white space",
}
FORMS = {
    "circle": "encircled",
    "compat": "compatibility",
    "font": "font variant",
    "noBreak": "no-break",
    "sub": "subscript",
    "super": "superscript",
}
WORDS = {"category": CATEGORIES, "bidi": BIDI, "form": FORMS}
PATTERNS = {
    "bidi": "bidirectional class {}",
    "block": "{} block",
    "colour": "{}",
    "combining": "combining class {}",
    "diacritic": "{}",
    "direction": "direction {}",
    "dot": "braille dot {}",
    "form": "{} form",
    "letters": "mathematical {}",
    "piece": "chess {}",
    "pips": "domino half of {}",
    "rank": "{} of cards",
    "script": "{} script",
    "shape": "{}",
    "stroke": "{} stroke",
    "suit": "{}",
    "value": "the number {}",
}


def label(value: str) -> str:
    """Put a value entity in words.

    >>> label("category:Lu"), label("dot:3"), label("script:Latin")
    ('uppercase letter', 'braille dot 3', 'Latin script')
    """
    kind, _, key = value.partition(":")
    words = WORDS.get(kind, {}).get(key, key)
    return PATTERNS.get(kind, "{}").format(words)
