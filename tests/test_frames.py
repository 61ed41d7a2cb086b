"""Frames, against a stranger's and against a liar's."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from itertools import pairwise

import numpy  # noqa: F401  # frames are masked with it where it is loaded
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websocket import ABNF
from websocket._abnf import frame_buffer

from cartesia_stt_sync._frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameReader,
    build,
    close_payload,
    read_close,
)
from cartesia_stt_sync.errors import ProtocolError

CONTINUATION = 0
MIB = 1 << 20
SIZES = [*range(6), *range(124, 129), 256, 257, 3200, *range(65534, 65538), 100_000]
KEY = b"\x12\xab\0\xff"


def theirs(opcode: int, payload: bytes, *, fin: int = 1) -> bytes:
    """A server's frame as websocket-client writes it: not masked."""
    framed: bytes = ABNF(fin, 0, 0, 0, opcode, 0, payload).format()
    return framed


def read_all(pieces: Iterable[bytes], limit: int = MIB) -> list[Frame]:
    """Feed the pieces one by one and take out all there is after each."""
    reader, found = FrameReader(limit), []
    for piece in pieces:
        reader.feed(piece)
        while (frame := reader.next()) is not None:
            found.append(frame)
    return found


def one_by_one(data: bytes) -> Iterable[bytes]:
    """Bytes as they come over a very bad line."""
    return (data[i : i + 1] for i in range(len(data)))


class TestBuilding:
    """What we send, as a stranger reads it."""

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_stranger_reads(self, opcode: int, size: int) -> None:
        """websocket-client reads each of our frames as what went in."""
        payload = bytes(n % 251 for n in range(size))
        wire = bytearray(build(opcode, payload, KEY))

        def receive(most: int) -> bytes:
            got = bytes(wire[:most])
            del wire[:most]
            return got

        read = frame_buffer(receive, skip_utf8_validation=True).recv_frame()
        assert (read.fin, read.opcode, read.data) == (1, opcode, payload)
        assert (read.rsv1, read.rsv2, read.rsv3) == (0, 0, 0)
        assert not wire

    @pytest.mark.parametrize("size", [256, 800, 3200, 3204, 65544])
    def test_with_numpy_or_without(
        self, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nobody has imported NumPy, integers mask to the same bytes."""
        payload = bytes(n % 251 for n in range(size))
        assert "numpy" in sys.modules
        wire = build(BINARY, payload, KEY)
        monkeypatch.delitem(sys.modules, "numpy")
        assert build(BINARY, payload, KEY) == wire
        assert "numpy" not in sys.modules

    @settings(deadline=None, max_examples=200)
    @given(
        st.sampled_from([TEXT, BINARY, CLOSE, PING, PONG]),
        st.binary(max_size=300),
        st.binary(min_size=4, max_size=4),
    )
    @example(BINARY, b"\0" * 9, b"\0" * 4)
    def test_stranger_writes_the_same(
        self, opcode: int, payload: bytes, key: bytes
    ) -> None:
        """Given the same mask websocket-client writes the same bytes."""
        frame = ABNF(1, 0, 0, 0, opcode, 1, payload)
        frame.get_mask_key = lambda _: key
        assert build(opcode, payload, key) == frame.format()

    def test_known_frame(self) -> None:
        """The masked "Hello" of RFC 6455, 5.7, is written as it stands there."""
        key = bytes.fromhex("37fa213d")
        assert build(TEXT, b"Hello", key).hex() == "818537fa213d7f9f4d5158"


class TestReading:
    """What a stranger sends, as we read it."""

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    def test_stranger_writes(self, opcode: int, size: int) -> None:
        """Each of websocket-client's frames is read as what went in."""
        payload = bytes(n % 251 for n in range(size))
        wire = theirs(opcode, payload)
        assert read_all([wire]) == [Frame(opcode, payload)]
        assert read_all([wire[:3], wire[3:], wire]) == [Frame(opcode, payload)] * 2

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
    def test_one_byte_at_a_time(self, size: int) -> None:
        """Nothing comes before the last byte, and the whole message then."""
        wire = theirs(BINARY, bytes(size))
        reader = FrameReader(MIB)
        for byte in one_by_one(wire[:-1]):
            reader.feed(byte)
            assert reader.next() is None
        reader.feed(wire[-1:])
        assert reader.next() == Frame(BINARY, bytes(size))
        assert reader.next() is None

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([TEXT, BINARY]),
                st.lists(st.binary(max_size=200), min_size=1, max_size=4),
                st.sampled_from([None, PING, PONG, CLOSE]),
            ),
            max_size=5,
        ),
        st.lists(st.integers(0, 3000), max_size=20),
    )
    def test_any_fragments_in_any_cutting(
        self,
        messages: list[tuple[int, list[bytes], int | None]],
        cuts: list[int],
    ) -> None:
        """Fragments join, control frames go between them, however the line cuts."""
        wire, expected = b"", []
        for opcode, parts, control in messages:
            for n, part in enumerate(parts):
                last = n == len(parts) - 1
                wire += theirs(opcode if n == 0 else CONTINUATION, part, fin=int(last))
                if control is not None and not last:
                    wire += theirs(control, b"between")
                    expected.append(Frame(control, b"between"))
            expected.append(Frame(opcode, b"".join(parts)))
        edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
        pieces = [wire[a:b] for a, b in pairwise(edges)]
        assert read_all(pieces) == expected
        assert read_all(one_by_one(wire)) == expected

    def test_control_frame_inside_a_message(self) -> None:
        """A ping in the middle comes out at once, the message when it is whole."""
        reader = FrameReader(MIB)
        reader.feed(theirs(TEXT, b"Hel", fin=0) + theirs(PING, b"!"))
        assert reader.next() == Frame(PING, b"!")
        assert reader.next() is None
        reader.feed(theirs(CONTINUATION, b"lo"))
        assert reader.next() == Frame(TEXT, b"Hello")


class TestLimit:
    """Memory is not taken before it is granted."""

    @pytest.mark.parametrize("size", [125, 126, 1000, 70_000])
    def test_exactly(self, size: int) -> None:
        """A message of the limit passes, one byte more does not."""
        assert read_all([theirs(BINARY, bytes(size))], size) == [
            Frame(BINARY, bytes(size))
        ]
        with pytest.raises(ProtocolError) as caught:
            read_all([theirs(BINARY, bytes(size + 1))], size)
        assert str(caught.value) == (
            f"the server sent a message of {size + 1:,} bytes or more; the limit is "
            f"max_message={size:,}"
        )

    @pytest.mark.parametrize("claim", [1 << 20, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
    def test_claims(self, claim: int) -> None:
        """A frame that claims to be huge is refused by its head alone."""
        reader = FrameReader(1000)
        reader.feed(struct.pack("!BBQ", 0x80 | BINARY, 127, claim)[:-1])
        assert reader.next() is None
        reader.feed(struct.pack("!Q", claim)[-1:])
        with pytest.raises(ProtocolError, match=r"max_message=1,000"):
            reader.next()

    def test_many_fragments(self) -> None:
        """Fragments are counted together, so that small ones do not add up."""
        reader = FrameReader(1000)
        reader.feed(theirs(TEXT, bytes(400), fin=0))
        reader.feed(theirs(CONTINUATION, bytes(400), fin=0))
        assert reader.next() is None
        reader.feed(theirs(CONTINUATION, bytes(201)))
        with pytest.raises(ProtocolError, match=r"1,001 bytes or more"):
            reader.next()

    def test_each_message_has_its_own(self) -> None:
        """The next message starts from nothing."""
        wire = theirs(TEXT, bytes(400), fin=0) + theirs(CONTINUATION, bytes(600))
        assert len(read_all([wire * 3], 1000)) == 3


class TestBreaches:
    """What RFC 6455 forbids is refused, and named."""

    @pytest.mark.parametrize(
        ("wire", "message"),
        [
            (theirs(CONTINUATION, b"x"), "a continuation of no message"),
            (theirs(CONTINUATION, b"x", fin=0), "a continuation of no message"),
            (
                theirs(TEXT, b"a", fin=0) + theirs(TEXT, b"b"),
                "began a message inside another",
            ),
            (
                theirs(TEXT, b"", fin=0) + theirs(BINARY, b"b"),
                "began a message inside another",
            ),
            (
                theirs(TEXT, b"a") + theirs(CONTINUATION, b"b"),
                "a continuation of no message",
            ),
            (bytes([0xC1, 0]), "set reserved bits"),
            (bytes([0xA1, 0]), "set reserved bits"),
            (bytes([0x91, 0]), "set reserved bits"),
            *((bytes([0x80 | n, 0]), f"unknown opcode {n}") for n in (3, 4, 5, 6, 7)),
            *((bytes([0x80 | n, 0]), f"unknown opcode {n}") for n in range(11, 16)),
            (build(TEXT, b"x", KEY), "masked a frame"),
            (bytes([0x80 | PING, 126]), "a control frame in parts or too long"),
            (bytes([0x80 | CLOSE, 127]), "a control frame in parts or too long"),
            (bytes([PING, 0]), "a control frame in parts or too long"),
        ],
    )
    @pytest.mark.parametrize("cut", ["whole", "one by one"])
    def test_refused(self, wire: bytes, message: str, cut: str) -> None:
        """Each breach is a ProtocolError as soon as it can be seen."""
        with pytest.raises(ProtocolError, match=f"^the server .*{message}"):
            read_all([wire] if cut == "whole" else one_by_one(wire))

    def test_what_came_before(self) -> None:
        """Messages in front of the breach still come out."""
        reader = FrameReader(MIB)
        reader.feed(theirs(TEXT, b"last words") + b"\xff\xff")
        assert reader.next() == Frame(TEXT, b"last words")
        with pytest.raises(ProtocolError):
            reader.next()

    @settings(deadline=None, max_examples=300)
    @given(st.lists(st.binary(max_size=40), max_size=5))
    def test_noise(self, pieces: list[bytes]) -> None:
        """Whatever comes is messages, a breach, or the wait for more."""
        try:
            frames = read_all(pieces)
        except ProtocolError:
            return
        assert sum(len(frame.payload) for frame in frames) <= len(b"".join(pieces))


class TestClose:
    """The payload of a close frame."""

    @pytest.mark.parametrize("code", [1000, 1001, 1009, 4999])
    def test_round_trip(self, code: int) -> None:
        """A code is read as it was written."""
        assert read_close(close_payload(code)) == (code, "")

    @pytest.mark.parametrize(
        ("payload", "meaning"),
        [
            (b"", (1005, "")),
            (b"\x03", (1005, "")),
            (b"\x03\xe8", (1000, "")),
            (b"\x03\xf3bye", (1011, "bye")),
            (b"\x03\xe9" + "é".encode(), (1001, "é")),
            (b"\x03\xe8\xff\xfe", (1000, "\ufffd\ufffd")),
        ],
    )
    def test_known(self, payload: bytes, meaning: tuple[int, str]) -> None:
        """No code is 1005; a reason that is no UTF-8 is shown as well as it can be."""
        assert read_close(payload) == meaning


def test_a_fragment_too_many_is_refused_by_its_header() -> None:
    """Its payload is not waited for, so at most one message's memory is taken."""
    reader = FrameReader(1000)
    reader.feed(b"\x01\x7e\x03\xe8" + bytes(1000))
    assert reader.next() is None
    reader.feed(b"\x00\x7e\x03\xe8")
    with pytest.raises(ProtocolError, match="2,000 bytes or more"):
        reader.next()


def test_fragments_without_end() -> None:
    """Empty ones add nothing to a message's size, and are counted all the same."""
    reader = FrameReader(1000)
    reader.feed(b"\x01\x00")
    with pytest.raises(ProtocolError, match="more than 65,536 fragments"):
        for _ in range(70):
            reader.feed(b"\x00\x00" * 1000)
            assert reader.next() is None
