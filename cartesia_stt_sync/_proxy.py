"""HTTP proxies: which one to use, and the tunnel through it.

Decides whether a connection takes a proxy, and how one is asked. Never logs or
quotes a password.
"""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from .endpoints import is_loopback
from .errors import ConfigError

__all__ = ["check_proxy", "find_proxy", "tunnel"]

_MOST_HEADERS = 65536
"""Bytes that a proxy's answer may have."""


def check_proxy(proxy: object) -> str | None:
    """Check a proxy argument: ``"env"``, an ``http://`` URL, or ``None``.

    Raises:
        ConfigError: It is neither; the message quotes no password.
    """
    if proxy is None or proxy == "env":
        return proxy
    try:
        parts = urlsplit(proxy) if isinstance(proxy, str) else None
        whole = parts is not None and parts.hostname and parts.port != 0
    except ValueError:  # an address or a port that is none
        parts, whole = None, False
        proxy = "one that is no URL"
    if parts is None or parts.scheme != "http" or not whole:
        raise ConfigError(
            "proxy: 'env', None or a URL like 'http://user:password@host:3128', "
            f"got {_kind_of(parts.scheme) if parts else repr(proxy)}"
        )
    return str(proxy)


def _kind_of(scheme: str) -> str:
    """What a URL is that is none of ours, without what may be secret in it."""
    if scheme in ("https", "socks", "socks4", "socks4a", "socks5", "socks5h"):
        return f"one of {scheme}://, which is not supported"
    return "a URL of another kind"


def find_proxy(proxy: str | None, host: str, secure: bool) -> str | None:
    """Return the URL of the proxy to use, if one is.

    Towards this very machine only a proxy on this machine is used, for to one
    elsewhere the name means another machine; and one that nobody named, only if
    what it is to carry is encrypted.

    Args:
        proxy: As `check_proxy` has passed it.
        host: Where to.
        secure: Whether by TLS.

    Raises:
        ConfigError: The environment names a proxy of another kind.
    """
    here = is_loopback(host)
    if proxy == "env":
        proxy = None if here and not secure else _in_environment(host, secure)
    if proxy is None or (here and not is_loopback(urlsplit(proxy).hostname or "")):
        return None
    return check_proxy(proxy)


def _in_environment(host: str, secure: bool) -> str | None:
    # Imported only here: it brings half of the standard library along.
    from urllib.request import getproxies, proxy_bypass

    # First, for mostly there is none: both look at the whole of the environment.
    found = getproxies().get("https" if secure else "http")
    if not found or proxy_bypass(host):
        return None
    return f"http://{found}" if "://" not in found else found


def tunnel(
    sock: socket.socket,
    proxy: str,
    host: str,
    port: int,
    left: Callable[[], float | None],
) -> None:
    """Ask a proxy for a tunnel (RFC 9110, 9.3.6).

    Args:
        sock: Connected to the proxy.
        proxy: Its URL, for the user and password in it.
        host: Where to.
        port: Where to.
        left: Gives the seconds that are left, or raises `TimeoutError`.

    Raises:
        OSError: It refused, broke off, or took too long.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *_login(proxy)]
    sock.settimeout(left())
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        sock.settimeout(left())
        # Byte by byte, lest the server's own first word be swallowed.
        data = sock.recv(1)
        answer += data
        if not data or len(answer) > _MOST_HEADERS:
            raise ConnectionError("the proxy gave no whole answer")
    said = answer.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
    if len(said) < 2 or said[1] != "200":
        raise ConnectionError(f"the proxy refused: {_meaning(said[1:2])}")


def _meaning(status: list[str]) -> str:
    """A status in words that are not the proxy's: it may repeat a password."""
    try:
        from http import HTTPStatus

        known = HTTPStatus(int(status[0]))
    except (IndexError, ValueError):
        return "what it said is no HTTP"
    return f"{known.value} {known.phrase}"


def _login(proxy: str) -> list[str]:
    """The header for the user that a proxy's URL names, if it names one."""
    parts = urlsplit(proxy)
    if not parts.username:
        return []
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [f"Proxy-Authorization: Basic {b64encode(pair.encode()).decode()}"]
