"""The table as a picture: CPU, lateness and time to the callback, by client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .clients import OURS
from .entries import FIGURES
from .report import Row

__all__ = ["draw"]

_PANELS = {
    "cpu": "CPU, ms a stream-second",
    "callback_p50": "server to callback, ms, median",
    "late_p99": "lateness of a chunk, ms, 99th percentile",
}
_COLOURS = {True: "#c8502d", False: "#8a94a3"}


def draw(summary: Sequence[Row], path: Path) -> None:
    """Draw what the benchmark ``streams`` measured.

    Args:
        summary: The rows.
        path: The picture's file; its ending says what kind.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in summary if row.bench == "streams" and row.figures]
    cases = list(dict.fromkeys(row.case for row in rows)) or ["nothing measured"]
    heights = [1.0 + 0.25 * sum(row.case == case for row in rows) for case in cases]
    figure, axes = pyplot.subplots(
        len(cases),
        len(_PANELS),
        figsize=(4.5 * len(_PANELS), sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for line, case in zip(axes, cases, strict=True):
        block = [row for row in rows if row.case == case]
        for axis, (name, title) in zip(line, _PANELS.items(), strict=True):
            _panel(axis, block, name)
            axis.set_title(f"{case}\n{title}", fontsize=9)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axis: Any, block: Sequence[Row], name: str) -> None:
    """Bars from zero, each with its figure beside it."""
    names = [row.client for row in block]
    values = [max(0.0, row.figures[name] * FIGURES[name].factor) for row in block]
    colours = [_COLOURS[row.client.startswith(OURS)] for row in block]
    bars = axis.barh(names, values, color=colours)
    axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axis.margins(x=0.18)
    axis.invert_yaxis()
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
