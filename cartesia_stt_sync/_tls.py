"""TLS on a socket that is connected: by which context, and what it is spared.

Decides which contexts are safe to hand a key to, and when a handshake goes on from an
earlier one with the same server. Connects nothing, and looks at no clock.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Hashable
from functools import cache
from urllib.parse import urlsplit

from .endpoints import is_loopback
from .errors import ConfigError

__all__ = ["Secured", "check_ssl_context", "default_ssl_context", "sessions"]

_MOST = 64
"""Servers of one context whose sessions are kept."""


@cache
def default_ssl_context() -> ssl.SSLContext:
    """The one context of this process, built at first use.

    It takes 20 ms and most of a megabyte to read all certificates once more for
    each connection.
    """
    return ssl.create_default_context()


def check_ssl_context(context: object, base_url: str) -> None:
    """Check a TLS context: away from this machine it must verify who answers.

    Raises:
        ConfigError: No context, or one that would hand the key to anybody.
    """
    if context is None:
        return
    if not isinstance(context, ssl.SSLContext):
        raise ConfigError(f"ssl_context: an ssl.SSLContext or None, got {context!r}")
    verifies = context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED
    if not verifies and not is_loopback(urlsplit(base_url).hostname or ""):
        raise ConfigError(
            "ssl_context: one that verifies certificate and host name, got one that "
            "does not; for a private authority use "
            "ssl.create_default_context(cafile=...)"
        )


def sessions(context: ssl.SSLContext) -> dict[Hashable, ssl.SSLSession]:
    """What servers gave a context to go on from; each call on it is atomic.

    Kept with the context itself, for each of them refers to it: anywhere else they
    would keep alive a context that nobody needs any more.
    """
    kept: dict[Hashable, ssl.SSLSession] = vars(context).setdefault(
        "_cartesia_stt_sessions", {}
    )
    return kept


class Secured:
    """A connection's TLS, whose handshake is still to be made.

    A server whose certificate this context has verified before is not asked for it
    again, as in browsers (RFC 8446, 2.2): that spares us the look at it, and the server
    a signature.

    Args:
        sock: Connected; it is detached, and `sock` takes its place.
        context: Whom to trust; ``None``: the shared one.
        host: Whose certificate it must be.
        port: Where.

    Attributes:
        sock: The socket.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext | None,
        host: str,
        port: int,
    ) -> None:
        context = context or default_ssl_context()
        self._sessions = sessions(context)
        # Verified in another way, it would not be the same: a session counts as
        # verified however it came about.
        how = (context.verify_mode, context.check_hostname, context.verify_flags)
        self._key = (host, port, *how)
        self.sock = context.wrap_socket(
            sock,
            server_hostname=host,
            do_handshake_on_connect=False,
            session=self._sessions.get(self._key),
        )

    def shake_hands(self) -> None:
        """Make the handshake.

        Raises:
            OSError: It failed; the next one begins anew.
        """
        try:
            self.sock.do_handshake()
        except BaseException:
            self.forget_session()
            raise

    def forget_session(self) -> None:
        """Have the next handshake begin anew: this server refuses what we are."""
        self._sessions.pop(self._key, None)

    def keep_session(self) -> None:
        """Keep what the next handshake may go on from.

        To be called once something has been read: since TLS 1.3 it comes with that.
        """
        if self.sock.session_reused:
            return  # as good as a new one, which Python takes long to read
        session = self.sock.session
        if session is None or not session.has_ticket:
            return
        if len(self._sessions) >= _MOST:
            self._sessions.clear()
        self._sessions[self._key] = session
