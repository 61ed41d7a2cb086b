"""What a refused handshake is called.

Decides which `ConnectError` a status and a body become. Whoever calls has taken
the credential out of the body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from .errors import AuthenticationError, ConnectError, QuotaError, RateLimitError
from .events import ErrorEvent, parse

__all__ = ["refusal"]

_BY_STATUS: dict[int, type[ConnectError]] = {
    401: AuthenticationError,
    402: QuotaError,
    403: AuthenticationError,
    429: RateLimitError,
}

_HINTS = {
    400: "check model, encoding, sample_rate and language",
    401: "check the API key (CARTESIA_API_KEY, or api_key=)",
    402: "the account has no credits left",
    403: "this key may not do that",
    404: "check base_url and the model's name",
    429: "too many streams or requests at once for the plan; wait, or close others",
}

_EXCERPT = 500
"""How much of a refusal's body is quoted, in characters."""


def refusal(status: int, headers: Mapping[str, str], body: str) -> ConnectError:
    """Make the error of a refused handshake.

    Args:
        status: The HTTP status.
        headers: Those of the answer, names in lower case.
        body: JSON like an error event, or plain text.
    """
    event = _read(body)
    hint = _HINTS.get(status)
    error = _BY_STATUS.get(status, ConnectError)(
        f"the service refused the connection ({status}): {event.message[:_EXCERPT]}"
        + (f"; {hint}" if hint else ""),
        status_code=status,
        title=event.title,
        error_code=event.error_code,
        request_id=event.request_id or headers.get("x-request-id"),
        doc_url=event.doc_url,
    )
    error.retry_after = _retry_after(headers)
    return error


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, of either form (RFC 9110, 10.2.3).

    A date is taken from the server's own, so that no clock of ours has a say.
    """
    wait = headers.get("retry-after", "")
    if wait.isascii() and wait.isdecimal():
        return float(wait) if len(wait) < 10 else None  # 30 years are no advice
    # Imported only here: it brings a dozen modules for a form that is rare.
    from email.utils import parsedate_to_datetime

    try:
        until = parsedate_to_datetime(wait)
        seconds = (until - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return max(0.0, seconds)


def _read(body: str) -> ErrorEvent:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        event = parse(json.dumps({**fields, "type": "error"}))
        if isinstance(event, ErrorEvent):
            return event
    return ErrorEvent(message=body.strip() or "no reason given")
