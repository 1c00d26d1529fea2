"""The reliability plot: what share of the triples was true, against how probable they were said to be."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pictokg.files import write_atomically
from pictokg.report.marks import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pictokg.prediction.reliability import Reliability


def write_reliability_plot(path: Path, reliability: Reliability) -> None:
    """Write the plot as SVG, readable on light and on dark ground; PictoKGError when the disk refuses."""
    content = draw_reliability(reliability)
    write_atomically(path, lambda temporary: _write(temporary, content))


def draw_reliability(reliability: Reliability) -> bytes:
    """Draw share true against probability, a dot a bin, its area the share of triples; the diagonal is perfect."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    ink = "#7d8590"  # a mid tone, 3 : 1 against white and black
    look: Any = {
        "font.size": 11, "text.color": ink, "axes.edgecolor": ink, "axes.labelcolor": ink,
        "xtick.color": ink, "ytick.color": ink, "axes.spines.top": False, "axes.spines.right": False,
        "grid.color": ink, "grid.alpha": 0.25, "svg.hashsalt": "pictokg",
    }  # fmt: skip
    with rc_context(look):
        drawing = Figure(figsize=(4.6, 4.4), layout="constrained")
        FigureCanvasSVG(drawing)
        axes = drawing.add_subplot()
        axes.plot([0, 1], [0, 1], color=ink, linestyle="--", linewidth=1)
        _draw_bins(axes, reliability.bins, 1, "all relations")
        if reliability.common_bins:
            _draw_bins(axes, reliability.common_bins, 2, "those with few examples")
            axes.legend(frameon=False, fontsize=9, labelcolor=ink)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability", ylabel="share true")
        axes.set_title(f"expected calibration error {reliability.error:.3f}", fontsize=11)
        axes.grid(visible=True)
        out = BytesIO()
        drawing.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue()


def _draw_bins(axes: Axes, bins: list[dict[str, float]], number: int, name: str) -> None:
    said, true = ([found[key] for found in bins] for key in ("probability", "true"))
    axes.plot(said, true, color=colour(number), linewidth=1.5, label=name)
    axes.scatter(said, true, s=[20 + 400 * found["weight"] for found in bins], color=colour(number))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
