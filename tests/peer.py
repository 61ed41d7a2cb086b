"""A websocket server on bare sockets, which does just what a test tells it to.

It shares no code with the library, so that the two cannot be wrong together, and
it can do what no decent server would.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType

LIMIT = 10.0
"""Seconds after which a step that does not come fails the test."""


class Connection:
    """One accepted connection.

    Attributes:
        request: The handshake as it came.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.request = b""

    def read_request(self) -> bytes:
        """Read the handshake to its blank line."""
        while b"\r\n\r\n" not in self.request:
            data = self.sock.recv(65536)
            assert data, "the client left during the handshake"
            self.request += data
        return self.request

    def header(self, name: str) -> str | None:
        """One header of the handshake."""
        for line in self.request.decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def accept(self, *headers: str) -> None:
        """Answer the handshake as RFC 6455 asks."""
        self.read_request()
        key = self.header("Sec-WebSocket-Key")
        assert key is not None
        magic = key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        answer = base64.b64encode(hashlib.sha1(magic).digest()).decode()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {answer}",
            *headers,
        ]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())

    def refuse(self, status: int, body: bytes, *headers: str) -> None:
        """Answer the handshake with an error."""
        self.read_request()
        lines = [f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}", *headers]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def send(self, payload: bytes | str, opcode: int = 1, fin: bool = True) -> None:
        """Send one frame."""
        data = payload.encode() if isinstance(payload, str) else payload
        head = bytes([(0x80 if fin else 0) | opcode])
        if len(data) < 126:
            head += bytes([len(data)])
        elif len(data) < 65536:
            head += b"\x7e" + struct.pack("!H", len(data))
        else:
            head += b"\x7f" + struct.pack("!Q", len(data))
        self.sock.sendall(head + data)

    def send_close(self, code: int, reason: str = "") -> None:
        """Send a close frame."""
        self.send(struct.pack("!H", code) + reason.encode(), 8)

    def read(self) -> tuple[int, bytes]:
        """Read one frame of the client's, unmasked; ``(-1, b"")`` at the end."""
        head = self._exactly(2)
        if len(head) < 2:
            return -1, b""
        assert head[0] & 0x80, "the client sent a fragment"
        assert head[1] & 0x80, "the client did not mask"
        size = head[1] & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._exactly(8))
        key = self._exactly(4)
        data = self._exactly(size)
        return head[0] & 15, bytes(b ^ key[i % 4] for i, b in enumerate(data))

    def read_until(self, text: str) -> list[bytes]:
        """Read up to and without this command; return the messages before it."""
        got: list[bytes] = []
        while True:
            opcode, data = self.read()
            assert opcode != -1, f"the client left before {text!r}"
            if opcode == 1 and data == text.encode():
                return got
            got.append(data)

    def until_gone(self) -> None:
        """Read whatever comes until the client leaves."""
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            return

    def _exactly(self, size: int) -> bytes:
        data = b""
        try:
            while len(data) < size:
                more = self.sock.recv(size - len(data))
                if not more:
                    return data
                data += more
        except ConnectionError:
            return b""
        return data


Handler = Callable[[Connection], None]


def silent(peer: Connection) -> None:
    """Accept, read everything, and never say a word."""
    peer.accept()
    peer.until_gone()


class Peer:
    """Listens on a free port of this machine; each connection is a handler's turn.

    Args:
        handlers: What to do with the first connection, the second and so on.
        tls: A server's context, for ``wss``.
    """

    def __init__(self, *handlers: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._handlers = handlers
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LIMIT)
        self._thread = threading.Thread(target=self._serve, name="peer")
        self._leaving = False
        self.errors: list[BaseException] = []
        self.requests: list[bytes] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its base URL."""
        if self._tls is not None:
            return f"wss://localhost:{self.port}"
        return f"ws://127.0.0.1:{self.port}"

    def _serve(self) -> None:
        for handler in self._handlers:
            try:
                sock, _ = self._listener.accept()
            except OSError as exc:
                if not self._leaving:
                    self.errors.append(exc)
                return
            try:
                with sock:
                    sock.settimeout(LIMIT)
                    if self._tls is None:
                        self._turn(handler, sock)
                    else:
                        with self._tls.wrap_socket(sock, server_side=True) as secure:
                            self._turn(handler, secure)
            except ssl.SSLError:
                continue  # a client that does not trust us leaves in the handshake
            except BaseException as exc:
                self.errors.append(exc)

    def _turn(self, handler: Handler, sock: socket.socket) -> None:
        connection = Connection(sock)
        try:
            handler(connection)
        finally:
            self.requests.append(connection.request)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving = True
        try:
            # shutdown() wakes accept(); close() alone does not.
            self._listener.shutdown(socket.SHUT_RDWR)
        finally:
            self._listener.close()
            self._thread.join(2 * LIMIT)
        if kind is None and self.errors:
            raise self.errors[0]
