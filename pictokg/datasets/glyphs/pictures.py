"""Pictures of characters: 32 × 32 grey pixels, black ink on white, one per face that has the character.

All pictures share one scale and one baseline, so that case, dots and accents stay comparable; only what is
larger than the picture is made smaller.
"""

from __future__ import annotations

import struct
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFont

SIDE = 32
FONT_SIZE = 24  # ascent 22.3 + descent 5.7 pixels: a line of DejaVu fits with 2 pixels above and below
BASELINE = 24
FACES = {
    "sans": "DejaVuSans",
    "sans-bold": "DejaVuSans-Bold",
    "sans-oblique": "DejaVuSans-Oblique",
    "sans-bold-oblique": "DejaVuSans-BoldOblique",
    "mono": "DejaVuSansMono",
    "mono-bold": "DejaVuSansMono-Bold",
    "mono-oblique": "DejaVuSansMono-Oblique",
    "mono-bold-oblique": "DejaVuSansMono-BoldOblique",
    "serif": "DejaVuSerif",
    "serif-bold": "DejaVuSerif-Bold",
    "serif-italic": "DejaVuSerif-Italic",
    "serif-bold-italic": "DejaVuSerif-BoldItalic",
    "sans-display": "DejaVuSansDisplay",
    "serif-display": "DejaVuSerifDisplay",
}
MOST = 12  # pictures of a character
NOT_ENCODED = ("Cc", "Cn", "Co", "Cs")  # controls, unassigned, private use, surrogates


@dataclass
class Face:
    """One font file: what it can draw, and the drawing of it."""

    name: str
    path: Path
    version: str
    characters: frozenset[str]
    _sizes: dict[int, ImageFont.FreeTypeFont] = field(default_factory=dict)

    def _font(self, size: int) -> ImageFont.FreeTypeFont:
        from PIL import ImageFont

        if size not in self._sizes:  # the basic layout: shaping would differ between installations
            layout = ImageFont.Layout.BASIC
            self._sizes[size] = ImageFont.truetype(str(self.path), size, layout_engine=layout)
        return self._sizes[size]

    def draw(self, character: str) -> bytes | None:
        """Return the 32 · 32 grey values of a character, row by row, or None when it leaves no ink."""
        from PIL import Image, ImageDraw

        font = self._font(FONT_SIZE)
        left, top, right, bottom = font.getbbox(character, anchor="ls")
        if right <= left or bottom <= top:
            return None
        largest = max(right - left, bottom - top)
        if largest > SIDE:
            font = self._font(int(FONT_SIZE * SIDE / largest))
            left, top, right, bottom = font.getbbox(character, anchor="ls")
        x = _within((SIDE - font.getlength(character)) // 2, left, right)
        if unicodedata.category(character) == "Mn":  # a mark has no cell of its own: centre its ink
            x = (SIDE - left - right) // 2
        picture = Image.new("L", (SIDE, SIDE), 255)
        place = (int(x), int(_within(BASELINE, top, bottom)))
        ImageDraw.Draw(picture).text(place, character, fill=0, font=font, anchor="ls")
        pixels = picture.tobytes()
        return pixels if min(pixels) < 255 else None


def _within(origin: float, low: float, high: float) -> float:
    """Move an origin as little as puts the ink between low and high inside the picture."""
    return max(min(origin, SIDE - high), -low)


def load_faces() -> list[Face]:
    """Open the DejaVu faces that matplotlib ships."""
    import matplotlib
    from fontTools.ttLib import TTFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    faces = []
    for name, stem in FACES.items():
        path = folder / f"{stem}.ttf"
        with TTFont(path, lazy=True) as font:
            glyphs = font.getBestCmap()
            characters = frozenset(
                chr(code)
                for code, glyph in glyphs.items()
                if glyph != ".notdef" and unicodedata.category(chr(code)) not in NOT_ENCODED
            )
            faces.append(Face(name, path, font["name"].getDebugName(5), characters))
    return faces


def draw_all(character: str, faces: list[Face]) -> Iterator[tuple[str, bytes]]:
    """Draw a character in up to a dozen faces; yield the name of the face and the pixels."""
    drawn = 0
    for face in faces:
        if drawn < MOST and character in face.characters:
            pixels = face.draw(character)
            if pixels is not None:
                drawn += 1
                yield face.name, pixels


def png(pixels: bytes) -> bytes:
    """Wrap the pixels as a PNG file; stored, not deflated, so that every zlib writes the same bytes."""
    rows = b"".join(b"\0" + pixels[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)  # 8 bits, grey
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
