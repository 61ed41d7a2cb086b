"""``cartesia-stt check``: what a file of audio is, and what is wrong with it.

Decides what is printed of that, for a person and for a program. Never decides what is
wrong: that is `examine`, and the checks of the library.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import textwrap
from collections.abc import Iterator
from typing import Any

import attrs

from cartesia_stt_sync import AudioFormat, ConfigError

from . import exits
from .display import clock
from .examine import Declared, Found, Report, examine, size_of
from .inputs import STDIN, check_stdin
from .measure import Fit, decibels
from .say import complain, printable

__all__ = ["run", "shown", "to_dict"]

_WIDTH = 88
_MARGIN = 17

_LISTEN = (8000, 16000, 24000, 44100, 48000)
"""Rates that are worth a try by ear."""

_FITS = 3
"""Ways to read the bytes that are shown."""

_SOURCES = {
    "header": "as its header says",
    "options": "as you declare it",
    "guess": "as fits its bytes best",
    "default": "as a Transcriber takes it by default; nothing fits its bytes",
}


def run(options: argparse.Namespace) -> int:
    """Check each file.

    Returns:
        The exit status; ``cartesia-stt check --help`` lists them.

    Raises:
        ConfigError: The options break a rule, or the extra is not installed.
        OSError: The picture cannot be written.
    """
    declared = _check(options)
    if options.plot is not None:
        from .plot import check_plot

        check_plot(options.plot)
    broken, found = False, False
    for number, name in enumerate(options.files):
        try:
            report = examine(name, declared, drawn=options.plot is not None)
        except exits.FileError as exc:
            complain(f"{name}: {exc}")
            broken = True
            if options.json:
                print(json.dumps({"file": name, "error": str(exc)}))
            continue
        found = found or bool(report.found)
        if options.json:
            print(json.dumps(to_dict(report)), flush=True)
        else:
            text = "\n".join(shown(report))
            print(("\n" if number else "") + printable(text), flush=True)
        if options.plot is not None:
            _draw(report, options.plot)
    return exits.FILE if broken else exits.FOUND if found else exits.OK


def _check(options: argparse.Namespace) -> Declared:
    check_stdin(options.files)
    if options.plot is not None and len(options.files) > 1:
        raise ConfigError(f"--plot: draws one file, got {len(options.files)}")
    if options.plot is not None and os.path.exists(options.plot):
        if any(
            os.path.exists(name) and os.path.samefile(name, options.plot)
            for name in options.files
        ):
            raise ConfigError(f"--plot: {options.plot} would be overwritten")
    return Declared(
        encoding=options.encoding,
        sample_rate=options.sample_rate,
        channels=options.channels,
    )


def _draw(report: Report, path: str) -> None:
    if report.sketch is None:
        complain(f"--plot: {report.name}: {report.kind} has to be decoded first")
        return
    from .plot import draw

    draw(report, path)


# For a person


def shown(report: Report) -> Iterator[str]:
    """Say what is known of a file, in lines."""
    yield report.name
    yield from _row("what it is", _what(report))
    if report.format is not None:
        yield from _row("read as", f"{_format(report)}, {_SOURCES[report.source]}")
        wrong = any(one.finding.code == "wrong-encoding" for one in report.found)
        level = "says nothing while it is read as what it is not"
        yield from _row("level", level if wrong else _level(report))
    if report.kind != "text":
        # Not wrapped: it is for pasting.
        yield f"  {'play it':15}{_play(report) or 'no player knows half floats'}"
    if report.note:
        yield from _row("note", report.note)
    yield ""
    for found in report.found:
        yield from _finding(found)
    if not report.found and report.format is not None:
        yield "  Nothing is wrong with the audio."
    yield from _advice(report)


def _row(name: str, text: str) -> Iterator[str]:
    indent = " " * _MARGIN
    wrapped = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"  {name:{_MARGIN - 2}}",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from wrapped


def _what(report: Report) -> str:
    kinds = {"raw": "raw bytes, with no header", "text": "text"}
    kind = kinds.get(report.kind, f"a file of the kind {report.kind}")
    size = size_of(report.name)
    return kind if size is None else f"{kind}; {size:,} bytes"


def _format(report: Report) -> str:
    form = report.format
    assert form is not None
    width = {1: "mono", 2: "stereo"}.get(form.channels, f"{form.channels} channels")
    name = form.encoding
    if report.swapped:
        name = name.removesuffix("le") + "be"
    length = clock(report.meter.seconds)
    if report.meter.seconds < 10:
        length = f"{report.meter.seconds:.3g} s"
    rate = f"{form.sample_rate} Hz{'' if report.rate_known else ' (a guess)'}"
    return f"{name}, {rate}, {width}: {length}"


def _level(report: Report) -> str:
    meter = report.meter
    peak, rms = decibels(meter.peak), decibels(meter.rms)
    if peak is None or rms is None:
        return "digital silence"
    return (
        f"peak {peak:.1f} dBFS, RMS {rms:.1f} dBFS, {meter.silence:.0%} of it silence "
        "(below -50)"
    )


def _play(report: Report) -> str | None:
    """The line that plays the file as it is read."""
    form = report.format
    if report.kind != "raw" and report.source != "options":
        odd = report.name.startswith("-") and report.name != STDIN
        return f"ffplay {shlex.quote('./' * odd + report.name)}"
    assert form is not None
    if not report.swapped:
        return form.ffplay(report.name)
    return report.fits[0].way.ffplay(form.sample_rate, report.name)


def _finding(found: Found) -> Iterator[str]:
    finding = found.finding
    when = "" if found.at is None else f"  (after {found.at:.1f} s)"
    yield f"  {finding.code}{when}"
    for text in (finding.message, finding.advice, finding.page):
        yield from textwrap.wrap(
            text,
            _WIDTH,
            initial_indent="    ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    yield ""


def _advice(report: Report) -> Iterator[str]:
    """What to write in a program, and how else the bytes could be read."""
    form = report.format
    if form is None:
        return
    misread = any(one.finding.code.startswith("wrong-") for one in report.found)
    if report.kind == "WAV" and not misread:
        name = "sys.stdin.buffer" if report.name == STDIN else repr(report.name)
        yield "  In a program:"
        yield f"    wav = WavReader({name})"
        yield "    rate = wav.format.sample_rate"
        yield "    t = Transcriber(source=wav.format, sample_rate=rate)"
        return
    fits = report.fits[:_FITS]
    if not fits:
        return
    yield "  What fits the bytes, the best first:"
    for fit in fits:
        said, _, first = fit.way.arguments(form.sample_rate).partition(", once ")
        yield f"    {_fit(fit)}"
        yield f"      Transcriber({said})" + (f"  # once {first}" if first else "")
    if report.kind == "raw":
        yield ""
        yield from _by_ear(report, fits[0])


def _fit(fit: Fit) -> str:
    votes = f"best in {fit.votes} of {fit.of} pieces, " if fit.of > 1 else ""
    return f"{fit.way.name}  ({votes}roughness {fit.way.roughness:.3f})"


def _by_ear(report: Report, fit: Fit) -> Iterator[str]:
    lines = [(rate, fit.way.ffplay(rate, report.name)) for rate in _LISTEN]
    yield "  The sample rate is not in the bytes. Listen: a voice that is slow and deep"
    yield "  wants a higher rate, one that is fast and high a lower one."
    yield from (f"    {line}" for _, line in lines if line is not None)


# For a program


def to_dict(report: Report) -> dict[str, Any]:
    """What ``--json`` prints."""
    meter, form = report.meter, report.format
    rate = 16000 if form is None else form.sample_rate
    return {
        "file": report.name,
        "kind": report.kind,
        "bytes": size_of(report.name),
        "read_as": None if form is None else _read_as(report, form),
        "duration": None if form is None else round(meter.seconds, 3),
        "peak_dbfs": _rounded(decibels(meter.peak)),
        "rms_dbfs": _rounded(decibels(meter.rms)),
        "silence": None if form is None else round(meter.silence, 3),
        "findings": [
            {**attrs.asdict(found.finding), "at": _rounded(found.at)}
            for found in report.found
        ],
        "fits": [
            {
                **attrs.asdict(fit.way),
                "name": fit.way.name,
                "votes": fit.votes,
                "of": fit.of,
                "arguments": fit.way.arguments(rate),
            }
            for fit in report.fits
        ],
        "play": _play(report),
        "note": report.note or None,
        "error": None,
    }


def _read_as(report: Report, form: AudioFormat) -> dict[str, Any]:
    return {
        **attrs.asdict(form),
        "swapped": report.swapped,
        "source": report.source,
        "rate_known": report.rate_known,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
