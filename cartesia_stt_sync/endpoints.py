"""The service's endpoints as data: where they are, what they take, how one speaks.

Decides URLs, query strings, headers and how commands are spelled. Never opens a
connection. An endpoint is a value, not a class a caller derives from: client
and local server both read the same one, so the two cannot drift apart.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, urlencode, urlsplit

import attrs

from . import _validate as check
from .errors import ConfigError

__all__ = ["BASE_URL", "MANUAL", "VERSION", "Account", "Endpoint", "Secret"]

BASE_URL = "wss://api.cartesia.ai"
VERSION = "2026-03-01"

_FORBIDDEN_QUERY = ("api_key", "access_token")
"""Browsers put the key there; URLs end up in logs, so this library never does."""


class Secret:
    """A credential that shows itself to no ``repr``, ``str``, ``vars`` or pickle."""

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        # A closure, because a debugger or an error reporter that walks the
        # attributes of the locals in a traceback prints strings but not cells.
        def reveal() -> str:
            return value

        self._reveal = reveal

    def reveal(self) -> str:
        """The credential itself: for the header of the handshake, nowhere else."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not pickled: pass the key by the environment")


@attrs.frozen(kw_only=True)
class Endpoint:
    """One of the service's websocket endpoints.

    Attributes:
        path: Where it is, below the base URL.
        required: Query parameters without which the handshake is refused.
        optional: Query parameters that it knows besides.
        finalize: The text message that ends an utterance, or ``None`` where the
            endpoint finds the ends by itself.
        close: The text message that asks for the rest and the end.
        answers_close: Whether the end shows as a ``done`` event before the
            server's close frame.
    """

    path: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    finalize: str | None
    close: str
    answers_close: bool


MANUAL = Endpoint(
    path="/stt/websocket",
    required=("model", "encoding", "sample_rate"),
    optional=(
        "language",
        "keyterm",
        "language_hint",
        "min_volume",
        "max_silence_duration_secs",
    ),
    # Both commands are bare words, not JSON. "done" is an old name of "close".
    finalize="finalize",
    close="close",
    answers_close=True,
)


@attrs.frozen(kw_only=True)
class Account:
    """Whom to talk to, as whom, in which version of the service.

    Attributes:
        base_url: ``wss://host[:port]``, or ``ws://`` to a loopback address.
        credential: The API key or access token.
        version: A date, the ``Cartesia-Version`` header.
    """

    base_url: str
    credential: Secret = attrs.field(repr=False)
    version: str = VERSION

    def url(self, endpoint: Endpoint, query: Mapping[str, object]) -> str:
        """The address of ``endpoint`` with ``query`` on it; it holds no key."""
        # quote, not quote_plus: a space in a keyterm must go as %20.
        pairs = urlencode(list(_pairs(query)), quote_via=quote)
        return f"{self.base_url}{endpoint.path}?{pairs}"

    def headers(self) -> dict[str, str]:
        """The handshake's headers. They hold the key: never store or log them."""
        return {
            "Authorization": f"Bearer {self.credential.reveal()}",
            "Cartesia-Version": self.version,
        }


def manual_query(
    *,
    model: str,
    encoding: str,
    sample_rate: int,
    language: str | None,
    keyterms: Sequence[str],
    language_hints: Sequence[str],
    min_volume: float | None,
    max_silence_duration_secs: float | None,
    extra_query: Mapping[str, object],
) -> dict[str, object]:
    """The query parameters of the Manual endpoint, checked.

    Models, languages and hints are open sets and pass as they are: the service
    adds to them inside a version.

    Raises:
        ConfigError: A value breaks a rule that the service documents.
    """
    check.text("model", model)
    if language is not None:
        check.text("language", language)
    _check_list("keyterms", keyterms, most=100)
    if sum(map(len, keyterms)) > 1200:
        raise ConfigError(
            "keyterms: at most 1,200 characters in all, got "
            f"{sum(map(len, keyterms)):,}; leave out the common words"
        )
    _check_list("language_hints", language_hints, most=6)
    query: dict[str, object] = {
        "model": model,
        "encoding": encoding,
        "sample_rate": sample_rate,
        "language": language,
        "keyterm": list(keyterms),
        "language_hint": list(language_hints),
        "min_volume": _check_number("min_volume", min_volume),
        "max_silence_duration_secs": check.seconds(
            "max_silence_duration_secs", max_silence_duration_secs, none=True
        ),
    }
    query = {name: value for name, value in query.items() if value not in (None, [])}
    return query | _check_extra(extra_query, MANUAL)


def find_base_url(url: str | None) -> str:
    """Check the base URL: the argument, else ``CARTESIA_BASE_URL``, else the service's.

    Raises:
        ConfigError: See `check_base_url`.
    """
    if url is None:
        url = os.environ.get("CARTESIA_BASE_URL") or BASE_URL
    return check_base_url(url)


def find_credential(api_key: str | None, access_token: str | None) -> Secret:
    """Take the credential: an argument, else ``CARTESIA_API_KEY``.

    Raises:
        ConfigError: None, both, or one that cannot stand in a header.
    """
    try:
        if api_key is not None and access_token is not None:
            raise ConfigError("api_key, access_token: one of the two, got both")
        if access_token is not None:
            return check_credential("access_token", access_token)
        if api_key is not None:
            return check_credential("api_key", api_key)
        if os.environ.get("CARTESIA_API_KEY"):
            name = "CARTESIA_API_KEY"
            return check_credential(name, os.environ[name])
    finally:
        # A traceback keeps the locals of its frames, and some tools print them.
        api_key = access_token = None
    raise ConfigError(
        "api_key: none given; pass api_key= or set CARTESIA_API_KEY (a key is made "
        "at play.cartesia.ai; the local server takes any)"
    )


def check_version(version: object) -> str:
    """Check the service's version: a date, which is mandatory on the wire.

    Raises:
        ConfigError: Not a date.
    """
    if isinstance(version, str) and re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}", version):
        return version
    raise ConfigError(f"version: a date like {VERSION!r}, got {version!r}")


def check_base_url(url: str) -> str:
    """Bring a base URL into its one form, or say why it must not be used.

    ``https`` and ``http`` are read as ``wss`` and ``ws``: regional hosts are
    listed in that form. Unencrypted only to this machine: the service may
    revoke a key that it has seen in the clear.

    Raises:
        ConfigError: No websocket URL, one with a path, query or user, or one
            that would send the key in the clear.
    """
    if not isinstance(url, str):
        raise ConfigError(f"base_url: a URL like {BASE_URL!r}, got {url!r}")
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise ConfigError(f"base_url: a URL like {BASE_URL!r}; {exc}") from None
    scheme = {"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not host:
        raise ConfigError(
            f"base_url: a URL like {BASE_URL!r}, got scheme {parts.scheme!r} "
            f"and host {host!r}"
        )
    if parts.username is not None or parts.query or parts.fragment:
        # Not quoted back: what stands there may be a credential.
        raise ConfigError(
            "base_url: only scheme, host and port, got a user, query or fragment; "
            "pass the key as api_key="
        )
    if parts.path.strip("/"):
        raise ConfigError(
            f"base_url: only scheme, host and port, got the path {parts.path!r}; "
            "the endpoint's own path is added"
        )
    if scheme == "ws" and not is_loopback(host):
        raise ConfigError(
            f"base_url: ws:// only to this machine, got host {host!r}; a key sent "
            "in the clear may be revoked, so use wss://"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + (f":{port}" if port is not None else "")


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine: ``localhost`` or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_credential(name: str, value: object) -> Secret:
    """Wrap a key or token, having checked that it can stand in a header.

    Raises:
        ConfigError: Empty, or with blanks or characters a header cannot carry.
            The message never quotes it.
    """
    try:
        if not isinstance(value, str) or not value:
            got = "an empty string" if value == "" else f"a {type(value).__name__}"
            raise ConfigError(f"{name}: a non-empty string, got {got}")
        if not all("!" <= char <= "~" for char in value):
            raise ConfigError(
                f"{name}: letters, digits and signs only, got a blank, a line break or "
                "a character outside ASCII; a key read from a file wants .strip()"
            )
        return Secret(value)
    finally:
        value = None  # not for the eyes of a traceback, see above


def _check_list(name: str, values: object, *, most: int) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{name}: a list of strings, got {values!r}")
    if len(values) > most:
        raise ConfigError(f"{name}: at most {most}, got {len(values)}")
    for value in values:
        check.text(name, value)


def _check_number(name: str, value: object) -> object:
    if value is not None and check.finite(value) is None:
        raise ConfigError(f"{name}: a number or None, got {value!r}")
    return value


def _check_extra(extra: object, endpoint: Endpoint) -> dict[str, object]:
    if not isinstance(extra, Mapping):
        raise ConfigError(f"extra_query: a mapping of strings, got {extra!r}")
    for name, value in extra.items():
        check.text("extra_query", name)
        if name in _FORBIDDEN_QUERY:
            raise ConfigError(
                f"extra_query: {name} must not stand in a URL, where logs keep it; "
                f"pass it as {name}="
            )
        if name in endpoint.required + endpoint.optional:
            raise ConfigError(
                f"extra_query: {name} has an argument of its own; use that"
            )
        for item in _several(value):
            if not isinstance(item, (str, bool)) and check.finite(item) is None:
                raise ConfigError(
                    f"extra_query: {name} wants a string, a number, a bool or a list "
                    f"of them, got {value!r}"
                )
            check.text(f"extra_query: {name}", str(item))
    return dict(extra)


def _several(value: object) -> Iterable[object]:
    return value if isinstance(value, (list, tuple)) else [value]


def _pairs(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Flatten lists into repeated parameters and write values as the web does."""
    for name, value in query.items():
        for item in _several(value):
            yield name, str(item).lower() if isinstance(item, bool) else str(item)
