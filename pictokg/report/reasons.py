"""The page of one explanation: bars of contributions, pictures with heat maps, the facts it resembles; one file."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from pictokg.files import write_text
from pictokg.prediction.covering import picture_of
from pictokg.prediction.explanation import Patch
from pictokg.report.markup import cell, escape, figure, scrolling_table, section
from pictokg.report.pictures import thumbnail

if TYPE_CHECKING:
    from pictokg.datasets.dataset import Dataset
    from pictokg.prediction.explanation import Contribution, Explanation, Parts, SlotAttention, SlotWeight

STYLE = """
:root { color-scheme: light dark; --ink: #1c2127; --page: #fff; --soft: #596270; --line: #dfe3e8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --page: #14171c; --soft: #9ea8b5; --line: #323944; } }
body { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 2.5rem); max-width: 60rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
p, small { color: var(--soft); } section { margin-top: 2.5rem; } h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; }
h3 { margin-top: 2rem; font-size: 1rem; }
table { width: 100%; border-collapse: collapse; } th, td { padding: .4rem .6rem; border-bottom: 1px solid var(--line);
  text-align: left; } .figure { text-align: right; font-variant-numeric: tabular-nums; } .scroll { overflow-x: auto; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.heat { width: 8rem; height: 8rem; display: block; border: 1px solid var(--line); background: #fff; }
.bar { width: 8rem; height: .8rem; }
"""
WARM, COLD = "#d64550", "#2f6fdb"  # adds to the score, takes from it


def write_reasons(path: Path, found: Explanation, data: Dataset) -> None:
    """Write an explanation as one HTML file, with its pictures inside; it loads nothing.

    Raises:
        PictoKGError: the disk refuses.
    """
    write_text(path, render(found, data))


def render(found: Explanation, data: Dataset) -> str:
    """Put the page together."""
    title = f"{found.head} · {found.relation} · {found.tail}"
    sure = "" if found.probability is None else f" Its probability is {found.probability:.1%}."
    lede = (
        f"Score {figure(found.score)}, place {found.rank:,} of {found.entities:,} as the {found.side};"
        f" the graph {'has' if found.known else 'does not have'} this fact.{sure}"
    )
    rows = [
        f"<tr><td>{escape(_named(fact.head, fact.head_label))}</td>"
        f"<td>{escape(_named(fact.tail, fact.tail_label))}</td>{cell(figure(fact.similarity, 2))}</tr>"
        for fact in found.facts
    ]
    near = scrolling_table("Nearest training facts", ("head", "tail", "similarity"), rows, figures=[2]) if rows else ""
    explanation = "Training facts of the same relation whose two entities have the most similar vectors."
    heat = f"<p>{escape(found.heat)}</p>" if found.heat else ""
    body = heat + "".join(_section(parts, data) for parts in (found.asked, found.given))
    body += f"<p>{escape(found.sampler_attention)}</p>" if found.sampler_attention else ""
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{lede}</p>{body}{section('Like these', explanation, near)}"
        "</main></body></html>\n"
    )


def _section(parts: Parts, data: Dataset) -> str:
    role = "The answer" if parts.role == "asked" else "The entity in the question"
    explanation = (
        f"{figure(parts.baseline)} with nothing known of it, {figure(parts.score)} with all; what each thing adds"
        " sums to the difference. Red adds to the score, blue takes from it."
    )
    largest = max((abs(one.value) for one in parts.contributions), default=0.0) or 1.0
    rows = [_row(one, parts.entity, largest, data) for one in parts.contributions]
    header = (_unseen("picture"), "what", "share", "adds", _unseen("bar"))
    table = scrolling_table(f"Contributions of {parts.entity}", header, rows, figures=[2, 3]) if rows else ""
    return section(f"{role}: {_named(parts.entity, parts.label)}", explanation, table, _attention(parts, data))


def _attention(parts: Parts, data: Dataset) -> str:
    """The pictures and sentences that the training sampler looked at, each picture with its windows."""
    rows = [
        _slot_row(attention, key, slots, heat_map(picture_of(key, parts.entity, data), _windows(slots), key))
        for attention in parts.sampler_attention
        for key, slots in attention.owners().items()
    ]
    if not rows:
        return ""
    header = (_unseen("picture"), "what", "independent", "guided", "seen by")
    table = scrolling_table(f"What the sampler looked at of {parts.entity}", header, rows, figures=[2, 3])
    return (
        "<h3>What the sampler looked at</h3><p>Whatever the relation (independent, of 100%), and under it (guided, of"
        f" either sign). Windows show the guided weights.</p>{table}"
    )


def _slot_row(attention: SlotAttention, key: str, slots: list[SlotWeight], picture: str) -> str:
    name = attention.modality if key == attention.modality else f"{attention.modality}: {key or 'empty slots'}"
    independent, guided = sum(one.independent for one in slots), sum(one.guided for one in slots)
    weights = cell(f"{independent:.0%}") + cell(f"{guided:+.0%}".replace("-", "−"))
    return f"<tr><td>{picture}</td><td>{escape(name)}</td>{weights}<td>{escape(attention.by)}</td></tr>"


def _windows(slots: list[SlotWeight]) -> tuple[Patch, ...]:
    return tuple(Patch(*one.window, one.guided) for one in slots if one.window is not None)


def _unseen(words: str) -> str:
    return f"<span class='unseen'>{words}</span>"


def _row(one: Contribution, entity: str, largest: float, data: Dataset) -> str:
    name = one.modality if one.key in ("", one.modality) else f"{one.modality}: {one.key}"
    looked = "" if one.attention is None else f"<br><small>attention {one.attention:.0%}</small>"
    width = 100 * abs(one.value) / largest
    bar = (
        f"<svg class='bar' viewBox='0 0 100 10' preserveAspectRatio='none' role='img'"
        f" aria-label='{escape(figure(one.value))}'><rect width='{width:.1f}' height='10'"
        f" fill='{_colour(one.value)}'/></svg>"
    )
    share = f"{one.share:+.0%}".replace("-", "−")
    picture = heat_map(picture_of(one.key, entity, data), one.patches, name) if one.modality == "image" else ""
    return (
        f"<tr><td>{picture}</td><td>{escape(name)}{looked}</td>{cell(share)}{cell(figure(one.value))}"
        f"<td>{bar}</td></tr>"
    )


def heat_map(path: Path | None, patches: tuple[Patch, ...], name: str) -> str:
    """Draw a picture with its windows over it, the stronger the more each contributed; SVG.

    >>> heat_map(None, (), "a picture")
    ''
    """
    uri = thumbnail(path) if path is not None else None
    if uri is None and not patches:
        return ""
    shown = f"<image href='{html.escape(uri)}' width='100' height='100' preserveAspectRatio='none'/>" if uri else ""
    windows = [patch for patch in patches if patch.height < 1 or patch.width < 1]
    largest = max((abs(patch.value) for patch in windows), default=0.0) or 1.0
    boxes = "".join(
        f"<rect x='{100 * patch.left:.2f}' y='{100 * patch.top:.2f}' width='{100 * patch.width:.2f}'"
        f" height='{100 * patch.height:.2f}' fill='{_colour(patch.value)}'"
        f" fill-opacity='{0.55 * abs(patch.value) / largest:.3f}'><title>{figure(patch.value)}</title></rect>"
        for patch in windows
    )
    return f"<svg class='heat' viewBox='0 0 100 100' role='img' aria-label='{escape(name)}'>{shown}{boxes}</svg>"


def _colour(value: float) -> str:
    return WARM if value >= 0 else COLD


def _named(name: str, label: str) -> str:
    return name if label == name else f"{name} ({label})"
