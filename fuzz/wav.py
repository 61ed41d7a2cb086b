"""What must hold for any bytes that are read as a WAV file.

Decides what `WavReader` may ask of a file and what it may make of it. Pure: the
files are in memory, one that can seek and one that goes forward only.
"""

from __future__ import annotations

from cartesia_stt_sync import AudioFormat, ConfigError, WavReader
from cartesia_stt_sync.audio import Converter

__all__ = ["check_wav"]

_AT_ONCE = 1 << 16
"""Bytes that may be asked for at once where a header is read or a chunk skipped."""

_ENDS = 8
"""How often a reader may meet the end of a file before it believes it."""

_CONVERTED = 4096
"""Bytes of the samples that are converted, too: enough to see that they can be."""


class Tape:
    """A file in memory that notes what is asked of it.

    Args:
        data: Its bytes.
        step: How many of them a read gives at most, as a pipe may.
        dry: After how many reads there is nothing for now, as in a pipe that does
            not block; ``None``: never.
    """

    def __init__(self, data: bytes, step: int, dry: int | None = None) -> None:
        self.data = data
        self.at = 0
        self.most = 0
        self._step = step
        self._dry = dry
        self._ends = 0
        self._reads = 0

    def read(self, size: int, /) -> bytes | None:
        """Give a part, and check that no more is asked for than may be."""
        assert size > 0, "a read of nothing"
        self.most = max(self.most, size)
        self._reads += 1
        if self._dry is not None and self._reads > self._dry:
            return None
        part = self.data[self.at : self.at + min(size, self._step)]
        self.at += len(part)
        self._ends += not part
        assert self._ends <= _ENDS, "reads on behind the end"
        return part


class File(Tape):
    """One that can be sought in."""

    def seekable(self) -> bool:
        """Say so."""
        return True

    def tell(self) -> int:
        """Where it is."""
        return self.at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go anywhere, and behind the end as well, as a file does."""
        self.at = max(0, offset + (0, self.at, len(self.data))[whence])
        return self.at


def check_wav(data: bytes) -> None:
    """Blocks that fit the format, the same from a file and a pipe, or `ConfigError`."""
    step = 1 + len(data) % 13
    file = _read(File(data, len(data) or 1))
    assert _read(Tape(data, step)) == file, "a pipe gives something else"
    _read(Tape(data, step, dry=len(data) // 20))


def _read(tape: Tape) -> tuple[AudioFormat, bytes] | None:
    """The format and the samples; ``None``: refused."""
    refused = None
    try:
        wav = WavReader(tape)
    except ConfigError as exc:
        refused = str(exc)
    assert tape.most <= _AT_ONCE
    if refused is not None:
        assert refused.startswith("audio: "), "whose file it is"
        return None
    begin, frame = tape.at, wav.format.frame_bytes
    second = wav.format.sample_rate * frame
    tape.most = 0
    blocks = []
    try:
        for block in wav:
            assert block, "an empty block"
            assert len(block) % frame == 0, "half a frame"
            blocks.append(block)
    except ConfigError:
        return None  # it ran dry
    finally:
        assert tape.most <= max(second // 8, frame), "asks for more than a block"
    samples = b"".join(blocks)
    assert samples == tape.data[begin : begin + len(samples)], "not the file's bytes"
    _check_counts(wav, tape, len(samples) // frame)
    _check_convertible(wav.format, samples[: _CONVERTED // frame * frame])
    return wav.format, samples


def _check_counts(wav: WavReader, tape: Tape, frames: int) -> None:
    if isinstance(tape, File):
        assert wav.frames == frames, "a file that can seek knows its length"
    assert wav.frames is None or wav.frames >= frames
    assert (wav.duration is None) == (wav.frames is None)
    assert list(wav) == [], "read to its end, it has more"


def _check_convertible(source: AudioFormat, samples: bytes) -> None:
    wire = AudioFormat("pcm_s16le", source.sample_rate)
    sent = Converter(wire, source).convert(samples)
    assert len(sent) == len(samples) // source.frame_bytes * wire.frame_bytes
