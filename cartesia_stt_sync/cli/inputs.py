"""What is transcribed: WAV files, raw samples, the standard input.

Decides how a name on the command line becomes blocks of samples, and which
encoding goes over the wire for them. Never resamples: the service takes any
rate, so each file is sent at its own, and no optional package is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import attrs

from cartesia_stt_sync import AudioFormat, ConfigError, WavReader

from .exits import FileError, reason_of

__all__ = ["STDIN", "Input", "check_stdin", "open_input", "read", "wire_encoding"]

STDIN = "-"

_AS_IT_IS = ("pcm_s16le", "pcm_mulaw", "pcm_alaw")
"""Encodings that are sent as they are; the others are twice as large or refused."""

_RAW = frozenset(".pcm .raw .s16 .s16le .ulaw .mulaw .ul .alaw .al .sw".split())
"""How files are called that have no header."""

_BLOCK = 0.1


@attrs.frozen
class Input:
    """A recording, open.

    Attributes:
        name: What it is called in messages.
        format: What its samples are.
        duration: Its seconds, or ``None`` where only its end will tell.
        blocks: Its samples.
        missing: Asked for the seconds that its header promises and that it has not,
            once all has been read.
    """

    name: str
    format: AudioFormat
    duration: float | None
    blocks: Iterator[bytes]
    missing: Callable[[], float] = lambda: 0.0


def wire_encoding(source: AudioFormat) -> str:
    """The encoding in which a recording is sent."""
    return source.encoding if source.encoding in _AS_IT_IS else "pcm_s16le"


def check_stdin(names: Sequence[str], advice: str = "") -> None:
    """Check that the standard input can be read, if it is to be.

    Args:
        names: What is to be read.
        advice: What else to do, for whoever has a terminal there.

    Raises:
        ConfigError: It cannot, or not as often.
    """
    if STDIN not in names:
        return
    if names.count(STDIN) > 1:
        raise ConfigError("FILE: the standard input can be read only once")
    if sys.stdin is None:
        raise ConfigError("FILE: - is the standard input, and it is closed")
    if sys.stdin.isatty():
        raise ConfigError(f"FILE: - reads audio from a pipe, got a terminal{advice}")


@contextmanager
def open_input(name: str, raw: AudioFormat | None) -> Iterator[Input]:
    """Open a recording.

    Args:
        name: A path, or ``-`` for the standard input.
        raw: What its samples are, if it has no header to say it.

    Raises:
        FileError: It cannot be opened, or is no such recording.
    """
    with ExitStack() as stack:
        try:
            file: IO[bytes]
            if name == STDIN:
                file = sys.stdin.buffer  # left open: it is not ours
            else:
                file = stack.enter_context(open(name, "rb"))
        except OSError as exc:
            raise FileError(reason_of(exc)) from exc
        try:
            recording = _read(name, file, raw)
        except (OSError, ConfigError) as exc:
            # Whoever prints it names the file.
            reason = reason_of(exc).removeprefix(f"{file.name}: ")
            if raw is None and _may_be_raw(name, reason):
                reason += "; samples without a header need --encoding and --sample-rate"
            raise FileError(reason) from exc
        yield recording


def read(file: IO[bytes], size: int) -> bytes:
    """Read so many bytes, fewer only at the end.

    Raises:
        ConfigError: It is not at its end, and does not wait for more.
    """
    data: bytes | None = file.read(size)
    if data is None:
        raise ConfigError("a blocking binary file, got a non-blocking one")
    return data


def _may_be_raw(name: str, reason: str) -> bool:
    """Whether what is no WAV file may have no header at all."""
    # Samples may begin as something else does, so that the name counts, too.
    return "begins with RIFF" in reason or Path(name).suffix.lower() in _RAW


def _read(name: str, file: IO[bytes], raw: AudioFormat | None) -> Input:
    if raw is None:
        wav = WavReader(file)
        blocks = _read_on(wav)
        return Input(name, wav.format, wav.duration, blocks, lambda: wav.missing)
    step = round(_BLOCK * raw.sample_rate) * raw.frame_bytes
    first = read(file, step)
    if not first:
        raise ConfigError("samples without a header, got an empty file")
    if first[:4] == b"RIFF" and first[8:12] == b"WAVE":
        raise ConfigError(
            "raw samples without a header, got a WAV file; leave out --encoding, "
            "--sample-rate and --channels"
        )
    size = os.fstat(file.fileno()).st_size if file.seekable() else None
    duration = None if size is None else size / raw.frame_bytes / raw.sample_rate
    blocks = _read_on(_raw_blocks(first, file, step))
    return Input(name, raw, duration, blocks)


def _read_on(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks of a recording; what is wrong with the file is told as such.

    Raises:
        FileError: It does not wait for what is still to come.
    """
    try:
        yield from blocks
    except ConfigError as exc:
        raise FileError(reason_of(exc)) from exc


def _raw_blocks(first: bytes, file: IO[bytes], step: int) -> Iterator[bytes]:
    block = first
    while block:
        yield block
        block = read(file, step)
