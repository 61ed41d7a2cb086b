"""The server's seconds and the caller's seconds.

Decides which second of what the caller fed a server's second is, given that
silence was put in between on the way. Pure arithmetic: no clock, no thread.
"""

from __future__ import annotations

from bisect import bisect_right

import attrs

from .events import Transcript, Word

__all__ = ["Timeline"]


class Timeline:
    """Where silence was inserted into the audio of one session.

    Holds two numbers a gap; adjoining insertions are one gap.

    Attributes:
        differs: Whether the two are not the same all along.
    """

    __slots__ = ("_base", "_before", "_lengths", "_starts", "differs")

    def __init__(self) -> None:
        self.restart(0.0)

    def restart(self, source: float) -> None:
        """Begin a session whose second 0 is the caller's second ``source``."""
        self.differs = bool(source)
        self._base = source
        self._starts: list[float] = []
        self._lengths: list[float] = []
        self._before: list[float] = []  # inserted ahead of the gap, in seconds

    def insert(self, at: float, seconds: float) -> None:
        """Note silence sent.

        Args:
            at: Seconds of audio sent in this session before it; never less than
                at the last call.
            seconds: How much.
        """
        if self._starts and at <= self._starts[-1] + self._lengths[-1] + 1e-9:
            self._lengths[-1] += seconds
            return
        self.differs = True
        before = self._before[-1] + self._lengths[-1] if self._starts else 0.0
        self._starts.append(at)
        self._lengths.append(seconds)
        self._before.append(before)

    def source_time(self, t: float) -> float:
        """Map the server's second ``t``; inside a gap it is where the gap began."""
        if not self._starts:
            return self._base + t
        gap = bisect_right(self._starts, t) - 1
        if gap < 0:
            return self._base + t
        inside = min(t - self._starts[gap], self._lengths[gap])
        return self._base + t - self._before[gap] - inside

    def mapped(self, event: Transcript) -> Transcript:
        """The same transcript with the times of its words as the caller's."""
        if not event.words or not self.differs:
            return event  # nothing to map, or the two are the same
        at = self.source_time
        words = tuple(
            Word(word.word, at(word.start), at(word.end), word.channel)
            for word in event.words
        )
        return attrs.evolve(event, words=words)
