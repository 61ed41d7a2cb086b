"""The stages of a message on its way, and how long each one takes.

Decides what is measured: **queued** behind earlier audio and commands, **paced** at
the front of them, **sent** while the socket takes it, **answered** once the server
has, **callback** while a handler runs and events wait behind it. Time is an
argument, never a call.
"""

from __future__ import annotations

from ._stats import Latency, Stages

__all__ = ["Meter", "Meters", "Running", "stuck"]

_TELLING = 0.2
"""Seconds of audio, or of sending, that are more than all going its way."""


class Meter:
    """How often something took how long."""

    __slots__ = ("_count", "_last", "_longest", "_sum")

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._last: float | None = None
        self._longest = 0.0

    def add(self, seconds: float) -> None:
        """Note that it took so long this time."""
        self._count += 1
        self._sum += seconds
        self._last = seconds
        if seconds > self._longest:
            self._longest = seconds

    def latency(self) -> Latency:
        """What came out so far."""
        return Latency(
            count=self._count,
            last=self._last,
            mean=self._sum / self._count if self._count else None,
            longest=self._longest if self._count else None,
        )


class Running(Meter):
    """A stage that one message is in at a time.

    Attributes:
        since: When that began; ``None``: there is none.
        what: What it is, in a word.
    """

    __slots__ = ("since", "what")

    def __init__(self) -> None:
        super().__init__()
        self.since: float | None = None
        self.what = ""

    def begin(self, now: float, what: str = "") -> None:
        """Note that a message has entered the stage."""
        self.what = what
        self.since = now  # last, for who looks at it without a lock

    def end(self, now: float) -> None:
        """Note that it has left, if one was there."""
        if self.since is not None:
            self.add(now - self.since)
            self.since = None

    def seconds(self, now: float) -> float:
        """How long it has been there; 0 where there is none."""
        return 0.0 if self.since is None else now - self.since


class Meters:
    """One session's meters, a stage each."""

    __slots__ = ("answered", "callback", "paced", "queued", "sent")

    def __init__(self) -> None:
        self.queued = Meter()
        self.paced = Meter()
        self.sent = Running()
        self.answered = Meter()
        self.callback = Running()

    def stages(self) -> Stages:
        """What came out so far."""
        return Stages(
            queued=self.queued.latency(),
            paced=self.paced.latency(),
            sent=self.sent.latency(),
            answered=self.answered.latency(),
            callback=self.callback.latency(),
        )


def stuck(
    meters: Meters, *, connected: bool, sent_at: float | None, ahead: float, now: float
) -> str:
    """Name the stage that a command has not left yet, and say why.

    Args:
        meters: What is going on.
        connected: Whether a connection stands.
        sent_at: When the command was sent; ``None``: it has not been.
        ahead: Seconds of audio that stand before one that has not been.
        now: The time.
    """
    if not connected:
        return "'queued': the connection was lost and does not stand again yet"
    if sent_at is None:
        held_up = meters.sent.seconds(now)
        if held_up > _TELLING:
            return (
                f"'sent': the server has read nothing for {held_up:.1f} s, and "
                f"{ahead:.1f} s of audio stand before it"
            )
        stage = "queued" if ahead > _TELLING else "paced"
        return f"'{stage}': {ahead:.1f} s of audio stand before it, sent in real time"
    if meters.callback.since is not None:
        return (
            f"'callback': one for {meters.callback.what!r} has not returned for "
            f"{meters.callback.seconds(now):.1f} s, and nothing is received meanwhile"
        )
    return f"'answered': sent {now - sent_at:.1f} s ago, not answered yet"
