"""What must hold for any bytes, as one function a surface.

Decides which promises are checked: an ``AssertionError`` is a broken one, and any
other exception is an unexpected one. Pure: bytes in, nothing out; no thread, socket
or clock, so that a fuzzer may call them a million times and an input that fails
fails always.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable

import attrs

from cartesia_stt_sync._frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameReader,
    read_close,
)
from cartesia_stt_sync._news import calls_for, server_error
from cartesia_stt_sync._refusal import refusal
from cartesia_stt_sync.errors import ConnectError, ProtocolError
from cartesia_stt_sync.events import (
    Connected,
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Language,
    Malformed,
    Transcript,
    TurnEagerEnd,
    TurnEnd,
    TurnResume,
    TurnStart,
    TurnUpdate,
    Unknown,
    Word,
)
from cartesia_stt_sync.wire import dump, parse

from .choices import Choices
from .session import check_session
from .wav import check_wav

__all__ = [
    "TARGETS",
    "check_frames",
    "check_parse",
    "check_refusal",
    "check_session",
    "check_wav",
]

_EXCERPT = 200
"""Characters of a broken message that are quoted at most."""

_DEEP = 400
"""Brackets in a message from which on Python may refuse to walk it once more."""

_OURS = frozenset({"error", "finding", "reconnect", "close"})
"""Handlers whose argument never comes from the wire."""


# Messages


def check_parse(data: bytes) -> None:
    """`parse` takes anything, its types do not lie, and `dump` is its inverse."""
    event = parse(data)
    _check_event(event)
    shallow = data.count(b"[") + data.count(b"{") < _DEEP
    if shallow:
        _check_inverse(event)
    # As text it may hold halves of surrogate pairs, which no UTF-8 brings.
    as_text = parse(data.decode("utf-8", "surrogateescape"))
    _check_event(as_text)
    if shallow and _is_utf_8(data):
        assert _same(event, as_text), (event, as_text)


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_event(event: Event) -> None:
    for name, right in _SHAPES[type(event)].items():
        value = getattr(event, name)
        assert right(value), (type(event).__name__, name, value)
    assert event.request_id is None or type(event.request_id) is str
    assert type(event.extra) is dict
    assert "type" not in event.extra
    hash(event)
    if isinstance(event, Transcript):
        assert str(event) == event.text
    if isinstance(event, ErrorEvent):
        assert event.message[:1000] in str(server_error(event))
    calls = calls_for(event)
    assert calls[-1][0] == "event"
    assert calls[-1][1] is event
    assert not _OURS & {kind for kind, _ in calls}, calls
    shorthand = {"final", "partial"} & {kind for kind, _ in calls}
    assert len(shorthand) == isinstance(event, Transcript)


def _optional(kind: type) -> Callable[[object], bool]:
    # Not isinstance: True is an int, and must not pass for a status.
    return lambda value: value is None or type(value) is kind


def _is_seconds(value: object) -> bool:
    return value is None or (type(value) is float and math.isfinite(value))


def _are_words(value: object) -> bool:
    return value is None or (
        type(value) is tuple
        and all(
            type(word) is Word
            and type(word.word) is str
            and all(_is_seconds(t) and t is not None for t in (word.start, word.end))
            for word in value
        )
    )


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_excerpt(value: object) -> bool:
    return type(value) is str and len(value) <= _EXCERPT


def _are_languages(value: object) -> bool:
    return value is None or (
        type(value) is tuple
        and all(
            type(one) is Language
            and type(one.language) is str
            and _is_seconds(one.confidence)
            for one in value
        )
    )


_TURN = {"turn_id": _optional(str), "languages": _are_languages}

_SHAPES: dict[type[Event], dict[str, Callable[[object], bool]]] = {
    Transcript: {
        "text": _is_text,
        "is_final": lambda value: type(value) is bool,
        "duration": _is_seconds,
        "language": _optional(str),
        "words": _are_words,
    },
    FlushDone: {},
    Done: {},
    Connected: {},
    TurnStart: _TURN,
    TurnUpdate: _TURN | {"transcript": _is_text},
    TurnEagerEnd: _TURN | {"transcript": _is_text},
    TurnResume: _TURN,
    TurnEnd: _TURN | {"transcript": _is_text},
    ErrorEvent: {
        "message": lambda value: type(value) is str and value != "",
        "title": _optional(str),
        "status_code": _optional(int),
        "error_code": _optional(str),
        "doc_url": _optional(str),
    },
    Unknown: {"type": _is_text},
    # The reason may name a field, and one of the library's own types: short ones.
    Malformed: {"reason": _is_excerpt, "data": _is_excerpt},
}


def _check_inverse(event: Event) -> None:
    if not isinstance(event, Malformed):
        again = parse(dump(event))
        assert _same(event, again), (event, again)


def _same(event: Event, other: Event) -> bool:
    """Whether two events mean the same, a NaN among unknown fields being like itself.

    What stands in ``extra`` under an attribute's name had the wrong shape; `dump`
    gives way to the attribute.
    """
    return type(event) is type(other) and _as_json(event) == _as_json(other)


def _as_json(event: Event) -> str:
    fields = attrs.asdict(event, recurse=False)
    extra = {key: value for key, value in event.extra.items() if key not in fields}
    return json.dumps({**fields, "extra": extra}, sort_keys=True, default=attrs.asdict)


# Refusals of a handshake


def check_refusal(data: bytes) -> None:
    """Any answer to a handshake becomes a `ConnectError` of a bounded text.

    Args:
        data: Four lines: the status, Retry-After, Date, and the body to the end.
    """
    status, wait, date, body = (data.split(b"\n", 3) + [b""] * 3)[:4]
    headers = {
        # websocket-client hands headers over as text of Latin-1 or UTF-8.
        name: value.decode("latin-1")
        for name, value in (("retry-after", wait), ("date", date))
        if value
    }
    number = int(status[:3]) if status[:3].isdigit() else 400
    error = refusal(number, headers, body.decode("utf-8", "replace"))
    assert isinstance(error, ConnectError)
    assert error.status_code == number
    assert len(str(error)) < 1000
    retry = error.retry_after
    assert retry is None or (math.isfinite(retry) and retry >= 0), retry
    for name in ("title", "error_code", "request_id", "doc_url"):
        assert _optional(str)(getattr(error, name)), name


# Frames


_LIMITS = (125, 126, 127, 1000, 65_535, 65_536)
_CONTROL = 125
_HEAD = 10


def check_frames(data: bytes) -> None:
    """Any bytes in any cuts become the same messages, or the same `ProtocolError`.

    Args:
        data: A byte for the limit, three for the cuts, and what the server sends.
    """
    choices = Choices(data)
    limit = choices.pick(_LIMITS)
    sizes = [1 + choices.byte() for _ in range(3)]
    wire = choices.rest()
    whole = _read(limit, [wire])
    assert _read(limit, _cut(wire, sizes)) == whole
    if len(wire) < 256:
        assert _read(limit, _cut(wire, [1])) == whole
    for frame in whole[0]:
        assert frame.opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        most = limit if frame.opcode in (TEXT, BINARY) else _CONTROL
        assert len(frame.payload) <= most
        if frame.opcode == CLOSE:
            code, reason = read_close(frame.payload)
            assert 0 <= code <= 0xFFFF
            assert isinstance(reason, str)
    assert sum(len(frame.payload) for frame in whole[0]) <= len(wire)


def _cut(data: bytes, sizes: list[int]) -> Iterable[bytes]:
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        yield data[at : at + size]
        at, turn = at + size, turn + 1


def _read(limit: int, pieces: Iterable[bytes]) -> tuple[list[Frame], str | None]:
    reader = FrameReader(limit)
    frames: list[Frame] = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (frame := reader.next()) is not None:
                frames.append(frame)
        except ProtocolError as exc:
            return frames, str(exc)
        # Private, because a memory limit shows nowhere else. A control frame may
        # stand between the parts of a message that is as large as allowed.
        held = len(reader._buffer) + len(reader._message)
        assert held <= limit + _HEAD + _CONTROL, f"holds {held}, limit {limit}"
    return frames, None


TARGETS: dict[str, Callable[[bytes], None]] = {
    "parse": check_parse,
    "refusal": check_refusal,
    "frames": check_frames,
    "wav": check_wav,
    "session": check_session,
}
"""Each check by the name of its folder in the corpus."""
