"""The one place where this library looks at a clock or waits for one.

Everything that decides takes the time as an argument; whoever drives it reads
the time here. Tests put a clock of their own in its place and never sleep.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

__all__ = ["Awaited", "Bell", "Clock"]


class Awaited(Protocol):
    """What can be waited for, as a condition can."""

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of its lock until it rings, or for so many seconds."""


class Bell:
    """A condition that one thread waits on; it makes no lock anew for each wait.

    Args:
        lock: What guards it.

    Threads: one may `wait`, any may `notify`; both require the lock.
    """

    __slots__ = ("_lock", "_rung", "_waited_for")

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._rung = threading.Lock()  # held, but from a ring to the end of a wait
        self._rung.acquire()
        self._waited_for = False  # guarded by the lock: whether a ring would be heard

    def wait(self, timeout: float | None = None) -> bool:
        """Let go of the lock until it rings, or for so many seconds; see `Condition`.

        Returns:
            Whether it has rung.
        """
        self._waited_for = True
        self._lock.release()
        rung = False
        try:
            rung = self._rung.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            self._lock.acquire()
            if not self._waited_for:
                # It has rung, though perhaps between the time-out and here.
                rung = rung or self._rung.acquire()
            self._waited_for = False
        return rung

    def notify(self) -> None:
        """Wake who waits, if somebody does."""
        if self._waited_for:
            self._waited_for = False
            self._rung.release()


class Clock:
    """The monotonic clock: it neither jumps nor runs back when the wall clock does."""

    now = staticmethod(time.monotonic)
    """Return seconds since some fixed moment. No call of its own: it is asked often."""

    def stamp(self) -> str:
        """Return the date and time of day in UTC, for names and labels only."""
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())

    def wait(self, condition: Awaited, seconds: float | None) -> None:
        """Wait for a notify, or for ``seconds`` to pass; it may also wake early.

        Requires the condition's lock.

        Args:
            condition: What to wait on.
            seconds: The limit; ``None`` is none.
        """
        if seconds is not None:
            seconds = min(seconds, threading.TIMEOUT_MAX)
        condition.wait(seconds)
