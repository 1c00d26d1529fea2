"""The page: one file that needs nothing beside it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pictokg.files import write_text
from pictokg.report import sections
from pictokg.report.markup import escape
from pictokg.report.relations import relations_chart

if TYPE_CHECKING:
    from pictokg.report.content import Content


def write_report(path: Path, content: Content) -> None:
    """Write a report as one HTML file, with styles, plots and pictures inside; it loads nothing.

    Raises:
        PictoKGError: the disk refuses.
    """
    write_text(path, render(content))


def render(content: Content) -> str:
    """Put the page together."""
    template = Template(files("pictokg.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(content.title),
        lede=sections.lede(content),
        data=sections.data_facts(content.data),
        notes=sections.notes_list(content),
        models=sections.models_table(content),
        relations=relations_chart(content),
        slices=sections.slices_table(content),
        training=sections.training_plots(content),
        facts=sections.facts_table(content),
        footer=sections.footer(content),
    )
