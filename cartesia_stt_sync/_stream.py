"""One stream behind its lock: what callers block on, and what wakes them.

Decides nothing about speech (`_core` does) and touches no socket (`_pair` does).
Here the two meet: under the lock the core is told what happened; after release
the futures are answered and the connection is cut.

Who wakes whom: whoever changes state notifies all who wait on ``changed``.

Who ends it: the first to find a reason tells the core, under the lock, and then
calls `settle`, without it. Each later reason changes nothing.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakSet

from ._clock import Clock
from ._core import Core
from ._handlers import Handlers
from ._news import Call
from ._outbox import Send, Wait
from ._session import Ours, State
from ._transport import ServerClosed
from ._waiting import EventIterator, UtteranceFuture, buffer_full, fresh
from .audio import Converter
from .errors import CartesiaSTTError, ClosedError, DrainTimeout
from .events import Transcript, parse

__all__ = ["Driver", "Stream"]

_SLACK = 1e-9  # seconds, because sums of floats are not exact

_JOIN = 10.0
"""Seconds that a callback still running may hold up `close` and `abort`."""


class Driver(Protocol):
    """Who connects a stream and moves its messages."""

    def connect(self) -> str | None:
        """Make the first connection, on the caller's thread."""

    def start(self) -> None:
        """Begin to move messages."""

    def cut(self) -> None:
        """End the connection now; from any thread."""

    def keep(self, handlers: Handlers) -> None:
        """Hold the handlers until the end."""

    def discard(self) -> None:
        """Release a connection whose messages nobody began to move."""

    def join(self, seconds: float) -> None:
        """Wait until nothing moves any more, or the time is up."""

    def is_current_thread(self) -> bool:
        """Whether the caller is the driver itself, in a callback."""


def _keep_none(event: str, **fields: object) -> None:
    """The journal of a session that nobody writes down."""


class Stream:
    """The state of one transcriber, and the calls that wait for it to change.

    Args:
        core: The state.
        converter: Tells how long a piece of audio is.
        max_buffer: Seconds of audio that may wait; ``None``: no limit.
        clock: The time.

    Attributes:
        lock: Guards the core and all below. It is never held while sending,
            receiving, connecting, joining a thread, or running a callback of a
            handler's or a future's. Always ``with lock``, never ``with changed``:
            that is Python code, in which a Ctrl-C could leave the lock held.
        changed: The lock's one condition, to wait on and to notify.
        muted: Whether what is fed is replaced by silence.
        journal: Told what callers do, without the lock; for the flight recorder.
    """

    def __init__(
        self,
        *,
        core: Core,
        converter: Converter,
        max_buffer: float | None,
        clock: Clock,
    ) -> None:
        self._converter = converter
        self._max_buffer = max_buffer
        self._clock = clock
        self._pid = os.getpid()
        self.driver: Driver  # set by whoever makes the stream, before any call

        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.core = core
        self.muted = False
        self.journal: Callable[..., None] = _keep_none
        self._started = False
        self._feeding: int | None = None  # the thread whose feed is under way
        self._futures: deque[UtteranceFuture] = deque()
        self._iterators: WeakSet[EventIterator] = WeakSet()

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""
        return self.core.session.ended

    @property
    def left_open(self) -> bool:
        """Whether nobody has closed it in this process."""
        unused = self.core.session.state is State.NEW
        done = unused or self.ended or self.core.outbox.closing
        return not done and self._pid == os.getpid()

    @property
    def error(self) -> CartesiaSTTError | None:
        """Why the session failed, if it did."""
        return self.core.error

    @property
    def deltas(self) -> list[Transcript]:
        """All finals so far; only ever appended to."""
        return self.core.assembler.deltas

    def is_current_thread(self) -> bool:
        """Whether the caller is one of the driver's own threads, in a callback."""
        return self.driver.is_current_thread()

    def refuse_fork(self) -> None:
        """Raise `ClosedError` in a forked child.

        The threads, and perhaps the lock's owner, stayed behind in the parent; a
        child that waited for either would wait for ever.
        """
        if self._pid != os.getpid():
            raise ClosedError(
                "this transcriber was inherited over a fork, and its threads were "
                "not; make a new one in the child process"
            )

    def now(self) -> float:
        """The stream's time."""
        return self._clock.now()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for a change. Requires the lock."""
        assert self.lock.locked()
        self._clock.wait(self.changed, seconds)

    @contextmanager
    def changing(self) -> Iterator[Core]:
        """Hold the lock, then wake all, then do what follows from the change."""
        with self.lock:
            yield self.core
            self.changed.notify_all()
        self.settle()

    def settle(self) -> None:
        """Answer futures and cut what has failed; requires that the lock is free."""
        failure: BaseException | None = None
        while True:
            with self.lock:
                if not self.core.answers:
                    # After a clean end the server's close frame is still to come.
                    cut = self._started and self.ended and not self.core.drained
                    break
                future, outcome = self._futures.popleft(), self.core.answers.popleft()
            try:
                if isinstance(outcome, str):
                    future.set_result(outcome)
                else:
                    future.set_exception(fresh(outcome))
            except BaseException as exc:
                # A callback of the future's that exits; the others want answers too.
                failure = failure or exc
        if cut:
            self.driver.cut()
        if failure is not None:
            raise failure

    # The callers' side

    def open(self) -> None:
        """Connect, if nobody has yet; see `Transcriber.open`."""
        with self.lock:
            while self.core.session.state is State.CONNECTING and not self._started:
                self.wait()  # another thread is at it
            self._refuse_if_ended()
            if self._started:
                return
            self.core.session.ours(Ours.CONNECT)
        try:
            request_id = self.driver.connect()
            with self.changing() as core:
                self._started = core.connected(request_id, self.now())
            if self._started:
                self.driver.start()
                return
        except BaseException as exc:  # Ctrl-C too must not leave others waiting
            if not self.ended:
                known = exc if isinstance(exc, CartesiaSTTError) else None
                self.fail(fresh(known or ClosedError("interrupted while connecting")))
                raise
        self.driver.discard()
        raise ClosedError("the session was aborted while connecting")

    def feed(self, audio: Any, timeout: float | None) -> None:
        """Queue audio; see `Transcriber.feed`."""
        seconds, pieces = self._converter.pieces(audio)
        if self.core.session.state is State.NEW:
            self.open()
        me = threading.get_ident()
        try:
            with self.lock:
                self._wait_for_room(seconds, timeout)
                self._feeding = me
                muted = self.muted
            self.journal("feed", seconds=seconds, muted=muted)
            for piece in pieces:
                # The lock is taken anew for each piece, a second of audio or what is
                # left of it, so that a long conversion does not hold up the threads.
                with self.lock:
                    self._refuse_if_ended()
                    self.core.feed(piece, muted=muted, now=self.now())
                    length, seconds = min(seconds, 1.0), max(seconds - 1.0, 0.0)
                    self.core.counters.fed += length
                    self.core.counters.muted += length if muted else 0.0
                    self.changed.notify_all()
        finally:
            with self.lock:
                if self._feeding == me:
                    self._feeding = None
                    self.changed.notify_all()

    def _wait_for_room(self, seconds: float, timeout: float | None) -> None:
        """Wait for one's turn, and for room for so much more. Requires the lock."""
        deadline = None if timeout is None else self.now() + timeout
        while True:
            self._refuse_if_ended()
            self.core.outbox.refuse_behind_close("feed")
            waiting, most = self.core.outbox.buffered, self._max_buffer
            # One piece longer than the whole buffer is taken when it is empty.
            room = most is None or not waiting or waiting + seconds <= most + _SLACK
            if room and self._feeding is None:
                return
            left = None if deadline is None else deadline - self.now()
            if self.is_current_thread():
                left = 0.0  # a callback must not wait for what its thread may bring
            if left is not None and left <= 0:
                raise buffer_full(waiting, most, seconds, self.core.connected_now)
            self.wait(left)

    def finalize(self) -> UtteranceFuture:
        """Queue a ``finalize``; see `Transcriber.finalize`."""
        if self.core.session.state is State.NEW:
            self.open()
        self.journal("finalize")
        future = UtteranceFuture(self)
        with self.lock:
            self._refuse_if_ended()
            self.core.finalize(self.now())
            self._futures.append(future)
            self.changed.notify_all()
        return future

    def stuck(self, future: UtteranceFuture) -> str:
        """Say why a future has no answer yet; see `Core.stuck`."""
        with self.lock:
            unanswered = list(self._futures)[len(self.core.answers) :]
            if future not in unanswered:
                return "nothing: the answer is there by now"
            return self.core.stuck(self.now(), unanswered.index(future))

    def close(self, wait: bool, timeout: float | None) -> None:
        """Drain and end; see `Transcriber.close`."""
        self.journal("close", wait=wait, timeout=timeout)
        with self.lock:
            deadline = None if timeout is None else self.now() + timeout
            self.core.close(self.now())
            self.changed.notify_all()
            if not wait or self.is_current_thread():
                return
            while not self.ended:
                left = None if deadline is None else deadline - self.now()
                if left is not None and left <= 0:
                    raise DrainTimeout(
                        f"not drained within timeout={timeout:g} s: stuck at "
                        f"{self.core.stuck(self.now())}; it goes on in the background"
                    )
                self.wait(left)
            error = self.core.error
        left = _JOIN if deadline is None else max(0.0, deadline - self.now())
        self.driver.join(min(left, _JOIN))
        if error is not None:
            raise fresh(error)

    def abort(self) -> None:
        """End now; see `Transcriber.abort`."""
        self.journal("abort")
        with self.changing() as core:
            core.abort()
        self.driver.cut()
        if not self.is_current_thread():
            self.driver.join(_JOIN)

    def events(self, keep: object) -> EventIterator:
        """Make an iterator of every event from here on."""
        iterator = EventIterator(self, keep)
        with self.lock:
            self._iterators.add(iterator)
        return iterator

    def _refuse_if_ended(self) -> None:
        """Raise why nothing can be done any more. Requires the lock."""
        if self.core.error is not None:
            raise fresh(self.core.error)
        if self.ended:
            raise ClosedError(
                "the session has ended, and a transcriber serves one; make a new "
                "transcriber"
            )

    # The driver's side

    def step(self) -> Send | Wait | None:
        """Say what to send now. Requires the lock; see `Core.step`."""
        assert self.lock.locked()
        step = self.core.step(self.now())
        if not isinstance(step, Wait):
            self.changed.notify_all()  # there is room, or it is over
        return step

    def received(self, message: bytes | ServerClosed) -> list[Call]:
        """Take in what the server sent; return what handlers are to be told."""
        with self.changing() as core:
            if isinstance(message, ServerClosed):
                core.server_closed(message.code, message.reason)
                return []
            size = len(message)
            calls = core.take_in(parse(message), self.now(), size)
            for kind, event in calls:
                if kind == "event":
                    for iterator in self._iterators:
                        core.counters.dropped_events += iterator.put(event, size)  # type: ignore[arg-type]  # an Event
            return calls

    def fail(self, error: CartesiaSTTError) -> None:
        """End with an error, unless it has ended already."""
        with self.changing() as core:
            core.fail(error)

    def wait_while(self, held: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until something does not hold any more, or the time is up.

        Args:
            held: Asked with the lock held.
            seconds: The limit; ``None`` is none.

        Returns:
            Whether it still holds.
        """
        with self.lock:
            until = None if seconds is None else self.now() + seconds
            while held():
                left = None if until is None else until - self.now()
                if left is not None and left <= 0:
                    return True
                self.wait(left)
            return False
