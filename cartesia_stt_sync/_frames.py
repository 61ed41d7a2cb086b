"""Websocket frames as bytes (RFC 6455), for the client's side of a connection.

Decides how a message is framed and masked, how frames become messages again,
and what in them is refused. Never touches a socket: bytes in, values out. So it
is tested a byte at a time, and a frame that claims 2^40 bytes costs nothing.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from .errors import ProtocolError

__all__ = ["BINARY", "CLOSE", "PING", "PONG", "TEXT", "Frame", "FrameReader", "build"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_CONTROL = 0x8
_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_MOST_CONTROL = 125

_WHOLE_TEXT = _FIN | TEXT
_WITH_NUMPY = 256
"""Bytes of payload from which on NumPy masks faster than an integer does."""

_head = struct.Struct("!BBH").pack
_short = struct.Struct("!BB4s").pack
_medium = struct.Struct("!BBH4s").pack
_long = struct.Struct("!BBQ4s").pack


class Frame(NamedTuple):
    """A whole message, or a control frame.

    Attributes:
        opcode: `TEXT`, `BINARY`, `CLOSE`, `PING` or `PONG`.
        payload: Its bytes.
    """

    opcode: int
    payload: bytes


def build(opcode: int, payload: bytes, key: bytes) -> bytes:
    """Frame and mask one message.

    Args:
        opcode: What it is.
        payload: Its bytes.
        key: Four random bytes: a client masks what it sends, so that no proxy
            on the way mistakes it for HTTP (RFC 6455, 5.3 and 10.3).
    """
    size = len(payload)
    if size <= _MOST_CONTROL:
        head = _short(_FIN | opcode, _MASKED | size, key)
    elif size < 1 << 16:
        head = _medium(_FIN | opcode, _MASKED | 126, size, key)
    else:
        head = _long(_FIN | opcode, _MASKED | 127, size, key)
    # Three times as fast as an integer for 100 ms of audio; but it takes longer to
    # import than all the rest, so only where somebody has done so anyway. Eight bytes
    # at a time: from 500 numbers on NumPy would give the interpreter lock away.
    if size >= _WITH_NUMPY and not size % 8 and "numpy" in sys.modules:
        return head + _numpy_xor()(payload, key * 2)
    # One XOR of two big integers.
    mask = (key * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + masked.to_bytes(size, "big")


@cache
def _numpy_xor() -> Callable[[bytes, bytes], bytes]:
    """What masks bytes with eight others; made once NumPy is there."""
    import numpy as np

    read, word, xor = np.frombuffer, np.uint64, np.bitwise_xor
    return lambda payload, key: xor(read(payload, word), read(key, word)).tobytes()


def close_payload(code: int) -> bytes:
    """The payload of a close frame with this code."""
    return struct.pack("!H", code)


def read_close(payload: bytes) -> tuple[int, str]:
    """Read a close frame: its code (1005 where it has none) and its reason."""
    if len(payload) < 2:
        return 1005, ""
    (code,) = struct.unpack_from("!H", payload)
    return code, payload[2:].decode("utf-8", "replace")


_MOST_PARTS = 1 << 16
"""Fragments of a message; its bytes are limited by ``max_message``."""


class FrameReader:
    """Turn what comes from the socket into messages, however it was cut.

    Args:
        max_message: Bytes above which a message is refused, before its memory is
            taken, and however many fragments it comes in.
    """

    def __init__(self, max_message: int) -> None:
        self._max = max_message
        # What was read and is no message yet: as it came, where that is all, as mostly.
        self._buffer: bytes | bytearray = b""
        self._opcode: int | None = None  # of the fragmented message under way
        self._message = bytearray()
        self._parts = 0  # fragments of it

    def whole(self, data: bytes) -> bytes | None:
        """Take in what was read; return it where it is one text message and no more.

        As nearly all is that a session in real time gets. It takes a fifth of the time
        of `feed` and `next`, which decide all else: ``None`` says to ask `next`.
        """
        size = len(data) - 4
        if _MOST_CONTROL < size < 1 << 16 and not self._buffer:
            # The head of just such a message is made, and compared.
            head = _head(_WHOLE_TEXT, 126, size)
            if data.startswith(head) and size <= self._max and self._opcode is None:
                return data[4:]
        self.feed(data)
        return None

    def feed(self, data: bytes) -> None:
        """Take in what was read."""
        if not self._buffer:
            self._buffer = data
            return
        if isinstance(self._buffer, bytes):
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    @property
    def holds_some(self) -> bool:
        """Whether there is something that `next` has not returned."""
        return bool(self._buffer)

    def _drop(self, size: int) -> None:
        """Let go of so many bytes."""
        if size == len(self._buffer):
            self._buffer = b""
            return
        if isinstance(self._buffer, bytes):  # of which each cut would be a copy
            self._buffer = bytearray(self._buffer)
        del self._buffer[:size]

    def next(self) -> Frame | None:
        """Return the next whole message or control frame; ``None``: more is needed.

        Raises:
            ProtocolError: The peer broke the protocol or the size limit.
        """
        while True:
            frame = self._next_frame()
            if frame is None:
                return None
            fin, opcode, payload = frame
            if opcode & _CONTROL:
                return Frame(opcode, payload)
            if (opcode == CONTINUATION) != (self._opcode is not None):
                raise ProtocolError(
                    "the server sent a continuation of no message"
                    if opcode == CONTINUATION
                    else "the server began a message inside another"
                )
            if fin and self._opcode is None:
                return Frame(opcode, payload)
            self._message += payload
            self._opcode = self._opcode or opcode
            self._parts += 1
            if self._parts > _MOST_PARTS:  # perhaps of nothing each
                raise ProtocolError(
                    f"the server sent a message in more than {_MOST_PARTS:,} fragments"
                )
            if fin:
                whole = Frame(self._opcode, bytes(self._message))
                self._opcode, self._message, self._parts = None, bytearray(), 0
                return whole

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode, size, begin = first & _OPCODE, second & _LENGTH, 2
        self._check_head(first, second)
        if size > _MOST_CONTROL:
            layout = "!H" if size == 126 else "!Q"
            begin += struct.calcsize(layout)
            if len(buffer) < begin:
                return None
            (size,) = struct.unpack_from(layout, buffer, 2)
        # Of a fragment with those before it: refused before it is waited for.
        whole = size if opcode & _CONTROL else size + len(self._message)
        if whole > self._max:
            raise self._too_large(whole)
        if len(buffer) < begin + size:
            return None
        payload = bytes(memoryview(buffer)[begin : begin + size])
        self._drop(begin + size)
        return bool(first & _FIN), opcode, payload

    def _check_head(self, first: int, second: int) -> None:
        opcode = first & _OPCODE
        if first & _RESERVED:
            raise ProtocolError("the server set reserved bits; no extension was agreed")
        if opcode not in _KNOWN:
            raise ProtocolError(f"the server sent a frame of unknown opcode {opcode}")
        if second & _MASKED:
            raise ProtocolError("the server masked a frame; only clients do")
        if opcode & _CONTROL and (not first & _FIN or second & _LENGTH > _MOST_CONTROL):
            raise ProtocolError("the server sent a control frame in parts or too long")

    def _too_large(self, size: int) -> ProtocolError:
        return ProtocolError(
            f"the server sent a message of {size:,} bytes or more; the limit is "
            f"max_message={self._max:,}"
        )
