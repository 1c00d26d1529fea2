"""The colour and the mark by which a model is known in tables and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictokg.report.markup import escape

if TYPE_CHECKING:
    from pictokg.report.content import Content

# Mid tones that keep 3 : 1 against the light and the dark page.
_COLOURS = ("#7d8590", "#3b82d6", "#a0703c", "#d9730d", "#1795a5", "#a05fd0", "#2e9e5b", "#d64550")


def colour(number: int) -> str:
    """Give the colour of model `number`; they repeat after eight."""
    return _COLOURS[number % len(_COLOURS)]


def swatch(number: int, *, filled: bool) -> str:
    """Draw the mark of model `number`: a disc when it is multimodal, else a ring."""
    fill = colour(number) if filled else "none"
    return (
        "<svg class='swatch' viewBox='0 0 12 12' aria-hidden='true'>"
        f"<circle cx='6' cy='6' r='4.5' stroke='{colour(number)}' fill='{fill}'/></svg>"
    )


def mark(content: Content, number: int) -> str:
    """Write a model's name with its mark."""
    model = content.models[number]
    return f"<span class='model'>{swatch(number, filled=model.is_multimodal)}{escape(model.name)}</span>"


def legend(content: Content) -> str:
    """List all models with their marks."""
    names = "".join(f"<li>{mark(content, number)}</li>" for number in range(len(content.models)))
    return f"<ul class='legend'>{names}</ul>"
