"""What the server has said, and which text came of it.

Decides what of a transcript is new, where its words lie in the caller's audio, and
what the server has thereby answered. Time plays no part, and nobody is told.
"""

from __future__ import annotations

import attrs

from ._channels import stamped
from ._news import Call
from ._outbox import Outbox
from ._seam import Seam
from ._text_limit import TextLimit
from .events import (
    Transcript,
    TurnEagerEnd,
    TurnEnd,
    TurnEvent,
    TurnUpdate,
    last_end,
)
from .transcript import Assembler
from .turns import Turns

__all__ = ["Speech"]


class Speech:
    """The text of one session.

    Args:
        outbox: What was sent, and is told what of that is answered.
        max_replay: Seconds of audio that may be sent again.
        channel: Whose text it is, where each channel has a session of its own.

    Attributes:
        seam: What comes once more, after a reconnect.
        limit: How much text there may be.
        assembler: The text, where the service sends deltas.
        turns: The text, where it sends turns.
    """

    __slots__ = (
        *("_channel", "_outbox", "_told", "_told_at", "assembler", "limit", "seam"),
        "turns",
    )

    def __init__(
        self, outbox: Outbox, max_replay: float, channel: int | None = None
    ) -> None:
        self._outbox = outbox
        self._channel = channel
        self._told = ""  # what the turn under way has come to
        self._told_at = 0.0  # and how much had been sent when that was first told
        self.seam = Seam(max_replay)
        self.limit = TextLimit()
        self.assembler = Assembler()
        self.turns = Turns()

    @property
    def text(self) -> str:
        """All that stands so far."""
        return self.assembler.text or self.turns.text

    @property
    def under_way(self) -> bool:
        """Whether there is text that does not stand yet."""
        return bool(self.assembler.partial or self.turns.current)

    def too_much(self) -> str | None:
        """Say what is wrong with so much text that stands; ``None``: nothing."""
        return self.limit.problem(self._outbox.seconds(self._outbox.wire_bytes))

    def transcript(self, event: Transcript, message: bytes = b"") -> Transcript:
        """Take in a delta or a provisional text; return what is new in it.

        Args:
            event: What came.
            message: As which it came; none: that is not at hand.
        """
        came = event
        final, end = event.is_final, last_end(event)
        spoken = final or bool(event.text.strip())
        if self.seam.again:
            event = self.seam.without_repeats(event)
        if self._outbox.timeline.differs:
            event = self._outbox.timeline.mapped(event)
        if final and event.duration is not None and self._outbox.passed_over:
            # The durations of all finals add up to what was fed: times are made of it.
            more = self._outbox.seconds(self._outbox.passed_over)
            event = attrs.evolve(event, duration=event.duration + more)
            self._outbox.passed_over = 0
        if self._channel is not None:
            event = stamped(event, self._channel)
        self.assembler.add(event, message if event is came else b"")
        if spoken:
            self._outbox.heard(final=final, duration=came.duration, end=end)
        if final:
            placed = bool(came.duration or end)
            self.seam.note(event.text, placed=placed, sent=self._outbox.source_bytes)
        return event

    def turn(self, event: TurnEvent) -> list[Call]:
        """Take in what happens to a turn; return who is to be told of it."""
        text, final = getattr(event, "transcript", ""), isinstance(event, TurnEnd)
        if final:
            # Else its last words came only with its end.
            told = self._told and _letters(self._told) == _letters(text)
            self._outbox.turn_ended(self._told_at if told else 0.0)
            self._told, self._told_at = "", 0.0
        else:
            self._outbox.heard(final=False)
        if isinstance(event, (TurnUpdate, TurnEagerEnd, TurnEnd)):
            if not final and text != self._told:
                if _letters(text) != _letters(self._told):
                    self._told_at = self._outbox.sent_seconds
                self._told = text
            if cut := self.seam.trim(text, final=final):
                event = attrs.evolve(event, transcript=text[cut:])
        return self.turns.take(event)

    def end_utterance(self) -> str:
        """Return the text since the last call: a ``finalize`` is answered."""
        return self.assembler.end_utterance()

    def all_answered(self) -> None:
        """Nothing of the audio so far will be sent again."""
        self.seam.forget()

    def sent_again(self, seconds: float, *, whole: bool = True) -> None:
        """Note that a connection is lost, and so much audio goes out once more.

        Args:
            seconds: How much.
            whole: Whether that is all which is unanswered. A turn whose beginning is
                lost stands as it is, and only what lies behind it is new.
        """
        self._told, self._told_at = "", 0.0
        if whole:
            self.turns.drop()
        else:
            self.seam.note(self.turns.cut_off(), placed=False)
        if seconds:
            self.seam.open(self._outbox.source_bytes)


def _letters(text: str) -> str:
    """What two spellings of the same words have in common."""
    return "".join(filter(str.isalnum, text.casefold()))
