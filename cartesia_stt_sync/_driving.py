"""What all drivers have in common: a connection, who spells commands, who is told what.

Decides when a caller sends what it has queued by itself, which calls reach a handler,
what of them is a finding, and what happens to sessions that a program leaves open at
its exit. Starts no thread.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import attrs

from . import checks
from ._handlers import Handlers
from ._news import Call
from ._outbox import Wait
from ._queue import Kind, Send
from ._stream import Stream
from ._transport import Transport
from .endpoints import Endpoint
from .errors import CartesiaSTTError, ConnectionLost
from .events import Reconnecting

__all__ = [
    "GRACE",
    "LINGER",
    "Line",
    "Teller",
    "Unsent",
    "log",
    "report",
    "running",
]

log = logging.getLogger("cartesia_stt_sync")

LINGER = 1.0
"""Seconds to wait for the server's close frame after its ``done``."""

GRACE = 0.05
"""Seconds in which what has been received may say more of a loss than the sender."""

_EARLY = 0.02
"""Seconds before it is due that a caller may send a chunk: live audio is a little early
as often as late, and the sender would have to be woken for half of it."""

SLOW = 0.5
"""Seconds from which on a callback is a finding: events wait behind it."""


class Teller:
    """Speaks for a stream: to the server in its spelling, and to the handlers.

    Args:
        stream: Whose.
        endpoint: How the commands are spelled.
        handlers: Whom to tell, as long as somebody holds them; see `keep`.

    Threads: `keep` and `wanted` from any; `tell` and `run` from one at a time.
    """

    __slots__ = ("_endpoint", "_handlers", "_kept", "_stream")

    def __init__(
        self, stream: Stream, *, endpoint: Endpoint, handlers: Handlers
    ) -> None:
        self._stream = stream
        self._endpoint = endpoint
        # Weakly, for a handler may refer to its transcriber: the driver's threads
        # would keep alive, and connected, what everybody else has forgotten.
        self._handlers = weakref.ref(handlers)
        self._kept: Handlers | None = None

    def keep(self, handlers: Handlers | None) -> None:
        """Hold the handlers: the end is coming, whoever else forgets them.

        Args:
            handlers: They; ``None``: let go of them.
        """
        self._kept = handlers

    def spell(self, step: Send) -> bytes | str:
        """The message that a step is."""
        if step.kind is Kind.AUDIO:
            return step.data
        if step.kind is Kind.SILENCE:
            self._stream.journal("silence")
            return step.data
        if step.kind is Kind.CONFIG:
            return self._endpoint.config(step.changes)
        if step.kind is Kind.FINALIZE:
            assert self._endpoint.finalize is not None
            return self._endpoint.finalize
        return self._endpoint.close

    def wanted(self, calls: Iterable[Call]) -> list[Call]:
        """Those of these that there is a handler for."""
        handlers = self._kept or self._handlers()
        if handlers is None:
            return []
        kinds = handlers.kinds
        return [call for call in calls if call[0] in kinds]

    def tell(self, calls: Iterable[Call]) -> None:
        """Run handlers."""
        if wanted := self.wanted(calls):
            self.run(wanted)

    def run(self, calls: Iterable[Call]) -> None:
        """Run handlers of what was `wanted`."""
        handlers = self._kept or self._handlers()
        if handlers is None:
            return
        stream = self._stream
        core = stream.core
        for kind, argument in calls:
            core.telling(kind, stream.now())
            try:
                seconds = handlers.run(kind, argument)
            finally:
                with stream.lock:
                    core.told(stream.now())
            if seconds > SLOW:
                with stream.lock:
                    core.findings.note(checks.slow_callback(kind, seconds))

    def reconnects(self, plan: Reconnecting, loss: object) -> None:
        """Tell when a connection will be made anew, and log what became of the last."""
        log.info(
            "the connection was lost (%s); try %d in %.2f s",
            *(loss, plan.attempt, plan.delay),
            extra=whose(self._stream),
        )
        self.tell([("reconnect", plan)])

    def part(self, calls: Iterable[Call]) -> None:
        """Run the last handlers; the log gets the error that nobody else is told."""
        error = self._stream.error
        handlers = self._kept or self._handlers()
        if error is not None:
            told = handlers is not None and "error" in handlers.kinds
            closed = self._stream.core.outbox.closing and not self._stream.attended
            level = logging.INFO if told or not closed else logging.ERROR
            log.log(level, "a session ended with: %s", error, extra=whose(self._stream))
        self.tell(calls)

    def died(self, exc: BaseException) -> None:
        """End the session by what nobody foresaw; nobody may be left waiting for it."""
        log.error("a thread of the session died", exc_info=exc)
        error = CartesiaSTTError(f"a thread of the session died of {exc!r}")
        error.__cause__ = exc
        try:
            self._stream.fail(error)
        except BaseException as more:  # once more a future's callback that exits
            log.error("a callback of a future raised", exc_info=more)


@attrs.frozen(eq=False, repr=False)
class Unsent:
    """A message that a caller has begun to send, and that is not out.

    Attributes:
        transport: Where it should go.
        loss: Why it cannot; ``None``: there is no room for it yet.
    """

    transport: Transport
    loss: ConnectionLost | None


class Line(ABC):
    """A stream's connection, one after the other; a driver is built on it.

    One thread at a time sends: the driver's sender, or while that is idle, a caller who
    has just queued what is due at once, as live audio is, and most commands are. To
    wake the sender for it would cost more than sending it, and take longer: where
    another thread is busy with Python, who is woken waits its turn.

    Args:
        stream: Whose.
        teller: Who spells its commands.
        make_transport: Makes a connection, not open yet.

    Threads: any.
    """

    __slots__ = (
        *("_idle", "_lent_to", "_make_transport", "_stream", "_teller"),
        *("_transport", "_unsent", "_until"),
    )

    def __init__(
        self,
        stream: Stream,
        teller: Teller,
        make_transport: Callable[[], Transport],
    ) -> None:
        self._stream = stream
        self._teller = teller
        self._make_transport = make_transport

        # Guarded by the stream's lock:
        self._transport: Transport | None = None
        self._idle = False  # whether the sender waits
        self._until: float | None = None  # for how long; ``None``: until it is woken
        self._lent_to: int | None = None  # the thread that sends in its stead
        self._unsent: Unsent | None = None  # what such a one has left to it

    def connect(self) -> str | None:
        """Make the first connection; see `Transport.open`."""
        transport = self._replace(self._make_transport())
        try:
            request_id = transport.open()
        except BaseException:
            transport.close()
            raise
        log.info("connected", extra={"request_id": request_id})
        return request_id

    def discard(self) -> None:
        """Release a connection that nobody reads."""
        with self._stream.lock:
            transport = self._transport
        if transport is not None:
            transport.close()

    def cut(self) -> None:
        """End the connection now, and wake whoever is blocked in it."""
        with self._stream.lock:
            transport = self._transport
        if transport is not None:
            transport.abort()

    def push(self) -> None:
        """Send what is due, if nobody is at it; see `Driver`."""
        try:
            self._push()
        except BaseException as exc:
            self._give_back()
            if not isinstance(exc, Exception):
                raise  # a Ctrl-C is the caller's, a bug is the session's
            self._died(exc)

    def _push(self) -> None:
        with self._stream.lock:
            step, transport = self._borrow(), self._transport
        while step is not None:
            assert transport is not None  # else there was nothing to send
            loss = None
            try:
                whole = transport.begin(self._teller.spell(step))
            except ConnectionLost as exc:
                whole, loss = False, exc
            with self._stream.lock:
                self._lent_to = None
                if not whole:
                    self._unsent = Unsent(transport, loss)
                    self.woken()
                step, transport = self._borrow(), self._transport

    def _give_back(self) -> None:
        """Leave off in the middle: nobody knows how much of the message is out."""
        with self._stream.lock:
            transport = self._transport
            if self._lent_to == threading.get_ident() and transport is not None:
                self._lent_to = None
                loss = ConnectionLost("interrupted while sending")
                self._unsent = Unsent(transport, loss)
            if self._unsent is not None:
                self.woken()  # once more, where that was interrupted

    @abstractmethod
    def woken(self) -> None:
        """Have the sender look; requires the stream's lock."""

    def _borrow(self) -> Send | None:
        """Take what is to be sent now in the sender's stead. Requires the lock."""
        if not self._idle or self._lent_to is not None or self._unsent is not None:
            return None  # whoever is at it will look once more
        # Noted first: who is interrupted from here on may have taken something out.
        self._lent_to = threading.get_ident()
        step = self._stream.step(_EARLY)
        if isinstance(step, Send):
            return step
        self._lent_to = None
        sooner = step is None or (
            step.until is not None and (self._until is None or step.until < self._until)
        )
        if sooner:
            self.woken()
        return None

    def _step(self) -> Send | Unsent | Wait | None:
        """What the sender is to do next; see `Stream.step`. Requires the lock."""
        if self._unsent is not None:
            self._idle, unsent, self._unsent = False, self._unsent, None
            return unsent
        step = Wait(None) if self._lent_to is not None else self._stream.step()
        self._idle = isinstance(step, Wait)
        if isinstance(step, Wait):
            self._until = step.until
        return step

    def _rest(self, due: float) -> float:
        """Let the sender wait for what follows, without a question; return the time.

        Requires the lock, and that nobody has woken it since it last looked.

        Args:
            due: When that is, as what it has just sent says.
        """
        now = self._stream.now()
        self._stream.core.sent(now)
        self._idle, self._until = True, due
        return now

    def _died(self, exc: BaseException) -> None:
        """End the session by what nobody foresaw."""
        self._teller.died(exc)
        self.cut()

    def _replace(self, transport: Transport) -> Transport:
        with self._stream.lock:
            self._transport = transport
            gone = self._stream.ended
        if gone:
            transport.abort()
        return transport


def report(stream: Stream, findings: Iterable[checks.Finding]) -> None:
    """Write findings to the log, once each."""
    for finding in findings:
        log.warning("%s", finding, extra={"finding": finding, **whose(stream)})


def whose(stream: Stream) -> dict[str, object]:
    """What a record of the log says of the session that it is about."""
    return {"request_id": stream.core.counters.request_id}


class Running:
    """The streams that are driven now: what is left of them at exit is drained."""

    def __init__(self) -> None:
        self._streams: dict[int, tuple[Stream, int]] = {}  # its calls are atomic

    def add(self, stream: Stream) -> None:
        """Note that its messages begin to move."""
        self._streams[id(stream)] = (stream, os.getpid())

    def remove(self, stream: Stream) -> None:
        """Note that it is over."""
        self._streams.pop(id(stream), None)

    def drain(self) -> None:
        """Drain what a script forgot to close, so that its last words are not lost."""
        # A forked child inherits the streams, but not the threads that drive them.
        left = list(self._streams.values())
        streams = [stream for stream, pid in left if pid == os.getpid()]
        for wait in (False, True):  # all are told before any is waited for
            for stream in streams:
                try:
                    stream.close(wait, None)
                except Exception as exc:
                    log.error("a session left open at exit ended with: %s", exc)


running = Running()
atexit.register(running.drain)
