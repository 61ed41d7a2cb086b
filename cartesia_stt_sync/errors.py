"""The exception tree: who is at fault stands in the type.

Decides what an error is called and what it carries. Never touches a socket, a
thread or a key: whoever builds an error has already taken every credential out
of its text.

Each class also derives from the builtin a caller would guess (``ValueError``,
``ConnectionError``, ``TimeoutError``, ``queue.Full``), so code that has never
heard of this library still catches the right thing.
"""

from __future__ import annotations

import queue

__all__ = [
    "AuthenticationError",
    "BufferFull",
    "CartesiaSTTError",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "ConnectionLost",
    "DrainTimeout",
    "ProtocolError",
    "QuotaError",
    "RateLimitError",
    "ServerError",
    "WouldDeadlock",
]


class CartesiaSTTError(Exception):
    """Base of every error this library raises on purpose.

    Attributes:
        status_code: The HTTP status, of the handshake or inside an error event.
        title: The service's short name for the problem.
        error_code: The service's machine-readable code, such as ``quota_exceeded``.
        request_id: What Cartesia's support asks for.
        doc_url: The page the service points to.

    Each is ``None`` where it is not known.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        title: str | None = None,
        error_code: str | None = None,
        request_id: str | None = None,
        doc_url: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.title = title
        self.error_code = error_code
        self.request_id = request_id
        self.doc_url = doc_url


class ConfigError(CartesiaSTTError, ValueError):
    """An argument breaks a rule; the message names it, the rule and what came."""


class ConnectError(CartesiaSTTError, ConnectionError):
    """The connection could not be made: no route, bad certificate, refused upgrade.

    Attributes:
        retry_after: Seconds the service asked to wait, where it did.
    """

    retry_after: float | None = None


class AuthenticationError(ConnectError):
    """The service knows no such key, or forbids this to it (401, 403)."""


class QuotaError(ConnectError):
    """The account has no credits left for this (402)."""


class RateLimitError(ConnectError):
    """Too many requests, or more streams at once than the plan allows (429)."""


class ServerError(CartesiaSTTError):
    """The service reported a problem: in an ``error`` event, or in answer to a file.

    Attributes:
        retry_after: Seconds the service asked to wait, where it did.
    """

    retry_after: float | None = None


class ConnectionLost(CartesiaSTTError, ConnectionError):
    """The connection ended before the transcript was complete.

    Attributes:
        close_code: The code of the server's close frame; 1006 where none came
            (RFC 6455, 7.1.5).
    """

    close_code: int = 1006


class ProtocolError(CartesiaSTTError):
    """The peer broke RFC 6455, or a limit that guards this process."""


class ClosedError(CartesiaSTTError):
    """The call came too late: the session is closing, closed or aborted."""


class DrainTimeout(CartesiaSTTError, TimeoutError):
    """The end of the transcript did not come in time; the text so far is kept."""


class BufferFull(CartesiaSTTError, queue.Full):
    """The audio buffer had no room in time; nothing of this call was taken."""


class WouldDeadlock(CartesiaSTTError, RuntimeError):
    """A callback waits for something that only its own thread could bring."""
