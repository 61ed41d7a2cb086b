"""Text messages to events and back, for the client and for the local server.

Decides how a message is read and written. Never raises on what the service
sends: an unknown type is an `Unknown`, a broken message a `Malformed`. Touches no
clock, thread or socket.

Rule for optional fields: one of the wrong shape is not an error; its attribute
is ``None`` and the raw value stays in ``extra``. So nothing that came is lost,
and nothing that is typed here lies about its type.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import attrs

from .events import (
    Connected,
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Language,
    Malformed,
    RawWords,
    Transcript,
    TurnEagerEnd,
    TurnEnd,
    TurnEvent,
    TurnResume,
    TurnStart,
    TurnUpdate,
    Unknown,
)

__all__ = ["EXCERPT", "dump", "parse"]

EXCERPT = 200
"""How much of a broken message is quoted, in characters."""


_decoder = json.JSONDecoder()
# What reads the first value of a text: in three fifths of the time of json.loads(),
# which looks for options that nobody has set, and for blanks that are not there.
_first_value = _decoder.scan_once  # type: ignore[attr-defined]  # the stubs lack it


def _loads(text: str) -> Any:
    """Read JSON; raises `ValueError` for anything else."""
    try:
        value, end = _first_value(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else _decoder.decode(text)


def parse(data: bytes | str, **given: object) -> Event:
    """Read one text message from the server.

    Args:
        data: The payload of a websocket text message, or the body of an answer.
        given: Fields that stand whatever the message says of them. The answer of
            Batch does not say that it is final.

    Returns:
        The event; `Malformed` for anything that is none. Never raises.
    """
    try:
        # Decoded here, for json would guess at other encodings than UTF-8.
        fields = _loads(data if isinstance(data, str) else data.decode())
    except (ValueError, RecursionError) as exc:
        # ValueError is bad JSON, bad UTF-8 and an integer of too many digits.
        return _malformed(f"not JSON ({type(exc).__name__})", data)
    if not isinstance(fields, dict):
        return _malformed("not a JSON object", data)
    fields |= given
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
    fields = _asdict(event)
    extra = fields.pop("extra")
    for name in ("words", "languages"):
        if name in fields:
            fields[name] = [_asdict(value) for value in fields[name]]
    return json.dumps({"type": event.type, **extra, **fields})


def _asdict(value: Any) -> dict[str, Any]:
    """The attributes that are not ``None``."""
    return attrs.asdict(value, recurse=False, filter=lambda _, v: v is not None)


class _Missing(Exception):
    """A field without which the message means nothing; its text names the field."""


def _malformed(reason: str, data: bytes | str) -> Malformed:
    head = data[: EXCERPT * 4]  # a character has at most four bytes
    text = head.decode("utf-8", "backslashreplace") if isinstance(head, bytes) else head
    return Malformed(reason=reason, data=text[:EXCERPT])


def _take(fields: dict[str, Any], name: str, kind: type) -> Any:
    """Take an optional field out, if it is of its kind; else leave it for ``extra``."""
    value = fields.pop(name, None)
    if value is None:
        return None  # not there, or a null that says nothing
    if kind is float:
        number = _number(value)
        if number is None:
            fields[name] = value
        return number
    # JSON has no subclasses; so a bool, which Python counts as an int, is none here.
    if type(value) is kind:
        return value
    fields[name] = value
    return None


def _need(fields: dict[str, Any], name: str, kind: type) -> Any:
    value = _take(fields, name, kind)
    if value is None:
        raise _Missing(name)
    return value


def _number(value: object) -> float | None:
    """A finite JSON number as a float; JSON's parser also lets ``NaN`` through."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _words(fields: dict[str, Any]) -> RawWords | None:
    """The words, if every one of them is whole; else all stay in ``extra``."""
    raw = fields.get("words")
    if raw is None:
        fields.pop("words", None)
        return None
    if not isinstance(raw, list):
        return None
    try:
        words: RawWords = tuple(map(_word_fields, raw))
    except (KeyError, TypeError):
        return None
    for word, start, end in words:
        # What are floats already, and below infinity, is spared the calls.
        usual = type(start) is type(end) is float and -_MOST < start <= end < _MOST
        if not usual or type(word) is not str:
            words = tuple((w, _number(start), _number(end)) for w, start, end in words)
            if any(type(w) is not str or None in times for w, *times in words):
                return None
            break
    del fields["words"]
    return words


_word_fields = itemgetter("word", "start", "end")
_USUAL = ("text", "is_final", "duration", "language", "request_id")
_MOST = 1e18
"""A number of seconds well below infinity."""


def _transcript(fields: dict[str, Any]) -> Transcript:
    words = _words(fields) if "words" in fields else None
    text, is_final, duration, language, request_id = map(fields.get, _USUAL)
    if (
        # With all its fields, no others, and each of its type, as nearly all are: they
        # are read with few calls, for ten come a second and stream.
        len(fields) == len(_USUAL)
        and type(text) is type(language) is type(request_id) is str
        and type(is_final) is bool
        and type(duration) is float
        and -_MOST < duration < _MOST
    ):
        fields = {}
        # Interned: they are the same in thousands of deltas that are all kept.
        language, request_id = sys.intern(language), sys.intern(request_id)
    else:
        text, is_final = _need(fields, "text", str), _need(fields, "is_final", bool)
        duration = _take(fields, "duration", float)
        language = _interned(_take(fields, "language", str))
        request_id = _interned(_take(fields, "request_id", str))
        fields = fields or {}  # an emptied dict keeps the room it once needed
    return Transcript(
        text=text,
        is_final=is_final,
        duration=duration,
        language=language,
        words=words,  # type: ignore[arg-type]  # see `RawWords`
        request_id=request_id,
        extra=fields,
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


def _languages(fields: dict[str, Any]) -> tuple[Language, ...] | None:
    """The languages, if every one of them is whole; else all stay in ``extra``."""
    raw = fields.get("languages")
    if raw is None:
        fields.pop("languages", None)
        return None
    if not isinstance(raw, list):
        return None
    languages = []
    for item in raw:
        if not isinstance(item, dict) or not isinstance(item.get("language"), str):
            return None
        confidence = _number(item.get("confidence"))
        languages.append(Language(sys.intern(item["language"]), confidence))
    del fields["languages"]
    return tuple(languages)


def _plain(kind: type[Event]) -> Callable[[dict[str, Any]], Event]:
    """Read an event without fields of its own."""
    return lambda fields: kind(
        request_id=_interned(_take(fields, "request_id", str)), extra=fields or {}
    )


def _turn(kind: type[TurnEvent]) -> Callable[[dict[str, Any]], Event]:
    """Read an event of a turn; those with a transcript need it."""
    spoken = "transcript" in attrs.fields_dict(kind)

    def read(fields: dict[str, Any]) -> Event:
        text = {"transcript": _need(fields, "transcript", str)} if spoken else {}
        return kind(
            **text,
            turn_id=_take(fields, "turn_id", str),
            languages=_languages(fields),
            request_id=_interned(_take(fields, "request_id", str)),
            extra=fields or {},
        )

    return read


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    Transcript.type: _transcript,
    ErrorEvent.type: _error,
    **{kind.type: _plain(kind) for kind in (Connected, FlushDone, Done)},
    **{
        kind.type: _turn(kind)
        for kind in (TurnStart, TurnUpdate, TurnEagerEnd, TurnResume, TurnEnd)
    },
}
