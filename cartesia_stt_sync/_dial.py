"""Making the connection: the socket, the proxy, TLS, and websocket-client's handshake.

Decides what a failed handshake is called, and sees to it that no credential
leaves by way of an error, a redirect, a proxy or a log. Hands out a connected
socket and forgets it. The only module that imports websocket-client.

The socket is our own from the first moment, and handed to websocket-client when
it is ready to shake hands: so one deadline holds for all of it, and `Dialer.abort`
ends any part of it at once. Only the look-up of a name can be neither timed nor cut.
"""

from __future__ import annotations

import _socket
import io
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from traceback import clear_frames
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ._proxy import find_proxy, tunnel
from ._refusal import refusal
from ._tls import Secured
from ._version import __version__
from .endpoints import without
from .errors import ConnectError

if TYPE_CHECKING:
    import websocket

__all__ = ["Dialer", "Dialled", "shut_down"]


def shut_down(sock: socket.socket) -> None:
    """Wake all who wait for a socket; one that is not connected is left alone.

    By its descriptor alone: `SSLSocket.shutdown` would also drop the SSL object, and
    a thread about to write would go on in the clear; and the classes that gevent and
    eventlet put in place of the standard ones do not all have the method.
    """
    try:
        bare = _socket.socket(fileno=sock.fileno())
        try:
            bare.shutdown(socket.SHUT_RDWR)
        finally:
            bare.detach()
    except (OSError, ValueError):  # a descriptor of -1 is a ValueError
        return  # it was not connected any more, so nobody can be waiting


class _Redact(logging.Filter):
    """Keep credentials out of what websocket-client logs under `enableTrace`."""

    _CREDENTIAL = r"(?i)((?:proxy-)?authorization:\s*\S+\s+)\S+"

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.sub(self._CREDENTIAL, r"\1***", str(record.msg))
        return True


# It has a name before websocket-client is imported, and so no record goes unseen.
logging.getLogger("websocket").addFilter(_Redact())


_EXPIRED, _OTHER_NAME = 10, 62
"""OpenSSL's numbers for what no authority of one's own would mend."""

_MOST_ANSWER = 1 << 18
"""Bytes that a server may answer the handshake with, headers and body."""


_READ = 65536
"""Bytes to ask for at once. websocket-client asks for each byte of a header, and once
for the body of a refusal, of which it then gets no more than came with that."""


_BODY = 1.0
"""Seconds to wait for a refusal's body whose length is not told."""


_HEAD_END = re.compile(rb"\r?\n\r?\n")
_COOKIES = re.compile(rb"(?im)^set-cookie2?[ \t]*:.*\n(?:[ \t].*\n)*")


class _Guarded:
    """As much of a socket as a handshake needs, with limits to the server's answer.

    All its waits share one deadline, and no header makes it take memory: a length
    that the server claims is only believed as far as `_MOST_ANSWER`. Cookies are left
    out: websocket-client keeps them for the process, and would send those of one
    account for another.
    """

    def __init__(self, sock: socket.socket, left: Callable[[], float | None]) -> None:
        self._sock = sock
        self._left = left
        self._room = _MOST_ANSWER
        self._ahead = io.BytesIO()  # read, and perhaps not asked for yet
        self._headed = False  # whether the headers have all come

    def gettimeout(self) -> float | None:
        return self._sock.gettimeout()

    def recv(self, size: int) -> bytes:
        if data := self._ahead.read(size):
            return data
        data = self._more()
        while not self._headed and data:
            end = _HEAD_END.search(data)
            if end is None:
                more = self._more()
                data += more
                self._headed = not more
            else:
                head = _COOKIES.sub(b"", data[: end.end()])
                data, self._headed = head + data[end.end() :], True
        self._ahead = io.BytesIO(data)
        return self._ahead.read(size)

    def _more(self) -> bytes:
        self._sock.settimeout(self._left())
        data = self._sock.recv(min(_READ, self._room))
        self._room -= len(data)
        if not self._room:
            raise OSError("the server's answer to the handshake has no end")
        return data

    def rest(self) -> bytes:
        """Take what has been read beyond what was asked for."""
        return self._ahead.read()

    def body(self, chunked: bool) -> bytes:
        """Read a body whose length is not told, as far as it comes at once."""
        left = self._left()
        until = time.monotonic() + (_BODY if left is None else min(_BODY, left))
        found = self.rest()
        with suppress(OSError):
            while not (chunked and found.endswith(b"0\r\n\r\n")):
                self._sock.settimeout(max(0.001, until - time.monotonic()))
                data = self._sock.recv(min(_READ, self._room))
                self._room -= len(data)
                found += data
                if not (data and self._room):
                    break
        return _joined(found) if chunked else found

    def send(self, data: bytes) -> int:
        self._sock.settimeout(self._left())
        return self._sock.send(data)

    def close(self) -> None:
        """Leave it open: there may be a reason to read. `Dialer` closes it."""


def _joined(chunks: bytes) -> bytes:
    """The chunks of a body (RFC 9112, 7.1), as far as they are any."""
    found = []
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            break
        found.append(chunks[: max(0, length)])
        chunks = chunks[max(0, length) + 2 :]
    return b"".join(found)


class Dialled(NamedTuple):
    """A connection that stands.

    Attributes:
        sock: Its socket.
        request_id: The server's, if it names one.
        first: What the server has said behind its answer, and has been read with it.
    """

    sock: socket.socket
    request_id: str | None = None
    first: bytes = b""


class Dialer:
    """Makes one connection.

    Args:
        url: Where to; holds no credential.
        headers: Gives the handshake's headers, credential included.
        secret: Gives the credential, to take it out of foreign texts.
        timeout: Seconds for all of it; ``None``: no limit.
        proxy: ``"env"``, a proxy's URL, or ``None``.
        ssl_context: In place of the shared one.

    Threads: `dial` or `reach` once, on any; `abort` from any, at any time.
    """

    def __init__(
        self,
        *,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        secret: Callable[[], str],
        timeout: float | None,
        proxy: str | None,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        parts = urlsplit(url)
        self._url = url
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "wss"
        self._port = parts.port or (443 if self._secure else 80)
        self._headers = headers
        self._secret = secret
        self._timeout = timeout
        self._deadline: float | None = None
        self._proxy = proxy
        self._via = ""  # how it is reached, for messages
        self._first = b""  # see `Dialled`
        self._ssl_context = ssl_context
        self._secured: Secured | None = None
        self._lock = threading.Lock()  # guards the two below
        self._sock: socket.socket | None = None
        self._aborted = False

    def dial(self) -> Dialled:
        """Connect and shake hands.

        Raises:
            ConnectError: It did not work; the message says where and what to do.
        """
        # Only here, for it takes as long to import as half of this library.
        import websocket

        ws = websocket.WebSocket()
        sock = self._make(ws)
        request_id = (ws.getheaders() or {}).get("x-request-id")
        first, self._first = self._first, b""
        return Dialled(sock, request_id and self._clean(request_id), first)

    def reach(self) -> socket.socket:
        """Connect only, by proxy and TLS, for who speaks HTTP and no websocket.

        Raises:
            ConnectError: It did not work; the message says where and what to do.
        """
        return self._make(None)

    def _make(self, ws: websocket.WebSocket | None) -> socket.socket:
        """Connect, and shake hands for a websocket, if it is to be one."""
        if self._timeout is not None:
            self._deadline = time.monotonic() + self._timeout
        error: ConnectError | None = None
        try:
            reached = self._connect()
            if ws is not None:
                self._shake_hands(ws, reached)
        except Exception as exc:
            # Raised below, outside this block: an error with a context would
            # carry the frames of the handshake, and those hold the key.
            error = self._explain(exc, ws)
        except BaseException as exc:
            self._let_go()
            clear_frames(exc.__traceback__)  # those that are done, and hold the key
            raise
        secured, self._secured = self._secured, None
        if secured is not None and error is not None:
            secured.forget_session()
        sock, aborted = self._let_go(keep=error is None)
        if error is not None or sock is None or aborted:
            if sock is not None:
                sock.close()
            raise error or ConnectError("aborted while connecting")
        return sock

    def abort(self) -> None:
        """End a `dial` under way, or one to come."""
        with self._lock:
            self._aborted = True
            if self._sock is not None:
                shut_down(self._sock)

    def _left(self) -> float | None:
        """Seconds to the deadline.

        Raises:
            TimeoutError: It has passed.
        """
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _hold(self, sock: socket.socket) -> socket.socket:
        """Make a socket the one that `abort` shuts down."""
        with self._lock:
            self._sock = sock
            if self._aborted:
                raise ConnectionAbortedError
        return sock

    def _let_go(self, keep: bool = False) -> tuple[socket.socket | None, bool]:
        """Take the socket from under `abort`'s hands; close it unless it is kept."""
        with self._lock:
            sock, self._sock = self._sock, None
            aborted = self._aborted
        if sock is not None and not keep:
            sock.close()
            sock = None
        return sock, aborted

    def _connect(self) -> socket.socket:
        proxy = find_proxy(self._proxy, self._host, self._secure)
        if proxy is None:
            sock = self._reach(self._host, self._port)
        else:
            parts = urlsplit(proxy)
            self._via = f" through the proxy {parts.hostname}:{parts.port or 80}"
            sock = self._reach(parts.hostname or "", parts.port or 80)
            tunnel(sock, proxy, self._host, self._port, self._left)
        if self._secure:
            sock.settimeout(self._left())
            secured = Secured(sock, self._ssl_context, self._host, self._port)
            sock = self._hold(secured.sock)
            secured.shake_hands()
            self._secured = secured
        return sock

    def _shake_hands(self, ws: websocket.WebSocket, sock: socket.socket) -> None:
        import websocket

        guarded = _Guarded(sock, self._left)
        try:
            ws.connect(  # type: ignore[no-untyped-call]  # websocket-client has few types
                self._url,
                socket=guarded,
                header=[f"{name}: {value}" for name, value in self._headers().items()]
                + [f"User-Agent: cartesia-stt-sync/{__version__}"],
                suppress_origin=True,
                redirect_limit=0,  # it would follow with all headers, key included
            )
        except websocket.WebSocketBadStatusException as exc:
            headers = exc.resp_headers or {}
            if exc.resp_body is None and "content-length" not in headers:
                chunked = "chunked" in headers.get("transfer-encoding", "").lower()
                exc.resp_body = guarded.body(chunked)
            raise
        self._first = guarded.rest()
        if self._secured is not None:
            self._secured.keep_session()

    def _reach(self, host: str, port: int) -> socket.socket:
        """Connect to the first address of a host that answers."""
        failure: OSError | None = None
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for tried, (family, kind, number, _, address) in enumerate(addresses):
            try:
                sock = socket.socket(family, kind, number)
            except OSError as exc:  # a family that this system does without
                failure = failure or exc
                continue
            try:
                left = self._left()
                if left is not None and tried + 1 < len(addresses):
                    # One that is silent, as where IPv6 is broken, must not use up the
                    # time of those behind it; but a slow line has many addresses, too.
                    left /= 2
                sock.settimeout(left)
                # Else a command behind a chunk waits 40 ms for company.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                self._hold(sock)
                sock.connect(address)
                return sock
            except OSError as exc:
                sock.close()
                failure = exc
                self._left()  # no further address once the time is up
            except BaseException:
                sock.close()
                raise
        raise failure or OSError(f"{host} has no address")

    def _explain(self, exc: Exception, ws: websocket.WebSocket | None) -> ConnectError:
        import websocket

        where = f"{self._host}:{self._port}{self._via}"
        if self._aborted:
            return ConnectError("aborted while connecting")
        if isinstance(exc, websocket.WebSocketBadStatusException):
            body = (exc.resp_body or b"").decode("utf-8", "replace")
            headers = exc.resp_headers or {}
            return refusal(exc.status_code, headers, body, self._clean)
        answer = None if ws is None else ws.handshake_response
        if answer is not None and 300 <= answer.status < 400:
            return ConnectError(
                f"{where} answered with a redirect ({answer.status}), which is never "
                "followed: the key would go along; check base_url",
                status_code=answer.status,
            )
        late = isinstance(exc, (TimeoutError, websocket.WebSocketTimeoutException))
        if late and self._timeout is not None:
            return ConnectError(
                f"no connection to {where} within open_timeout={self._timeout:g} s"
            )
        text = self._clean(str(exc)) or type(exc).__name__
        if isinstance(exc, ssl.SSLCertVerificationError):
            known = exc.verify_code in (_EXPIRED, _OTHER_NAME)
            text += "" if known else "; for a private authority pass ssl_context="
        elif isinstance(exc, websocket.WebSocketException):
            text += "; what answers is no websocket server: check base_url and proxies"
        return ConnectError(f"cannot connect to {where}: {text}")

    def _clean(self, text: str) -> str:
        """Take the credential out of a text that came from outside."""
        return without(self._secret(), text)
