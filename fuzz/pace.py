"""How fast audio may go, as the library's documents put it.

Decides whether what went on one connection kept to real time, and whether a gap got
no more silence than was allowed: too fast and the service gives up, and silence is
billed.
"""

from __future__ import annotations

import math
from typing import Protocol

__all__ = ["Pace"]

_SLACK = 1e-6
"""Seconds, because sums of floats are not exact."""

_FILL = 0.1
"""Seconds of a message of silence where audio goes out as it was fed."""


class Limits(Protocol):
    """The settings that matter here, in seconds; ``None`` is no limit."""

    @property
    def chunk(self) -> float | None:
        """Length of a message of audio."""

    @property
    def catch_up(self) -> float | None:
        """How far the audio may lag and still be made up for."""

    @property
    def silence(self) -> tuple[float | None, float | None]:
        """When a gap is filled, and how much of it."""

    @property
    def keep_alive(self) -> float | None:
        """How often an idle stream sends silence."""


class Pace:
    """What went on one connection, and when.

    Args:
        limits: What is allowed.
        rate: Bytes a second.
    """

    def __init__(self, limits: Limits, rate: int) -> None:
        self._limits = limits
        self._rate = rate
        self.restart(0.0)

    def restart(self, now: float) -> None:
        """Begin a connection."""
        self._seconds = 0.0  # of audio so far
        self._ahead = -math.inf  # by how much a window may lead, at most
        self._largest = self._limits.chunk or _FILL
        self._quiet_since = now
        self._silence = 0.0

    def went(self, now: float, size: int, *, voiced: bool) -> None:
        """Note a message, and compare it with every window that ends with it."""
        seconds = size / self._rate
        self._largest = max(self._largest, seconds)
        # Of all windows, the one counts that began where the audio lagged most.
        self._ahead = max(self._ahead, now - self._seconds)
        self._seconds += seconds
        if self._limits.catch_up is not None:
            lead = self._seconds - now + self._ahead
            most = self._limits.catch_up + 2 * self._largest
            assert lead <= most + _SLACK, f"{lead:g} s too early, limit {most:g}"
        if voiced:
            self._quiet_since, self._silence = now, 0.0
        else:
            self._silence += seconds
            self._check_silence(now)

    def _check_silence(self, now: float) -> None:
        after, limit = self._limits.silence
        allowed = 0.0 if after is None else limit
        if allowed is None:
            return
        if self._limits.keep_alive is not None:
            turns = (now - self._quiet_since + _SLACK) // self._limits.keep_alive
            allowed += turns * (self._limits.chunk or _FILL)
        assert self._silence <= allowed + 1e-4, f"{self._silence:g} s of silence"
