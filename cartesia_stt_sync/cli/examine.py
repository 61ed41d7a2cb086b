"""What a file of audio is, and what is wrong with it.

Decides how its bytes are read, and what is known of them at the end. Reads forward
only, a piece at a time, so that a pipe will do and no file is too long. Prints nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any

import attrs

from cartesia_stt_sync import (
    AudioFormat,
    ConfigError,
    Declaration,
    Finding,
    Listener,
    WavReader,
)
from cartesia_stt_sync.audio import decode
from cartesia_stt_sync.checks import container_of, cut_off, file_in_audio

from .exits import FileError, reason_of
from .inputs import STDIN, read
from .measure import Ballot, Fit, Meter
from .sketch import Sketch

__all__ = ["Declared", "Found", "Report", "examine"]

_PIECE = 0.5
"""Seconds that are read and judged at once."""

_HEAD = 1 << 16
_AHEAD = 8 << 20
"""Bytes that are read at most before it must be known what they are."""

_DEFAULT = AudioFormat("pcm_s16le", 16000)
"""What a `Transcriber` takes audio for that nobody declares."""

_TELEPHONE = ("pcm_mulaw", "pcm_alaw")

_TAKEN = ("MP3", "Ogg", "FLAC", "MP4", "WebM")
"""Kinds of files that the service takes as they are, in one request."""

_CONSEQUENCES = ("quiet", "silent", "clipping", "dc-offset", "float-scale")
"""Findings on the level, which mean nothing where the encoding is another."""


@attrs.frozen(kw_only=True)
class Declared:
    """What the user says of a file; ``None`` where nothing.

    Attributes:
        encoding: As in `AudioFormat`.
        sample_rate: As there.
        channels: As there.

    Raises:
        ConfigError: A value breaks its rule.
    """

    encoding: str | None = None
    sample_rate: int | None = None
    channels: int | None = None

    def __attrs_post_init__(self) -> None:
        self.over(_DEFAULT)

    def __bool__(self) -> bool:
        return self != Declared()

    def over(self, other: AudioFormat) -> AudioFormat:
        """Another format, in which these values replace its own."""
        known = {k: v for k, v in attrs.asdict(self).items() if v is not None}
        return attrs.evolve(other, **known)


@attrs.frozen
class Found:
    """A finding, and the second of audio at which it came to light."""

    finding: Finding
    at: float | None


@attrs.frozen(kw_only=True)
class Report:
    """What is known of a file.

    Attributes:
        name: Its name, as given.
        kind: ``"WAV"``, ``"raw"``, ``"MP3"``, ...
        source: Who says what its samples are: ``"header"``, ``"options"``, ``"guess"``,
            ``"default"``; empty for a file that has to be decoded first.
        format: What they were read as; ``None`` for such a file.
        rate_known: Whether somebody has said what its rate is.
        swapped: Whether the high byte of each came first.
        meter: Their levels.
        found: What is wrong.
        fits: How the bytes are best read, the best first.
        sketch: What is drawn; ``None`` where nothing shall be, or can.
        note: What else is to be said, which is no finding.
    """

    name: str
    kind: str
    source: str = ""
    format: AudioFormat | None = None
    rate_known: bool = True
    swapped: bool = False
    meter: Meter = attrs.field(factory=Meter)
    found: tuple[Found, ...] = ()
    fits: tuple[Fit, ...] = ()
    sketch: Sketch | None = None
    note: str = ""


def too_short(seconds: float) -> Finding:
    """There is next to nothing to judge."""
    return Finding(
        "too-short",
        f"There are {seconds:.3g} s of audio, which is too little to judge.",
        "See that the file is whole; a second or more with speech in it is needed.",
    )


def byte_order(encoding: str) -> Finding:
    """No encoding of the service has the high byte first."""
    kind = {"pcm_s16le": "i2", "pcm_s32le": "i4", "pcm_f32le": "f4"}[encoding]
    return Finding(
        "byte-order",
        "The high byte of each sample comes first, and the service takes the low one "
        f"first: as {encoding} it would hear noise.",
        f'Swap them before you feed: numpy.frombuffer(data, ">{kind}")'
        f'.astype("<{kind}").tobytes().',
    )


def no_sound() -> Finding:
    """No way to read the bytes makes sense of them."""
    return Finding(
        "no-sound",
        "The bytes are noise, or silence, in every encoding that is tried.",
        "Audio that is compressed or encrypted has to be decoded first; see where the "
        "file comes from.",
    )


def examine(name: str, declared: Declared, *, drawn: bool) -> Report:
    """Read a file to its end.

    Args:
        name: A path, or ``-`` for the standard input.
        declared: What the user says that it is.
        drawn: Whether there shall be a sketch.

    Raises:
        FileError: It cannot be read.
    """
    with ExitStack() as stack:
        try:
            file: IO[bytes]
            if name == STDIN:
                file = sys.stdin.buffer  # left open: it is not ours
            else:
                file = stack.enter_context(open(name, "rb"))
            return _examine(name, _Ahead(file), declared, drawn)
        except (OSError, ConfigError) as exc:
            # Whoever prints it names the file.
            raise FileError(reason_of(exc).removeprefix(f"{name}: ")) from exc


class _Ahead:
    """A file whose beginning can be looked at before it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.name = str(file.name)
        self._ahead = b""

    def look(self, size: int) -> bytes:
        """The next bytes, which stay; fewer only where the file ends."""
        while len(self._ahead) < size:
            part = read(self._file, size - len(self._ahead))
            if not part:
                break
            self._ahead += part
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """The next bytes."""
        if not self._ahead:
            return self._file.read(size)
        part, self._ahead = self._ahead[:size], self._ahead[size:]
        return part


def _examine(name: str, file: _Ahead, declared: Declared, drawn: bool) -> Report:
    head = file.look(_HEAD)
    if not head:
        raise FileError("a file with audio, got an empty one")
    kind = container_of(head) or ("text" if _is_text(head) else "raw")
    if kind == "WAV" and declared.encoding is None:
        wav = WavReader(file)
        report = Report(name=name, kind=kind, source="header", format=wav.format)
        report = _heard(report, wav.blocks(_PIECE), drawn)
        if wav.missing:
            cut = Found(cut_off(wav.missing), report.meter.seconds)
            report = attrs.evolve(report, found=(*report.found, cut))
        return attrs.evolve(report, note=_OWN_HEADER if declared else "")
    if kind in _TAKEN and not declared:
        return Report(name=name, kind=kind, note=_COMPRESSED)
    if kind not in ("raw", "WAV"):
        found = Found(file_in_audio(kind), None)
        return Report(name=name, kind=kind, found=(found,))
    form, swapped, source = _DEFAULT, False, "options"
    if declared.encoding is None:
        best = _best(file.look(_AHEAD))
        source = "default" if best is None else "guess"
        if best is not None:
            swapped = best.swapped
            form = AudioFormat(best.encoding, form.sample_rate, best.channels)
    elif declared.sample_rate is None:
        form = attrs.evolve(form, encoding=declared.encoding)
    if form.encoding in _TELEPHONE:
        form = attrs.evolve(form, sample_rate=8000)
    form = declared.over(form)
    report = Report(
        name=name,
        kind=kind,
        source=source,
        format=form,
        rate_known=declared.sample_rate is not None,
        swapped=swapped,
    )
    return _heard(report, _pieces(file, form), drawn)


_OWN_HEADER = (
    "a WAV file says itself what it is: its header is used, and neither --sample-rate "
    "nor --channels; with --encoding its bytes are judged as samples, header and all"
)

_COMPRESSED = (
    "it is compressed, so its sound is not judged here; cartesia-stt batch sends it as "
    "it is, and for the realtime endpoints it has to be decoded: ffmpeg -i FILE -f wav "
    "- | cartesia-stt transcribe -"
)


def _is_text(head: bytes) -> bool:
    """Whether a file that is too short for `container_of` is all text."""
    if len(head) >= 1024 or not head.isascii():
        return False
    return all(char.isprintable() or char.isspace() for char in head.decode())


def _best(ahead: bytes) -> Declaration | None:
    ballot = Ballot()
    for at in range(0, len(ahead), _HEAD):
        ballot.add(ahead[at : at + _HEAD])
    fits = ballot.end()
    return fits[0].way if fits else None


def _pieces(file: _Ahead, form: AudioFormat) -> Iterator[bytes]:
    step = round(_PIECE * form.sample_rate) * form.frame_bytes
    while piece := file.look(step):
        yield file.read(len(piece))


def _heard(report: Report, pieces: Iterator[bytes], drawn: bool) -> Report:
    """Listen to all of it."""
    form = report.format
    assert form is not None
    way = Declaration(encoding=form.encoding, swapped=report.swapped, roughness=0.0)
    listener, ballot, meter = Listener(form), Ballot(), Meter()
    sketch = Sketch(form.sample_rate, form.channels) if drawn else None
    found: list[Found] = []
    for piece in pieces:
        ballot.add(piece)
        whole = piece[: len(piece) - len(piece) % form.frame_bytes]
        straight = way.straight(whole)
        samples = _samples(straight, form)
        meter.add(samples, form.sample_rate)
        if sketch is not None:
            sketch.add(samples)
        # The rest of a cut-off frame is part of what would be fed.
        new = listener.hear(straight + piece[len(whole) :])
        found += [Found(finding, meter.seconds) for finding in new]
    if sketch is not None:
        sketch.end()
    found += [Found(finding, meter.seconds) for finding in listener.end()]
    if any(one.finding.code == "wrong-encoding" for one in found):
        found = [one for one in found if one.finding.code not in _CONSEQUENCES]
    fits = ballot.end()
    if report.swapped:
        found.insert(0, Found(byte_order(form.encoding), None))
    if meter.seconds < _PIECE:
        found.append(Found(too_short(meter.seconds), None))
    elif report.source == "default" and not found:
        found.append(Found(no_sound(), None))
    return attrs.evolve(
        report, meter=meter, found=tuple(found), fits=tuple(fits), sketch=sketch
    )


def _samples(data: bytes, form: AudioFormat) -> Any:
    import numpy as np

    with np.errstate(all="ignore"):
        return decode(data, form.encoding).reshape(-1, form.channels)


def size_of(name: str) -> int | None:
    """Bytes of a file; ``None`` for the standard input and for what has no size."""
    if name == STDIN or not os.path.isfile(name):
        return None
    return os.path.getsize(name)
