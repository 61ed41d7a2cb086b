"""Reading from many connections at once, and writing what had no room before.

Decides whose turn it is: whoever's socket is ready, a few at a time. All of these are
read before any reader hears of it: what is done over and over again stays in the
processor's caches. Knows nothing of what the messages mean. All about the selector is
done by the one thread that leads; others ask for it, and wake that by a byte in a pair
of sockets.
"""

from __future__ import annotations

import select
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import attrs

from ._driving import log
from ._transport import Taken, Transport
from .errors import ConnectionLost

__all__ = ["Reader", "Watch", "WatchBell"]

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

_FD_SETSIZE = 1024
"""From this number on ``select`` knows no descriptor (POSIX leaves it open; so it is on
Linux, where ``epoll`` is)."""

_AT_ONCE = 16
"""Connections that are read from in one go, which takes a millisecond at most."""

_LONGEST = 3600.0
"""Seconds that are waited for at once; ``epoll`` takes no more than some weeks."""


class Reader(Protocol):
    """Whose connection it is."""

    def take_in(self, taken: Sequence[Taken | Exception]) -> bool:
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
        read, write = self.transport.waits_for(self.reading, self.writing)
        return (_READ if read else 0) | (_WRITE if write else 0)


class Watch:
    """The selector, and what is registered there.

    Attributes:
        behind: Whether some that were found ready have not had their turn.

    Threads: `select`, `read` and `close` by one at a time; any may ask for the rest.
    """

    def __init__(self) -> None:
        self._asked: deque[Callable[[], None]] = deque()  # its calls are atomic
        self._entries: dict[Transport, _Entry] = {}  # of who leads, as the rest
        self._found: list[tuple[selectors.SelectorKey, int]] = []
        self.behind = False
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
        self._coarse = _counts_in_milliseconds(self._selector)

    def watch(self, reader: Reader, transport: Transport) -> None:
        """Read from a connection, until it ends."""
        self._ask(lambda: self._add(_Entry(reader, transport, transport.fileno())))

    def resume(self, transport: Transport) -> None:
        """Read again from one whose reader had no room."""

        def resume() -> None:
            if (entry := self._entries.get(transport)) is not None:
                entry.reading = True
                self._have_turn(entry, _READ)

        self._ask(resume)

    def flush(self, transport: Transport) -> None:
        """Send what it has begun to send, as its socket takes it."""

        def flush() -> None:
            if (entry := self._entries.get(transport)) is not None:
                entry.writing = True
                self._have_turn(entry, _WRITE)

        self._ask(flush)

    def _ask(self, what: Callable[[], None]) -> None:
        self._asked.append(what)
        self.wake()

    def wake(self) -> None:
        """Have `select` return."""
        try:
            self._far.send(b"\0")
        except OSError:
            return  # it is full of such bytes, or all is closed

    # For who leads

    def select(self, seconds: float | None) -> bool:
        """Wait until something is ready, or the time is up; tell whether it is."""
        seconds = seconds if seconds is None else min(seconds, _LONGEST)
        if seconds and self._coarse:
            # Else each chunk would be up to a millisecond late.
            ready, _, _ = select.select([self._selector], [], [], seconds)
            if not ready:
                return False
            seconds = 0
        self._found = self._selector.select(seconds)
        self.behind = bool(self._found)
        return self.behind

    def read(self) -> None:
        """Give each its turn that was ready at the last `select`.

        A few at a time, so that what is to be sent meanwhile is not late.
        """
        found, self._found = self._found[:_AT_ONCE], self._found[_AT_ONCE:]
        self.behind = bool(self._found)
        asked, taken = False, []
        for key, mask in found:
            if key.data is None:
                asked = True
            elif key.data.events:  # not gone by an earlier turn
                taken.append((key.data, self._turn(key.data, mask)))
        for entry, messages in taken:
            if messages:
                self._hand_on(entry, messages)
        if asked:
            self._answer()

    def fail(self, exc: Exception) -> None:
        """Tell all that they cannot be watched any more, and why."""
        self._found, self.behind = [], False
        self._answer()  # among others those who ask to be watched
        for entry in list(self._entries.values()):
            self._drop(entry)
            entry.reader.take_in([exc])

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
        self._have_turn(entry, _READ)

    def _have_turn(self, entry: _Entry, mask: int) -> None:
        """Give one its turn that is not known to be ready."""
        if messages := self._turn(entry, mask):
            self._hand_on(entry, messages)
        try:
            self._register(entry)
        except Exception as exc:
            entry.reader.take_in([self._failed(entry, exc)])

    def _turn(self, entry: _Entry, mask: int) -> Sequence[Taken | Exception]:
        """Do what a connection is ready for; return what came. A failure is its own."""
        taken: Sequence[Taken | Exception] = ()
        try:
            if entry.writing:  # also where it can be read: TLS may have waited for it
                self._flush(entry)
                self._register(entry)
            # Room to write is also what a reader waits for where TLS must write first.
            if entry.reading and (mask & _READ or not entry.writing):
                taken = entry.transport.take()
                if taken and not isinstance(taken[-1], bytes):
                    self._drop(entry)  # before its reader closes it
                elif entry.writing or not taken or entry.events & _WRITE:
                    self._look_again(entry)
        except Exception as exc:
            taken = [*taken, self._failed(entry, exc)]
        return taken

    def _look_again(self, entry: _Entry) -> None:
        """See what it waits for now: with TLS, one way may have opened the other."""
        if entry.writing:
            self._flush(entry)
        self._register(entry)

    def _hand_on(self, entry: _Entry, messages: Sequence[Taken | Exception]) -> None:
        """Let its reader have what came."""
        try:
            reading = entry.reader.take_in(messages)
            if reading is not entry.reading:
                entry.reading = reading
                self._register(entry)
        except Exception as exc:
            entry.reader.take_in([self._failed(entry, exc)])

    def _failed(self, entry: _Entry, exc: Exception) -> Exception:
        log.debug("a connection cannot be watched: %s", exc)
        self._drop(entry)
        return exc

    def _flush(self, entry: _Entry) -> None:
        error: ConnectionLost | None = None
        try:
            if not entry.transport.flush():
                return
        except ConnectionLost as exc:
            error = exc
        entry.writing = False
        entry.reader.flushed(entry.transport, error)

    def _register(self, entry: _Entry) -> None:
        wanted = entry.wanted
        if entry.transport not in self._entries or entry.events == wanted:
            return
        if not wanted:
            self._selector.unregister(entry.fd)
        elif entry.events:
            self._selector.modify(entry.fd, wanted, entry)
        else:
            self._selector.register(entry.fd, wanted, entry)
        entry.events = wanted

    def _drop(self, entry: _Entry) -> None:
        """Forget a connection."""
        self._entries.pop(entry.transport, None)
        if entry.events:
            entry.events = 0
            # It may be what has just failed.
            with suppress(KeyError, ValueError, OSError):
                self._selector.unregister(entry.fd)


class WatchBell:
    """What who leads waits for: that a connection is ready, or that it rings.

    As a `Bell` is, but for what else ends its wait.

    Args:
        lock: What guards it.
        watch: The connections.

    Threads: one may `wait`, any may `notify`; both require the lock.
    """

    __slots__ = ("_lock", "_waited_for", "_watch")

    def __init__(self, lock: threading.Lock, watch: Watch) -> None:
        self._lock = lock
        self._watch = watch
        self._waited_for = False  # guarded by the lock

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock until then, or for so many seconds.

        Returns:
            Whether something is to be read, if only that it has rung.
        """
        self._waited_for = True
        self._lock.release()
        try:
            return self._watch.select(timeout)
        finally:
            self._lock.acquire()
            self._waited_for = False

    def notify(self) -> None:
        """Wake who waits, if somebody does."""
        if self._waited_for:
            # In this order, for a Ctrl-C may come in between.
            self._watch.wake()
            self._waited_for = False


def _counts_in_milliseconds(selector: selectors.BaseSelector) -> bool:
    """Whether it is ``epoll``, and ``select`` can wait for it in its place."""
    epoll = getattr(selectors, "EpollSelector", ())
    return isinstance(selector, epoll) and selector.fileno() < _FD_SETSIZE
