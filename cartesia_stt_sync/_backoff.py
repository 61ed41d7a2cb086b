"""Whether and when to connect again.

Decides delays and which losses are worth it. Never waits itself, and draws no
random number: the jitter is handed in. So tests see every delay exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from . import _validate as check
from ._value import Value
from .errors import ConnectError, ConnectionLost, ServerError

__all__ = ["Attempts", "Reconnect", "delays", "worth_it"]

_CODES = frozenset({1001, 1005, 1006, 1011, 1012, 1013, 1015})
"""Close codes that speak of a passing trouble; those the official SDK retries."""

_STOOD = 60.0
"""Seconds after which a connection that is lost was not a try that failed."""

_LONGEST = 300.0
"""Seconds that a server's Retry-After is obeyed. A stream that is to wait longer is of
no use to anybody by then, so it tries after these; a file can be sent tomorrow."""


@attrs.frozen(eq=False, repr=False)
class Reconnect(Value):
    """What to do when the connection is lost.

    Attributes:
        attempts: Tries in a row before giving up. New text, an answered ``finalize``
            and a connection that stood for a minute start the count anew.
        first_delay: Seconds before the first try; each further one waits twice
            as long.
        max_delay: The longest wait, in seconds.
        max_replay: Seconds of unanswered audio kept to be sent again.

    Raises:
        ConfigError: A value breaks its rule.
    """

    attempts: int = attrs.field(default=5, validator=check.field(check.count))
    first_delay: float = attrs.field(default=0.25, validator=check.field(check.seconds))
    max_delay: float = attrs.field(default=8.0, validator=check.field(check.seconds))
    max_replay: float = attrs.field(default=30.0, validator=check.field(check.seconds))


def delays(policy: Reconnect, jitter: Callable[[], float]) -> Iterator[float]:
    """Give the seconds to wait before each try, then end.

    Args:
        policy: The limits.
        jitter: Returns a number from 0 to 1 each time. A delay is drawn from its
            upper half, so that a thousand clients cut off at once do not return
            at once.
    """
    longest = policy.first_delay
    for _ in range(policy.attempts):
        longest = min(longest, policy.max_delay)
        yield longest * (0.5 + 0.5 * jitter())
        longest *= 2


def worth_it(error: Exception) -> bool:
    """Whether another connection may do better than the one that ended so."""
    if isinstance(error, ConnectionLost):
        return error.close_code in _CODES
    if isinstance(error, ConnectError):
        status = error.status_code
        return status is None or status == 429 or status >= 500
    return False


class Attempts:
    """The tries since the service last did what it is there for.

    Counted so, and not since the last connection or message, a server that accepts
    each one, says something and drops it is given up on: what is sent again is billed
    again.

    Args:
        policy: The limits; ``None``: never try.
        jitter: See `delays`.
    """

    __slots__ = ("_asked_to_wait", "_jitter", "_left", "_made", "_policy")

    def __init__(self, policy: Reconnect | None, jitter: Callable[[], float]) -> None:
        self._policy = policy
        self._jitter = jitter
        self._restart()

    def answered(self) -> None:
        """Note that audio was answered that had not been: the count starts anew."""
        if not self._made and not self._asked_to_wait:
            return  # as it is after nearly every answer
        self._restart()

    def stood(self, seconds: float) -> None:
        """Note for how long the connection stood that is lost."""
        if seconds >= _STOOD:
            self._restart()

    def _restart(self) -> None:
        policy = self._policy
        self._left = iter(()) if policy is None else delays(policy, self._jitter)
        self._made = 0
        self._asked_to_wait = 0.0

    def worth(self, error: Exception) -> bool:
        """Whether to try at all after a loss of this kind."""
        return self._policy is not None and worth_it(error)

    def refused(self, error: ConnectError | ServerError) -> None:
        """Note a refusal: the server may have said how long to wait."""
        self._asked_to_wait = min(error.retry_after or 0.0, _LONGEST)

    def next_for(self, error: ConnectError | ServerError) -> tuple[int, float] | None:
        """Return the next try after a request was answered so, if one is worth it.

        Only what the service itself said, 429 or 5xx, tells that a request came to
        nothing; without an answer it may have been carried out.
        """
        status = error.status_code
        if status is None or not (status == 429 or status >= 500):
            return None
        if (error.retry_after or 0.0) > _LONGEST:
            return None  # nobody wants to sit there: the error has it
        self.refused(error)
        return self.next()

    def next(self) -> tuple[int, float] | None:
        """Return the next try's number and the seconds before it, if one is left."""
        delay = next(self._left, None)
        if delay is None:
            return None
        self._made += 1
        delay, self._asked_to_wait = max(delay, self._asked_to_wait), 0.0
        return self._made, delay
