"""The one place where this library looks at a clock or waits for one.

Everything that decides takes the time as an argument; whoever drives it reads
the time here. Tests put a clock of their own in its place and never sleep.
"""

from __future__ import annotations

import threading
import time

__all__ = ["Clock"]


class Clock:
    """The monotonic clock: it neither jumps nor runs back when the wall clock does."""

    def now(self) -> float:
        """Return seconds since some fixed moment."""
        return time.monotonic()

    def stamp(self) -> str:
        """Return the date and time of day in UTC, for names and labels only."""
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Wait for a notify, or for ``seconds`` to pass; it may also wake early.

        Requires the condition's lock.

        Args:
            condition: What to wait on.
            seconds: The limit; ``None`` is none.
        """
        if seconds is not None:
            seconds = min(seconds, threading.TIMEOUT_MAX)
        condition.wait(seconds)
