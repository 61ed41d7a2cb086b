"""What a refused handshake is called, and a refused request.

Decides which error a status and a body become. No text that came gets into one before
the caller's ``clean`` has taken the credential out of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .endpoints import BATCH
from .errors import (
    AuthenticationError,
    ConnectError,
    QuotaError,
    RateLimitError,
    ServerError,
)
from .events import ErrorEvent
from .wire import parse

__all__ = ["refusal", "refused_request"]

_BY_STATUS: dict[int, type[ConnectError]] = {
    401: AuthenticationError,
    402: QuotaError,
    403: AuthenticationError,
    429: RateLimitError,
}

_HINTS = {
    400: "check model, encoding, sample_rate and language",
    401: "check the API key (CARTESIA_API_KEY, or api_key=); an access token may have "
    "expired",
    402: "the account has no credits left",
    403: "this key may not do that",
    404: "check base_url and the model's name",
    429: "too many streams or requests at once for the plan; wait, or close others",
}

_UNTOLD = (
    "a gateway had no answer; whether it was transcribed, and billed, is not known"
)

_REQUEST_HINTS = _HINTS | {
    400: "check the file, model and language, and of raw samples encoding and "
    "sample_rate",
    413: "the file is too large for this endpoint; cut or compress it",
    415: f"the service names {', '.join(BATCH.suffixes)}; for raw samples pass "
    "encoding= and sample_rate=",
    429: "too many requests at once for the plan; wait, or send fewer at a time",
    502: _UNTOLD,
    504: f"{_UNTOLD}; a shorter recording is done sooner",
}

_EXCERPT = 500
"""How much of a refusal's body is quoted, in characters."""


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: str,
    clean: Callable[[str], str] = str,
) -> ConnectError:
    """Make the error of a refused handshake.

    Args:
        status: The HTTP status.
        headers: Those of the answer, names in lower case.
        body: JSON like an error event, or plain text.
        clean: Takes the credential out of a text: once it has been read, for JSON
            can spell it in many ways.
    """
    kind = _BY_STATUS.get(status, ConnectError)
    event = _read(body, clean)
    text = _text("refused the connection", status, event, _HINTS)
    error = kind(text, **_facts(status, headers, event, clean))
    error.retry_after = _retry_after(headers)
    return error


def refused_request(
    status: int,
    headers: Mapping[str, str],
    body: str,
    clean: Callable[[str], str] = str,
) -> ConnectError | ServerError:
    """Make the error of a request that was heard and not granted; see `refusal`.

    Whom the service knows and what he may do are the errors that they are in a
    handshake; all else is a `ServerError`, since the connection was there.
    """
    event = _read(body, clean)
    verb = "failed at the request" if status >= 500 else "refused the request"
    text = _text(verb, status, event, _REQUEST_HINTS)
    kind = _BY_STATUS.get(status, ServerError)
    error = kind(text, **_facts(status, headers, event, clean))
    error.retry_after = _retry_after(headers)
    return error


def _text(verb: str, status: int, event: ErrorEvent, hints: Mapping[int, str]) -> str:
    hint = f"; {hints[status]}" if status in hints else ""
    return f"the service {verb} ({status}): {event.message}{hint}"


def _facts(
    status: int,
    headers: Mapping[str, str],
    event: ErrorEvent,
    clean: Callable[[str], str],
) -> dict[str, Any]:
    texts = {
        "title": event.title,
        "error_code": event.error_code,
        "request_id": event.request_id or headers.get("x-request-id"),
        "doc_url": event.doc_url,
    }
    found = {name: text and clean(text) for name, text in texts.items()}
    return {"status_code": status, **found}


_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
"""Fractions are not in the standard, and some servers send them."""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, of either form (RFC 9110, 10.2.3).

    A date is taken from the server's own, so that no clock of ours has a say.
    """
    wait = headers.get("retry-after", "")
    if _SECONDS.fullmatch(wait):
        return float(wait) if float(wait) < 1e9 else None  # 30 years are no advice
    # Imported only here: it brings a dozen modules for a form that is rare.
    from email.utils import parsedate_to_datetime

    try:
        until = parsedate_to_datetime(wait)
        seconds = (until - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return max(0.0, seconds)


def _read(body: str, clean: Callable[[str], str]) -> ErrorEvent:
    event = _parsed(clean(body))
    return attrs.evolve(event, message=clean(event.message)[:_EXCERPT])


def _parsed(body: str) -> ErrorEvent:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        event = parse(json.dumps({**fields, "type": "error"}))
        if isinstance(event, ErrorEvent):
            return event
    if body.lstrip()[:1] == "<":  # a gateway's page, of which no more is for people
        title = re.search(r"(?i)<title[^>]{0,99}>([^<]{0,200})", body)
        said = f", {title[1].strip()!r}" if title is not None else ""
        return ErrorEvent(message=f"an HTML page{said}")
    return ErrorEvent(message=body.strip() or "no reason given")
