"""Python's floor: sockets, frames masked in advance, nothing parsed.

No client can do with less and be Python with two threads a stream. It can do nothing
but this workload: it knows where in the server's frames the text stands.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from functools import cache

from cartesia_stt_sync._frames import BINARY, TEXT, build

from ..wire import EVENT_BYTES, HEAD, TIME_DIGITS
from .base import HEADERS, PATH, Target, ThreadPairs, Wire

KEY = b"mask"
LONG = 126
"""A frame whose length does not fit its second byte; only events are such."""

EVENT_FRAME = 4 + EVENT_BYTES
TEXT_AT = 4 + len(HEAD)


@cache
def masked(chunk: bytes) -> bytes:
    """A chunk's frame, made once for all streams."""
    return build(BINARY, chunk, KEY)


class Socket:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""

    def shake_hands(self, target: Target, number: int) -> None:
        """Ask for the upgrade; whatever the answer says is fine."""
        url = target.url(number)
        lines = [
            f"GET {url[url.index(PATH) :]} HTTP/1.1",
            f"Host: 127.0.0.1:{target.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in HEADERS.items()),
        ]
        self._sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._sock.recv(65536)
        self._buffer = self._buffer.partition(b"\r\n\r\n")[2]

    def send_audio(self, chunk: bytes) -> None:
        """See `Wire`."""
        self._sock.sendall(masked(chunk))

    def send_text(self, text: str) -> None:
        """See `Wire`."""
        self._sock.sendall(build(TEXT, text.encode(), KEY))

    def events(self) -> Iterator[tuple[str, str]]:
        """See `Wire`."""
        while True:
            buffer = self._buffer
            if len(buffer) < 2 or len(buffer) < self._size(buffer):
                data = self._sock.recv(65536)
                if not data:
                    return
                self._buffer += data
                continue
            size = self._size(buffer)
            self._buffer = buffer[size:]
            if buffer[1] == LONG:
                yield "transcript", buffer[TEXT_AT : TEXT_AT + TIME_DIGITS].decode()
            elif b"flush_done" in buffer[:size]:
                yield "flush_done", ""
            else:
                return

    @staticmethod
    def _size(buffer: bytes) -> int:
        return EVENT_FRAME if buffer[1] == LONG else 2 + buffer[1]

    def release(self) -> None:
        """See `Wire`."""
        self._sock.close()


class Bare(ThreadPairs):
    """Bare sockets."""

    about = "Python's sockets, frames masked in advance, no parsing"

    def open(self, number: int) -> Wire:
        """See `ThreadPairs`."""
        target = self.target
        sock = socket.create_connection(("127.0.0.1", target.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.secure:
            sock = self.context.wrap_socket(sock, server_hostname="127.0.0.1")
        connection = Socket(sock)
        connection.shake_hands(target, number)
        return connection
