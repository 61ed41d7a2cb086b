"""Encodings of single samples, against the standard's own numbers."""

from __future__ import annotations

import hashlib
import importlib
import struct
import warnings
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync._samples import (
    alaw_values,
    decode,
    encode,
    finite,
    mulaw_values,
    normalize,
)
from cartesia_stt_sync.audio import ENCODINGS
from cartesia_stt_sync.errors import ConfigError

ALL_CODES = bytes(range(256))
EVERY_16_BIT = np.arange(-32768, 32768).astype("<i2")
TOP = 1 << 31
G711 = ["pcm_mulaw", "pcm_alaw"]
REFERENCE = {
    # SHA-256 of what the standard library's audioop made of all 256 codes, as
    # 16-bit little-endian samples. Python 3.13 has it no more.
    "pcm_mulaw": "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827",
    "pcm_alaw": "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174",
}


def ints(samples: Any) -> list[int]:
    """Float samples as 16-bit numbers."""
    return [int(value) for value in samples.astype(np.float64) * 32768]


def audioop(function: str, data: bytes) -> bytes:
    """What the standard library makes of it, where it still does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            module: Any = importlib.import_module("audioop")
        except ModuleNotFoundError:
            pytest.skip("this Python has no audioop any more")
    made: bytes = getattr(module, function)(data, 2)
    return made


class TestG711:
    """The two telephone encodings."""

    @pytest.mark.parametrize("encoding", G711)
    def test_reading_all_codes(self, encoding: str) -> None:
        """Each of the 256 codes is read as audioop read it."""
        linear = np.array(ints(decode(ALL_CODES, encoding))).astype("<i2").tobytes()
        assert hashlib.sha256(linear).hexdigest() == REFERENCE[encoding]

    @pytest.mark.parametrize(
        ("encoding", "function"), [("pcm_mulaw", "ulaw2lin"), ("pcm_alaw", "alaw2lin")]
    )
    def test_reading_like_audioop(self, encoding: str, function: str) -> None:
        """The stored figures above are those of audioop."""
        theirs = np.frombuffer(audioop(function, ALL_CODES), "=i2").astype("<i2")
        assert hashlib.sha256(theirs.tobytes()).hexdigest() == REFERENCE[encoding]

    @pytest.mark.parametrize(
        ("encoding", "code", "value"),
        [
            ("pcm_mulaw", 0xFF, 0),
            ("pcm_mulaw", 0x7F, 0),
            ("pcm_mulaw", 0x80, 32124),
            ("pcm_mulaw", 0x00, -32124),
            ("pcm_alaw", 0xD5, 8),
            ("pcm_alaw", 0x55, -8),
            ("pcm_alaw", 0xAA, 32256),
            ("pcm_alaw", 0x2A, -32256),
        ],
    )
    def test_landmarks(self, encoding: str, code: int, value: int) -> None:
        """Zero and full scale are where G.711 puts them."""
        assert ints(decode(bytes([code]), encoding)) == [value]

    @pytest.mark.parametrize("encoding", G711)
    def test_codes_survive(self, encoding: str) -> None:
        """A code that is read and written is itself; of two zeros one stays."""
        back = encode(decode(ALL_CODES, encoding), encoding)
        expected = bytearray(ALL_CODES)
        if encoding == "pcm_mulaw":
            expected[0x7F] = 0xFF
        assert back == bytes(expected)

    @pytest.mark.parametrize("encoding", G711)
    def test_writing_is_nearest(self, encoding: str) -> None:
        """Each 16-bit sample becomes a code than which none is nearer."""
        samples = EVERY_16_BIT.astype(np.int32)
        codes = encode(normalize(EVERY_16_BIT), encoding)
        values = np.array(ints(decode(ALL_CODES, encoding)))
        ours = np.abs(values[np.frombuffer(codes, np.uint8)] - samples)
        ranked = np.sort(values)
        right = np.clip(np.searchsorted(ranked, samples), 0, 255)
        left = np.clip(right - 1, 0, 255)
        best = np.minimum(
            np.abs(ranked[right] - samples), np.abs(ranked[left] - samples)
        )
        assert (ours == best).all()

    @pytest.mark.parametrize(
        ("encoding", "write", "read"),
        [("pcm_mulaw", "lin2ulaw", "ulaw2lin"), ("pcm_alaw", "lin2alaw", "alaw2lin")],
    )
    def test_writing_no_worse_than_audioop(
        self, encoding: str, write: str, read: str
    ) -> None:
        """No sample is farther from its code than audioop would have it."""
        native = EVERY_16_BIT.astype("=i2").tobytes()
        theirs = np.frombuffer(audioop(read, audioop(write, native)), "=i2")
        mine = decode(encode(normalize(EVERY_16_BIT), encoding), encoding) * 32768
        exact = EVERY_16_BIT.astype(np.int32)
        assert (np.abs(mine - exact) <= np.abs(theirs.astype(np.int32) - exact)).all()

    @pytest.mark.parametrize(
        ("encoding", "code"), [("pcm_mulaw", 0xFF), ("pcm_alaw", 0xD5)]
    )
    def test_silence(self, encoding: str, code: int) -> None:
        """Zero is written as what a silent line carries: its own silence."""
        assert encode(np.zeros(3, np.float32), encoding) == bytes([code]) * 3
        assert ENCODINGS[encoding].silence == bytes([code])

    @pytest.mark.parametrize("table", [mulaw_values, alaw_values])
    def test_tables_are_symmetric(self, table: Any) -> None:
        """For each value its negative is one, too."""
        assert sorted(table()) == sorted(-table())


class TestReading:
    """Bytes to numbers."""

    @pytest.mark.parametrize(
        ("encoding", "data", "values"),
        [
            ("pcm_s16le", struct.pack("<4h", 0, 16384, -32768, 32767), [0, 0.5, -1]),
            ("pcm_s32le", struct.pack("<3i", 0, 1 << 30, -(1 << 31)), [0, 0.5, -1]),
            ("pcm_s24le", b"\0\0\0" + b"\0\0\x40" + b"\0\0\x80", [0, 0.5, -1]),
            ("pcm_u8", bytes([128, 192, 0]), [0, 0.5, -1]),
            ("pcm_f16le", struct.pack("<3e", 0, 0.5, -1), [0, 0.5, -1]),
            ("pcm_f32le", struct.pack("<3f", 0, 0.5, -1), [0, 0.5, -1]),
            ("pcm_f64le", struct.pack("<3d", 0, 0.5, -1), [0, 0.5, -1]),
        ],
    )
    def test_known(self, encoding: str, data: bytes, values: list[float]) -> None:
        """Zero, one half and full scale are read as such, and as float32."""
        read = decode(data, encoding)
        assert read[:3].tolist() == values
        assert read.dtype == np.float32

    def test_24_bit(self) -> None:
        """Each of the three bytes counts, and the sign does."""
        data = b"\x01\0\0" + b"\xff\xff\xff" + b"\xff\xff\x7f"
        assert (decode(data, "pcm_s24le") * (1 << 23)).tolist() == [
            1,
            -1,
            (1 << 23) - 1,
        ]

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_nothing(self, encoding: str) -> None:
        """No bytes are no samples, in every encoding."""
        assert decode(b"", encoding).shape == (0,)
        assert decode(b"", encoding).dtype == np.float32

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_silence(self, encoding: str) -> None:
        """What an encoding calls silence is read as nearly nothing."""
        known = ENCODINGS[encoding]
        assert len(known.silence) == known.width
        assert abs(decode(known.silence, encoding)[0]) < 0.001


class TestWriting:
    """Numbers to bytes."""

    @pytest.mark.parametrize(
        ("encoding", "layout", "values"),
        [
            ("pcm_s16le", "<h", [0, 16384, -32768, 32767, 32767, -32768, 0, 32767]),
            (
                "pcm_s32le",
                "<i",
                [0, 1 << 30, -TOP, TOP - 1, TOP - 1, -TOP, 0, TOP - 1],
            ),
            ("pcm_f16le", "<e", [0, 0.5, -1, 1, 1, -1, 0, 1]),
            ("pcm_f32le", "<f", [0, 0.5, -1, 1, 1, -1, 0, 1]),
        ],
    )
    def test_clipping(self, encoding: str, layout: str, values: list[float]) -> None:
        """What is too loud is clipped and does not wrap; NaN is silence."""
        loud = np.array([0, 0.5, -1, 1, 7.5, -1e30, np.nan, np.inf], np.float32)
        written = encode(loud, encoding)
        assert [v for (v,) in struct.iter_unpack(layout, written)] == values

    @pytest.mark.parametrize(
        ("encoding", "signalling"),
        [
            ("pcm_f16le", b"\x01\x7c"),
            ("pcm_f32le", b"\x01\0\x80\x7f"),
            ("pcm_f64le", b"\x01\0\0\0\0\0\xf0\x7f"),
        ],
    )
    def test_signalling(self, encoding: str, signalling: bytes) -> None:
        """A NaN that is to raise an alarm is one like the others, and no warning."""
        assert np.isnan(decode(signalling * 9, encoding)).all()

    @pytest.mark.parametrize("encoding", G711)
    def test_clipping_g711(self, encoding: str) -> None:
        """G.711 clips to its own full scale."""
        loud = np.array([9, -9, np.inf, -np.inf, np.nan], np.float32)
        read = decode(encode(loud, encoding), encoding)
        assert read[0] == read[2] == decode(ALL_CODES, encoding).max()
        assert read[1] == read[3] == decode(ALL_CODES, encoding).min()
        assert abs(read[4]) < 0.001

    @pytest.mark.parametrize(
        "encoding", [name for name, known in ENCODINGS.items() if not known.wire][:2]
    )
    def test_not_for_the_wire(self, encoding: str) -> None:
        """An encoding that the service does not take is not written as another."""
        with pytest.raises(KeyError):
            encode(np.zeros(1, np.float32), encoding)

    def test_finite(self) -> None:
        """NaN is nothing, an infinity full scale, and the rest itself."""
        odd = np.array([np.nan, np.inf, -np.inf, 0.25, 7], np.float32)
        assert finite(odd).tolist() == [0, 1, -1, 0.25, 7]

    @pytest.mark.parametrize("shape", [(4,), (2, 2), (0,), (0, 2)])
    def test_nothing_to_do(self, shape: tuple[int, ...]) -> None:
        """What is finite already is not copied."""
        plain = np.full(shape, -0.5, np.float32)
        assert finite(plain) is plain

    def test_beyond_all_power(self) -> None:
        """Samples whose power is no number any more are samples all the same."""
        loud = np.array([3e38, -3e38, 0.5], np.float32)
        assert finite(loud).tolist() == loud.tolist()
        assert np.frombuffer(encode(loud, "pcm_s16le"), "<i2").tolist() == [
            *(32767, -32768, 16384)
        ]


class TestRoundTrips:
    """Bytes to numbers to bytes."""

    @pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_f32le", "pcm_f16le"])
    @settings(deadline=None, max_examples=100)
    @given(data=st.data())
    def test_exact(self, encoding: str, data: st.DataObject) -> None:
        """16 bits and floats within range survive bit by bit."""
        width = ENCODINGS[encoding].width
        raw = data.draw(
            st.binary(max_size=40).map(lambda b: b[: len(b) // width * width])
        )
        if encoding != "pcm_s16le":
            numbers = np.frombuffer(raw, {2: "<f2", 4: "<f4"}[width])
            raw = numbers[np.abs(np.nan_to_num(numbers, nan=9)) <= 1].tobytes()
        assert encode(decode(raw, encoding), encoding) == raw

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.integers(-(1 << 31), (1 << 31) - 1), max_size=20))
    def test_32_bits(self, values: list[int]) -> None:
        """32-bit integers come through floats with their upper 24 bits."""
        raw = struct.pack(f"<{len(values)}i", *values)
        back = struct.unpack(
            f"<{len(values)}i", encode(decode(raw, "pcm_s32le"), "pcm_s32le")
        )
        assert all(abs(a - b) <= 128 for a, b in zip(values, back, strict=True))


class TestNormalize:
    """Arrays of any kind."""

    @pytest.mark.parametrize(
        ("dtype", "values"),
        [
            ("i1", [0, 64, -128]),
            ("i2", [0, 1 << 14, -(1 << 15)]),
            ("i4", [0, 1 << 30, -(1 << 31)]),
            ("u1", [128, 192, 0]),
            ("f2", [0, 0.5, -1]),
            ("f4", [0, 0.5, -1]),
            ("f8", [0, 0.5, -1]),
            ("longdouble", [0, 0.5, -1]),
        ],
    )
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_kinds(
        self, dtype: str, values: list[float], order: Literal["<", ">"]
    ) -> None:
        """Integers over their range and floats give the same, in either byte order."""
        array = np.array(values, np.dtype(dtype).newbyteorder(order))
        got = normalize(array)
        assert got.tolist() == [0, 0.5, -1]
        assert got.dtype == np.float32

    @pytest.mark.parametrize(
        "dtype", ["?", "u2", "u4", "i8", "u8", "c8", "O", "U1", "S1", "M8[s]", "V2"]
    )
    def test_refused(self, dtype: str) -> None:
        """Other types are refused by name, even where there is nothing in them."""
        with pytest.raises(ConfigError, match="audio: an array of float, int8, int16"):
            normalize(np.zeros(0, dtype))

    def test_doubles_beyond_singles(self) -> None:
        """A huge double is an infinity, and no warning."""
        assert normalize(np.array([1e300, -1e300])).tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    "encoding", ["pcm_s16le", "pcm_s32le", "pcm_f16le", "pcm_mulaw"]
)
def test_samples_far_outside(encoding: str) -> None:
    """The largest float is loud, and no warning about an overflow."""
    most = np.finfo(np.float32).max
    huge = np.array([most, -most], np.float32)
    assert encode(huge, encoding) == encode(np.array([1, -1], np.float32), encoding)
