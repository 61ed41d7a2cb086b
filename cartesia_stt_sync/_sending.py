"""The part of a pooled stream that sends, in turns on the thread that leads the pool.

Does what the thread pair's sender does; but where that waits, this has a time, at which
the pool is to ask again. It never waits: what a socket does not take at once,
whoever leads the pool sends on.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from contextvars import Context
from enum import Enum
from functools import partial

from ._driving import GRACE, LINGER, Line, Teller, Unsent, report
from ._outbox import Wait
from ._pool import Engine
from ._stream import Stream
from ._transport import Transport, too_slow
from .errors import ConnectError, ConnectionLost

__all__ = ["Sending", "Stage"]

_MOST_SENT = 16
"""Messages that one member sends before the others have their turn."""


class Stage(Enum):
    """What the sending part is at."""

    CONNECTED = "connected"
    OWING = "a message is out in part"
    BROKEN = "a message could not be sent"
    WAITING = "to connect again"
    DIALLING = "connecting again"
    OVER = "over"


class Sending(Line):
    """What sends, and what both parts of a `Member` need.

    Args:
        stream: Whose messages to send.
        teller: Who spells them.
        make_transport: See `Line`.
        io_timeout: Seconds that sending one may take; ``None``: no limit.
    """

    __slots__ = (
        *("_by", "_context", "_engine", "_entered", "_flushed", "_inside"),
        *("_io_timeout", "_lingers", "_logging", "_loss", "_reporting", "_stage"),
        *("due", "queued"),
    )

    def __init__(
        self,
        stream: Stream,
        teller: Teller,
        *,
        make_transport: Callable[[], Transport],
        io_timeout: float | None,
    ) -> None:
        super().__init__(stream, teller, make_transport)
        self._io_timeout = io_timeout
        self._context: Context  # of who opens it, for callbacks
        self._entered = threading.Lock()  # held by who is in it: only one can be
        self._engine: Engine | None = None
        self._inside: set[int] = set()  # threads in a callback; its calls are atomic

        # Guarded by the stream's lock:
        self._stage = Stage.CONNECTED
        self._by: float | None = None  # when the stage is over
        self._flushed = False  # whether what was owed is out
        self._loss: ConnectionLost | None = None  # why a message could not be sent
        self._lingers = False  # whether it has ended and waits for a close frame
        self._logging = False  # whether somebody is to write findings to the log
        self._reporting = threading.Lock()  # held by who does

        # Guarded by the pool's lock:
        self.queued = False
        self.due: float | None = None

    def turn(self) -> float | None:
        """Do what is to be done now; return when to be asked again."""
        if self._stage is Stage.CONNECTED:
            # Without the lock: should it be lost or over by now, the core knows.
            return self._send()
        with self._stream.lock:
            stage, ended = self._stage, self._stream.ended
            due = self._by is not None and self._by <= self._stream.now()
        if stage in (Stage.DIALLING, Stage.OVER):
            return None
        if stage is Stage.WAITING:
            return self._dial_if(due, ended)
        if ended:
            return self._linger()
        if stage is Stage.OWING:
            return self._flush_on(due)
        if stage is Stage.BROKEN:
            return self._grieve(due)
        return self._send()  # it has just been made anew

    def _send(self) -> float | None:
        """Send what is due."""
        stream = self._stream
        for _ in range(_MOST_SENT):
            with stream.lock:
                step = self._step()
                transport = self._transport
                if stream.core.findings.to_log:
                    self._have_logged()
            if step is None:
                return self._linger()
            if isinstance(step, Wait):
                return step.until
            if isinstance(step, Unsent):
                if step.loss is None:
                    return self._owe(step.transport)
                return self._send_failed(step.transport, step.loss)
            assert transport is not None
            try:
                whole = transport.begin(self._teller.spell(step))
            except ConnectionLost as exc:
                return self._send_failed(transport, exc)
            if not whole:
                return self._owe(transport)
            if step.following is not None:
                with stream.lock:
                    # Who has woken it meanwhile has also put it in the row.
                    self._rest(step.following)
                return step.following
        return stream.now()

    @property
    def _threads(self) -> Engine:
        assert self._engine is not None  # since start()
        return self._engine

    def _current(self, transport: Transport) -> bool:
        """Whether a connection is still the one. Requires the lock."""
        return transport is self._transport and self._stream.core.connected_now

    def _enter(self, stage: Stage, by: float | None = None) -> float | None:
        """Go to a stage. Requires the lock."""
        self._stage, self._by = stage, by
        return by

    def _owe(self, transport: Transport) -> float | None:
        """Have the rest of a message sent as soon as there is room for it."""
        limit = self._io_timeout
        with self._stream.lock:
            if not self._current(transport):
                return self._stream.now()  # it is lost by now: look again
            self._flushed, self._loss = False, None
            by = None if limit is None else self._stream.now() + limit
            self._enter(Stage.OWING, by)
        self._threads.watch.flush(transport)
        return by

    def flushed(self, transport: Transport, error: ConnectionLost | None) -> None:
        """Hear that what was owed is out, or cannot be sent; from who leads."""
        with self._stream.lock:
            if transport is self._transport and self._stage is Stage.OWING:
                self._flushed, self._loss = True, error
                self.woken()

    def _flush_on(self, due: bool) -> float | None:
        with self._stream.lock:
            transport, error = self._transport, self._loss
            assert transport is not None
            if self._stage is not Stage.OWING:
                return self._stream.now()  # it is lost by now: look again
            if self._current(transport) and not self._flushed and not due:
                return self._by
            flushed = self._flushed
            self._enter(Stage.CONNECTED)
        if error is None and not flushed and self._io_timeout is not None and due:
            error = too_slow(self._io_timeout)
        return self._send() if error is None else self._send_failed(transport, error)

    def _send_failed(self, transport: Transport, error: ConnectionLost) -> float | None:
        """Leave it to the receiving part to say what became of the connection.

        It may have the server's own words in hand: an error, a close code. Only where
        a loss is the end anyway, and a callback holds it up, are waiting callers told
        from here.
        """
        with self._stream.lock:
            again: float | None = self._stream.now()
            if self._current(transport):  # else it is known already: look again
                self._loss = error
                lasting = self._stream.core.may_reconnect(error)
                by = None if lasting else self._stream.now() + GRACE
                again = self._enter(Stage.BROKEN, by)
        transport.abort()
        return again

    def _grieve(self, due: bool) -> float | None:
        with self._stream.lock:
            if self._stage is not Stage.BROKEN:
                return self._stream.now()
            assert self._loss is not None
            if self._stream.core.connected_now:
                if not due:
                    return self._by
                self._stream.core.lost(self._loss, self._stream.now())
                self._stream.wake()
            self._enter(Stage.CONNECTED)
            return self._stream.now()

    def _linger(self) -> float | None:
        """After the end: answer the futures; give the server a moment to close."""
        stream = self._stream
        with stream.lock:
            now = stream.now()
            if not self._lingers:
                self._lingers = True
                self._by = now + LINGER if stream.core.drained else now
            by = self._by
            unanswered = bool(stream.core.finalizes.answers)
            if stream.core.findings.to_log:
                self._have_logged()
        if unanswered:
            self._submit(self._settle)
        if by is not None and by > now:
            return by
        self.cut()
        return None

    def _dial_if(self, due: bool, ended: bool) -> float | None:
        """Connect again, once it is time to."""
        with self._stream.lock:
            if not due and not ended:
                return self._by
            self._enter(Stage.DIALLING)
        if ended:
            self._pass_on(self._over)
            return None
        try:
            self._threads.diallers.submit(self._dial)
        except RuntimeError as exc:  # no more threads; perhaps later
            error = ConnectError(f"cannot connect again: {exc}")
            self._pass_on(partial(self._refused, error))
        return None

    def broke(self, exc: BaseException) -> None:
        """Hear that `turn` has failed in a way that nobody foresaw."""
        self._submit(partial(self._died, exc))

    # What the receiving part does

    @abstractmethod
    def _dial(self) -> None:
        """Connect again, waiting."""

    @abstractmethod
    def _refused(self, error: ConnectError) -> None:
        """Note that it was refused; as a job."""

    @abstractmethod
    def _over(self) -> None:
        """Note the end; as a job."""

    # From any thread

    def woken(self) -> None:
        """Have the sender look; requires the stream's lock."""
        if self._engine is not None:
            self._engine.woken(self)

    # Having done what may call back

    def _submit(self, job: Callable[[], None]) -> None:
        """Have something done that may call back."""
        self._threads.crew.submit(partial(self._run, job))

    def _pass_on(self, job: Callable[[], None]) -> None:
        """Have some thread go on as the receiving part."""
        self._threads.crew.submit(self._job(job))

    def _job(self, job: Callable[[], None]) -> Callable[[], None]:
        return partial(self._run, partial(self._in_context, job))

    def _in_context(self, job: Callable[[], None]) -> None:
        # Who has just passed it on may not have left yet.
        with self._entered:
            self._context.run(job)

    def _run(self, job: Callable[[], None]) -> None:
        me = threading.get_ident()
        self._inside.add(me)
        try:
            job()
        finally:
            self._inside.discard(me)

    def _have_logged(self) -> None:
        """Have findings written to the log, which may be slow. Requires the lock."""
        if not self._logging:
            self._logging = True
            self._submit(self._log)

    def _log(self) -> None:
        """Write findings to the log, though a callback may be running."""
        with self._reporting:  # also for the end, which shall come behind them
            with self._stream.lock:
                self._logging = False
                findings = self._stream.core.findings.unlogged()
            # In a copy, for the receiving part may be in it.
            self._context.copy().run(report, self._stream, findings)

    def _settle(self) -> None:
        """Answer futures, whatever the receiving part is at."""
        try:
            self._stream.settle()
        except BaseException as exc:
            self._died(exc)
