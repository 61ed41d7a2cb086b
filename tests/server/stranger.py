"""A websocket client on a bare socket: it says what came, byte for byte.

Nothing of this library's is in it, nor of any other: what breaks RFC 6455 is shown,
not refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import struct
from types import TracebackType
from urllib.parse import urlencode

from cartesia_stt_sync.endpoints import MANUAL, VERSION, Endpoint
from cartesia_stt_sync.server import LocalServer

from .helpers import QUERY, TIMEOUT, shapes

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


class Stranger:
    """One connection.

    Args:
        server: Where to.
        upgrade: Whether to wait for the handshake's answer.
        context: For TLS.
        receive_buffer: Bytes that the socket holds while nobody reads.
        query: What to ask for.
        endpoint: Of whom.
    """

    def __init__(
        self,
        server: LocalServer,
        *,
        upgrade: bool = True,
        context: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
        query: dict[str, object] | None = None,
        endpoint: Endpoint = MANUAL,
    ) -> None:
        host, port = server.base_url.split("//")[1].split(":")
        plain = socket.socket()
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(TIMEOUT)
        plain.connect((host, int(port)))
        self.sock = (
            plain
            if context is None
            else context.wrap_socket(plain, False, server_hostname=host)
        )
        self._read = b""
        self._reset = False
        lines = [
            f"GET {endpoint.path}?{urlencode(query or QUERY)} HTTP/1.1",
            f"Host: {host}",
            "Authorization: Bearer a-key",
            f"Cartesia-Version: {VERSION}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())
        if upgrade:
            assert self.head()[0] == 101

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the handshake's answer."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        pairs = [line.partition(": ") for line in lines]
        return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}

    def body(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._read) < size:
            self._more()
        data, self._read = self._read[:size], self._read[size:]
        return data

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one frame."""
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, len(payload))
        # Masked with zeros, which leaves the payload as it is.
        self.sock.sendall(head + bytes(4) + payload)

    def say(self, *messages: bytes | str) -> None:
        """Send audio and commands; a server that has gone does not hear them."""
        try:
            for message in messages:
                if isinstance(message, str):
                    self.send(TEXT, message.encode())
                else:
                    self.send(BINARY, message)
        except ConnectionResetError:
            self._reset = True  # the system tells it only once
        except OSError:
            pass

    def frame(self) -> tuple[bool, int, bytes]:
        """The next frame: whether it is a message's last, its opcode and payload."""
        first, size = self.body(2)
        assert not size & 0x80, "the server masked"
        if size == 126:
            (size,) = struct.unpack("!H", self.body(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.body(8))
        return bool(first & 0x80), first & 0x7F, self.body(size)

    def story(self) -> list[str]:
        """All that comes up to the end of the connection, as short strings.

        Events as in `shapes`, what is no event as its text; ``"close 1000 why"``,
        ``"ping"``; and how it ended: ``"FIN"``, ``"FIN in a frame"`` or ``"RST"``.
        """
        told: list[str] = []
        try:
            while True:
                told.append(self._tell(*self.frame()))
        except EOFError:
            if self._reset:
                return [*told, "RST"]
            return [*told, "FIN in a frame" if self._read else "FIN"]
        except ConnectionResetError:
            return [*told, "RST"]

    def end_below(self) -> str:
        """How the connection ends beneath TLS, which tells no end from another.

        All that came before must have been read.
        """
        with socket.socket(fileno=os.dup(self.sock.fileno())) as below:
            below.settimeout(TIMEOUT)
            try:
                return "TLS goes on" if below.recv(1) else "FIN"
            except ConnectionResetError:
                return "RST"

    def rest(self) -> bytes:
        """All bytes up to the end, however the connection ends."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                self._more()
        return self._read

    def _tell(self, fin: bool, opcode: int, payload: bytes) -> str:
        assert fin
        if opcode == CLOSE:
            # Answered, as the RFC asks, for the server to hang up.
            with contextlib.suppress(OSError):
                self.send(CLOSE, payload)
            code = f" {int.from_bytes(payload[:2], 'big')}" if payload else ""
            reason = f" {payload[2:].decode()}" if payload[2:] else ""
            return f"close{code}{reason}"
        if opcode == PING:
            return "ping"
        assert opcode == TEXT
        try:
            return shapes([json.loads(payload)])[0]
        except (ValueError, TypeError, RecursionError):
            return payload.decode(errors="replace")

    def _more(self) -> None:
        data = self.sock.recv(1 << 20)
        if not data:
            raise EOFError
        self._read += data

    def __enter__(self) -> Stranger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()
