"""The bytes of one connection: who waits for the socket, and where.

Decides how a socket is read and written so that nobody but who asks for it waits, and
that with as few calls into the system as there can be: in each one Python gives its
interpreter lock away. Knows nothing of frames.

A socket of the system's own is left blocking: its reader waits in ``recv`` itself, and
whoever must not wait says so at the call. TLS, and gevent's and eventlet's sockets,
know no such calls: there the socket does not block, and who waits polls it. An SSL
object, besides, must not be read and written at once by two threads: on some CPython
and OpenSSL that loses the connection, on others it deadlocks. So a thread waits for it
**outside** a lock and reads or writes **inside** it.

Shutting the socket down ends every wait here at once. What had arrived by then can
still be read.
"""

from __future__ import annotations

import _socket
import select
import socket
import ssl
import threading
from typing import Any, Protocol

__all__ = ["DirectPipe", "Pipe", "PolledPipe", "pipe"]

_READ = 65536
"""Bytes to ask the socket for: every event that waits, in one call."""

_FIRST, _MOST = 479, 4096
"""Bytes that a reader, of perhaps hundreds, holds while it waits: at first, at most.

An event, mostly; and, with 33 of its own, what Python takes from its own memory. More
comes from the C library's, which leaves a hole behind each event that is cut out of it.
"""

_CROSSED = 0.05
"""Seconds between tries where TLS wants to read before it can write."""

_AT_ONCE: int = getattr(socket, "MSG_DONTWAIT", 0)


class Pipe(Protocol):
    """What a connection needs of its socket. All raise `OSError` where it has broken.

    Attributes:
        sock: The socket.

    Threads: `read` and `read_now` on one; writing on one at a time.
    """

    sock: socket.socket

    def read(self) -> bytes:
        """Wait for what comes next; no bytes are the end."""

    def read_now(self, most: int) -> bytes | None:
        """What has come, at most so many bytes; ``None``: nothing yet."""

    def more(self) -> bool:
        """Whether more has come that does not show on the descriptor."""

    def write_now(self, data: memoryview | bytes) -> int:
        """Write what goes at once; return how many bytes that was."""

    def wait_to_write(self, seconds: float | None) -> None:
        """Wait until there may be room to write, or the time is up."""

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """Say what to wait for on the descriptor, to read or write next.

        TLS may have to do either before the other, and a descriptor that is ready for
        what it does not wait for would be found ready again and again.

        Returns:
            Whether for something to read, and whether for room to write.
        """


def pipe(sock: socket.socket) -> Pipe:
    """The one that suits a connected socket, which is its own from here on."""
    plain = not isinstance(sock, ssl.SSLSocket)
    # Of the system's own: gevent's and eventlet's hold one of these, and are none.
    if plain and _AT_ONCE and isinstance(sock, _socket.socket):
        return DirectPipe(sock)
    return PolledPipe(sock)


class DirectPipe:
    """A blocking socket; see the module."""

    __slots__ = ("_failure", "_first", "sock")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self.sock = sock
        self._first = _FIRST
        self._failure: OSError | None = None  # of which the system tells once

    def read(self) -> bytes:
        """See `Pipe`."""
        if self._failure is not None:
            raise self._failure
        data = self.sock.recv(self._first)
        if len(data) < self._first:
            return data
        try:
            more = self.read_now(_READ)
        except OSError as exc:
            self._failure = exc  # behind what had come before it
            return data
        if not more:
            return data
        # The next may be as long, and to be read in one call instead of two.
        self._first = min(2 * self._first, _MOST)
        return data + more

    def read_now(self, most: int) -> bytes | None:
        """See `Pipe`."""
        try:
            return self.sock.recv(most, _AT_ONCE)
        except BlockingIOError:
            return None

    def more(self) -> bool:
        """Never: it all shows."""
        return False

    def write_now(self, data: memoryview | bytes) -> int:
        """See `Pipe`."""
        try:
            return self.sock.send(data, _AT_ONCE)
        except BlockingIOError:
            return 0

    def wait_to_write(self, seconds: float | None) -> None:
        """See `Pipe`."""
        _poll(self.sock, write=True).poll(_milliseconds(seconds))

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """See `Pipe`."""
        return reading, writing


class PolledPipe:
    """A socket that does not block; see the module."""

    __slots__ = ("_lock", "_poll", "_read_first", "_write_first", "sock")

    def __init__(self, sock: socket.socket) -> None:
        # Not settimeout(0), which under eventlet is a time-out at once.
        sock.setblocking(False)
        self.sock = sock
        self._lock = threading.Lock()  # held for a single call, never in a wait
        self._poll: Any = None  # the reader's, kept; None: not made yet
        self._read_first = False  # whether TLS wants to read before it can write
        self._write_first = False  # the other way round

    def read(self) -> bytes:
        """See `Pipe`."""
        # Waiting comes first, for mostly there is nothing yet, and to be told so by
        # an exception costs more than to look.
        while True:
            if not self.more():
                self._wait_to_read()
            data = self.read_now(_READ)
            if data is not None:
                return data

    def read_now(self, most: int) -> bytes | None:
        """See `Pipe`."""
        self._write_first = False
        try:
            with self._lock:
                return self.sock.recv(most)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLWantWriteError:
            self._write_first = True
            return None

    def more(self) -> bool:
        """See `Pipe`."""
        if not isinstance(self.sock, ssl.SSLSocket):
            return False
        with self._lock:
            return self.sock.pending() > 0

    def write_now(self, data: memoryview | bytes) -> int:
        """See `Pipe`."""
        self._read_first = False
        try:
            with self._lock:
                # Zero is gevent's word for SSLWantWriteError.
                return self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLWantReadError:
            self._read_first = True
            return 0

    def wait_to_write(self, seconds: float | None) -> None:
        """See `Pipe`."""
        if self._read_first:
            # The reader may take what TLS waits for, so this end looks again.
            seconds = _CROSSED if seconds is None else min(seconds, _CROSSED)
        waits = _poll(self.sock, write=not self._read_first)
        waits.poll(_milliseconds(seconds))

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """See `Pipe`."""
        read_first = writing and self._read_first
        write_first = reading and self._write_first
        return (
            read_first or (reading and not write_first),
            write_first or (writing and not read_first),
        )

    def _wait_to_read(self) -> None:
        if self._write_first:
            _poll(self.sock, write=True).poll()
            return
        if self._poll is None:
            self._poll = _poll(self.sock, write=False)
        self._poll.poll()


class _Selecting:
    """What polling comes to where there is no ``poll``: on Windows, under eventlet."""

    def __init__(self, sock: socket.socket, write: bool) -> None:
        self._reads, self._writes = ([], [sock]) if write else ([sock], [])

    def poll(self, milliseconds: float | None = None) -> None:
        """Wait."""
        seconds = None if milliseconds is None else milliseconds / 1000
        select.select(self._reads, self._writes, [], seconds)


def _poll(sock: socket.socket, *, write: bool) -> Any:
    """What waits until a socket can be written to, or read, or is shut down."""
    # Looked up at each call: gevent and eventlet replace or remove it.
    make = getattr(select, "poll", None)
    if make is None:
        return _Selecting(sock, write)
    waits = make()
    waits.register(sock, select.POLLOUT if write else select.POLLIN)
    return waits


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
