"""WAV files as blocks of bytes, from a file or from a pipe.

Decides where a file's samples begin and end and what they are. Reads forward
only, a block at a time, so that a pipe will do and no file is too long. Never
decodes a sample: what `WavReader.format` says of the blocks goes to
``Transcriber(source=...)``.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol, TypeAlias

from . import _validate as check
from .audio import AudioFormat
from .errors import ConfigError

__all__ = ["WavReader"]


class Readable(Protocol):
    """What is asked of a file; ``seekable`` and the rest are used where they are."""

    def read(self, size: int, /) -> bytes | None:
        """Read at most so many bytes, none at the end."""


FileOrPath: TypeAlias = "str | os.PathLike[str] | Readable"

_BLOCK = 0.1
_SKIP = 1 << 16
"""Bytes that are read at once where a chunk is skipped."""

_MOST_HEADER = 64 << 20
"""Bytes that may stand before the samples: a picture, yes; an endless pipe, no."""

_UNSIGNED_32 = 0xFFFFFFFF
_STREAMED = 0x7FFF0000
"""Sizes from here on are what recorders write who cannot go back and correct it."""

_EXTENSIBLE = 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_ENCODINGS = {
    (1, 8): "pcm_u8",
    (1, 16): "pcm_s16le",
    (1, 24): "pcm_s24le",
    (1, 32): "pcm_s32le",
    (3, 16): "pcm_f16le",
    (3, 32): "pcm_f32le",
    (3, 64): "pcm_f64le",
    (6, 8): "pcm_alaw",
    (7, 8): "pcm_mulaw",
}
_TAGS = {1: "PCM", 2: "ADPCM", 3: "float", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM"}

_STALE = 32000
"""Bytes behind a file's declared end that are more than somebody's remarks."""

_CONVERT = "convert it with: ffmpeg -i INPUT -ac 1 -ar 16000 -c:a pcm_s16le OUTPUT.wav"

_STRANGERS = (
    (0, b"ID3", "MP3"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg (Vorbis or Opus)"),
    (4, b"ftyp", "MP4 or M4A"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b"riff", "Wave64"),
    (0, b"RIFX", "big-endian WAV"),
    (0, b".snd", "AU"),
    (0, b"#!AMR", "AMR"),
)


class WavReader:
    """Read a WAV file: what its samples are, and the samples in blocks.

    ::

        with WavReader("speech.wav") as wav:
            rate = wav.format.sample_rate
            with Transcriber(source=wav.format, sample_rate=rate) as t:
                for block in wav:
                    t.feed(block)

    Takes integers of 8 to 32 bits, floats of 16 to 64, mu-law and A-law, with any
    number of channels up to 64, plain or ``WAVE_FORMAT_EXTENSIBLE``, and RF64. A
    file that was cut off gives what is there, and says what is `missing`; one of which
    the header knows the beginning only, as of a recorder that was killed, is read to
    its end. The header is read by the constructor.

    Args:
        file: A path, or a binary file open for reading. It need not be seekable:
            ``sys.stdin.buffer`` will do.

    Attributes:
        name: What errors call the file.
        format: What the samples are.
        frames: How many there are of each channel, or ``None`` where only the
            end of the file will tell, as in a recording still under way.

    Raises:
        ConfigError: Not a WAV file, or one that this class cannot read; the
            message says what was expected and what was found.
        OSError: The file cannot be opened or read.

    Threads: one at a time.
    """

    def __init__(self, file: FileOrPath) -> None:
        self._owned = isinstance(file, (str, os.PathLike))
        if isinstance(file, (str, os.PathLike)):
            self._file: Any = open(file, "rb")
            self.name = os.fsdecode(file)  # it may give bytes
        else:
            if not callable(getattr(file, "read", None)):
                raise ConfigError(
                    "file: a path, or a binary file open for reading, got "
                    f"{type(file).__name__}; wrap bytes in io.BytesIO()"
                )
            self._file = file
            name = getattr(file, "name", None)
            self.name = name if isinstance(name, str) and name else "audio"
        self._position = 0  # counted, because a pipe cannot tell it
        self._seekable = hasattr(self._file, "seekable") and self._file.seekable()
        try:
            self.format, size = self._read_header()
            self._left = self._limit(size)
            self._missing = self._promised(size) - (self._left or 0)
        except BaseException:
            self.close()
            raise
        self.frames = (
            None if self._left is None else self._left // self.format.frame_bytes
        )

    @property
    def duration(self) -> float | None:
        """Its length in seconds, or ``None`` where only its end will tell."""
        return None if self.frames is None else self.frames / self.format.sample_rate

    @property
    def missing(self) -> float:
        """Seconds that the header promises and the file has not: it was cut off.

        Of what is not seekable this is known once all has been read.
        """
        frames = max(self._missing, 0) // self.format.frame_bytes
        return frames / self.format.sample_rate

    def blocks(self, seconds: float = _BLOCK) -> Iterator[bytes]:
        """Iterate over what has not been read yet, in whole frames.

        Args:
            seconds: The length of a block, at least a frame; the last may be shorter.

        Raises:
            ConfigError: ``seconds`` is no length of time.
        """
        span = check.seconds("seconds", seconds)
        assert span is not None
        return self._blocks(span)

    def _blocks(self, seconds: float) -> Iterator[bytes]:
        frame = self.format.frame_bytes
        step = max(round(seconds * self.format.sample_rate), 1) * frame
        while True:
            want = step if self._left is None else min(step, self._left)
            block = self._read(want)
            if self._left is not None:
                self._left -= len(block)
            whole = len(block) - len(block) % frame
            if whole:
                yield block[:whole]
            if len(block) < want and self._left is not None:
                self._missing += self._left  # it has ended before its time
                self._left = 0
            if len(block) < step:
                return

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks()

    def close(self) -> None:
        """Close the file, if this reader opened it. Idempotent."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> WavReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, size: int) -> bytes:
        """Read so many bytes, or up to the end: a raw file may give fewer at once."""
        parts = []
        while size > 0:
            try:
                part = self._file.read(size)
            except UnicodeDecodeError:  # it is one of text, and this is none
                part = ""
            if part is None or isinstance(part, str):
                kind = "text" if part is not None else "non-blocking"
                raise self._refused(f"a blocking binary file, got a {kind} one")
            if not part:
                break
            parts.append(part)
            size -= len(part)
            self._position += len(part)
        return b"".join(parts)

    def _refused(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.name}: {problem}")

    def _read_header(self) -> tuple[AudioFormat, int | None]:
        """Read up to the first sample; return what they are and their bytes."""
        riff_end, is_64 = self._read_magic()
        found: AudioFormat | None = None
        data_size_64 = 0
        while True:
            kind, size = self._read_chunk_head(found)
            if kind == b"data":
                if found is None:
                    raise self._refused("a 'fmt ' chunk before the samples, got none")
                if is_64 and size == _UNSIGNED_32:
                    size = data_size_64
                return found, self._known_size(size, riff_end)
            head = self._read(min(size, 64))
            if kind == b"fmt ":
                found = self._parse_format(head)
            elif kind == b"ds64" and len(head) >= 16:
                (data_size_64,) = struct.unpack_from("<Q", head, 8)
            self._skip(size - len(head) + size % 2)  # chunks begin at even places

    def _read_magic(self) -> tuple[int, bool]:
        """Check the first 12 bytes; return where the file says it ends."""
        magic = self._read(12)
        if magic[:4] in (b"RIFF", b"RF64", b"BW64") and magic[8:] == b"WAVE":
            (size,) = struct.unpack_from("<I", magic, 4)
            return size + 8, magic[:4] != b"RIFF"
        if not magic:
            raise self._refused("a WAV file, got an empty one")
        if magic[:4] == b"RIFF":
            raise self._refused(f"a WAV file, got RIFF with {magic[8:]!r} inside")
        kind = _stranger(magic)
        if kind is None:
            raise self._refused(f"a WAV file begins with RIFF, got {magic[:4]!r}")
        raise self._refused(f"a WAV file, got {kind}; {_CONVERT}")

    def _read_chunk_head(self, found: AudioFormat | None) -> tuple[bytes, int]:
        head = self._read(8)
        if len(head) < 8:
            missing = "'fmt ' and 'data' chunks" if found is None else "a 'data' chunk"
            raise self._refused(f"{missing}, got the end of the file")
        return head[:4], struct.unpack_from("<I", head, 4)[0]

    def _parse_format(self, head: bytes) -> AudioFormat:
        if len(head) < 16:
            raise self._refused(f"a 'fmt ' chunk of 16 bytes, got {len(head)}")
        tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", head)
        if tag == _EXTENSIBLE and len(head) >= 40 and head[26:40] == _GUID_TAIL:
            (tag,) = struct.unpack_from("<H", head, 24)
        # 12 bits stand in 16, at the upper end: the format's own rule.
        encoding = _ENCODINGS.get((tag, -(-bits // 8) * 8))
        if encoding is None:
            name = _TAGS.get(tag, f"format {tag:#06x}")
            raise self._refused(
                "PCM of 8, 16, 24 or 32 bits, float of 16, 32 or 64, mu-law or A-law, "
                f"got {name} of {bits} bits; {_CONVERT}"
            )
        try:
            found = AudioFormat(encoding, rate, channels)
        except ConfigError as exc:
            raise self._refused(str(exc)) from None
        if frame != found.frame_bytes:
            raise self._refused(
                f"{found.frame_bytes} bytes a frame of {channels} channel(s) of "
                f"{bits} bits, got {frame}"
            )
        return found

    def _skip(self, size: int) -> None:
        if self._position + size > _MOST_HEADER:
            raise self._refused(
                f"the samples within the first {_MOST_HEADER:,} bytes, got a chunk of "
                f"{size:,} before them"
            )
        while size > 0 and (got := len(self._read(min(size, _SKIP)))):
            size -= got

    def _known_size(self, size: int, riff_end: int) -> int | None:
        """The samples' bytes as declared; ``None`` where nobody knew when it was."""
        if not self._seekable and _is_endless(size):
            return None
        # Zero is left by a recorder that was killed, and by one that recorded
        # nothing; in the second case the file's size as a whole is right.
        if size == 0 and not self._position < riff_end < _STREAMED:
            return None
        return None if self._goes_on(size, riff_end) else size

    def _goes_on(self, size: int, riff_end: int) -> bool:
        """Whether the header is that of a recording's first moment.

        A recorder that was killed leaves it so: it knows of less than follows behind
        all that it knows of, and what follows is no chunk and no other file.
        """
        if not self._seekable or riff_end > self._position + size + 1:
            return False
        here = self._file.tell()
        goes_on = self._file.seek(0, os.SEEK_END) - here - size > max(size, _STALE)
        name = b""
        if goes_on:
            self._file.seek(here + size)
            name = self._file.read(4)
        self._file.seek(here)
        return goes_on and not (name.isascii() and name.isalnum())

    def _promised(self, size: int | None) -> int:
        """How many bytes somebody meant there to be; 0: nobody did."""
        return 0 if size is None or _is_endless(size) else size

    def _limit(self, size: int | None) -> int | None:
        """How many bytes can be read: what is declared, or less in a cut-off file."""
        if not self._seekable:
            return size
        here = self._file.tell()
        there: int = max(self._file.seek(0, os.SEEK_END) - here, 0)
        self._file.seek(here)
        return there if size is None else min(size, there)


def _is_endless(size: int) -> bool:
    """Whether a size is what stands there before anybody knows it."""
    return size >= (1 << 62 if size > _UNSIGNED_32 else _STREAMED)


def _stranger(magic: bytes) -> str | None:
    """What else begins like this."""
    for place, mark, name in _STRANGERS:
        if magic.startswith(mark, place):
            return name
    # An MPEG frame begins with eleven set bits; no layer means AAC.
    if magic[:1] == b"\xff" and len(magic) > 1 and magic[1] & 0xE0 == 0xE0:
        return "MP3" if magic[1] & 6 else "AAC"
    return None
