"""Reading from many connections at once, and writing what had no room before.

Decides whose turn it is: whoever's socket is ready, for a bounded while. Knows nothing
of what the messages mean. All about the selector is done by the one thread that reads;
others ask for it, and wake that by a byte in a pair of sockets.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs

from ._driving import log
from ._transport import Taken, Transport
from .errors import ConnectionLost

__all__ = ["Reader", "Watch"]

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Reader(Protocol):
    """Whose connection it is."""

    def take_in(self, taken: list[Taken | Exception]) -> bool:
        """Take what has come; tell whether there is room for more.

        What is no message is the end of the connection, and comes last.
        """

    def flushed(self, transport: Transport, error: ConnectionLost | None) -> None:
        """Hear that a message that was begun is out, or cannot be sent."""


@attrs.define(eq=False, repr=False)
class _Entry:
    """A connection that is watched.

    Attributes:
        reader: Whose.
        transport: The connection.
        fd: What is watched of it.
        reading: Whether there is room for what it has to say.
        writing: Whether it has something left to send.
        events: What it is registered for; 0: it is not.
    """

    reader: Reader
    transport: Transport
    fd: int
    reading: bool = True
    writing: bool = False
    events: int = 0

    @property
    def wanted(self) -> int:
        """What it should be registered for."""
        return (_READ if self.reading else 0) | (_WRITE if self.writing else 0)


class Watch:
    """The selector, and what is registered there.

    Threads: `read` and `close` by one at a time; any may ask for the rest.
    """

    def __init__(self) -> None:
        self._asked: deque[Callable[[], None]] = deque()  # its calls are atomic
        self._entries: dict[Transport, _Entry] = {}  # of who reads, as the rest
        self._near, self._far = socket.socketpair()
        try:
            self._selector = selectors.DefaultSelector()
        except BaseException:
            self._near.close()
            self._far.close()
            raise
        for end in (self._near, self._far):
            end.setblocking(False)
        self._selector.register(self._near, _READ)

    def watch(self, reader: Reader, transport: Transport) -> None:
        """Read from a connection, until it ends."""
        self._ask(lambda: self._add(_Entry(reader, transport, transport.fileno())))

    def resume(self, transport: Transport) -> None:
        """Read again from one whose reader had no room."""

        def resume() -> None:
            if (entry := self._entries.get(transport)) is not None:
                entry.reading = True
                self._turn(entry, _READ)

        self._ask(resume)

    def flush(self, transport: Transport) -> None:
        """Send what it has begun to send, as its socket takes it."""

        def flush() -> None:
            if (entry := self._entries.get(transport)) is not None:
                entry.writing = True
                self._turn(entry, _WRITE)

        self._ask(flush)

    def _ask(self, what: Callable[[], None]) -> None:
        self._asked.append(what)
        self.wake()

    def wake(self) -> None:
        """Have `read` return."""
        try:
            self._far.send(b"\0")
        except OSError:
            return  # it is full of such bytes, or all is closed

    # For who reads

    def read(self) -> None:
        """Wait until something is ready, and give each that is its turn."""
        for key, mask in self._selector.select():
            if key.data is None:
                self._answer()
            elif key.data.events:  # not gone by an earlier turn of this round
                self._turn(key.data, mask)

    def close(self) -> None:
        """Release all; nobody is watched any more."""
        self._selector.close()
        self._near.close()
        self._far.close()

    def _answer(self) -> None:
        """Do what others have asked for."""
        try:
            self._near.recv(4096)
        except BlockingIOError:  # pragma: no cover  # a selector may be wrong
            pass
        while self._asked:
            self._asked.popleft()()

    def _add(self, entry: _Entry) -> None:
        self._entries[entry.transport] = entry
        # At once: TLS may have read more than it has shown.
        self._turn(entry, _READ)

    def _turn(self, entry: _Entry, mask: int) -> None:
        """Do what a connection is ready for; a failure is its own."""
        try:
            if entry.writing:  # also where it can be read: TLS may have waited for it
                self._flush(entry)
            if mask & _READ and entry.reading:
                self._read(entry)
            self._register(entry)
        except Exception as exc:
            log.debug("a connection cannot be watched: %s", exc)
            self._drop(entry)
            entry.reader.take_in([exc])

    def _flush(self, entry: _Entry) -> None:
        error: ConnectionLost | None = None
        try:
            if not entry.transport.flush():
                return
        except ConnectionLost as exc:
            error = exc
        entry.writing = False
        entry.reader.flushed(entry.transport, error)

    def _read(self, entry: _Entry) -> None:
        taken = entry.transport.take()
        if not taken:
            return
        if not isinstance(taken[-1], bytes):
            self._drop(entry)  # before its reader closes it
        entry.reading = entry.reader.take_in([*taken])

    def _register(self, entry: _Entry) -> None:
        if entry.transport not in self._entries or entry.events == entry.wanted:
            return
        if not entry.wanted:
            self._selector.unregister(entry.fd)
        elif entry.events:
            self._selector.modify(entry.fd, entry.wanted, entry)
        else:
            self._selector.register(entry.fd, entry.wanted, entry)
        entry.events = entry.wanted

    def _drop(self, entry: _Entry) -> None:
        """Forget a connection."""
        self._entries.pop(entry.transport, None)
        if entry.events:
            entry.events = 0
            self._selector.unregister(entry.fd)
