"""The turns of the Auto endpoint: from its events to their texts.

Decides what each turn's text is and when it is over. An update replaces what came
before in its turn, and is never joined to it; the texts of the turns are joined as
they came. Touches no clock, thread or socket.
"""

from __future__ import annotations

import attrs

from ._news import Call
from ._value import Value
from .events import (
    Language,
    Transcript,
    TurnEagerEnd,
    TurnEnd,
    TurnEvent,
    TurnResume,
    TurnStart,
    TurnUpdate,
)

__all__ = ["Turn", "Turns"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Turn(Value):
    """What one speaker said in a row; ``str(turn)`` is its text, byte for byte.

    Attributes:
        number: Which of the session's, from 1.
        text: What was said in it; while it goes on, so far.
        ended: Whether it is over, and the text stands.
        perhaps_over: Whether the service believes that it may be over: the moment
            to prepare an answer, which is thrown away if the speaker resumes.
        languages: What was heard in it, if told.
        turn_id: The service's name for it, if told.
        request_id: The session's identifier, for support.
    """

    number: int
    text: str = ""
    ended: bool = False
    perhaps_over: bool = False
    languages: tuple[Language, ...] | None = None
    turn_id: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        return self.text


class Turns:
    """All turns of one session.

    Attributes:
        ended: Those that are over; only ever appended to.
        current: The one that goes on, if any does.
    """

    __slots__ = ("_cut_off", "_joined", "_text", "current", "ended")

    def __init__(self) -> None:
        self.ended: list[Turn] = []
        self.current: Turn | None = None
        self._cut_off = False  # whether nothing can be added to that one
        self._text = ""
        self._joined = 0  # how many turns _text holds already

    @property
    def text(self) -> str:
        """The texts of the turns that are over, with nothing put between them."""
        if self._joined < len(self.ended):
            self._text += "".join(t.text for t in self.ended[self._joined :])
            self._joined = len(self.ended)
        return self._text

    @property
    def partial(self) -> str:
        """What the turn that goes on has brought so far."""
        return self.current.text if self.current is not None else ""

    def take(self, event: TurnEvent) -> list[Call]:
        """Take in an event.

        Returns:
            The handlers' types and the turn that they are told.
        """
        calls: list[Call] = []
        if isinstance(event, TurnStart) or self._cut_off:
            calls += self.finish()  # the service did not; what it said stands
        turn = self._changed(event)
        if isinstance(event, TurnEnd):
            self.ended.append(turn)
            self.current = None
            return [*calls, ("turn", turn)]
        self.current = turn
        kind = {TurnEagerEnd: "eager_end", TurnResume: "resume"}.get(type(event))
        return [*calls, (kind or "update", turn)]

    def _changed(self, event: TurnEvent) -> Turn:
        # An event without a turn.start before it begins one: no text is lost.
        turn = self.current or Turn(number=len(self.ended) + 1)
        text = turn.text
        if isinstance(event, (TurnUpdate, TurnEagerEnd, TurnEnd)):
            text = event.transcript
        return Turn(
            number=turn.number,
            text=text,
            ended=isinstance(event, TurnEnd),
            perhaps_over=isinstance(event, TurnEagerEnd),
            languages=event.languages or turn.languages,
            turn_id=event.turn_id or turn.turn_id,
            request_id=event.request_id or turn.request_id,
        )

    def drop(self) -> None:
        """Forget the turn that goes on: its audio is about to be sent again.

        But not one whose beginning was cut off: that cannot be.
        """
        if not self._cut_off:
            self.current = None

    def cut_off(self) -> str:
        """Let the turn that goes on stand: its beginning cannot be sent again.

        Returns:
            Its text, unless it was cut off before.
        """
        text = "" if self._cut_off else self.partial
        self._cut_off = True
        return text

    def finish(self) -> list[Call]:
        """End the turn that goes on, since nobody else will.

        Text that the service has emitted it does not revise, so it stands.
        """
        turn, self.current, self._cut_off = self.current, None, False
        if turn is None or not turn.text:
            return []
        self.ended.append(attrs.evolve(turn, ended=True, perhaps_over=False))
        return [("turn", self.ended[-1])]

    def whole(self) -> Transcript:
        """Return everything that is over as one transcript."""
        heard = [t.languages[0].language for t in self.ended if t.languages]
        return Transcript(
            text=self.text,
            is_final=True,
            language=heard[-1] if heard else None,
            request_id=next(
                (t.request_id for t in reversed(self.ended) if t.request_id), None
            ),
        )
