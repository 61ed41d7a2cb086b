"""WAV files of every kind that is about, and of some that should not be."""

from __future__ import annotations

import io
import math
import os
import struct
import threading
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartesia_stt_sync import AudioFormat, ConfigError, WavReader

from .conftest import GRACE

DATA = Path(__file__).parent / "data"
SAMPLES = bytes(range(64))
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def fmt(
    tag: int = 1,
    channels: int = 1,
    rate: int = 16000,
    bits: int = 16,
    frame: int | None = None,
) -> bytes:
    """The inside of a 'fmt ' chunk."""
    frame = channels * bits // 8 if frame is None else frame
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)


def chunk(kind: bytes, data: bytes, size: int | None = None) -> bytes:
    """A chunk, which may lie about its size."""
    size = len(data) if size is None else size
    return kind + struct.pack("<I", size) + data + b"\0" * (len(data) % 2)


def riff(*chunks: bytes, kind: bytes = b"RIFF", size: int | None = None) -> bytes:
    """A file of chunks."""
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(body) if size is None else size) + body


def plain(data: bytes = SAMPLES) -> bytes:
    """The plainest file."""
    return riff(chunk(b"fmt ", fmt()), chunk(b"data", data))


class Pipe(io.RawIOBase):
    """A file that goes forward only, and gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int = 7) -> None:
        self._data = io.BytesIO(data)
        self._step = step
        self.was_read = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read a few bytes."""
        part = self._data.read(min(size, self._step))
        self.was_read += len(part)
        return part


def read(data: bytes) -> tuple[AudioFormat, int | None, bytes]:
    """Format, frames and samples, which a pipe has to give just as a file does."""
    reader, piped = WavReader(io.BytesIO(data)), WavReader(Pipe(data))
    samples = b"".join(reader)
    assert (b"".join(piped), piped.format) == (samples, reader.format)
    return reader.format, reader.frames, samples


@pytest.mark.parametrize(
    ("tag", "bits", "encoding"),
    [
        (1, 8, "pcm_u8"),
        (1, 16, "pcm_s16le"),
        (1, 24, "pcm_s24le"),
        (1, 32, "pcm_s32le"),
        (3, 16, "pcm_f16le"),
        (3, 32, "pcm_f32le"),
        (3, 64, "pcm_f64le"),
        (6, 8, "pcm_alaw"),
        (7, 8, "pcm_mulaw"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_format(tag: int, bits: int, encoding: str, channels: int) -> None:
    """The header's numbers become the library's format, plain and extensible."""
    frame = channels * bits // 8
    header = fmt(tag, channels, 44100, bits)
    plain = riff(chunk(b"fmt ", header), chunk(b"data", SAMPLES))
    extra = struct.pack("<HHIH", 22, bits, 0, tag) + GUID_TAIL
    extended = riff(
        chunk(b"fmt ", fmt(0xFFFE, channels, 44100, bits) + extra),
        chunk(b"data", SAMPLES),
    )
    expected = AudioFormat(encoding, 44100, channels)
    whole = SAMPLES[: len(SAMPLES) // frame * frame]
    assert read(plain) == read(extended) == (expected, len(SAMPLES) // frame, whole)


def test_bits_that_fill_no_byte() -> None:
    """Samples of 12 bits stand in 16, at the upper end, and are read as these."""
    data = riff(chunk(b"fmt ", fmt(bits=12, frame=2)), chunk(b"data", SAMPLES))
    assert read(data)[0].encoding == "pcm_s16le"


def test_chunks_around() -> None:
    """Chunks before the samples are skipped, odd ones too; later ones stay."""
    data = riff(
        chunk(b"JUNK", b"x" * 29),
        chunk(b"LIST", b"y" * 100_000),
        chunk(b"fmt ", fmt() + b"\0\0"),
        chunk(b"bext", b"z"),
        chunk(b"data", SAMPLES),
        chunk(b"LIST", b"not sound"),
    )
    assert read(data) == (AudioFormat("pcm_s16le", 16000), 32, SAMPLES)


def test_file_of_the_standard_library(tmp_path: Path) -> None:
    """What the module ``wave`` writes is read back, with its length."""
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(SAMPLES * 2000)
    with WavReader(path) as reader:
        assert reader.name == str(path)
        assert reader.format == AudioFormat("pcm_s16le", 8000, 2)
        assert (reader.frames, reader.duration) == (32000, 4.0)
        assert [len(block) for block in reader] == [3200] * 40


def test_speech() -> None:
    """A real recording has its real length."""
    with WavReader(DATA / "sense_and_sensibility_01_austen_64kb-0880.wav") as reader:
        assert reader.duration == 2.99
        assert sum(map(len, reader)) == 95680


@given(
    data=st.binary(max_size=300),
    seconds=st.sampled_from([0.0, 0.0001, 0.001, 1.0]),
    step=st.integers(1, 50),
)
def test_blocks(data: bytes, seconds: float, step: int) -> None:
    """However it is cut, each block is whole frames and all of them are all of it."""
    reader = WavReader(Pipe(plain(data), step))
    blocks = list(reader.blocks(seconds))
    most = max(round(seconds * 16000), 1) * 2
    assert all(0 < len(block) <= most and len(block) % 2 == 0 for block in blocks)
    assert b"".join(blocks) == data[: len(data) // 2 * 2]


def test_the_rest() -> None:
    """A second iteration goes on where the first was left."""
    reader = WavReader(io.BytesIO(plain()))
    first = next(reader.blocks(0.001))
    assert first + b"".join(reader) == SAMPLES
    assert list(reader) == []


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0x8000_0000, 0xFFFF_FFFF])
def test_streamed(size: int) -> None:
    """A size that was never filled in is no size: a file has one, a pipe has none."""
    data = riff(chunk(b"fmt ", fmt()), chunk(b"data", SAMPLES, size), size=36)
    assert read(data)[1:] == (32, SAMPLES)
    assert WavReader(Pipe(data)).duration is None


def test_nothing_recorded() -> None:
    """No samples are none, although the next chunk could be taken for some."""
    data = riff(
        chunk(b"fmt ", fmt()), chunk(b"data", b""), chunk(b"LIST", b"not sound!")
    )
    assert read(data)[1:] == (0, b"")
    assert read(plain(b""))[2] == b""


ENDLESS = (
    b"data" + struct.pack("<I", len(SAMPLES)),
    b"data" + struct.pack("<I", 0xFFFF_FFFF),
)
"""What a recorder that writes into a pipe puts in place of the size."""


@pytest.mark.parametrize("declared", [0, 3200])
def test_a_header_of_the_first_moment(declared: int) -> None:
    """A recorder that was killed has not said how much there is: all is read."""
    samples = b"\x10\xf0" * 40_000
    head = riff(
        chunk(b"fmt ", fmt()), chunk(b"data", b"", declared), size=36 + declared
    )
    with WavReader(io.BytesIO(head + samples)) as reader:
        assert reader.frames == 40_000
        assert b"".join(reader) == samples
    # What follows as a chunk, as another file or as remarks is no sound.
    whole = riff(chunk(b"fmt ", fmt()), chunk(b"data", samples[:3200]))
    for behind in (b"LIST" + samples, b"RIFF" + samples, samples[:3000]):
        assert WavReader(io.BytesIO(whole + behind)).frames == 1600


def test_cut_off() -> None:
    """A file that ends early gives the whole frames that are there."""
    assert read(plain()[:-3])[1:] == (30, SAMPLES[:60])
    assert WavReader(Pipe(plain()[:-3])).frames == 32  # a pipe cannot know


@pytest.mark.parametrize("wrap", [io.BytesIO, Pipe])
def test_missing(wrap: Callable[[bytes], Any]) -> None:
    """What the header promises beyond that is said, of a pipe once it has ended."""
    wav = WavReader(wrap(plain()[:-9]))
    b"".join(wav)
    assert wav.missing == 4 / wav.format.sample_rate
    whole = WavReader(wrap(plain()))
    b"".join(whole)
    assert whole.missing == 0
    endless = WavReader(wrap(plain(SAMPLES).replace(*ENDLESS)))
    b"".join(endless)
    assert endless.missing == 0


@pytest.mark.parametrize("size", [len(SAMPLES), 0, (1 << 64) - 1])
def test_rf64(size: int) -> None:
    """RF64 keeps the size in a chunk of its own."""
    data = riff(
        chunk(b"ds64", struct.pack("<QQQI", 0, size, 0, 0)),
        chunk(b"fmt ", fmt()),
        chunk(b"data", SAMPLES, 0xFFFF_FFFF),
        kind=b"RF64",
        size=0xFFFF_FFFF,
    )
    assert read(data)[1:] == (32, SAMPLES)
    known = 32 if size == len(SAMPLES) else None
    assert WavReader(Pipe(data)).frames == known


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "got an empty one"),
        (b"RI", "begins with RIFF, got b'RI'"),
        (b"hello world, this is text", "got b'hell'"),
        (b"ID3\4" + bytes(20), "got MP3; convert it with: ffmpeg"),
        (b"\xff\xfb\x90\x64" + bytes(20), "got MP3"),
        (b"\xff\xf1\x50\x80" + bytes(20), "got AAC"),
        (b"fLaC" + bytes(20), "got FLAC"),
        (b"OggS" + bytes(20), "got Ogg"),
        (b"\0\0\0\x20ftypM4A " + bytes(20), "got MP4 or M4A"),
        (b"RIFX" + bytes(20), "got big-endian WAV"),
        (b"RIFF\0\0\0\0AVI " + bytes(20), "got RIFF with b'AVI ' inside"),
        (riff(), "'fmt ' and 'data' chunks, got the end"),
        (riff(chunk(b"fmt ", fmt())), "a 'data' chunk, got the end"),
        (riff(chunk(b"JUNK", b"", 1 << 20)), "got the end of the file"),
        (riff(chunk(b"JUNK", b"", 1 << 31)), "got a chunk of 2,147,483,648"),
        (riff(chunk(b"data", SAMPLES)), "a 'fmt ' chunk before the samples"),
        (riff(chunk(b"fmt ", b"\1\0")), "a 'fmt ' chunk of 16 bytes, got 2"),
        (riff(chunk(b"fmt ", fmt(2, bits=4))), "got ADPCM of 4 bits; convert"),
        (riff(chunk(b"fmt ", fmt(0x1234))), "got format 0x1234 of 16 bits"),
        (riff(chunk(b"fmt ", fmt(0xFFFE))), "got format 0xfffe"),
        (riff(chunk(b"fmt ", fmt(bits=0))), "got PCM of 0 bits"),
        (riff(chunk(b"fmt ", fmt(bits=64))), "got PCM of 64 bits"),
        (riff(chunk(b"fmt ", fmt(channels=0))), "channels: a whole number from 1"),
        (riff(chunk(b"fmt ", fmt(channels=65))), "to 64, got 65"),
        (riff(chunk(b"fmt ", fmt(rate=0))), "sample_rate: a whole number from"),
        (riff(chunk(b"fmt ", fmt(frame=3))), "2 bytes a frame of 1 channel"),
    ],
)
def test_refused(data: bytes, message: str) -> None:
    """What cannot be read is named, with what was expected and what was found."""
    for file in (io.BytesIO(data), Pipe(data)):
        with pytest.raises(ConfigError, match=r"^audio: ") as caught:
            WavReader(file)
        assert message in str(caught.value)


def test_endless_header() -> None:
    """A pipe that never comes to its samples is given up on."""
    many = riff(*[chunk(b"JUNK", bytes(1 << 20))] * 70)
    file = Pipe(many, 1 << 16)
    with pytest.raises(ConfigError, match="within the first 67,108,864 bytes"):
        WavReader(file)
    assert file.was_read <= 64 << 20


@given(st.binary(max_size=200))
def test_any_header(noise: bytes) -> None:
    """Whatever the bytes, there is a reader or a `ConfigError`."""
    for data in (noise, riff(noise), riff(chunk(b"fmt ", noise), noise)):
        try:
            reader = WavReader(io.BytesIO(data))
        except ConfigError:
            continue
        assert all(reader)


def test_not_binary(tmp_path: Path) -> None:
    """A file opened as text, or one that never waits, is told from a bad one."""
    with pytest.raises(ConfigError, match="binary file, got a text one"):
        WavReader(io.StringIO("RIFF"))  # type: ignore[arg-type]  # what is tested

    # A size that is no UTF-8, as of every second file.
    path = tmp_path / "talk.wav"
    path.write_bytes(plain(bytes(200)))
    assert b"\xc8" in path.read_bytes()
    with open(path, encoding="utf-8") as file:
        with pytest.raises(ConfigError, match="binary file, got a text one"):
            WavReader(file)  # type: ignore[arg-type]  # what is tested
    reader, writer = os.pipe()
    with open(writer, "wb") as out:
        out.write(path.read_bytes())
    with open(reader, encoding="utf-8") as file:
        with pytest.raises(ConfigError, match="binary file, got a text one"):
            WavReader(file)  # type: ignore[arg-type]  # what is tested

    class Waiting(io.RawIOBase):
        def read(self, size: int = -1, /) -> None:
            """Read nothing yet."""

    with pytest.raises(ConfigError, match="got a non-blocking one"):
        WavReader(Waiting())


def test_who_closes(tmp_path: Path) -> None:
    """A path's file is closed, also where the header is bad; a caller's is not."""
    with io.BytesIO(plain()) as file:
        with WavReader(file):
            pass
        assert not file.closed
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    with pytest.raises(ConfigError, match=r"bad\.wav: "):
        WavReader(bad)  # one left open would be a ResourceWarning
    with pytest.raises(FileNotFoundError):
        WavReader(tmp_path / "none.wav")


def test_pipe_under_way() -> None:
    """The first block of a live pipe comes while the rest is still to be written."""
    out, into = os.pipe()
    first = riff(
        chunk(b"fmt ", fmt()), chunk(b"data", bytes(3200), 0xFFFF_FFFF), size=0
    )
    got = threading.Event()

    def write() -> None:
        with open(into, "wb", buffering=0) as file:
            file.write(first)
            assert got.wait(GRACE)
            file.write(b"\1" * 3200)

    thread = threading.Thread(target=write)
    thread.start()
    with open(out, "rb") as file:
        blocks = iter(WavReader(file))
        assert next(blocks) == bytes(3200)
        got.set()
        assert list(blocks) == [b"\1" * 3200]
    thread.join()


def test_file_in_the_middle() -> None:
    """A file that does not stand at its beginning is read from where it stands."""
    file = io.BytesIO(b"before" + plain())
    file.seek(6)
    assert b"".join(WavReader(file)) == SAMPLES


def test_path_of_bytes(tmp_path: Path) -> None:
    """A folder that is named by bytes has such paths; errors name them as text."""
    path = tmp_path / "bad.wav"
    path.write_bytes(b"RIFF")
    with os.scandir(os.fsencode(tmp_path)) as entries:
        (entry,) = entries
    with pytest.raises(ConfigError) as caught:
        WavReader(entry)  # type: ignore[arg-type]  # no text, but it works
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("file", [b"RIFF", None, 5])
def test_no_file(file: Any) -> None:
    """Bytes are no file; the message says how they become one."""
    with pytest.raises(ConfigError, match=r"file: a path, or a binary .*io\.BytesIO"):
        WavReader(file)


@pytest.mark.parametrize("seconds", [-1, math.nan, "1"])
def test_blocks_of_no_length(seconds: Any) -> None:
    """They are refused when they are asked for, and not at the first block."""
    reader = WavReader(io.BytesIO(plain(bytes(8))))
    with pytest.raises(ConfigError, match="seconds: seconds, at least 0, got"):
        reader.blocks(seconds)
