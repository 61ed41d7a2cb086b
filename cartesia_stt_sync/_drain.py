"""How long the end of the transcript is awaited once ``close`` is sent.

Decides when a server counts as silent. Time is an argument, never a call.
"""

from __future__ import annotations

__all__ = ["Drain"]


class Drain:
    """The wait from ``close`` to ``done``.

    The time that callbacks take is theirs and not the server's: its answer may be
    there, behind one that has not returned. One that hangs ends the wait all the
    same, after as long again.

    Args:
        limit: Seconds; ``None``: no limit.

    Attributes:
        begun: Whether ``close`` is sent.
        sent: When it was.
    """

    __slots__ = ("_by", "_telling_since", "begun", "limit", "sent")

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.sent = 0.0
        self._by = 0.0
        self._telling_since: float | None = None  # while a callback runs
        self.begun = False

    def begin(self, now: float) -> None:
        """Note that ``close`` is on its way; after a reconnect once more."""
        self.begun = True
        self.sent = now
        self._by = now + (self.limit or 0.0)

    def give_up(self) -> None:
        """Note that the answer is not wanted any more."""
        self.begun = False

    def telling(self, now: float) -> None:
        """Note that a callback has begun, behind which events wait."""
        self._telling_since = now

    def told(self, now: float) -> None:
        """Note that it has returned."""
        if self.begun and self._telling_since is not None:
            self._by += now - max(self._telling_since, self.sent)
        self._telling_since = None

    def until(self) -> float | None:
        """Return when it has taken too long; ``None``: never."""
        if self.limit is None:
            return None
        if self._telling_since is not None:
            return max(self._by, self._telling_since + self.limit)
        return self._by
