"""Facts that the Unicode name of a character states.

They are circular for a model that reads the names, so their relations form the group `name_derived`.
"""

from __future__ import annotations

import re
import unicodedata

SHAPES = {
    *("square", "rectangle", "parallelogram", "diamond", "lozenge", "triangle", "pentagon", "hexagon"),
    *(
        "circle",
        "ellipse",
        "bullet",
        "pointer",
        "star",
        "asterisk",
        "cross",
        "florette",
        "snowflake",
        "heart",
    ),
}
STYLES = ("BOLD", "ITALIC", "SCRIPT", "FRAKTUR", "DOUBLE-STRUCK", "SANS-SERIF", "MONOSPACE")
RANKS = (
    *("ACE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "TEN"),
    *("JACK", "KNIGHT", "QUEEN", "KING"),
)
STRAIGHT = {"LEFT": "left", "RIGHT": "right", "UP": "up", "DOWN": "down"}
OBLIQUE = {
    "NORTH WEST": "up-left",
    "NORTH EAST": "up-right",
    "SOUTH WEST": "down-left",
    "SOUTH EAST": "down-right",
}
TURNS = {"CLOCKWISE": "clockwise", "ANTICLOCKWISE": "anticlockwise"}
WEIGHTS = {"LIGHT": "light", "SINGLE": "light", "HEAVY": "heavy", "DOUBLE": "double"}

# What follows these words qualifies the symbol and does not name it.
QUALIFIER = re.compile(r" (?:WITH|CONTAINING|MINUS|AND|FROM|TO|THROUGH|ON|IN|OVER|BETWEEN|CROSSING)\b.*")


def _name(character: str) -> str:
    return unicodedata.name(character, "")


def _symbol(character: str) -> str:
    """Return the noun phrase of a symbol's name, or nothing for letters, brackets and marks."""
    return QUALIFIER.sub("", _name(character)) if unicodedata.category(character) in ("So", "Sm") else ""


def has_dot(character: str) -> list[str]:
    """List the raised dots of a braille pattern.

    >>> has_dot("⠓")
    ['dot:1', 'dot:2', 'dot:5']
    """
    found = re.fullmatch(r"BRAILLE PATTERN DOTS-(\d+)", _name(character))
    return [f"dot:{digit}" for digit in found[1]] if found else []


def _domino(character: str) -> list[str]:
    found = re.fullmatch(r"DOMINO TILE (?:HORIZONTAL|VERTICAL)-(\d\d)-(\d\d)", _name(character))
    return [f"pips:{int(half)}" for half in found.groups()] if found else []


def domino_first(character: str) -> list[str]:
    """Pips of the left or upper half."""
    return _domino(character)[:1]


def domino_second(character: str) -> list[str]:
    """Pips of the right or lower half."""
    return _domino(character)[1:]


def card_suit(character: str) -> list[str]:
    """Suit of a playing card, or of the suit's own sign (`BLACK SPADE SUIT`)."""
    found = re.search(r"^PLAYING CARD \w+ OF (\w+)S$|(\w+) SUIT$", _name(character))
    return [f"suit:{(found[1] or found[2]).lower()}s"] if found else []


def card_rank(character: str) -> list[str]:
    """Rank of a playing card."""
    found = re.fullmatch(rf"PLAYING CARD ({'|'.join(RANKS)}) OF \w+", _name(character))
    return [f"rank:{found[1].lower()}"] if found else []


def chess_piece(character: str) -> list[str]:
    """Kind of a chess piece; its colour is a fact of its own."""
    found = re.fullmatch(r"(?:WHITE|BLACK) CHESS (\w+)", _name(character))
    return [f"piece:{found[1].lower()}"] if found else []


def colour(character: str) -> list[str]:
    """Black or white, where the name calls the whole symbol so (not half of it, nor its feathers)."""
    found = re.search(r"(?<!HALF )(?<!INVERSE )(?<!CENTRE )\b(BLACK|WHITE)\b(?!-| CENTRE)", _symbol(character))
    return [f"colour:{found[1].lower()}"] if found else []


def shape(character: str) -> list[str]:
    """Geometric shape: the last noun of the symbol's name."""
    last = _symbol(character).split(" ")[-1].lower()
    return [f"shape:{last}"] if last in SHAPES else []


def arrow_direction(character: str) -> list[str]:
    """Where arrows and harpoons point; a tip that turns off says more than the stem.

    >>> arrow_direction("↔"), arrow_direction("↗"), arrow_direction("↰")
    (['direction:left', 'direction:right'], ['direction:up-right'], ['direction:left'])
    """
    name = _name(character)
    if not re.search(r"\b(?:ARROW|HARPOON)(?:S|HEAD|HEADS)?\b(?!-)", name):
        return []
    turned = re.search(r"WITH TIP (\w+)|THEN CURVING (\w+)", name)
    if turned:
        name = turned[1] or turned[2]
    # Where a barb, a corner or a neighbour lies is not where the arrow points.
    name = re.sub(r"(?:WITH CORNER|BARB) \w+|\w+-SIDE|\w+WARDS OF|(?:UPPER|LOWER) \w+|\w+-\w+ED", "", name)
    oblique = [f"direction:{value}" for words, value in OBLIQUE.items() if words in name]
    straight = [f"direction:{value}" for word, value in STRAIGHT.items() if re.search(rf"\b{word}(?:WARDS)?\b", name)]
    turns = [f"direction:{value}" for word, value in TURNS.items() if re.search(rf"\b{word}\b", name)]
    return oblique + straight + turns


def box_stroke(character: str) -> list[str]:
    """Strokes of a box drawing: weight and the direction in which each leaves the centre.

    >>> box_stroke("┍")
    ['stroke:light down', 'stroke:heavy right']
    """
    name = _name(character).removeprefix("BOX DRAWINGS ")
    if name == _name(character) or "DIAGONAL" in name:
        return []
    name = re.sub(r"(?:DOUBLE|TRIPLE|QUADRUPLE) DASH ", "", name)
    name = name.replace("HORIZONTAL", "LEFT RIGHT").replace("VERTICAL", "UP DOWN")
    strokes, weight = [], ""
    for phrase in name.split(" AND "):  # a phrase without a weight of its own has that of the one before
        words = phrase.split()
        weight = next((WEIGHTS[word] for word in words if word in WEIGHTS), weight)
        strokes += [f"stroke:{weight} {STRAIGHT[word]}" for word in words if word in STRAIGHT]
    return strokes


def math_style(character: str) -> list[str]:
    """Styles of a mathematical letter or digit.

    >>> math_style("𝑨")
    ['letters:bold', 'letters:italic']
    """
    found = re.match(rf"MATHEMATICAL ((?:(?:{'|'.join(STYLES)}) )+)", _name(character))
    return [f"letters:{style.lower()}" for style in found[1].split()] if found else []


def has_diacritic(character: str) -> list[str]:
    """Diacritics of a letter, in the words of its name.

    >>> has_diacritic("Ǻ")
    ['diacritic:ring above', 'diacritic:acute']
    """
    found = re.search(r" LETTER .*? WITH (.+?)(?: (?:ISOLATED|INITIAL|MEDIAL|FINAL) FORM)?$", _name(character))
    return [f"diacritic:{words.lower()}" for words in found[1].split(" AND ")] if found else []
