"""Whom to talk to, as whom: base URLs, keys, headers.

Decides where a key may go: into a header, over TLS or to this machine, and never into
a URL, a ``repr`` or a message. Opens no connection.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

import attrs

from ..errors import ConfigError
from .known import Endpoint, Form
from .parameters import pairs

__all__ = [
    "BASE_URL",
    "VERSION",
    "Account",
    "Secret",
    "check_base_url",
    "check_credential",
    "check_version",
    "find_base_url",
    "find_credential",
    "is_loopback",
    "without",
]

BASE_URL = "wss://api.cartesia.ai"
VERSION = "2026-03-01"


_SHORTEST = 6
"""Characters of a credential, at least; a shorter one is for a server of one's own, and
perhaps a word."""


def without(secret: str, text: str) -> str:
    """Take a credential out of a text that came from outside."""
    return text.replace(secret, "***") if len(secret) >= _SHORTEST else text


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

    def taken_out_of(self, text: str) -> str:
        """A text from outside without the credential; see `without`."""
        return without(self._reveal(), text)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not pickled: pass the key by the environment")


@attrs.frozen(kw_only=True, eq=False, repr=False)
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

    def url(self, endpoint: Endpoint | Form, query: Mapping[str, object]) -> str:
        """The address of ``endpoint`` with ``query`` on it; it holds no key."""
        # quote, not quote_plus: a space in a keyterm must go as %20.
        asked = urlencode(list(pairs(query)), quote_via=quote)
        return f"{self.base_url}{endpoint.path}" + (f"?{asked}" if asked else "")

    def headers(self) -> dict[str, str]:
        """The handshake's headers. They hold the key: never store or log them."""
        return {
            "Authorization": f"Bearer {self.credential.reveal()}",
            "Cartesia-Version": self.version,
        }


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
