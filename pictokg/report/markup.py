"""Pieces of HTML; every text that comes from data passes through `escape`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape

__all__ = ["ABSENT", "cell", "escape", "figure", "scrolling_table", "section"]

ABSENT = "–"


def figure(value: float | None, digits: int = 3) -> str:
    """Write a number for people; a dash where there is none.

    >>> figure(0.12345), figure(-1234.5, 1), figure(None)
    ('0.123', '−1,234.5', '–')
    """
    return ABSENT if value is None or value != value else f"{value:,.{digits}f}".replace("-", "−")


def cell(text: str, *, best: bool = False) -> str:
    """Make the cell of a figure, bold when it is the best of its kind."""
    return f"<td class='figure'>{f'<strong>{text}</strong>' if best else text}</td>"


def scrolling_table(caption: str, header: Iterable[str], rows: Iterable[str], *, figures: Collection[int] = ()) -> str:
    """Make a table that scrolls sideways where it is narrow; `header` and `rows` are HTML; `figures`: their columns."""
    head = "".join(
        f"<th scope='col'{' class=figure' if place in figures else ''}>{title}</th>"
        for place, title in enumerate(header)
    )
    return (
        f"<div class='scroll' tabindex='0' role='region' aria-label='{escape(caption)}'><table>"
        f"<caption class='unseen'>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def section(title: str, explanation: str, *parts: str) -> str:
    """Make a headed part of the page; empty when it has nothing to show."""
    shown = "".join(parts)
    return f"<section><h2>{escape(title)}</h2><p>{explanation}</p>{shown}</section>" if shown else ""
