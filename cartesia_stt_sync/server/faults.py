"""Misbehaviour on purpose, as values: what `LocalServer` can be told to do wrong.

Decides what may be asked for. Never decides when a fault's moment has come
(`moment`) or what it is on the wire (`acts`), and touches no connection.
"""

from __future__ import annotations

import collections.abc
import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from ..errors import ConfigError
from .rules import HANDSHAKE, RULES, STREAM, check_at

__all__ = ["Fault", "check_faults"]


@attrs.frozen(kw_only=True, repr=False)
class Fault:
    """One thing that the local server does wrong, on one connection.

    Made by the methods below, for ``LocalServer(faults=...)``. The first six spoil
    the handshake. Every other one takes ``at``, the moment in a stream that is
    served well until then:

    - a number: once so many seconds of audio were received, and what they say was
      answered. Default ``0.0``: right after the upgrade.
    - ``"finalize"`` or ``"close"``: when the first such command comes. The Auto
      endpoint has no ``finalize``, so there the first of these never comes.
    - ``"done"``: after the last transcript or turn, when only ``done`` is left to be
      sent, or on Auto, which has none, the close frame.

    A fault that ends the connection or the server's part in it comes in place of
    what would be the answer in that moment. Any other comes before the answer, and
    the stream goes on as if nothing had been.

    Attributes:
        kind: The name of the method that made it.
        at: Its moment; ``None`` for one of the handshake.
        options: The method's other arguments.

    Raises:
        ConfigError: An argument breaks its rule; from each of the methods as well.

    Threads: a value; any thread may make and share it.
    """

    kind: str
    at: float | str | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    def __attrs_post_init__(self) -> None:
        known = HANDSHAKE | STREAM
        if not isinstance(self.kind, str) or self.kind not in known:
            raise ConfigError(f"kind: one of {', '.join(known)}, got {self.kind!r}")
        if set(self.options) != set(known[self.kind]):
            raise ConfigError(
                f"options: of {self.kind} they are {list(known[self.kind])}, "
                f"got {list(self.options)}"
            )
        if self.in_handshake != (self.at is None):
            raise ConfigError(f"at: {self.kind} has no such moment, got {self.at!r}")
        if self.at is not None:
            check_at(self.at)
        for name, value in self.options.items():
            RULES[name](name, value)

    @property
    def in_handshake(self) -> bool:
        """Whether it comes before there is a stream."""
        return self.kind in HANDSHAKE

    def __repr__(self) -> str:
        given = (
            dict(self.options) if self.at is None else {**self.options, "at": self.at}
        )
        return f"Fault.{self.kind}({', '.join(f'{k}={v!r}' for k, v in given.items())})"

    # In the handshake

    @classmethod
    def refuse(
        cls,
        status: int,
        *,
        body: str | Mapping[str, Any] | None = None,
        retry_after: float | str | None = None,
    ) -> Fault:
        """Refuse the upgrade.

        Args:
            status: The HTTP status, 200 to 599.
            body: A string: that, as plain text. A mapping: that, as JSON. Default
                ``None``: JSON in the shape of the service's errors.
            retry_after: The header ``Retry-After``: seconds, or a string as it
                stands. Default ``None``: without it.
        """
        options = {"status": status, "body": body, "retry_after": retry_after}
        return cls(kind="refuse", options=copy.deepcopy(options))

    @classmethod
    def redirect(cls, url: str) -> Fault:
        """Send the client elsewhere, with 302 and ``url`` as the ``Location``."""
        return cls(kind="redirect", options={"url": url})

    @classmethod
    def slow_handshake(cls, seconds: float) -> Fault:
        """Answer only after so many seconds, and serve well from there on."""
        return cls(kind="slow_handshake", options={"seconds": seconds})

    @classmethod
    def no_handshake(cls) -> Fault:
        """Never answer, until the client leaves or the server stops."""
        return cls(kind="no_handshake")

    @classmethod
    def half_handshake(cls) -> Fault:
        """Say the beginning of the answer and then nothing more."""
        return cls(kind="half_handshake")

    @classmethod
    def reset_handshake(cls) -> Fault:
        """Reset the connection in place of an answer."""
        return cls(kind="reset_handshake")

    # The end of the connection

    @classmethod
    def reset(cls, *, at: float | str = 0.0) -> Fault:
        """Reset the connection (a TCP RST)."""
        return cls(kind="reset", at=at)

    @classmethod
    def vanish(cls, *, at: float | str = 0.0) -> Fault:
        """End the connection (a TCP FIN) without a close frame."""
        return cls(kind="vanish", at=at)

    @classmethod
    def close(
        cls, code: int | None, reason: str = "", *, at: float | str = 0.0
    ) -> Fault:
        """Send a close frame, with code 1000 too without the ``done`` before it.

        Args:
            code: 0 to 65535; ``None``: a frame without code and reason.
            reason: At most 123 bytes of UTF-8. Default ``""``.
            at: When.
        """
        if code is None and reason:
            raise ConfigError(f"reason: none without a code, got {reason!r}")
        return cls(kind="close", at=at, options={"code": code, "reason": reason})

    @classmethod
    def half_frame(cls, *, at: float | str = 0.0) -> Fault:
        """Begin a message, and end the connection in the middle of it."""
        return cls(kind="half_frame", at=at)

    @classmethod
    def done(cls, *, at: float | str = 0.0) -> Fault:
        """Say a ``done`` that nobody has asked for, and close with 1000.

        Also on Auto, where it is an event of no known kind.
        """
        return cls(kind="done", at=at)

    @classmethod
    def error(
        cls,
        shape: str = "current",
        *,
        status: int = 500,
        message: str = "the service has failed, on purpose",
        error_code: str | None = None,
        at: float | str = 0.0,
    ) -> Fault:
        """Report an error in an event, and close with 1011.

        Args:
            shape: ``"current"``, ``"older"`` or ``"oldest"``: which fields it has.
            status: The HTTP status in it, 200 to 599. Default 500.
            message: Its text.
            error_code: The service's code for it; only the current shape has one.
            at: When.
        """
        options = {"shape": shape, "status": status, "message": message}
        return cls(kind="error", at=at, options=options | {"error_code": error_code})

    # Silence

    @classmethod
    def stop_reading(cls, *, at: float | str = 0.0) -> Fault:
        """Take nothing more from the socket, which stays open.

        Not until the server stops: who does not read does not see the client leave.
        """
        return cls(kind="stop_reading", at=at)

    @classmethod
    def stop_answering(cls, *, at: float | str = 0.0) -> Fault:
        """Read on, and say nothing more: no text, no ``done``, no pong."""
        return cls(kind="stop_answering", at=at)

    @classmethod
    def slow(cls, seconds: float, *, at: float | str = 0.0) -> Fault:
        """Give every answer from there on so many seconds too late."""
        return cls(kind="slow", at=at, options={"seconds": seconds})

    # Messages that should not be; the stream goes on

    @classmethod
    def flush_done(cls, *, at: float | str = 0.0) -> Fault:
        """Say a ``flush_done`` that nobody has asked for; on Auto, too."""
        return cls(kind="flush_done", at=at)

    @classmethod
    def garbage(cls, *, at: float | str = 0.0) -> Fault:
        """Send a text message that is no JSON."""
        return cls(kind="garbage", at=at)

    @classmethod
    def invalid_utf8(cls, *, at: float | str = 0.0) -> Fault:
        """Send a text message that is no UTF-8."""
        return cls(kind="invalid_utf8", at=at)

    @classmethod
    def deep_json(cls, depth: int = 200_000, *, at: float | str = 0.0) -> Fault:
        """Send JSON with ``depth`` lists in each other, 1 to 1,000,000."""
        return cls(kind="deep_json", at=at, options={"depth": depth})

    @classmethod
    def flood(cls, events: int = 100_000, *, at: float | str = 0.0) -> Fault:
        """Send so many provisional transcripts as fast as the client takes them.

        On Auto they are updates, perhaps of no turn.
        """
        return cls(kind="flood", at=at, options={"events": events})

    # Messages without end, until the client leaves or the server stops

    @classmethod
    def huge_frame(cls, *, at: float | str = 0.0) -> Fault:
        """Announce a message of 2**40 bytes, send a thousand, and wait."""
        return cls(kind="huge_frame", at=at)

    @classmethod
    def endless_fragments(cls, *, at: float | str = 0.0) -> Fault:
        """Send one message in pieces of 64 KiB, of which none is the last."""
        return cls(kind="endless_fragments", at=at)

    @classmethod
    def endless_pings(cls, *, at: float | str = 0.0) -> Fault:
        """Send nothing but pings."""
        return cls(kind="endless_pings", at=at)


def check_faults(faults: object) -> Iterator[Fault | None]:
    """The faults, one for each connection.

    Args:
        faults: What the caller gave; asked for the next entry only when that is
            needed, unless it is a collection.

    Raises:
        ConfigError: Not an iterable; or an entry is neither a fault nor ``None``,
            which of an iterator shows only when it comes.
    """
    if not isinstance(faults, Iterable):
        raise ConfigError(f"faults: an iterable of Fault or None, got {faults!r}")
    if isinstance(faults, collections.abc.Collection):
        return iter([_checked(entry) for entry in faults])
    return (_checked(entry) for entry in faults)


def _checked(entry: object) -> Fault | None:
    if entry is None or isinstance(entry, Fault):
        return entry
    raise ConfigError(f"faults: each a Fault or None, got {entry!r}")
