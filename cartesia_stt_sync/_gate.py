"""The lock of a transcriber, and what its streams ask of whoever drives them.

Decides nothing. `Driver` says what a stream needs of the threads behind it; `Gate` is
what the streams of one transcriber share; `uninterrupted` is for what must not be left
half done.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Protocol

from ._handlers import Handlers

__all__ = ["Driver", "Gate", "uninterrupted"]


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

    def woken(self) -> None:
        """Hear that there may be something to do; called with the stream's lock."""

    def push(self) -> None:
        """Send what is due now that more is queued, or have it sent; never waits.

        Called without the stream's lock.
        """


class Gate:
    """What the streams of one transcriber share: a lock, and whose threads call back.

    Attributes:
        lock: Guards the streams' cores, and all else of them. It is never held while
            sending, receiving, connecting, joining a thread, or running a callback of
            a handler's or a future's. Always ``with lock``, never ``with changed``:
            that is Python code, in which a Ctrl-C could leave the lock held.
        changed: The lock's one condition, to wait on and to notify.
        waiting: How many wait on it: to notify nobody takes longer than to look.
        attended: Whether somebody has waited for the end, or iterated: who is told of
            the session's error.
        drivers: Of all the streams; only appended to, before any call.
    """

    __slots__ = ("attended", "changed", "drivers", "lock", "waiting")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.waiting = 0
        self.attended = False
        self.drivers: list[Driver] = []

    def is_current_thread(self) -> bool:
        """Whether the caller is one of the drivers' own threads, in a callback."""
        return any(driver.is_current_thread() for driver in self.drivers)


def uninterrupted(steps: Callable[[], None]) -> None:
    """Take steps of which a Ctrl-C must not leave half undone.

    It falls to the main thread, and to no other: whoever is that has them taken by
    another, and may be interrupted while it waits.

    Raises:
        BaseException: What they raised.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or sys.is_finalizing():  # when a new thread would never run
        steps()
        return
    failures: list[BaseException] = []

    def take() -> None:
        try:
            steps()
        except BaseException as exc:
            failures.append(exc)

    thread = threading.Thread(target=take, name="cartesia-stt-steps", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # there are no more threads to be had
        steps()
        return
    thread.join()
    if failures:
        raise failures.pop()
