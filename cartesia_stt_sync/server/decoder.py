"""Recordings as blocks of samples, whatever file they came in.

Decides what a file is by its first bytes, not by its name: WAV by the package's own
reader, what has no header by what the request says, all else by libsndfile. Never
touches a socket; runs where the engines do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import attrs

from .. import WavReader
from ..audio import AudioFormat, decode
from ..errors import ConfigError
from .handshake import Refusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Recording", "open_recording"]

_BLOCK = 10.0
"""Seconds that are decoded at once: a recogniser looks for interims once a block."""

_TAKES = (
    "this server takes wav, flac, ogg, oga and mp3, and raw samples with encoding and "
    "sample_rate in the address; the service also takes m4a, mp4, mpeg, mpga and webm"
)


@attrs.frozen(kw_only=True)
class Recording:
    """A file that can be heard.

    Attributes:
        sample_rate: In Hz.
        duration: Its seconds, as far as its header or its size tells.
        blocks: Its samples, -1 to 1, all channels mixed into one.
    """

    sample_rate: int
    duration: float
    blocks: Iterator[NDArray[np.float32]]


def open_recording(file: IO[bytes], raw: AudioFormat | None) -> Recording:
    """Find out what a file is.

    Args:
        file: It, seekable.
        raw: What its samples are, where it has no header.

    Raises:
        Refusal: It is none that can be heard.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not size:
        raise Refusal(400, "Empty file", "file: a recording, got no byte")
    head = file.read(12)
    file.seek(0)
    if raw is not None:
        return _raw(file, size, raw)
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _wav(file)
    return _any(file)


def _raw(file: IO[bytes], size: int, raw: AudioFormat) -> Recording:
    step = round(_BLOCK * raw.sample_rate) * raw.frame_bytes

    def blocks() -> Iterator[NDArray[np.float32]]:
        while block := file.read(step):
            whole = len(block) - len(block) % raw.frame_bytes
            yield decode(block[:whole], raw.encoding)

    duration = size // raw.frame_bytes / raw.sample_rate
    return Recording(sample_rate=raw.sample_rate, duration=duration, blocks=blocks())


def _wav(file: IO[bytes]) -> Recording:
    try:
        wav = WavReader(file)
    except ConfigError as exc:
        raise Refusal(400, "Invalid audio", f"file: {exc}") from None
    found = wav.format

    def blocks() -> Iterator[NDArray[np.float32]]:
        for block in wav.blocks(_BLOCK):
            yield _mixed(decode(block, found.encoding).reshape(-1, found.channels))

    assert wav.duration is not None  # of a file that can be sought in, it is known
    return Recording(
        sample_rate=found.sample_rate, duration=wav.duration, blocks=blocks()
    )


def _any(file: IO[bytes]) -> Recording:
    try:
        import soundfile
    except (ImportError, OSError) as exc:  # OSError: no libsndfile for this system
        raise Refusal(
            415,
            "Unsupported audio",
            "file: no WAV, and to read others this server lacks soundfile; pip install "
            "'cartesia-stt-sync[local]'",
        ) from exc
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        raise Refusal(415, "Unsupported audio", f"file: {_TAKES}") from None

    def blocks() -> Iterator[NDArray[np.float32]]:
        step = round(_BLOCK * sound.samplerate)
        try:
            for block in sound.blocks(step, dtype="float32", always_2d=True):
                yield _mixed(block)
        except soundfile.LibsndfileError as exc:
            raise Refusal(400, "Invalid audio", f"file: {exc}") from None

    return Recording(
        sample_rate=sound.samplerate,
        duration=sound.frames / sound.samplerate,
        blocks=blocks(),
    )


def _mixed(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    mixed: NDArray[np.float32] = frames.mean(axis=1, dtype=np.float32)
    return mixed
