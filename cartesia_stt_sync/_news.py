"""What handlers are told: which of them an event is for, and what an error says.

Decides names and order. Calls nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from .errors import ServerError
from .events import ErrorEvent, Event, Transcript

__all__ = ["AUTO_TYPES", "MANUAL_TYPES", "Call", "calls_for", "cleaned", "server_error"]

Call = tuple[str, object]
"""A handler's type and its argument."""

_NOT_THE_WIRES = frozenset(
    {
        *("final", "partial", "event", "error", "finding", "reconnect", "close"),
        *("turn", "update", "eager_end", "resume"),
    }
)
"""Types of handlers that are not called for an event of that type."""


_EVERY = frozenset({"event", "malformed", "error", "finding", "reconnect", "close"})

MANUAL_TYPES = _EVERY | {"transcript", "final", "partial", "flush_done", "done"}
"""The types of handlers that a `Transcriber` calls, as far as they are known."""

AUTO_TYPES = (
    _EVERY
    | {"turn", "update", "eager_end", "resume", "connected"}
    | {f"turn.{what}" for what in ("start", "update", "eager_end", "resume", "end")}
)
"""Those of a `TurnTranscriber`."""


def calls_for(event: Event, shorthand: Iterable[Call] = ()) -> list[Call]:
    """Which handlers an event is for: its own type's, then the shorthand's, then all.

    Handlers of ``error`` get exceptions, and get the session's at its end; so an
    error event itself goes to those of ``event`` only. So does an unknown one with a
    name that this library has given to something else.

    Args:
        event: What came.
        shorthand: What a turn's event means to the turn.
    """
    if isinstance(event, Transcript):
        kind = "final" if event.is_final else "partial"
        return [(event.type, event), (kind, event), ("event", event)]
    calls: list[Call] = [] if event.type in _NOT_THE_WIRES else [(event.type, event)]
    return [*calls, *shorthand, ("event", event)]


def cleaned(event: Event, clean: Callable[[str], str]) -> Event:
    """An event with all its texts passed through something."""
    changed: dict[str, Any] = {}
    for field in attrs.fields(type(event)):
        value = getattr(event, field.name)
        if isinstance(value, str):
            changed[field.name] = clean(value)
        elif isinstance(value, Mapping):
            changed[field.name] = _cleaned(value, clean)
    return attrs.evolve(event, **changed)


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """What JSON may hold, with all its texts passed through something."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(name): _cleaned(each, clean) for name, each in value.items()}
    if isinstance(value, list):
        return [_cleaned(each, clean) for each in value]
    return value


_EXCERPT = 1000
"""How much of an error is quoted, in characters; the event has all of it."""


def server_error(event: ErrorEvent) -> ServerError:
    """The exception that an error event becomes."""
    status = f" ({event.status_code})" if event.status_code is not None else ""
    title, message = event.title, event.message[:_EXCERPT]
    if title and title != event.message:
        message = f"{title[:_EXCERPT]}: {message}"
    return ServerError(
        f"the service reported an error{status}: {message}",
        status_code=event.status_code,
        title=title,
        error_code=event.error_code,
        request_id=event.request_id,
        doc_url=event.doc_url,
    )
