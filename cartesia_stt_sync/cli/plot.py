"""A picture of a recording: waveform, level, spectrogram, and what was found.

Decides what it looks like. Needs matplotlib, the extra ``[plot]``, and leaves all of
its global state alone: no pyplot, no window, no settings.
"""

from __future__ import annotations

import importlib.util
import os
import textwrap
from typing import TYPE_CHECKING, Any

from cartesia_stt_sync import ConfigError

from .display import clock
from .examine import Found, Report
from .say import printable
from .sketch import Sketch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw", "figure_of", "check_plot"]

_INK, _MARK, _PALE = "#22577a", "#c1121f", "#9fb8c8"
_LOWEST, _DEEPEST = -80.0, -100.0
"""The lower ends of the level's axis, and of the spectrogram's colours, in dB."""

_SILENCE = -50.0
_RANGE = 70.0
"""How far below the loudest the spectrogram still shows something, in dB."""

_APART = 4
"""Channels that have a waveform each; more are drawn as one."""

_WIDTH = 118
"""Characters of a line below the picture."""


def check_plot(path: str) -> None:
    """Check that a picture can be drawn, before a file is read for nothing.

    Raises:
        ConfigError: matplotlib is not there, or knows no such kind of picture.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "--plot: needs matplotlib; install it with "
            "pip install 'cartesia-stt-sync[plot]'"
        )
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    kind = os.path.splitext(path)[1][1:].lower()
    if kind and kind not in kinds:
        raise ConfigError(
            f"--plot: a name that ends with {', '.join(sorted(kinds))}, got {path}"
        )


def draw(report: Report, path: str) -> None:
    """Draw a report into a file; its ending says which kind of picture.

    Raises:
        OSError: It cannot be written.
    """
    figure_of(report).savefig(path, dpi=110)


def figure_of(report: Report) -> Figure:
    """Draw a report that has a sketch."""
    from matplotlib.figure import Figure

    sketch = report.sketch
    assert sketch is not None
    caption = _caption(report.found)
    lines = len(caption)
    apart = sketch.channels if sketch.channels <= _APART else 1
    height = 6.0 + 1.0 * apart + 0.19 * lines
    figure = Figure(figsize=(12, height))
    below = (0.65 + 0.19 * lines) / height
    *waves, level, spectrum = figure.subplots(
        apart + 2,
        1,
        sharex=True,
        height_ratios=[3 if apart == 1 else 2] * apart + [2, 4],
        gridspec_kw={
            "left": 0.07,
            "right": 0.925,
            "bottom": below,
            "top": 1 - 0.6 / height,
            "hspace": 0.09,
        },
    )
    figure.suptitle(printable(_title(report)), x=0.07, ha="left", fontsize=12)
    for channel, wave in enumerate(waves):
        _draw_wave(wave, sketch, channel if apart > 1 else None)
    _draw_level(level, sketch)
    _draw_spectrum(spectrum, sketch)
    _time_axis(spectrum, report.meter.seconds)
    for axes in (*waves, level, spectrum):
        _mark(axes, report.found, numbered=axes is waves[0])
    figure.text(
        0.07,
        0.12 / height,
        printable("\n".join(caption)),
        va="bottom",
        fontsize=9,
        linespacing=1.35,
        color=_MARK if report.found else "#333333",
    )
    return figure


def _title(report: Report) -> str:
    form = report.format
    assert form is not None
    name = form.encoding
    if report.swapped:
        name = name.removesuffix("le") + "be"
    how = {"options": "as declared: ", "guess": "as fits best: "}
    width = {1: "mono", 2: "stereo"}.get(form.channels, f"{form.channels} channels")
    seconds = report.meter.seconds
    length = clock(seconds) if seconds >= 60 else f"{seconds:.3g} s"
    return (
        f"{os.path.basename(report.name)}   {how.get(report.source, '')}{name}, "
        f"{form.sample_rate} Hz, {width}, {length}"
    )


def _caption(found: tuple[Found, ...]) -> list[str]:
    if not found:
        return ["Nothing is wrong with the audio."]
    lines = []
    for number, one in enumerate(found, 1):
        when = "" if one.at is None else f" (after {one.at:.1f} s)"
        text = f"{number}  {one.finding.code}{when}: {one.finding.message}"
        lines += textwrap.wrap(text, _WIDTH, subsequent_indent="    ")
    return lines


def _centres(sketch: Sketch) -> NDArray[Any]:
    import numpy as np

    centres: NDArray[Any] = (np.arange(sketch.count) + 0.5) * sketch.column
    return centres


def _draw_wave(axes: Axes, sketch: Sketch, channel: int | None) -> None:
    """Draw a channel's waveform; ``None``: of all of them together.

    All have the same scale, so that one is seen to be quieter.
    """
    import numpy as np

    low, high = sketch.low[: sketch.count], sketch.high[: sketch.count]
    chosen = slice(None) if channel is None else slice(channel, channel + 1)
    axes.fill_between(
        _centres(sketch),
        low[:, chosen].min(axis=1),
        high[:, chosen].max(axis=1),
        color=_INK,
        linewidth=0.6,
        edgecolor=_INK,
    )
    top = max(0.05, float(np.abs([low, high]).max()) if sketch.count else 0.0)
    axes.set_ylim(-1.08 * top, 1.08 * top)
    if top > 0.9:
        for edge in (-1, 1):
            axes.axhline(edge, color=_PALE, linewidth=0.8, linestyle=":")
    axes.axhline(0, color="#888888", linewidth=0.5)
    several = "all channels" if sketch.channels > 1 else "amplitude"
    axes.set_ylabel(several if channel is None else f"channel {channel + 1}")


def _draw_level(axes: Axes, sketch: Sketch) -> None:
    import numpy as np

    floor = 10 ** (_LOWEST / 10)
    power = np.maximum(sketch.power[: sketch.count], floor / 10)
    peaks = np.maximum(np.abs(sketch.low), np.abs(sketch.high))[: sketch.count]
    peaks = peaks.max(axis=1)
    times = _centres(sketch)
    peaks = 20 * np.log10(np.maximum(peaks, 10 ** (_LOWEST / 20) / 3))
    axes.plot(times, peaks, color=_PALE, linewidth=0.8, label="peak")
    axes.plot(times, 10 * np.log10(power), color=_INK, linewidth=0.9, label="RMS")
    axes.axhline(_SILENCE, color="#888888", linewidth=0.6, linestyle="--")
    axes.set_ylim(_LOWEST, 3)
    axes.set_ylabel("level, dBFS")
    axes.legend(loc="lower right", fontsize=8, ncols=2, framealpha=0.8)


def _draw_spectrum(axes: Axes, sketch: Sketch) -> None:
    import numpy as np

    power = sketch.spectra[: sketch.count].T
    shown = 10 * np.log10(np.maximum(power, 10 ** (_DEEPEST / 10 - 3)))
    top = float(np.percentile(shown, 99.8)) if shown.size else 0.0
    top = max(top, _DEEPEST + _RANGE)
    image = axes.imshow(
        shown,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - _RANGE,
        vmax=top,
        extent=(0, max(sketch.count, 1) * sketch.column, 0, sketch.rate / 2000),
    )
    mixed = "mix, " if sketch.channels > 1 else ""
    axes.set_ylabel(f"{mixed}frequency, kHz")
    box = axes.get_position()
    assert axes.figure is not None
    scale = axes.figure.add_axes((0.932, box.y0, 0.011, box.height))
    axes.figure.colorbar(image, cax=scale, label="dB")


def _time_axis(axes: Axes, seconds: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(0, max(seconds, 0.001))
    if seconds < 120:
        axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 5, 10]))
        axes.set_xlabel("seconds")
        return
    step = next(
        (s for s in (10, 15, 30, 60, 120, 300, 600, 900, 1800) if seconds / s <= 13),
        3600,
    )
    while seconds / step > 13:
        step *= 2
    axes.set_xticks(range(0, int(seconds) + 1, step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: clock(at)))
    axes.set_xlabel("time, h:mm:ss" if seconds >= 3600 else "time, m:ss")


def _mark(axes: Axes, found: tuple[Found, ...], *, numbered: bool) -> None:
    """Draw a line where each finding came to light; those at one place share it."""
    places: dict[float, list[str]] = {}
    for number, one in enumerate(found, 1):
        if one.at is not None:
            places.setdefault(one.at, []).append(str(number))
    for at, numbers in places.items():
        axes.axvline(at, color=_MARK, linewidth=1.4, gid="finding")
        if numbered:
            axes.annotate(
                ", ".join(numbers),
                (at, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                color="white",
                fontsize=9,
                fontweight="bold",
                annotation_clip=False,
                bbox={"boxstyle": "round,pad=0.25", "fc": _MARK, "ec": "none"},
            )
