"""Which finalizes await their answer, and what their answers were.

Decides which answer belongs to which: no id pairs them, so the k-th answers the
k-th. Time is an argument, never a call.
"""

from __future__ import annotations

from collections import deque

from .errors import CartesiaSTTError

__all__ = ["Finalizes"]


class Finalizes:
    """Those of one session, in their order.

    Attributes:
        pending: How many have no answer yet, on the wire or not.
        answers: For each that is over, its text, or the error that took its place;
            whoever keeps the futures empties it.
    """

    def __init__(self) -> None:
        self.pending = 0
        self.answers: deque[str | CartesiaSTTError] = deque()
        self._sent_at: list[float] = []  # of those on the wire

    @property
    def on_the_wire(self) -> int:
        """How many are sent and have no answer."""
        return len(self._sent_at)

    def queued(self) -> None:
        """Note one that the caller has made."""
        self.pending += 1

    def sent(self, now: float) -> None:
        """Note that the next one goes out."""
        self._sent_at.append(now)

    def sent_at(self, number: int) -> float | None:
        """When one of the unanswered was sent, counted from 0; ``None``: not yet."""
        return self._sent_at[number] if number < len(self._sent_at) else None

    def rewind(self) -> None:
        """The connection is lost: those on the wire will go out again."""
        self._sent_at.clear()

    def answered(self, text: str, now: float) -> float:
        """Answer the oldest on the wire; return the seconds that it took."""
        self._answer(text)
        return now - self._sent_at.pop(0)

    def answer_next(self, outcome: str | CartesiaSTTError) -> None:
        """Answer one that the server has passed over."""
        self._answer(outcome)

    def _answer(self, outcome: str | CartesiaSTTError) -> None:
        self.pending -= 1
        self.answers.append(outcome)
