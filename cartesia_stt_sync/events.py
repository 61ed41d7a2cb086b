"""What the service says, as values: one class an event type.

Decides how a text message becomes an event, and back (the local server speaks
with the same classes). Never raises on what the service sends: an unknown type
is an `Unknown`, a broken message a `Malformed`. Touches no clock, thread or
socket.

Rule for optional fields: one of the wrong shape is not an error; its attribute
is ``None`` and the raw value stays in ``extra``. So nothing that came is lost,
and nothing that is typed here lies about its type.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs

__all__ = [
    "Closed",
    "Done",
    "ErrorEvent",
    "Event",
    "FlushDone",
    "Malformed",
    "Reconnecting",
    "Transcript",
    "Unknown",
    "Word",
    "dump",
    "parse",
]

_EXCERPT = 200
"""How much of a broken message is quoted, in characters."""


@attrs.frozen
class Word:
    """One word and when it was said.

    Attributes:
        word: The word as the service spelled it.
        start: Seconds from the first audio.
        end: Seconds from the first audio.
    """

    word: str
    start: float
    end: float


@attrs.frozen(kw_only=True)
class Event:
    """What every event has.

    Attributes:
        request_id: The session's identifier, for support.
        extra: Fields of the message that this class has no attribute for.
    """

    type: ClassVar[str] = ""

    request_id: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True)
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
    """

    type: ClassVar[str] = "transcript"

    text: str
    is_final: bool
    duration: float | None = None
    language: str | None = None
    words: tuple[Word, ...] | None = None

    def __str__(self) -> str:
        return self.text


@attrs.frozen(kw_only=True)
class FlushDone(Event):
    """The audio before a ``finalize`` has been transcribed."""

    type: ClassVar[str] = "flush_done"


@attrs.frozen(kw_only=True)
class Done(Event):
    """The answer to ``close``: every transcript of the session has been sent."""

    type: ClassVar[str] = "done"


@attrs.frozen(kw_only=True)
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


@attrs.frozen(kw_only=True)
class Unknown(Event):
    """An event of a type this version does not know; all fields are in ``extra``.

    Attributes:
        type: The type as it stood in the message.
    """

    type: str  # type: ignore[misc]  # a class constant elsewhere, the wire's word here


@attrs.frozen(kw_only=True)
class Malformed(Event):
    """A message that is no event at all.

    Attributes:
        reason: What is wrong with it.
        data: The beginning of the message.
    """

    type: ClassVar[str] = "malformed"

    reason: str
    data: str


@attrs.frozen(kw_only=True)
class Closed:
    """How a session ended; handlers of ``on("close")`` get one. Not from the wire.

    Attributes:
        code: The server's websocket close code, or ``None`` where none came.
        reason: The server's words for it.
        error: Why the session failed, or ``None`` after a clean end or an abort.
    """

    code: int | None = None
    reason: str = ""
    error: Exception | None = None


@attrs.frozen(kw_only=True)
class Reconnecting:
    """A lost connection is about to be made anew; ``on("reconnect")`` gets one.

    Attributes:
        attempt: The number of this try since the server last answered, from 1.
        delay: Seconds until it is made.
        replay_seconds: Seconds of audio that will be sent again.
    """

    attempt: int
    delay: float
    replay_seconds: float


def parse(data: bytes | str) -> Event:
    """Read one text message from the server.

    Args:
        data: The payload of a websocket text message.

    Returns:
        The event; `Malformed` for anything that is none. Never raises.
    """
    try:
        # Decoded here, for json would guess at other encodings than UTF-8.
        fields = json.loads(data if isinstance(data, str) else data.decode())
    except (ValueError, RecursionError) as exc:
        # ValueError is bad JSON, bad UTF-8 and an integer of too many digits.
        return _malformed(f"not JSON ({type(exc).__name__})", data)
    if not isinstance(fields, dict):
        return _malformed("not a JSON object", data)
    kind = fields.pop("type", None)
    if not isinstance(kind, str):
        return _malformed("no type", data)
    reader = _READERS.get(kind)
    if reader is None:
        request_id = _take(fields, "request_id", str)
        return Unknown(type=kind, request_id=request_id, extra=fields)
    try:
        return reader(fields)
    except _Missing as exc:
        return _malformed(f"a {kind} without {exc}", data)


def dump(event: Event) -> str:
    """Write an event as the service would: the inverse of `parse`.

    Args:
        event: Any event but a `Malformed`.

    Returns:
        The JSON text; attributes that are ``None`` are left out, and go before
        fields of the same name in ``extra``.
    """
    fields = attrs.asdict(
        event, recurse=False, filter=lambda _, value: value is not None
    )
    extra = fields.pop("extra")
    if isinstance(event, Transcript) and event.words is not None:
        fields["words"] = [attrs.asdict(word) for word in event.words]
    return json.dumps({"type": event.type, **extra, **fields})


class _Missing(Exception):
    """A field without which the message means nothing; its text names the field."""


def _malformed(reason: str, data: bytes | str) -> Malformed:
    head = data[: _EXCERPT * 4]  # a character has at most four bytes
    text = head.decode("utf-8", "backslashreplace") if isinstance(head, bytes) else head
    return Malformed(reason=reason, data=text[:_EXCERPT])


def _take(fields: dict[str, Any], name: str, kind: type) -> Any:
    """Take an optional field out, if it is of its kind; else leave it for ``extra``."""
    value = fields.get(name)
    if kind is float:
        value = _number(value)
    elif kind is int and isinstance(value, bool):
        value = None
    elif not isinstance(value, kind):
        value = None
    if value is not None or fields.get(name, ...) is None:
        del fields[name]  # taken, or a null that says nothing
    return value


def _need(fields: dict[str, Any], name: str, kind: type) -> Any:
    value = _take(fields, name, kind)
    if value is None:
        raise _Missing(name)
    return value


def _number(value: object) -> float | None:
    """A finite JSON number as a float; JSON's parser also lets ``NaN`` through."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _words(fields: dict[str, Any]) -> tuple[Word, ...] | None:
    """The words, if every one of them is whole; else all stay in ``extra``."""
    raw = fields.get("words")
    if raw is None:
        fields.pop("words", None)
        return None
    if not isinstance(raw, list):
        return None
    words = []
    for item in raw:
        if not isinstance(item, dict) or not isinstance(item.get("word"), str):
            return None
        start, end = _number(item.get("start")), _number(item.get("end"))
        if start is None or end is None:
            return None
        words.append(Word(item["word"], start, end))
    del fields["words"]
    return tuple(words)


def _transcript(fields: dict[str, Any]) -> Transcript:
    return Transcript(
        text=_need(fields, "text", str),
        is_final=_need(fields, "is_final", bool),
        duration=_take(fields, "duration", float),
        # Interned: they are the same in thousands of deltas that are all kept.
        language=_interned(_take(fields, "language", str)),
        words=_words(fields),
        request_id=_interned(_take(fields, "request_id", str)),
        extra=fields or {},  # an emptied dict keeps the room it once needed
    )


def _interned(text: str | None) -> str | None:
    return None if text is None else sys.intern(text)


def _error(fields: dict[str, Any]) -> ErrorEvent:
    """All three shapes: {title, message, status_code}, {message, code}, {error}."""
    title = _take(fields, "title", str)
    message = _take(fields, "message", str) or _take(fields, "error", str)
    status = _take(fields, "status_code", int)
    if status is None:
        status = _take(fields, "code", int)
    return ErrorEvent(
        message=message or title or "the service gave no reason",
        title=title,
        status_code=status,
        error_code=_take(fields, "error_code", str),
        doc_url=_take(fields, "doc_url", str),
        request_id=_take(fields, "request_id", str),
        extra=fields,
    )


_READERS = {
    "transcript": _transcript,
    "flush_done": lambda f: FlushDone(request_id=_take(f, "request_id", str), extra=f),
    "done": lambda f: Done(request_id=_take(f, "request_id", str), extra=f),
    "error": _error,
}
