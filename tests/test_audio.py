"""From what a caller has to what the wire takes."""

from __future__ import annotations

import array
import subprocess
import sys
import types
from itertools import pairwise
from typing import Any, Literal

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync.audio import (
    ENCODINGS,
    AudioFormat,
    Converter,
    check_rate,
    decode,
    encoding_of,
    is_array,
)
from cartesia_stt_sync.errors import ConfigError

WIRE = AudioFormat("pcm_s16le", 16000)


def tone(frames: int, channels: int = 1) -> Any:
    """A float32 array of something audible, each channel its own."""
    t = np.arange(frames)[:, None] * (np.arange(channels) + 1) * 0.05
    return (np.sin(t) * 0.5).astype(np.float32)


def as_bytes(frames: Any, encoding: str) -> bytes:
    """A float array written in an encoding, without the code under test."""
    scaled = np.asarray(frames, np.float64).reshape(-1)
    if encoding == "pcm_s24le":
        wide = np.rint(scaled * (1 << 23)).astype("<i4")
        return wide.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    if encoding == "pcm_u8":
        return (np.rint(scaled * 128) + 128).astype(np.uint8).tobytes()
    if encoding in ("pcm_s16le", "pcm_s32le"):
        bits = {"pcm_s16le": 16, "pcm_s32le": 32}[encoding]
        return np.rint(scaled * (1 << (bits - 1))).astype(f"<i{bits // 8}").tobytes()
    return scaled.astype({"pcm_f16le": "<f2", "pcm_f32le": "<f4"}[encoding]).tobytes()


def test_while_numpy_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may be in the middle of that, and nothing of it there yet."""
    monkeypatch.setitem(sys.modules, "numpy", types.ModuleType("numpy"))
    assert not is_array(b"ab")


class TestFormats:
    """What audio may be made of."""

    @pytest.mark.parametrize(
        ("name", "width", "silence", "wire"),
        [
            ("pcm_s16le", 2, "0000", True),
            ("pcm_s32le", 4, "00000000", True),
            ("pcm_f16le", 2, "0000", True),
            ("pcm_f32le", 4, "00000000", True),
            ("pcm_mulaw", 1, "ff", True),
            ("pcm_alaw", 1, "d5", True),
            ("pcm_u8", 1, "80", False),
            ("pcm_s24le", 3, "000000", False),
            ("pcm_f64le", 8, "0000000000000000", False),
        ],
    )
    def test_encodings(self, name: str, width: int, silence: str, wire: bool) -> None:
        """Each encoding has its width and its own silence."""
        known = ENCODINGS[name]
        assert (known.name, known.width, known.wire) == (name, width, wire)
        assert known.silence.hex() == silence
        assert encoding_of(name, wire=wire) is known

    def test_no_others(self) -> None:
        """The service takes six, a source may have three more."""
        assert len(ENCODINGS) == 9

    @pytest.mark.parametrize("name", ["pcm_u8", "PCM_S16LE", "", "mp3", None, 16, []])
    def test_unknown_encoding(self, name: object) -> None:
        """The refusal names the argument, what would do, and what came."""
        with pytest.raises(ConfigError) as caught:
            encoding_of(name)
        assert str(caught.value) == (
            "encoding: one of pcm_s16le, pcm_s32le, pcm_f16le, pcm_f32le, pcm_mulaw, "
            f"pcm_alaw, got {name!r}"
        )

    def test_unknown_encoding_of_a_source(self) -> None:
        """For a source the three others are named as well."""
        with pytest.raises(
            ConfigError, match=r"^encoding: one of .*pcm_f64le, got 'x'$"
        ):
            AudioFormat("x", 16000)
        with pytest.raises(ConfigError, match=r"^here: one of"):
            encoding_of("x", argument="here")

    @pytest.mark.parametrize("rate", [1_000, 8_000, 44_100, 768_000])
    def test_rates(self, rate: int) -> None:
        """Any rate between a telephone's and a studio's will do."""
        assert check_rate("sample_rate", rate) == rate

    @pytest.mark.parametrize(
        "rate", [0, -1, 999, 768_001, 16000.0, "16000", None, True]
    )
    def test_no_rates(self, rate: Any) -> None:
        """Implausible rates are refused, kilohertz among them."""
        with pytest.raises(ConfigError) as caught:
            AudioFormat("pcm_s16le", rate)
        assert str(caught.value) == (
            f"sample_rate: a whole number from 1,000 to 768,000, got {rate!r}"
        )

    @pytest.mark.parametrize("channels", [0, -1, 65, 1.0, None])
    def test_no_channels(self, channels: Any) -> None:
        """Channels are counted from 1 to 64."""
        with pytest.raises(
            ConfigError, match=r"^channels: a whole number from 1 to 64"
        ):
            AudioFormat("pcm_s16le", 16000, channels)

    def test_frame(self) -> None:
        """A frame is a sample of every channel; its silence likewise."""
        stereo = AudioFormat("pcm_s24le", 48000, 2)
        assert (stereo.frame_bytes, stereo.silence) == (6, bytes(6))
        assert AudioFormat("pcm_mulaw", 8000, 3).silence == b"\xff" * 3

    def test_frozen(self) -> None:
        """A format is a value."""
        assert WIRE == AudioFormat("pcm_s16le", 16000, 1)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            WIRE.channels = 2  # type: ignore[misc]  # that is the test


class TestBytes:
    """Bytes-like audio."""

    @pytest.mark.parametrize(
        "audio",
        [
            b"\1\2\3\4",
            bytearray(b"\1\2\3\4"),
            memoryview(b"\1\2\3\4"),
            memoryview(b"\1\2\3\4").cast("h"),
            memoryview(b"\1\2\3\4").cast("B", (2, 2)),
            memoryview(b"\1x\2x\3x\4x")[::2],
            array.array("b", [1, 2, 3, 4]),
            array.array("h", memoryview(b"\1\2\3\4").cast("h")),
        ],
    )
    def test_anything_bytes_like(self, audio: Any) -> None:
        """Whatever has bytes gives them, unchanged where the formats are the same."""
        assert Converter(WIRE).convert(audio) == b"\1\2\3\4"
        seconds, pieces = Converter(WIRE).pieces(audio)
        assert seconds == 2 / 16000
        assert b"".join(bytes(piece) for piece in pieces) == b"\1\2\3\4"

    @pytest.mark.parametrize("audio", [b"", memoryview(b""), bytearray()])
    def test_nothing(self, audio: Any) -> None:
        """Nothing is audio too, of no length."""
        assert Converter(WIRE).convert(audio) == b""
        seconds, pieces = Converter(WIRE).pieces(audio)
        assert (seconds, list(pieces)) == (0, [])

    def test_nothing_of_some_shape(self) -> None:
        """A view of no frames of two channels is nothing as well."""
        view = np.zeros((0, 2), np.int16).data
        assert Converter(WIRE).convert(view) == b""

    @pytest.mark.parametrize("audio", ["text", None, 5, [1, 2], (b"a",), object()])
    @pytest.mark.parametrize("method", ["convert", "pieces"])
    def test_refused(self, audio: object, method: str) -> None:
        """What has no bytes is refused by what it is, never quoted."""
        kind = type(audio).__name__
        with pytest.raises(ConfigError) as caught:
            getattr(Converter(WIRE), method)(audio)
        assert str(caught.value) == (
            f"audio: bytes-like (bytes, bytearray, memoryview) or an array, got {kind}"
        )

    def test_partial_sample(self) -> None:
        """Half a sample waits for its other half."""
        converter = Converter(WIRE)
        assert converter.convert(b"\1") == b""
        assert converter.pending_bytes == 1
        assert converter.convert(b"\2\3") == b"\1\2"
        assert converter.convert(b"\4") == b"\3\4"
        assert converter.pending_bytes == 0

    def test_partial_frame(self) -> None:
        """Of two channels both wait until the frame is whole."""
        converter = Converter(WIRE, AudioFormat("pcm_s16le", 16000, 2))
        assert converter.convert(b"\0\1\0") == b""
        assert converter.pending_bytes == 3
        assert converter.convert(b"\3") == b"\0\2"

    def test_pieces_of_a_second(self) -> None:
        """A long call is cut into seconds, of whole frames."""
        source = AudioFormat("pcm_s24le", 1000, 2)
        data = bytes(range(250)) * 60  # 2.5 s
        seconds, pieces = Converter(WIRE, source).pieces(data)
        cut = [bytes(piece) for piece in pieces]
        assert seconds == 2.5
        assert [len(piece) for piece in cut] == [6000, 6000, 3000]
        assert b"".join(cut) == data

    @pytest.mark.parametrize(
        "encoding", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f16le", "pcm_f32le"]
    )
    @pytest.mark.parametrize("channels", [1, 2, 5])
    def test_other_formats(self, encoding: str, channels: int) -> None:
        """Any source becomes the wire's samples, its channels mixed down evenly."""
        frames = tone(200, channels)
        converter = Converter(WIRE, AudioFormat(encoding, 16000, channels))
        got = np.frombuffer(converter.convert(as_bytes(frames, encoding)), "<i2")
        wanted = np.rint(frames.astype(np.float64).mean(axis=1) * 32768)
        coarse = {"pcm_u8": 257, "pcm_f16le": 9}.get(encoding, 1)
        assert np.abs(got - wanted).max() <= coarse

    @pytest.mark.parametrize("encoding", ["pcm_mulaw", "pcm_alaw"])
    def test_telephone(self, encoding: str) -> None:
        """Telephone audio becomes 16 bits, and 16 bits telephone audio."""
        telephone = AudioFormat(encoding, 8000)
        linear = AudioFormat("pcm_s16le", 8000)
        codes = bytes(code for code in range(256) if code != 0x7F)
        raw = Converter(linear, telephone).convert(codes)
        assert np.array_equal(
            np.frombuffer(raw, "<i2"), decode(codes, encoding) * np.float32(32768)
        )
        assert Converter(telephone, linear).convert(raw) == codes

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_same_format(self, encoding: str) -> None:
        """Declared or not, the wire's own format passes through untouched."""
        own = AudioFormat(encoding, 16000)
        noise = bytes(range(256)) * 3
        assert Converter(own).convert(noise) == noise
        assert Converter(own, own).convert(noise) == noise
        assert Converter(own).flush() == b""

    @pytest.mark.parametrize(
        "source",
        [
            AudioFormat("pcm_s16le", 16000, 2),
            AudioFormat("pcm_s24le", 16000),
            AudioFormat("pcm_s24le", 44100, 2),
            AudioFormat("pcm_mulaw", 8000),
            AudioFormat("pcm_f32le", 48000),
        ],
        ids=str,
    )
    @settings(deadline=None, max_examples=25)
    @given(cuts=st.lists(st.integers(0, 6000), max_size=12))
    def test_any_cutting(self, source: AudioFormat, cuts: list[int]) -> None:
        """However the same bytes are cut, the same bytes come out."""
        pcm = np.random.default_rng(1).integers(0, 256, 6000, np.uint8)
        if source.encoding == "pcm_f32le":
            data = tone(1500).tobytes()
        else:
            data = pcm.tobytes()
        whole, piecewise = Converter(WIRE, source), Converter(WIRE, source)
        edges = [0, *sorted(cuts), len(data)]
        parts = [piecewise.convert(data[a:b]) for a, b in pairwise(edges)]
        parts.append(piecewise.flush())
        assert b"".join(parts) == whole.convert(data) + whole.flush()
        assert piecewise.pending_bytes == whole.pending_bytes


class TestArrays:
    """Arrays, of NumPy and of whatever can become one."""

    @pytest.mark.parametrize(
        "dtype", ["i1", "i2", "i4", "u1", "f2", "f4", "f8", "longdouble"]
    )
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("shape", [(8,), (8, 1), (8, 2)])
    def test_kinds_and_shapes(
        self, dtype: str, order: Literal["<", ">"], shape: tuple[int, ...]
    ) -> None:
        """Integers over their range and floats, of any byte order and shape."""
        halves = np.array([0, 0.5, -0.5, -1, 0.25, 0, 0, 0.75])
        kind = np.dtype(dtype).newbyteorder(order)
        full = {"i1": 128, "i2": 32768, "i4": 1 << 31, "u1": 128}.get(dtype, 1)
        mono = (halves * full + (128 if dtype == "u1" else 0)).astype(kind)
        audio = np.stack([mono] * shape[1], axis=1) if len(shape) == 2 else mono
        assert audio.shape == shape
        converter = Converter(WIRE)
        got = np.frombuffer(converter.convert(audio), "<i2")
        assert got.tolist() == (halves * 32768).tolist()

    @pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_s32le", "pcm_f32le"])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_own_format(self, encoding: str, order: str) -> None:
        """An array of what the wire takes passes bit by bit, all 32 of them."""
        dtype = {"pcm_s16le": "i2", "pcm_s32le": "i4", "pcm_f32le": "f4"}[encoding]
        if dtype == "f4":
            audio = np.array([0.1, -0.0, 1, -1, 1e-30], "<f4")
        else:
            top = np.iinfo(dtype).max
            audio = np.array([0, 1, -1, top, -top - 1, 12345], f"<{dtype}")
        wire = AudioFormat(encoding, 16000)
        assert (
            Converter(wire).convert(audio.astype(f"{order}{dtype}")) == audio.tobytes()
        )

    @pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f16le", "pcm_f32le"])
    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_clipping(self, encoding: str, dtype: str) -> None:
        """Floats are clipped and NaN is silence, whatever the wire takes."""
        audio = np.array([2, -2, np.inf, -np.inf, np.nan, 1e30], dtype)
        got = decode(Converter(AudioFormat(encoding, 16000)).convert(audio), encoding)
        one = 32767 / 32768 if encoding == "pcm_s16le" else 1.0
        assert got.tolist() == [one, -1, one, -1, 0, one]

    def test_nan_stays_where_it_is(self) -> None:
        """A NaN of one channel, or before a resampler, harms no other sample."""
        audio = tone(100, 2)
        audio[50, 0] = np.nan
        audio[51] = np.inf, -np.inf
        mended = np.nan_to_num(audio, posinf=1, neginf=-1)
        for source in (None, AudioFormat("pcm_f32le", 48000, 2)):
            ours, theirs = Converter(WIRE, source), Converter(WIRE, source)
            got = ours.convert(audio) + ours.flush()
            assert got == theirs.convert(mended) + theirs.flush()

    def test_views(self) -> None:
        """Slices, columns and transposes are read as what they show."""
        audio = np.arange(24, dtype=np.int16).reshape(12, 2)
        convert = Converter(WIRE).convert
        assert convert(audio[:, 1]) == audio[:, 1].tobytes()
        assert convert(audio[::-3, 0]) == audio[::-3, 0].tobytes()
        column = np.arange(4, dtype=np.int16)[None].T
        assert convert(column) == bytes([0, 0, 1, 0, 2, 0, 3, 0])

    def test_what_can_become_an_array(self) -> None:
        """A tensor or series of some other package is one, by __array__."""

        class Tensor:
            def __array__(self, dtype: object = None, copy: object = None) -> Any:
                return np.array([1, 2], np.int16)

        assert Converter(WIRE).convert(Tensor()) == b"\1\0\2\0"
        assert Converter(WIRE).pieces(Tensor())[0] == 2 / 16000

    def test_scalar(self) -> None:
        """A single sample is an array of one."""
        seconds, pieces = Converter(WIRE).pieces(np.int16(5))
        assert seconds == 1 / 16000
        assert [Converter(WIRE).convert(piece) for piece in pieces] == [b"\5\0"]

    def test_pieces_of_a_second(self) -> None:
        """A long array is cut into seconds of the source's rate."""
        source = AudioFormat("pcm_s16le", 1000, 2)
        audio = np.zeros((2500, 2), np.int16)
        seconds, pieces = Converter(WIRE, source).pieces(audio)
        assert seconds == 2.5
        assert [piece.shape for piece in pieces] == [(1000, 2), (1000, 2), (500, 2)]

    @pytest.mark.parametrize("shape", [(0,), (0, 1), (0, 2)])
    def test_nothing(self, shape: tuple[int, ...]) -> None:
        """An array without frames is no audio, and no error."""
        assert Converter(WIRE).convert(np.zeros(shape, np.float32)) == b""

    @pytest.mark.parametrize(
        ("audio", "message"),
        [
            (np.zeros((2, 2, 2)), "audio: an array of shape (frames,) or (frames, ch"),
            (np.zeros((2, 0)), "audio: an array of shape (frames,) or (frames, chann"),
            (
                np.zeros((1, 65), "f4"),
                "audio: an array of shape (frames,) or (frames, channels), got shape "
                "(1, 65); transpose it",
            ),
            (np.zeros(2, "i8"), "audio: an array of float, int8, int16, int32 or uin"),
            (np.zeros(2, "?"), "audio: an array of float, int8, int16, int32 or uint"),
            (np.zeros(2, "c8"), "audio: an array of float, int8, int16, int32 or uin"),
            (np.array(["a"]), "audio: an array of float, int8, int16, int32 or uint8"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("muted", [False, True])
    def test_refused(self, audio: Any, message: str, muted: bool) -> None:
        """What is no audio is refused when it is measured, so that none is taken."""
        with pytest.raises(ConfigError) as caught:
            Converter(WIRE).pieces(audio)
        assert str(caught.value).startswith(message)
        with pytest.raises(ConfigError) as caught:
            Converter(WIRE).convert(audio, muted=muted)
        assert str(caught.value).startswith(message)

    def test_no_scalar_to_convert(self) -> None:
        """A piece has a length."""
        with pytest.raises(ConfigError, match=r"got shape \(\)"):
            Converter(WIRE).convert(np.int16(5))

    def test_channels_as_declared(self) -> None:
        """Where source= declares the channels, an array has to have them."""
        stereo = Converter(WIRE, AudioFormat("pcm_s16le", 16000, 2))
        with pytest.raises(ConfigError, match=r"source= says 2 channel.*\(5,\).*is 1"):
            stereo.pieces(np.zeros(5, np.int16))
        with pytest.raises(
            ConfigError, match=r"source= says 2 channel.*\(2, 5\).*is 5"
        ):
            stereo.convert(np.zeros((2, 5), np.int16))
        assert len(stereo.convert(np.zeros((5, 2), np.int16))) == 10

    def test_not_behind_half_a_sample(self) -> None:
        """An array in the middle of a frame of bytes is an error, and harms nothing."""
        converter = Converter(WIRE)
        converter.convert(b"\1\2\3")
        for call in (converter.convert, converter.pieces):
            with pytest.raises(
                ConfigError, match="while 1 bytes of a partial frame wait"
            ):
                call(np.zeros(2, np.int16))
        assert converter.convert(b"\4") == b"\3\4"

    def test_bytes_and_arrays_agree(self) -> None:
        """The same audio gives the same, as bytes and as an array."""
        frames = tone(480, 2)
        source = AudioFormat("pcm_f32le", 48000, 2)
        ours, theirs = Converter(WIRE, source), Converter(WIRE, source)
        assert ours.convert(frames) + ours.flush() == (
            theirs.convert(frames.tobytes()) + theirs.flush()
        )


class TestMuted:
    """Silence in place of what is fed."""

    @pytest.mark.parametrize("encoding", [n for n, e in ENCODINGS.items() if e.wire])
    def test_same_length(self, encoding: str) -> None:
        """Muted audio is as long, in the wire's own silence."""
        wire = AudioFormat(encoding, 16000)
        loud = b"\x12" * wire.frame_bytes * 10
        assert Converter(wire).convert(loud, muted=True) == wire.silence * 10
        silent = Converter(wire).convert(np.ones((10, 2), np.float32), muted=True)
        assert silent == wire.silence * 10

    def test_source(self) -> None:
        """Muting knows the silence of the source, and its frames."""
        converter = Converter(WIRE, AudioFormat("pcm_u8", 16000, 2))
        assert converter.convert(b"\0" * 21, muted=True) == bytes(20)
        assert converter.pending_bytes == 1

    def test_resampled(self) -> None:
        """Muted and unmuted audio are equally long, resampled or not."""
        source = AudioFormat("pcm_s16le", 48000)
        loud, muted = Converter(WIRE, source), Converter(WIRE, source)
        data = b"\x11\x22" * 48000
        assert len(loud.convert(data) + loud.flush()) == 32000
        assert muted.convert(data, muted=True) + muted.flush() == bytes(32000)


class TestResampling:
    """Another rate than the wire's."""

    @pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
    def test_length_and_sound(self, rate: int) -> None:
        """A second stays a second, and a tone the same tone."""
        seconds = np.arange(rate) / rate
        tone = (np.sin(2 * np.pi * 440 * seconds) * 0.5).astype(np.float32)
        converter = Converter(WIRE, AudioFormat("pcm_f32le", rate))
        out = np.frombuffer(converter.convert(tone) + converter.flush(), "<i2")
        assert len(out) == pytest.approx(16000, abs=2)
        peak = np.abs(np.fft.rfft(out[:16000], 16000)).argmax()
        assert peak == 440

    def test_flush_starts_anew(self) -> None:
        """After a flush the next audio is a piece of its own."""
        converter = Converter(WIRE, AudioFormat("pcm_f32le", 48000))
        first = converter.convert(tone(4800)) + converter.flush()
        assert converter.flush() == b""
        assert converter.convert(tone(4800)) + converter.flush() == first

    def test_without_soxr(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where soxr is missing the error names the extra, and a way without it."""
        monkeypatch.setitem(sys.modules, "soxr", None)
        with pytest.raises(ConfigError) as caught:
            Converter(WIRE, AudioFormat("pcm_s16le", 44100))
        assert str(caught.value) == (
            "source: resampling 44100 Hz to 16000 Hz needs soxr; install it with pip "
            "install 'cartesia-stt-sync[audio]', or set sample_rate=44100, which the "
            "service takes as well"
        )

    def test_soxr_only_where_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without another rate nobody asks for it."""
        monkeypatch.setitem(sys.modules, "soxr", None)
        assert Converter(WIRE, AudioFormat("pcm_u8", 16000)).convert(b"\x80") == b"\0\0"


def test_numpy_only_where_needed() -> None:
    """Importing the package and feeding bytes imports no NumPy: it takes a while."""
    program = (
        "import sys\n"
        "from cartesia_stt_sync import AudioFormat\n"
        "from cartesia_stt_sync.audio import Converter\n"
        "converter = Converter(AudioFormat('pcm_s16le', 16000))\n"
        "assert converter.convert(b'abcd') == b'abcd'\n"
        "assert list(converter.pieces(b'abcd')[1]) == [b'abcd']\n"
        "assert not {'numpy', 'soxr', 'aiohttp'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
