"""A connected socket as urllib3 may use it: with limits, and an open ear.

Decides how long each wait may take and how much the server may say, and notices an
answer that comes while the request still goes out. Never connects or closes.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from typing import Any

import attrs

__all__ = ["HttpSocket", "Limits", "TooLarge"]

_MOST_HEADERS = 1 << 18
"""Bytes of headers, and of what stands around chunks, that an answer may have."""

_STATUS = len(b"HTTP/1.1 100")


@attrs.frozen(kw_only=True)
class Limits:
    """What a request may take, in seconds and in bytes.

    Attributes:
        io_timeout: For one block of the file to go out; ``None``: no limit.
        answer_timeout: From the file's end to that of the answer; likewise.
        max_answer: The answer's size.
    """

    io_timeout: float | None
    answer_timeout: float | None
    max_answer: int


class TooLarge(OSError):
    """The answer has more bytes than it may have."""


class HttpSocket:
    """As much of a socket as urllib3 needs, with limits.

    What comes while the request still goes out is kept until it is read.
    """

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._sock = sock
        self._io_timeout = limits.io_timeout
        self._room = limits.max_answer + _MOST_HEADERS
        self._early = bytearray()
        self._gone = False
        self._deadline: float | None = None

    def settimeout(self, seconds: object) -> None:
        """Nothing: each call has the limit that is right for it."""

    def sendall(self, data: bytes) -> None:
        """Send one block."""
        self._sock.settimeout(self._io_timeout)
        self._sock.sendall(data)

    def answered(self) -> bool:
        """Whether the server has given its answer, or has gone. Does not wait."""
        # Not settimeout(0), which under eventlet is a time-out at once.
        self._sock.setblocking(False)
        try:
            data = self._sock.recv(io.DEFAULT_BUFFER_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False  # of TLS, tickets may have come
        self._gone = self._gone or not data
        self._early += data
        # "100 Continue" and its like are no answer.
        begun = len(self._early) >= _STATUS and self._early[_STATUS - 3] != ord("1")
        return self._gone or begun

    def wait_until(self, deadline: float | None) -> None:
        """Let the answer take until then."""
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        """What http.client reads the answer from."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Nothing: http.client calls it before it has read all; `post` closes."""

    def recv_into(self, buffer: memoryview) -> int:
        """Read what there is, what came early first."""
        if self._early:
            count = min(len(self._early), len(buffer))
            buffer[:count] = self._early[:count]
            del self._early[:count]
        elif self._gone:
            return 0
        else:
            self._sock.settimeout(self._left())
            count = self._sock.recv_into(buffer)
        self._room -= count
        if self._room < 0:
            raise TooLarge
        return count

    def _left(self) -> float | None:
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Reader(io.RawIOBase):
    """A socket as a file."""

    def __init__(self, sock: HttpSocket) -> None:
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._sock.recv_into(buffer)
