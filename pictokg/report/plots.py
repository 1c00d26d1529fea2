"""Plots of training, drawn by matplotlib as SVG, for the light and the dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pictokg.report.marks import colour
from pictokg.report.pictures import data_uri

if TYPE_CHECKING:
    from pictokg.report.content import ModelResult

INK = {"light": "#3d444d", "dark": "#c3cad3"}
Line = tuple[list[float], list[float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """What a plot shows: a line a model, empty where the model has none."""

    vertical: str
    lines: Sequence[Line]
    filled: Sequence[bool]
    logarithmic: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no model has anything to show."""
        return not any(x for x, _ in self.lines)


def loss_plot(models: Sequence[ModelResult]) -> Plot:
    """Plot loss against seconds of training.

    Several models may have losses of different kinds, so theirs are relative to the first epoch.
    """
    several = len(models) > 1
    lines = []
    for model in models:
        losses = [float(record["loss"]) for record in model.history]
        unit = losses[0] if several and losses and losses[0] > 0 else 1.0
        lines.append((_seconds(model), [loss / unit for loss in losses]))
    label = "loss, relative to the first epoch" if several else "loss"
    positive = all(value > 0 for _, values in lines for value in values)
    return Plot(label, lines, _filled(models), logarithmic=positive)


def validation_plot(models: Sequence[ModelResult]) -> Plot:
    """Plot validation MRR against seconds of training."""
    lines = []
    for model in models:
        pairs = [
            (second, float(record["validation"]["mrr"]))
            for second, record in zip(_seconds(model), model.history, strict=True)
            if (record.get("validation") or {}).get("mrr") is not None
        ]
        lines.append(([second for second, _ in pairs], [mrr for _, mrr in pairs]))
    return Plot("validation MRR", lines, _filled(models))


def draw(plot: Plot, scheme: str) -> str:
    """Draw an SVG with transparent ground, in ink for the "light" or the "dark" page; its data URI."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    ink = INK[scheme]
    look: Any = {
        "font.size": 11,
        "axes.edgecolor": ink, "axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink,
        "axes.spines.top": False, "axes.spines.right": False, "grid.color": ink, "grid.alpha": 0.2,
        "svg.hashsalt": "pictokg",  # the same plot, the same bytes
    }  # fmt: skip
    with rc_context(look):
        drawing = Figure(figsize=(5.2, 3.4), layout="constrained")
        FigureCanvasSVG(drawing)
        axes = drawing.add_subplot()
        _draw_lines(axes, plot)
        axes.set(xlabel="seconds of training", ylabel=plot.vertical)
        axes.grid(visible=True)
        if plot.logarithmic:
            _logarithmic(axes)
        else:
            axes.set_ylim(bottom=0)
        out = BytesIO()
        drawing.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return data_uri(out.getvalue(), "svg+xml")


def _draw_lines(axes: Any, plot: Plot) -> None:
    for number, ((x, y), filled) in enumerate(zip(plot.lines, plot.filled, strict=True)):
        marker = "o" if len(x) <= 30 else None
        axes.plot(
            x, y, color=colour(number), linestyle="-" if filled else "--",
            linewidth=1.8, marker=marker, markersize=4, fillstyle="full" if filled else "none",
        )  # fmt: skip


def _logarithmic(axes: Any) -> None:
    """Powers of ten say little where a loss falls by half: write plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _seconds(model: ModelResult) -> list[float]:
    return list(accumulate(float(record["seconds"]) for record in model.history))


def _filled(models: Sequence[ModelResult]) -> list[bool]:
    return [model.is_multimodal for model in models]
