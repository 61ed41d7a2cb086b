"""Which finalizes await their answer, and what their answers were.

Decides which answer belongs to which: no id pairs them, so the k-th that was sent is
answered by the k-th. Each is known by who waits for it, from the call to the answer,
so that no call that is broken off in the middle puts the others out of step. Time is
an argument, never a call.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import CartesiaSTTError

__all__ = ["Finalizes"]

Outcome = str | CartesiaSTTError


class Finalizes:
    """Those of one session, in their order.

    Whoever waits for one is any object, told apart by identity; ``None`` is nobody.

    Attributes:
        answers: Who waited, and for what: the text, or the error that took its place;
            whoever tells them empties it.
    """

    __slots__ = ("_sent", "_waiting", "answers")

    def __init__(self) -> None:
        self.answers: list[tuple[object, Outcome]] = []
        self._waiting: list[object] = []  # for those without an answer, sent or not
        self._sent: list[tuple[object, float]] = []  # of those, and when

    @property
    def pending(self) -> int:
        """How many have no answer yet, on the wire or not."""
        return len(self._waiting)

    def is_waiting(self, who: object) -> bool:
        """Whether somebody has no answer yet."""
        return any(one is who for one in self._waiting)

    def queued(self, who: object) -> None:
        """Note one that the caller is about to queue."""
        self._waiting.append(who)

    def sent(self, who: object, now: float) -> None:
        """Note that somebody's goes out."""
        self._sent.append((who, now))

    def sent_at(self, who: object) -> float | None:
        """When somebody's was sent; ``None``: not yet."""
        return next((at for one, at in self._sent if one is who), None)

    def rewind(self) -> None:
        """The connection is lost: those on the wire will go out again."""
        self._sent.clear()

    def answered(self, text: str, now: float) -> float:
        """Answer the oldest on the wire; return the seconds that it took."""
        who, sent_at = self._sent.pop(0)
        self._answer(who, text)
        return now - sent_at

    def answer_rest(self, outcome: Callable[[], Outcome]) -> None:
        """Answer all that the server has passed over.

        Args:
            outcome: Asked for the answer of each.
        """
        self._sent.clear()
        while self._waiting:
            self._answer(self._waiting[0], outcome())

    def _answer(self, who: object, outcome: Outcome) -> None:
        for number, one in enumerate(self._waiting):
            if one is who:
                del self._waiting[number]
                break
        self.answers.append((who, outcome))
