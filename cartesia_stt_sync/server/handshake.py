"""Who is let in: the checks on the request that asks for a stream.

Decides from the headers and the query whether a stream may begin, and else what
the refusal says. Values in, values out: never touches a socket or the web
framework. The order is the service's own, as far as it is known: the key, the
version, the parameters.
"""

from __future__ import annotations

import datetime
import hmac
import math
from collections.abc import Mapping, Sequence

import attrs

from ..audio import check_rate, encoding_of
from ..endpoints import Endpoint
from ..errors import ConfigError
from ..events import ErrorEvent
from .thresholds import Thresholds, changed

__all__ = [
    "Refusal",
    "Request",
    "Stream",
    "check",
    "check_account",
    "read_encoding",
    "read_rate",
    "term_problem",
]

_KEYS_IN_QUERY = ("api_key", "access_token")
"""A browser cannot set headers on a websocket, so the service takes these too."""

_VERSION_IN_QUERY = "cartesia_version"

_REPEATED = ("keyterm", "language_hint")

_TURN = "turn_"
"""What the parameters of turns begin with; the rest is the setting's name."""


class Refusal(Exception):
    """The request is refused.

    Attributes:
        status: The HTTP status.
        title: A short name for it.
        message: What is wrong and what would be right; never quotes a key.
        error_code: The service's code for it, where it has one.
        retry_after: Seconds after which it is worth another try.
    """

    def __init__(
        self,
        status: int,
        title: str,
        message: str,
        *,
        error_code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.message = message
        self.error_code = error_code
        self.retry_after = retry_after

    def event(self, request_id: str) -> ErrorEvent:
        """The refusal in the shape of an event, which its body has as well."""
        return ErrorEvent(
            message=self.message,
            title=self.title,
            status_code=self.status,
            error_code=self.error_code,
            request_id=request_id,
        )


@attrs.frozen(kw_only=True)
class Request:
    """What a client sent with its handshake.

    Attributes:
        headers: Header names in lower case, with their values.
        query: Parameter names with every value of theirs, in order.
    """

    headers: Mapping[str, str] = attrs.field(repr=False)
    query: Mapping[str, Sequence[str]] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Stream:
    """What was agreed on for a stream.

    Attributes:
        model: The model's name, any.
        encoding: The name of one of the six encodings.
        sample_rate: In Hz.
        language: As asked for, or ``None`` where it was left out.
        turn: Where turns begin and end; of use on the Auto endpoint only.
    """

    model: str
    encoding: str
    sample_rate: int
    language: str | None = None
    turn: Thresholds = attrs.field(factory=Thresholds)


def check(endpoint: Endpoint, request: Request, api_key: str | None) -> Stream:
    """Let a request in, or not.

    Args:
        endpoint: What it asks for.
        request: What it brings.
        api_key: The only good key, or ``None`` where any will do.

    Returns:
        What the stream shall be.

    Raises:
        Refusal: It is not let in.
    """
    check_account(request, api_key)
    values = _known(endpoint, request.query)
    model = values["model"]
    _check_model_options(model, values)
    return Stream(
        model=model,
        encoding=read_encoding(values["encoding"]),
        sample_rate=read_rate(values["sample_rate"]),
        language=values.get("language"),
        turn=_turn(values),
    )


def check_account(request: Request, api_key: str | None) -> None:
    """Check what is asked of every request: the key, then the version.

    Raises:
        Refusal: One of them is missing, or not right.
    """
    _check_key(request, api_key)
    _check_version(request)


def _check_key(request: Request, api_key: str | None) -> None:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() == "bearer" else ""
    given = given or request.headers.get("x-api-key", "")
    for name in _KEYS_IN_QUERY:
        given = given or "".join(request.query.get(name, [])[:1])
    if not given:
        raise Refusal(
            401,
            "Missing credentials",
            "send an API key as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'",
        )
    if api_key is not None and not hmac.compare_digest(
        given.encode("utf-8", "surrogateescape"), api_key.encode()
    ):
        raise Refusal(401, "Invalid API key", "this server was given another key")


def _check_version(request: Request) -> None:
    in_query = "".join(request.query.get(_VERSION_IN_QUERY, [])[:1])
    version = request.headers.get("cartesia-version", "") or in_query
    if not version:
        raise Refusal(
            400, "Missing version", "send the header 'Cartesia-Version: YYYY-MM-DD'"
        )
    try:
        datetime.datetime.strptime(version, "%Y-%m-%d")
        if len(version) != 10:  # 2026-3-1 is a date, but not spelled as one here
            raise ValueError
    except ValueError:
        raise Refusal(
            400,
            "Invalid version",
            f"Cartesia-Version: a date like 2026-03-01, got {version[:40]!r}",
        ) from None


def _known(endpoint: Endpoint, query: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The first value of each parameter, once none is unknown, missing or doubled."""
    known = endpoint.required + endpoint.optional
    for name, values in query.items():
        if name in (*_KEYS_IN_QUERY, _VERSION_IN_QUERY):
            continue
        if name not in known:
            raise Refusal(
                400,
                "Unknown parameter",
                f"{name[:40]!r} is not a parameter of {endpoint.path}; "
                f"it takes {', '.join(known)}",
            )
        if len(values) > 1 and name not in _REPEATED:
            raise Refusal(400, "Repeated parameter", f"{name}: given more than once")
    for name in endpoint.required:
        if not "".join(query.get(name, [])):
            raise Refusal(400, "Missing parameter", f"{name}: needed, but not given")
    _check_terms(query.get("keyterm", []))
    return {name: values[0] for name, values in query.items()}


def _check_terms(terms: Sequence[str]) -> None:
    problem = term_problem(terms)
    if problem:
        raise Refusal(400, "Invalid keyterm", f"keyterm: {problem}")


def term_problem(terms: Sequence[str]) -> str | None:
    """What the service has against these key terms, if anything."""
    if len(terms) > 100:
        return f"at most 100 terms, got {len(terms)}"
    if sum(map(len, terms)) > 1200:
        return f"at most 1,200 characters in all, got {sum(map(len, terms))}"
    return None


def _check_model_options(model: str, values: Mapping[str, str]) -> None:
    """Some parameters belong to some models."""
    if "language_hint" in values and not model.startswith("ink-preview"):
        raise Refusal(
            400,
            "Unsupported parameter",
            f"language_hint: for ink-preview only, got model {model[:40]!r}",
        )
    for name in ("min_volume", "max_silence_duration_secs"):
        if name not in values:
            continue
        if not model.startswith("ink-whisper"):
            raise Refusal(
                400,
                "Unsupported parameter",
                f"{name}: for ink-whisper only, got model {model[:40]!r}",
            )
        number = _number(values[name])
        if number is None or number < 0:
            raise Refusal(
                400,
                f"Invalid {name}",
                f"{name}: a number of at least 0, got {values[name][:40]!r}",
            )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _turn(values: Mapping[str, str]) -> Thresholds:
    given: dict[str, object] = {}
    for name, text in values.items():
        if name.startswith(_TURN):
            number = _number(text)
            given[name.removeprefix(_TURN)] = text if number is None else number
    turn = changed(Thresholds(), given, _TURN)
    if isinstance(turn, str):
        raise Refusal(400, "Invalid turn settings", turn)
    return turn


def read_encoding(name: str) -> str:
    """Read the parameter ``encoding``.

    Raises:
        Refusal: There is no such encoding.
    """
    try:
        return encoding_of(name).name
    except ConfigError as exc:
        raise Refusal(400, "Invalid encoding", str(exc)) from None


def read_rate(text: str) -> int:
    """Read the parameter ``sample_rate``.

    Raises:
        Refusal: It is none.
    """
    # isdecimal alone would let Arabic digits through, int() also " 16_000".
    rate = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else text
    try:
        return check_rate("sample_rate", rate)
    except ConfigError as exc:
        raise Refusal(400, "Invalid sample rate", str(exc)) from None
