"""What the service says, as values: one class an event type.

Decides what an event holds; `wire` reads and writes them. The three endpoints and
the local server share these classes. Pure values: no clock, thread or socket.

A class that adds no attribute is a plain subclass: attrs would only write the same
methods once more, and that takes a millisecond of each import; see also `_value`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

from ._value import Value

__all__ = [
    "Closed",
    "Connected",
    "Done",
    "ErrorEvent",
    "Event",
    "FlushDone",
    "Language",
    "Malformed",
    "Reconnecting",
    "Transcript",
    "TurnEagerEnd",
    "TurnEnd",
    "TurnEvent",
    "TurnResume",
    "TurnStart",
    "TurnUpdate",
    "Unknown",
    "Word",
]


@attrs.frozen(eq=False, repr=False)
class Word(Value):
    """One word and when it was said.

    Attributes:
        word: The word as the service spelled it.
        start: Seconds from the first audio.
        end: Seconds from the first audio.
        channel: Whose it is, from 0, where the channels are transcribed apart.
    """

    word: str
    start: float
    end: float
    channel: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Event(Value):
    """What every event has.

    Attributes:
        request_id: The session's identifier, for support.
        extra: Fields of the message that this class has no attribute for.
    """

    type: ClassVar[str] = ""

    request_id: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Transcript(Event):
    """A piece of text; ``str(transcript)`` is that text, byte for byte.

    Where ``is_final`` is true the text is a **delta**: append it to what came
    before, with nothing in between and nothing stripped. Where it is false the
    text is the provisional tail, which the next transcript replaces.

    Attributes:
        text: The text as the service sent it.
        is_final: Whether the text stands.
        duration: Seconds of audio behind this piece (not cumulative), if told.
        language: ISO 639-1 code, if told.
        words: Words with times, if told.
        channel: Whose it is, from 0, where the channels are transcribed apart.
    """

    type: ClassVar[str] = "transcript"

    text: str
    is_final: bool
    duration: float | None = None
    language: str | None = None
    words: tuple[Word, ...] | None = None
    channel: int | None = None

    def __str__(self) -> str:
        return self.text


RawWords = tuple[tuple[Any, ...], ...]
"""The attributes of `Word`s, checked by whoever made them."""


class _Words:
    """`Transcript.words`: may be given `RawWords`, and makes `Word`s when asked.

    Args:
        slot: Where either is held.
    """

    def __init__(self, slot: Any) -> None:
        self.raw, self._write = slot.__get__, slot.__set__

    def __get__(self, event: Transcript | None, kind: object = None) -> Any:
        if event is None:
            return self
        words = self.raw(event)
        if words and type(words[0]) is tuple:
            words = tuple([Word(*word) for word in words])
            self._write(event, words)  # whoever else asks meanwhile makes the same
        return words

    def __set__(self, event: Transcript, words: object) -> None:
        self._write(event, words)


_words = _Words(Transcript.words)
Transcript.words = _words  # type: ignore[assignment]  # it reads as what it replaces


def raw_words(event: Transcript) -> RawWords | tuple[Word, ...] | None:
    """The words of a transcript as they are held; makes no `Word`."""
    words: RawWords | tuple[Word, ...] | None = _words.raw(event)
    return words


def last_end(event: Transcript) -> float | None:
    """When the last word of a transcript ended; makes no `Word`."""
    words = _words.raw(event)
    if not words:
        return None
    last = words[-1]
    end: float = last[2] if type(last) is tuple else last.end
    return end


class FlushDone(Event):
    """The audio before a ``finalize`` has been transcribed."""

    __slots__ = ()
    type: ClassVar[str] = "flush_done"


class Done(Event):
    """The answer to ``close``: every transcript of the session has been sent."""

    __slots__ = ()
    type: ClassVar[str] = "done"


@attrs.frozen(eq=False, repr=False)
class Language(Value):
    """A language that was heard.

    Attributes:
        language: ISO 639-1 code.
        confidence: From 0 to 1, if told.
    """

    language: str
    confidence: float | None = None


class Connected(Event):
    """The Auto endpoint is there; nobody needs to wait for this."""

    __slots__ = ()
    type: ClassVar[str] = "connected"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TurnEvent(Event):
    """What the events of a turn have in common.

    Attributes:
        turn_id: The service's name for the turn, if told.
        languages: What was heard in it, if told.
    """

    turn_id: str | None = None
    languages: tuple[Language, ...] | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _SpokenEvent(TurnEvent):
    """What those of them have in common that hold text.

    Attributes:
        transcript: The text of the turn so far.
    """

    transcript: str


class TurnStart(TurnEvent):
    """Somebody has begun to speak."""

    __slots__ = ()
    type: ClassVar[str] = "turn.start"


class TurnUpdate(_SpokenEvent):
    """The text of the turn so far.

    Attributes:
        transcript: All of it: it replaces what came before.
    """

    __slots__ = ()
    type: ClassVar[str] = "turn.update"


class TurnEagerEnd(_SpokenEvent):
    """The turn is perhaps over: `TurnEnd` or `TurnResume` follows.

    Attributes:
        transcript: The text of the turn so far.
    """

    __slots__ = ()
    type: ClassVar[str] = "turn.eager_end"


class TurnResume(TurnEvent):
    """The turn was not over after all."""

    __slots__ = ()
    type: ClassVar[str] = "turn.resume"


class TurnEnd(_SpokenEvent):
    """The turn is over.

    Attributes:
        transcript: Its text, which stands.
    """

    __slots__ = ()
    type: ClassVar[str] = "turn.end"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorEvent(Event):
    """A problem the service reports, in whichever of its three shapes it came.

    Attributes:
        message: What happened, in words.
        title: Its short name.
        status_code: The HTTP status that fits it.
        error_code: Its machine-readable code.
        doc_url: The page that explains it.
    """

    type: ClassVar[str] = "error"

    message: str
    title: str | None = None
    status_code: int | None = None
    error_code: str | None = None
    doc_url: str | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Unknown(Event):
    """An event of a type this version does not know; all fields are in ``extra``.

    Attributes:
        type: The type as it stood in the message.
    """

    type: str  # type: ignore[misc]  # a class constant elsewhere, the wire's word here


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Malformed(Event):
    """A message that is no event at all.

    Attributes:
        reason: What is wrong with it.
        data: The beginning of the message.
    """

    type: ClassVar[str] = "malformed"

    reason: str
    data: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Closed(Value):
    """How a session ended; handlers of ``on("close")`` get one. Not from the wire.

    Attributes:
        code: The server's websocket close code, or ``None`` where none came.
        reason: The server's words for it.
        error: Why the session failed, or ``None`` after a clean end or an abort.
    """

    code: int | None = None
    reason: str = ""
    error: Exception | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Reconnecting(Value):
    """A lost connection is about to be made anew; ``on("reconnect")`` gets one.

    Attributes:
        attempt: The number of this try, from 1; see ``Reconnect.attempts``.
        delay: Seconds until it is made.
        replay_seconds: Seconds of audio that will be sent again, at most.
    """

    attempt: int
    delay: float
    replay_seconds: float
