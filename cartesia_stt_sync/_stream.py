"""One stream behind its lock: what callers block on, and what wakes them.

Decides nothing about speech (`_core` does) and touches no socket (its driver does).
Here the two meet: under the lock the core is told what happened; after release
the futures are answered and the connection is cut.

Who wakes whom: whoever changes state calls `wake`, for all who wait on ``changed``
and for the driver.

Who ends it: the first to find a reason tells the core, under the lock, and then
calls `settle`, without it. Each later reason changes nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import InvalidStateError
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

import attrs

from ._clock import Clock
from ._core import Core
from ._ears import Ears, Heard
from ._gate import Driver, Gate, uninterrupted
from ._handlers import Handlers
from ._news import Call, cleaned
from ._outbox import Wait
from ._queue import Send
from ._session import Ours, State
from ._transport import ServerClosed
from ._waiting import (
    EventIterator,
    UtteranceFuture,
    buffer_full,
    fresh,
    refuse_feeding_within,
    turn_taken,
    wait_for_room,
)
from .audio import Converter
from .errors import BufferFull, CartesiaSTTError, ClosedError, DrainTimeout
from .events import ErrorEvent, Malformed, Unknown
from .wire import EXCERPT, parse

__all__ = ["Stream"]

T = TypeVar("T")
P = ParamSpec("P")

_SLACK = 1e-9  # seconds, because sums of floats are not exact

_NOTHING = Heard()

_JOIN = 10.0
"""Seconds that a callback still running may hold up `close` and `abort`."""


def _keep_none(event: str, **fields: object) -> None:
    """The journal of a session that nobody writes down."""


class Stream:
    """The state of one transcriber, and the calls that wait for it to change.

    Args:
        core: The state.
        converter: From what the caller feeds to what the wire takes.
        ears: Who listens to it; used by whoever feeds, without the lock.
        max_buffer: Seconds of audio that may wait; ``None``: no limit.
        clock: The time.
        gate: Whose lock it lives behind; ``None``: one of its own.
        clean: Takes the credential out of what the server says of an error.

    Attributes:
        lock, changed: The gate's.
        clock: The time.
        now: What it is.
        muted: Whether what is fed is replaced by silence.
        journal: Told what callers do, without the lock; for the flight recorder.
    """

    __slots__ = (
        *("_clean", "_converter", "_driver", "_ears", "_feeding", "_gate"),
        *("_iterators", "_max_buffer", "_pid", "_started", "changed", "clock"),
        *("core", "journal", "lock", "muted", "now"),
    )

    def __init__(
        self,
        *,
        core: Core,
        converter: Converter,
        ears: Ears,
        max_buffer: float | None,
        clock: Clock,
        gate: Gate | None = None,
        clean: Callable[[str], str] = str,
    ) -> None:
        self._clean = clean
        self._converter = converter
        self._ears = ears
        self._max_buffer = max_buffer
        self.clock = clock
        self.now = clock.now
        self._pid = os.getpid()
        self._gate = gate or Gate()
        self._driver: Driver  # set by whoever makes the stream, before any call

        self.lock = self._gate.lock
        self.changed = self._gate.changed
        self.core = core
        self.muted = False
        self.journal: Callable[..., None] = _keep_none
        self._started = False
        self._feeding: int | None = None  # the thread whose feed is under way
        self._iterators: WeakSet[EventIterator] | None = None  # as most have none

    @property
    def driver(self) -> Driver:
        """Who moves its messages."""
        return self._driver

    @driver.setter
    def driver(self, driver: Driver) -> None:
        self._driver = driver
        self._gate.drivers.append(driver)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Itself alone; see `Split`."""
        return (self,)

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""
        return self.core.session.ended

    @property
    def unsettled(self) -> bool:
        """Whether there may be something for `settle` to do; asked without the lock."""
        return bool(self.core.finalizes.answers) or self.core.session.ended

    @property
    def left_open(self) -> bool:
        """Whether nobody has closed it in this process."""
        unused = self.core.session.state is State.NEW
        done = unused or self.ended or self.core.outbox.closing
        return not done and not self.inherited

    @property
    def draining(self) -> bool:
        """Whether it has been closed, and is not over."""
        return self.core.outbox.closing and not self.ended

    @property
    def inherited(self) -> bool:
        """Whether this is a forked child's copy."""
        return self._pid != os.getpid()

    @property
    def error(self) -> CartesiaSTTError | None:
        """Why the session failed, if it did."""
        return self.core.error

    @property
    def attended(self) -> bool:
        """Whether somebody waits for the end, or iterates; its error is theirs."""
        return self._gate.attended

    def attend(self) -> None:
        """Note that somebody does."""
        self._gate.attended = True

    def is_current_thread(self) -> bool:
        """Whether the caller is in a callback of this transcriber's."""
        return self._gate.is_current_thread()

    def keep(self, handlers: Handlers) -> None:
        """Hold the handlers until the end."""
        self.driver.keep(handlers)

    def refuse_fork(self) -> None:
        """Raise `ClosedError` in a forked child.

        The threads, and perhaps the lock's owner, stayed behind in the parent; a
        child that waited for either would wait for ever.
        """
        if self.inherited:
            raise ClosedError(
                "this transcriber was inherited over a fork, and its threads were "
                "not; make a new one in the child process"
            )

    def wait(self, seconds: float | None = None) -> None:
        """Wait for a change. Requires the lock."""
        self._gate.waiting += 1
        try:
            self.clock.wait(self.changed, seconds)
        finally:
            self._gate.waiting -= 1

    def wake(self) -> None:
        """Tell all whom a change may concern. Requires the lock."""
        assert self.lock.locked()
        self.changed.notify_all()
        self._driver.woken()

    def change(
        self, how: Callable[Concatenate[Core, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Change the core, wake all, then do what follows; return what ``how`` did.

        No context manager, which would read as well: a Ctrl-C between its lock and the
        ``with`` block would leave the lock held.
        """
        with self.lock:
            made = how(self.core, *args, **kwargs)
            self.wake()
        self.settle()
        return made

    def settle(self) -> None:
        """Answer futures and cut what has failed; requires that the lock is free."""
        failure: BaseException | None = None
        while True:
            with self.lock:
                answers = self.core.finalizes.answers
                if not answers:
                    # After a clean end the server's close frame is still to come.
                    cut = self._started and self.ended and not self.core.drained
                    break
                answer = future, outcome = answers[0]
            if future is not None:  # else an endpointer's, whose text is in the deltas
                assert isinstance(future, UtteranceFuture)
                try:
                    if isinstance(outcome, str):
                        future.set_result(outcome)
                    else:
                        future.set_exception(fresh(outcome))
                except InvalidStateError:
                    pass  # another thread is at it, too
                except BaseException as exc:
                    # A Ctrl-C, or a callback of the future's that exits; the others
                    # want answers too.
                    failure = failure or exc
            with self.lock:
                # Not before: who is interrupted in between leaves it to the next one.
                done = future is None or future.done()
                if done and answers and answers[0] is answer:
                    del answers[0]
        if cut:
            self.driver.cut()
        if failure is not None:
            raise failure

    # The callers' side

    def open(self) -> None:
        """Connect, if nobody has yet; see `Transcriber.open`."""
        mine = False
        try:
            with self.lock:
                while self.core.session.state is State.CONNECTING and not self._started:
                    self.wait()  # another thread is at it
                self._refuse_if_ended()
                if self._started:
                    return
                mine = True  # noted first, for who is interrupted from here on
                self.core.session.ours(Ours.CONNECT)
            request_id = self.driver.connect()
            with self.lock:
                self._started = self.core.connected(request_id, self.now())
                self.wake()
            self.settle()
            if self._started:
                self.driver.start()
                return
        except BaseException as exc:  # Ctrl-C too must not leave others waiting
            if not mine:
                raise
            aborted = self.ended  # by another thread, meanwhile
            if not aborted:
                known = exc if isinstance(exc, CartesiaSTTError) else None
                self.fail(fresh(known or ClosedError("interrupted while connecting")))
            if not self._started:
                self.driver.discard()
            if not (aborted and isinstance(exc, Exception)):
                raise
        self.driver.discard()
        raise ClosedError("the session was aborted while connecting")

    def feed(self, audio: Any, timeout: float | None, *, waited: bool = False) -> None:
        """Queue audio; see `Transcriber.feed`.

        Args:
            audio: What is fed.
            timeout: Seconds to wait for room.
            waited: Whether it has waited elsewhere already.
        """
        seconds, pieces = self._converter.pieces(audio)
        if self.core.session.state is State.NEW:
            self.open()
        me, mine = threading.get_ident(), False
        try:
            with self.lock:
                refuse_feeding_within(self._feeding)
                if self.obstacle(seconds) is not None:
                    wait_for_room(self, lambda: self.obstacle(seconds), timeout)
                    waited = True
                mine = True  # noted first, for who is interrupted here
                self._feeding = me
                muted = self.muted
            self.journal("feed", seconds=seconds, muted=muted)
            failure: BaseException | None = None
            for piece in pieces:
                length, seconds = min(seconds, 1.0), max(seconds - 1.0, 0.0)
                heard = _NOTHING
                # The lock is taken anew for each piece, a second of audio or what is
                # left of it, so that a long conversion does not hold up the threads.
                with self.lock:
                    self._refuse_if_ended()
                    data = self._converter.convert(piece, muted=muted)
                    if not self._ears.hears_ends:
                        # Sent first: whoever only looks for mistakes has time.
                        self._take(data, length, muted, ())
                if self._ears.hears_ends:
                    try:
                        if failure is None:
                            heard = self._ears.hear(piece, data, muted=muted)
                    except BaseException as exc:
                        failure = exc  # an endpointer that raises shall not cost audio
                    with self.lock:
                        self._refuse_if_ended()
                        self._take(data, length, muted, heard.ends)
                self._driver.push()
                if not (self._ears.hears_ends or self._ears.deaf):
                    heard = self._ears.hear(piece, data, muted=muted)
                with self.lock:
                    self.core.heard(heard, length, self.now(), blocked=waited)
                    if self.core.findings.to_log:
                        self._driver.woken()  # who writes the log
            if failure is not None:
                raise failure
        finally:
            with self.lock:
                if mine and self._feeding == me:
                    self._feeding = None
                    if self._gate.waiting:
                        self.changed.notify_all()  # for others who feed

    def _take(
        self, data: bytes, seconds: float, muted: bool, ends: Sequence[int]
    ) -> None:
        """Queue a piece that has been converted. Requires the lock."""
        self.core.feed(data, muted=muted, now=self.now(), ends=ends)
        self.core.counters.fed += seconds
        self.core.counters.muted += seconds if muted else 0.0

    def obstacle(self, seconds: float) -> BufferFull | None:
        """Say why so much cannot be queued now; ``None``: it can.

        Requires the lock.

        Raises:
            CartesiaSTTError: It can never be.
        """
        self._refuse_if_ended()
        self.core.outbox.refuse_behind_close("feed")
        waiting, most = self.core.outbox.buffered, self._max_buffer
        # One piece longer than the whole buffer is taken when it is empty.
        if most is None or not waiting or waiting + seconds <= most + _SLACK:
            return turn_taken(self._feeding)
        return buffer_full(waiting, most, seconds, self.core.connected_now)

    def finalize(self) -> UtteranceFuture:
        """Queue a ``finalize``; see `Transcriber.finalize`."""
        if self.core.session.state is State.NEW:
            self.open()
        self.journal("finalize")
        self._ears.reset()
        future = UtteranceFuture(self)
        with self.lock:
            self._refuse_if_ended()
            self.core.finalize(self._converter.flush(), self.now(), future)
            if self.core.findings.to_log:
                self._driver.woken()
        self._driver.push()
        return future

    def config(self, changes: Mapping[str, object]) -> None:
        """Queue a change of the configuration; see `Transcriber.config`."""
        if self.core.session.state is State.NEW:
            self.open()
        self.journal("config", changes=changes)
        with self.lock:
            self._refuse_if_ended()
            self.core.config(changes, self.now())
        self._driver.push()

    def stuck(self, future: UtteranceFuture) -> str:
        """Say why a future has no answer yet; see `Core.stuck`."""
        with self.lock:
            if not self.core.finalizes.is_waiting(future):
                return "nothing: the answer is there by now"
            return self.core.stuck(self.now(), future)

    def close(self, wait: bool, timeout: float | None) -> None:
        """Drain and end; see `Transcriber.close`."""
        self.journal("close", wait=wait, timeout=timeout)
        with self.lock:
            partial = self._converter.pending_bytes
            self.core.close(self._converter.flush(), partial, self.now())
            self.wake()
        if wait and not self.is_current_thread():
            self.await_end(timeout)

    def await_end(self, timeout: float | None) -> None:
        """Wait for the end, once it is on its way, and raise what it ended with."""
        with self.lock:
            self.attend()
            deadline = None if timeout is None else self.now() + timeout
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
        if not self.ended:
            uninterrupted(self.stop)
        self.settle()
        self.driver.cut()
        if not self.is_current_thread():
            self.driver.join(_JOIN)

    def stop(self) -> None:
        """End now, and wake all who wait; what else there is to do is `abort`'s.

        Should a second Ctrl-C keep that from it, the driver does it, who is woken, too.
        """
        with self.lock:
            self.core.abort()
            self.wake()

    def events(self, keep: object) -> EventIterator:
        """Make an iterator of every event from here on."""
        iterator = EventIterator(self, keep)
        with self.lock:
            self.put_into(iterator)
        return iterator

    def put_into(self, iterator: EventIterator) -> None:
        """Put each event from here on into an iterator, too. Requires the lock."""
        if self._iterators is None:
            self._iterators = WeakSet()
        self._iterators.add(iterator)

    def _refuse_if_ended(self) -> None:
        """Raise why nothing can be done any more. Requires the lock."""
        if self.core.error is not None:
            raise fresh(self.core.error)
        if self.ended:
            how = "was aborted" if self.core.aborted else "has ended"
            raise ClosedError(
                self.core.outbox.spent
                or f"the session {how}, and a transcriber serves one; make a new "
                "transcriber"
            )

    # The driver's side

    def step(self, early: float = 0.0) -> Send | Wait | None:
        """Say what to send now. Requires the lock; see `Core.step`."""
        step = self.core.step(self.now(), early)
        if self._gate.waiting and not isinstance(step, Wait):
            self.changed.notify_all()  # there is room, or it is over
        return step

    def received(self, message: bytes | ServerClosed) -> list[Call]:
        """Take in what the server sent; `settle` is to be called next.

        Returns:
            What handlers are to be told.
        """
        core = self.core
        if isinstance(message, ServerClosed):
            reason = self._clean(message.reason)
            with self.lock:
                calls = core.server_closed(message.code, reason, self.now())
                self.wake()
            return calls
        # Parsed before the lock is taken: nobody shall wait for that.
        event, size, filler = parse(message), len(message), core.outbox.filler
        if isinstance(event, (ErrorEvent, Malformed, Unknown)):
            event = cleaned(event, self._clean)
        if isinstance(event, Malformed):  # not a key of which the end is cut off
            whole = self._clean(message.decode("utf-8", "backslashreplace"))
            event = attrs.evolve(event, data=whole[:EXCERPT])
        with self.lock:
            owed = filler.unanswered
            calls = core.take_in(event, self.now(), size, message)
            if self._iterators is not None:
                self._put(calls, size)
            if self._gate.waiting:
                self.changed.notify_all()
            sooner = filler.unanswered and not owed  # silence is due then
            if sooner or core.session.ended or core.findings.to_log:
                # Nothing else that comes in is a reason to send, or to send sooner.
                self._driver.woken()
        return calls

    def _put(self, calls: list[Call], size: int) -> None:
        """Let iterators have what handlers of every event get."""
        for kind, event in calls:
            for iterator in self._iterators or () if kind == "event" else ():
                dropped = iterator.put(event, size)  # type: ignore[arg-type]  # it is one
                self.core.counters.dropped_events += dropped

    def journal_skipped(self) -> None:
        """Note what a new connection has made the core leave out."""
        skipped = self.core.outbox.seconds(self.core.outbox.skipped_now)
        if skipped:
            self.journal("skipped", seconds=skipped)

    def fail(self, error: CartesiaSTTError) -> None:
        """End with an error, unless it has ended already."""
        self.change(Core.fail, error)

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
