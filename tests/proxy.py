"""An HTTP proxy that really relays, and remembers what it was asked and what it saw.

Knows one method, CONNECT (RFC 9110, 9.3.6), and connects to this machine only: names
are mapped to local ports, so that a target can have a name that is not this machine's.
Shares no code with the library.
"""

from __future__ import annotations

import select
import socket
import threading
from base64 import b64encode
from collections.abc import Mapping
from types import TracebackType

from .peer import LIMIT


class ConnectProxy:
    """Listens on a free port of this machine; a thread for each client.

    Args:
        ports: Where each ``host:port`` that may be asked for really is.
        login: ``user:password`` to insist on.
        hangs: Take connections and never answer.

    Attributes:
        port: Where it listens.
        asked: The head of each request, as it came.
        up: What clients sent through tunnels, a tunnel after the other.
        down: What they were sent.
        errors: What went wrong in its threads.
    """

    def __init__(
        self,
        ports: Mapping[str, int] | None = None,
        *,
        login: str | None = None,
        hangs: bool = False,
    ) -> None:
        self._ports = ports or {}
        self._login = login and b64encode(login.encode())
        self._hangs = hangs
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._leaving = False
        self._changed = threading.Condition()  # guards all below
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._listen, name="proxy")]
        self.asked: list[bytes] = []
        self.up: list[bytearray] = []
        self.down: list[bytearray] = []
        self.errors: list[BaseException] = []

    def url(self, login: str = "") -> str:
        """Its URL, with ``user:password`` if that is given."""
        return f"http://{login}{'@' if login else ''}127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Die on everyone connected now; whoever comes next is served."""
        with self._changed:
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other end has left already

    # Its threads

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError as exc:
                if not self._leaving:
                    self.errors.append(exc)
                return
            thread = threading.Thread(target=self._serve, args=[client], name="proxy")
            with self._changed:
                self._sockets.add(client)
                self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                client.settimeout(LIMIT)
                self._answer(client)
        except ConnectionError:
            return  # the client has left, or was cut off
        except BaseException as exc:
            self.errors.append(exc)
        finally:
            with self._changed:
                self._sockets.discard(client)

    def _answer(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = client.recv(1)
            if not data:
                return
            head += data
        self.asked.append(head)
        if self._hangs:
            client.recv(1)  # until the client gives up
            return
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        port = self._ports.get(target.decode())
        wanted = b"Proxy-Authorization: Basic " + (self._login or b"")
        if method != b"CONNECT":
            client.sendall(b"HTTP/1.1 405 Only CONNECT\r\n\r\n")
        elif self._login is not None and wanted not in head.split(b"\r\n"):
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        elif port is None:
            client.sendall(b"HTTP/1.1 502 No such host\r\nContent-Length: 0\r\n\r\n")
        else:
            self._tunnel(client, port)

    def _tunnel(self, client: socket.socket, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), LIMIT) as server:
            up, down = bytearray(), bytearray()
            with self._changed:
                self._sockets.add(server)
                self.up.append(up)
                self.down.append(down)
            try:
                client.sendall(
                    b"HTTP/1.1 200 Connection established\r\nVia: me\r\n\r\n"
                )
                self._relay(client, server, up, down)
            finally:
                with self._changed:
                    self._sockets.discard(server)

    def _relay(
        self,
        client: socket.socket,
        server: socket.socket,
        up: bytearray,
        down: bytearray,
    ) -> None:
        """Pass bytes on both ways, until either end has no more."""
        while True:
            ready, _, _ = select.select([client, server], [], [], LIMIT)
            assert ready, "nothing came through a tunnel"
            for sock in ready:
                data = sock.recv(65536)
                if not data:
                    return
                seen, other = (up, server) if sock is client else (down, client)
                seen += data
                other.sendall(data)

    # Life

    def __enter__(self) -> ConnectProxy:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(LIMIT)  # from here on no thread is added
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(LIMIT)
        if kind is None and self.errors:
            raise self.errors[0]
