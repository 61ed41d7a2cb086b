"""What callers wait on: the future of an utterance, the iterators of a session.

Decides how a wait ends, and that nobody waits on the one thread that could end
it. The waiting itself is done on the stream's condition.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from itertools import chain
from typing import Protocol, TypeVar

from .errors import BufferFull, CartesiaSTTError, WouldDeadlock
from .events import Event, Transcript, TurnUpdate

__all__ = [
    "EventIterator",
    "JointFuture",
    "UtteranceFuture",
    "buffer_full",
    "fresh",
    "iterate_all",
    "refuse_feeding_within",
    "turn_taken",
    "wait_for_room",
]

T = TypeVar("T")


class Watched(Protocol):
    """What an iterator needs of a stream; all of it guarded by the lock."""

    lock: threading.Lock

    def now(self) -> float:
        """The time."""

    @property
    def ended(self) -> bool:
        """Whether nothing more can come."""

    @property
    def error(self) -> CartesiaSTTError | None:
        """Why the session failed, if it did."""

    def wait(self, seconds: float | None = None) -> None:
        """Wait for a change. Requires the lock."""

    def refuse_fork(self) -> None:
        """Raise `ClosedError` in a process that only inherited the session."""

    def attend(self) -> None:
        """Note that somebody iterates, and so is told of the session's error."""

    def is_current_thread(self) -> bool:
        """Whether the caller is the thread that would bring the change."""

    def stuck(self, future: UtteranceFuture) -> str:
        """Say why a future has no answer yet."""


class UtteranceFuture(Future[str]):
    """The text of one utterance, there once the server has flushed it.

    Threads: any may wait, except in a callback of the same transcriber: what
    would end the wait comes on the thread that runs callbacks.
    """

    def __init__(self, stream: Watched) -> None:
        super().__init__()
        self._stream = stream
        # What was asked of the server cannot be taken back, so neither this.
        self.set_running_or_notify_cancel()

    def result(self, timeout: float | None = None) -> str:
        """Return the utterance's text.

        Args:
            timeout: Seconds to wait; ``None`` is no limit.

        Raises:
            TimeoutError: It did not come in time; the message names the stage that
                holds it up (in Python 3.10 `concurrent.futures.TimeoutError`).
            CartesiaSTTError: The session ended before.
            WouldDeadlock: Called in a callback, where it could never come.
        """
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what `result` would raise, or ``None``; waits like `result`."""
        self._wait(timeout)
        return super().exception(0)

    def _wait(self, timeout: float | None) -> None:
        self._stream.refuse_fork()
        timeout = None if timeout is None else float(timeout)  # not one of NumPy's
        waits = timeout is None or timeout > 0
        if waits and not self.done() and self._stream.is_current_thread():
            raise WouldDeadlock(
                "a callback waits for finalize(), whose answer arrives on the "
                "callback's own thread; use add_done_callback(), or wait elsewhere"
            )
        try:
            super().exception(timeout)
        except FutureTimeout:
            stage = self._stream.stuck(self)
        else:
            return
        if not self.done():  # else it came in this very moment
            raise FutureTimeout(
                f"finalize() is not answered within {timeout:g} s: stuck at {stage}"
            )


class JointFuture(UtteranceFuture):
    """One utterance of several channels: the texts of all, a line for each that spoke.

    Args:
        stream: Whose.
        parts: One of each channel.
    """

    def __init__(self, stream: Watched, parts: Sequence[UtteranceFuture]) -> None:
        super().__init__(stream)
        self.parts = tuple(parts)
        for part in self.parts:
            part.add_done_callback(lambda part: self._join())

    def _join(self) -> None:
        """Put the answers together, once all are there."""
        if not all(map(Future.done, self.parts)):
            return
        errors = [part.exception(0) for part in self.parts]
        error = next(filter(None, errors), None)
        # Two may come at once, and each sees both.
        with suppress(InvalidStateError):
            if error is not None:
                self.set_exception(error)
            else:
                texts = [part.result(0) for part in self.parts]
                self.set_result("\n".join(filter(None, texts)))

    def _wait(self, timeout: float | None) -> None:
        if not self.done():
            self._join()  # who was to do so may have been interrupted
        super()._wait(timeout)


def wait_for_room(
    stream: Watched, obstacle: Callable[[], BufferFull | None], timeout: float | None
) -> bool:
    """Wait until there is room, and tell whether that took any wait at all.

    Requires the lock.

    Args:
        stream: Where.
        obstacle: Why there is none; ``None``: there is.
        timeout: Seconds to wait; ``None`` is no limit.

    Raises:
        BufferFull: No room in time.
    """
    waited = False
    deadline = None if timeout is None else stream.now() + timeout
    while (full := obstacle()) is not None:
        waited = True
        left = None if deadline is None else deadline - stream.now()
        if stream.is_current_thread():
            left = 0.0  # a callback must not wait for what its thread may bring
        if left is not None and left <= 0:
            raise full
        stream.wait(left)
    return waited


def refuse_iterating(on_receiver: bool) -> None:
    """Say why an iterator must not wait in a callback."""
    if on_receiver:
        raise WouldDeadlock(
            "a callback iterates over events, which arrive on the callback's own "
            "thread; iterate elsewhere, or use on()"
        )


def iterate_all(
    stream: Watched,
    lanes: Sequence[Sequence[T]],
    keep: object,
    merge: Callable[[Sequence[Sequence[T]]], Iterable[T]] = chain.from_iterable,
) -> Iterator[T]:
    """Give each final delta, or each turn, once, from the session's first on.

    Args:
        stream: Whose.
        lanes: All so far, of each channel; only ever appended to, under the lock.
        keep: The caller's transcriber: while someone iterates it is not forgotten.
        merge: Puts what has come since of several channels in order.
    """
    seen = [0] * len(lanes)
    while True:
        stream.refuse_fork()
        with stream.lock:
            stream.attend()
            while seen == [len(lane) for lane in lanes] and not stream.ended:
                refuse_iterating(stream.is_current_thread())
                stream.wait()
            batch = [lane[begin:] for lane, begin in zip(lanes, seen, strict=True)]
            error = stream.error
        if not any(batch):
            if error is not None:
                raise fresh(error)
            return
        seen = [n + len(part) for n, part in zip(seen, batch, strict=True)]
        yield from merge(batch)


class EventIterator(Iterator[Event]):
    """Every event from its making on, bounded in number and in bytes.

    Full, it drops the oldest provisional transcript, or update of a turn: the next one
    replaces it anyway. Only where none is left does it drop the oldest event.

    Attributes:
        dropped: How many events it has dropped.
    """

    limit = 1000
    limit_bytes = 16 << 20

    def __init__(self, stream: Watched, keep: object) -> None:
        self._stream = stream
        self._keep = keep
        self._events: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self.dropped = 0

    def put(self, event: Event, size: int) -> int:
        """Add an event; return how many had to go. Requires the stream's lock.

        Args:
            event: The latest.
            size: Bytes of its message.
        """
        before = self.dropped
        while self._events and (
            len(self._events) >= self.limit or self._bytes + size > self.limit_bytes
        ):
            self._drop_one()
        self._events.append((event, size))
        self._bytes += size
        return self.dropped - before

    def _drop_one(self) -> None:
        oldest = next(
            (
                index
                for index, (event, _) in enumerate(self._events)
                if isinstance(event, TurnUpdate)
                or (isinstance(event, Transcript) and not event.is_final)
            ),
            0,
        )
        self._bytes -= self._events[oldest][1]
        del self._events[oldest]
        self.dropped += 1

    def __iter__(self) -> EventIterator:
        return self

    def __next__(self) -> Event:
        stream = self._stream
        stream.refuse_fork()
        with stream.lock:
            stream.attend()
            while not self._events and not stream.ended:
                refuse_iterating(stream.is_current_thread())
                stream.wait()
            if self._events:
                event, size = self._events.popleft()
                self._bytes -= size
                return event
            error = stream.error
        if error is not None:
            raise fresh(error)
        raise StopIteration


def refuse_feeding_within(feeding: int | None) -> None:
    """Say why a feed must not wait for itself, as it would in an endpointer.

    Args:
        feeding: The thread that one is under way on; ``None``: none is.

    Raises:
        WouldDeadlock: It is the caller's own.
    """
    if feeding == threading.get_ident():
        raise WouldDeadlock("feed() was called within feed(), by an endpointer")


def turn_taken(feeding: int | None) -> BufferFull | None:
    """What a feed raises that may not wait as long as another is under way."""
    if feeding is None:
        return None
    return BufferFull(
        "another thread was in the middle of feed(), and this call could not wait any "
        "longer: let one thread feed, or wait longer; a callback never waits"
    )


def buffer_full(
    waiting: float, most: float, seconds: float, connected: bool
) -> BufferFull:
    """What a feed that found no room in time raises; lengths are in seconds.

    Args:
        waiting: What waits to be sent.
        most: The buffer's length.
        seconds: What was to be added.
        connected: Whether a connection stands.
    """
    why = "the connection was lost and does not stand again yet"
    if connected:
        why = "audio goes out in real time: feed slower, or raise timeout or max_buffer"
    return BufferFull(
        f"{waiting:.2f} s of audio wait, and max_buffer={most} s leaves no room for "
        f"{seconds:.2f} s more; {why}"
    )


def fresh(error: CartesiaSTTError) -> CartesiaSTTError:
    """A copy to raise: each caller's traceback is its own, and none grows."""
    copy = type(error)(*error.args)
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy
