"""One websocket connection, for one thread that reads and others that write.

`_dial` makes it, with websocket-client's handshake; the frames on it are our own.
Decides nothing about speech. No foreign exception leaves here: `ConnectError`
before the connection stands, `ConnectionLost` and `ProtocolError` after.

Why websocket-client's own `recv` and `close` are not used: its `close()` waits for
a lock that a blocked `recv()` holds, and its reader believes any frame length. And
an SSL object must not be read and written at once by two threads: on some CPython
and OpenSSL that loses the connection, on others it deadlocks. So the socket does
not block; a thread waits for it **outside** the TLS lock and reads or writes
**inside** it.

Waking: `abort` shuts the socket down, which ends every wait on it at once, plain
and TLS, reading and writing. What had arrived by then can still be read.

The thread that reads never waits to write: a pong or a close frame that does not
go at once is left to the sender, or undone. Else a server that does not read could
keep its own error from being read.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
from collections import deque
from typing import Protocol

import attrs

from ._dial import Dialer, shut_down
from ._frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    build,
    close_payload,
    read_close,
)
from .errors import ConnectionLost

__all__ = ["ServerClosed", "Transport", "WebsocketTransport"]

_READ = 65536
"""Bytes to ask the socket for: every event that waits, in one system call."""

_CROSSED = 0.05
"""Seconds between tries where TLS wants to read before it can write."""


@attrs.frozen
class ServerClosed:
    """The server's close frame."""

    code: int
    reason: str


class Transport(Protocol):
    """What the thread pair needs of a connection. Tests put a fake in its place."""

    def open(self) -> str | None:
        """Connect; return the server's request id, if it names one."""

    def send(self, data: bytes | str) -> None:
        """Send one message: audio as bytes, a command as text."""

    def recv(self) -> bytes | ServerClosed:
        """Wait for the next message, or the server's close frame."""

    def abort(self) -> None:
        """Wake whoever is blocked in here; from any thread, at any time."""

    def close(self) -> None:
        """Release the socket; only the thread that reads may."""


class WebsocketTransport:
    """The real `Transport`.

    Args:
        dialer: Makes the connection.
        io_timeout: Seconds that sending one message may take; ``None``: no limit.
        max_message: Bytes above which an incoming message is refused.

    Threads: `recv` and `close` from one thread; `send` and `abort` from any.
    """

    def __init__(
        self, dialer: Dialer, *, io_timeout: float | None, max_message: int
    ) -> None:
        self._dialer = dialer
        self._io_timeout = io_timeout
        self._reader = FrameReader(max_message)
        self._sock: socket.socket | None = None
        # Held while one message goes out, so that frames never mix; guards _owed.
        self._write = threading.Lock()
        self._owed = b""  # the rest of a frame that the reader could not finish
        # The latest ping without an answer; the only one that needs one (RFC 6455,
        # 5.5.3). A deque, because its calls are atomic.
        self._pings: deque[bytes] = deque(maxlen=1)
        # Held for a single read or write call on an SSL object, never in a wait.
        self._tls = threading.Lock()
        # Held while the descriptor is shut down or closed, so that a late abort
        # cannot hit a stranger's descriptor that got the same number.
        self._life = threading.Lock()
        self._aborted = False

    def open(self) -> str | None:
        """Connect.

        Returns:
            The server's request id, if it names one.

        Raises:
            ConnectError: Refused, unreachable, not trusted, too slow or aborted.
        """
        sock, request_id = self._dialer.dial()
        # From here on every wait is our own. Not settimeout(0), which under eventlet
        # is a time-out at once.
        sock.setblocking(False)
        if self._io_timeout is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            # A peer that vanishes is found by what it does not acknowledge, long
            # before the buffers are full.
            milliseconds = max(1, min(int(self._io_timeout * 1000), 2**31 - 1))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        with self._life:
            self._sock = sock
            if self._aborted:
                shut_down(sock)
        return request_id

    def send(self, data: bytes | str) -> None:
        """Send one message, whole.

        Raises:
            ConnectionLost: The peer is gone, or took longer than ``io_timeout``:
                part of a frame may be out then, so the connection is of no more
                use.
        """
        text = isinstance(data, str)
        payload = data.encode() if isinstance(data, str) else data
        frame = build(TEXT if text else BINARY, payload, os.urandom(4))
        with self._write:
            owed, self._owed = self._owed, b""
            self._write_all(owed + frame)
        self._answer_ping()  # one may have come while the lock was held

    def recv(self) -> bytes | ServerClosed:
        """Wait for the next message; pings are answered on the way.

        Returns:
            A message's payload, or the server's close frame, already echoed.

        Raises:
            ConnectionLost: The connection ended without a close frame.
            ProtocolError: The peer broke the protocol or the size limit.
        """
        while True:
            frame = self._reader.next()
            if frame is None:
                self._reader.feed(self._read_some())
            elif frame.opcode == PING:
                self._pings.append(frame.payload)
                self._answer_ping()
            elif frame.opcode == CLOSE:
                code, reason = read_close(frame.payload)
                self._try_to_send(CLOSE, close_payload(_echo(code)))
                return ServerClosed(code, reason)
            elif frame.opcode != PONG:
                return frame.payload

    def abort(self) -> None:
        """Wake every thread blocked here; their calls raise `ConnectionLost`."""
        self._dialer.abort()
        with self._life:
            self._aborted = True
            if self._sock is not None:
                shut_down(self._sock)

    def close(self) -> None:
        """Release the socket, once no thread writes any more."""
        self.abort()
        with self._write, self._life:
            if self._sock is not None:
                self._sock.close()
                self._sock = None

    def _answer_ping(self) -> None:
        """Send the pong that is due, unless another thread is writing.

        That one looks for it after its frame; and this one has noted it before it
        tried the lock. So one of the two finds it.
        """
        while self._pings and self._try_to_send(PONG):
            pass

    def _try_to_send(self, opcode: int, payload: bytes | None = None) -> bool:
        """Send a control frame if that can be done without waiting.

        Args:
            opcode: What it is.
            payload: Its bytes; ``None``: those of the latest ping.

        Returns:
            Whether it is out, or its rest is owed and goes before the next message.
        """
        if not self._write.acquire(blocking=False):
            return False
        try:
            sock = self._sock
            if sock is None or self._owed:
                return False
            if payload is None:
                if not self._pings:
                    return False
                payload = self._pings.popleft()
            self._owed = build(opcode, payload, os.urandom(4))
            with self._tls:
                sent = sock.send(self._owed)
            self._owed = self._owed[sent:]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return True  # all of it is owed
        except OSError:
            # The peer is gone; but what it said before is still to be read, and
            # reading will find its end.
            self._owed = b""
        finally:
            self._write.release()
        return True

    def _write_all(self, frames: bytes) -> None:
        """Write, waiting where needed. Requires the write lock."""
        data = memoryview(frames)
        sock = self._sock
        if sock is None:
            raise ConnectionLost("cannot send: the connection is closed")
        limit = self._io_timeout
        deadline = None if limit is None else time.monotonic() + limit
        while data:
            try:
                with self._tls:
                    sent = sock.send(data)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait_to_write(sock, deadline)
            except ssl.SSLWantReadError:
                self._wait_to_write(sock, deadline, read=True)
            except OSError as exc:
                raise _lost("sending", exc) from None
            else:
                data = data[sent:]
                if not sent:  # gevent's word for SSLWantWriteError
                    self._wait_to_write(sock, deadline)

    def _wait_to_write(
        self, sock: socket.socket, deadline: float | None, *, read: bool = False
    ) -> None:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise ConnectionLost(
                f"sending took longer than io_timeout={self._io_timeout:g} s: the "
                "server does not read"
            )
        if read:
            # The reader may take what TLS waits for, so this end looks again.
            left = _CROSSED if left is None else min(left, _CROSSED)
        _wait(sock, read, left)

    def _read_some(self) -> bytes:
        sock = self._sock
        if sock is None:
            raise ConnectionLost("cannot receive: the connection is closed")
        while True:
            try:
                # What TLS has decrypted already does not show on the descriptor,
                # so reading comes before waiting.
                with self._tls:
                    data = sock.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError):
                _wait(sock, True, None)
            except ssl.SSLWantWriteError:
                _wait(sock, False, None)
            except OSError as exc:
                raise _lost("receiving", exc) from None
            else:
                if data:
                    return data
                raise ConnectionLost("the server ended the connection without a word")


def _echo(code: int) -> int:
    """The code to answer a close frame with (RFC 6455, 5.5.1 and 7.4.1)."""
    return code if 1000 <= code < 5000 and code not in (1005, 1006, 1015) else 1000


def _lost(doing: str, exc: OSError) -> ConnectionLost:
    return ConnectionLost(f"the connection broke while {doing}: {exc}")


def _wait(sock: socket.socket, read: bool, seconds: float | None) -> None:
    """Wait until the socket can be read or written, is shut down, or time is up."""
    # Looked up at each call: gevent and eventlet replace or remove it.
    make_poll = getattr(select, "poll", None)
    if make_poll is None:  # pragma: no cover  # Windows has no poll
        reads, writes = ([sock], []) if read else ([], [sock])
        select.select(reads, writes, [], seconds)
        return
    poll = make_poll()
    poll.register(sock, select.POLLIN if read else select.POLLOUT)
    poll.poll(None if seconds is None else seconds * 1000)
