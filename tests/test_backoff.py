"""When to connect again."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cartesia_stt_sync._backoff import Attempts, Reconnect, delays, worth_it
from cartesia_stt_sync.errors import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    ProtocolError,
    QuotaError,
    RateLimitError,
    ServerError,
)


def most() -> float:
    """The die that falls on 1."""
    return 1.0


def least() -> float:
    """The die that falls on 0."""
    return 0.0


def lost(code: int) -> ConnectionLost:
    """A connection that ended with this code."""
    error = ConnectionLost("gone")
    error.close_code = code
    return error


class TestPolicy:
    """The limits."""

    def test_defaults(self) -> None:
        """Five tries, within about eight seconds, with half a minute of audio."""
        assert Reconnect() == Reconnect(5, 0.25, 8.0, 30.0)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("attempts", -1),
            ("attempts", 1.5),
            ("attempts", None),
            ("first_delay", -0.1),
            ("max_delay", math.inf),
            ("max_delay", None),
            ("max_replay", "30"),
        ],
    )
    def test_refused(self, name: str, value: Any) -> None:
        """Each value has its rule, and the message names it."""
        options: dict[str, Any] = {name: value}
        with pytest.raises(ConfigError, match=f"^{name}: .*, got "):
            Reconnect(**options)


class TestDelays:
    """The waits before the tries."""

    def test_doubled(self) -> None:
        """Each wait is twice the last, up to the longest."""
        policy = Reconnect(attempts=8)
        assert list(delays(policy, most)) == [0.25, 0.5, 1, 2, 4, 8, 8, 8]

    def test_jitter(self) -> None:
        """A wait is drawn from its upper half."""
        assert list(delays(Reconnect(), least)) == [0.125, 0.25, 0.5, 1, 2]
        dice = iter([0.0, 0.5, 1.0])
        policy = Reconnect(attempts=3, first_delay=1, max_delay=1)
        assert list(delays(policy, lambda: next(dice))) == [0.5, 0.75, 1.0]

    def test_first_delay_is_limited_too(self) -> None:
        """No wait is longer than the longest, the first neither."""
        policy = Reconnect(attempts=2, first_delay=60, max_delay=1)
        assert list(delays(policy, most)) == [1, 1]

    def test_no_attempts(self) -> None:
        """No tries are no waits."""
        assert list(delays(Reconnect(attempts=0), most)) == []

    def test_very_many_attempts(self) -> None:
        """After thousands of tries the arithmetic still holds."""
        waits = list(delays(Reconnect(attempts=5000), most))
        assert len(waits) == 5000
        assert waits[-1] == 8


class TestWorthIt:
    """Which ends deserve another try."""

    @pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1012, 1013, 1015])
    def test_passing_trouble(self, code: int) -> None:
        """The codes that the official SDK retries are retried."""
        assert worth_it(lost(code))

    @pytest.mark.parametrize("code", [1000, 1002, 1003, 1007, 1008, 1009, 1010, 4000])
    def test_lasting_trouble(self, code: int) -> None:
        """A normal end, or one that speaks of a mistake, is not."""
        assert not worth_it(lost(code))

    def test_without_a_close_frame(self) -> None:
        """A connection that just broke is worth another."""
        assert worth_it(ConnectionLost("reset by peer"))

    @pytest.mark.parametrize(
        ("error", "worth"),
        [
            (ConnectError("no route"), True),
            (ConnectError("internal", status_code=500), True),
            (ConnectError("unavailable", status_code=503), True),
            (RateLimitError("too many", status_code=429), True),
            (ConnectError("bad request", status_code=400), False),
            (AuthenticationError("no such key", status_code=401), False),
            (QuotaError("no credits", status_code=402), False),
            (AuthenticationError("forbidden", status_code=403), False),
            (ConnectError("not found", status_code=404), False),
            (ServerError("error event", status_code=500), False),
            (ProtocolError("masked"), False),
            (DrainTimeout("silent"), False),
            (ValueError("a bug"), False),
        ],
        ids=str,
    )
    def test_errors(self, error: Exception, worth: bool) -> None:
        """No route, too many and the server's own trouble pass; the rest stays."""
        assert worth_it(error) is worth


class TestAttempts:
    """The count of tries."""

    def test_numbers(self) -> None:
        """Tries are numbered from 1, and end."""
        attempts = Attempts(Reconnect(attempts=3), most)
        assert [attempts.next() for _ in range(5)] == [
            (1, 0.25),
            (2, 0.5),
            (3, 1.0),
            None,
            None,
        ]

    def test_answered(self) -> None:
        """An answer of the server's starts the count anew."""
        attempts = Attempts(Reconnect(attempts=2), most)
        attempts.next()
        attempts.next()
        attempts.answered()
        assert [attempts.next() for _ in range(3)] == [(1, 0.25), (2, 0.5), None]

    @pytest.mark.parametrize(("seconds", "anew"), [(59.9, False), (60.0, True)])
    def test_stood(self, seconds: float, anew: bool) -> None:
        """A connection that stood for a minute was no try that failed."""
        attempts = Attempts(Reconnect(attempts=1), most)
        assert attempts.next() is not None
        attempts.stood(seconds)
        assert (attempts.next() is not None) is anew

    def test_never(self) -> None:
        """Without a policy nothing is worth a try."""
        attempts = Attempts(None, most)
        assert not attempts.worth(ConnectionLost("gone"))
        assert attempts.next() is None

    def test_worth(self) -> None:
        """With one, what passes is."""
        attempts = Attempts(Reconnect(), most)
        assert attempts.worth(ConnectionLost("gone"))
        assert not attempts.worth(lost(1000))

    def test_asked_to_wait(self) -> None:
        """Where the server says how long, the next try waits so long, once."""
        attempts = Attempts(Reconnect(), most)
        error = RateLimitError("too many", status_code=429)
        error.retry_after = 3.0
        attempts.next()
        attempts.refused(error)
        assert attempts.next() == (2, 3.0)
        assert attempts.next() == (3, 1.0)

    @pytest.mark.parametrize("seconds", [None, 0.0, 0.1])
    def test_asked_to_wait_less(self, seconds: float | None) -> None:
        """A shorter wait than its own is none."""
        attempts = Attempts(Reconnect(), most)
        error = RateLimitError("too many", status_code=429)
        error.retry_after = seconds
        attempts.refused(error)
        assert attempts.next() == (1, 0.25)

    @pytest.mark.parametrize(
        ("seconds", "following"), [(300.0, (1, 300.0)), (301.0, None), (1e9, None)]
    )
    def test_a_request_that_is_to_wait_for_long(
        self, seconds: float, following: tuple[int, float] | None
    ) -> None:
        """It is not made again too soon, nor does anybody sit there for that long."""
        attempts = Attempts(Reconnect(), most)
        error = RateLimitError("too many", status_code=429)
        error.retry_after = seconds
        assert attempts.next_for(error) == following

    def test_a_stream_that_is_to_wait_for_long(self) -> None:
        """It tries after five minutes: later nobody waits for it any more."""
        attempts = Attempts(Reconnect(), most)
        error = RateLimitError("too many", status_code=429)
        error.retry_after = 1e9
        attempts.refused(error)
        assert attempts.next() == (1, 300.0)
