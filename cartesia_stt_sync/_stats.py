"""The figures of a session, as one frozen value."""

from __future__ import annotations

import attrs

__all__ = ["Latency", "Stages", "Stats"]


@attrs.frozen(kw_only=True)
class Latency:
    """How long one stage has taken, in wall-clock seconds.

    Attributes:
        count: How often it was measured.
        last: The latest time; ``None`` before the first, as the next two.
        mean: The average.
        longest: The longest.
    """

    count: int = 0
    last: float | None = None
    mean: float | None = None
    longest: float | None = None


@attrs.frozen(kw_only=True)
class Stages:
    """The way of a chunk or a command from the caller to the answer, stage by stage.

    Attributes:
        queued: Behind what was fed before it.
        paced: At the front, until audio of real time has made room for it.
        sent: Until the socket has taken it; long where the server does not read.
        answered: From a ``finalize`` or ``close`` on the wire to its answer.
        callback: In a handler; events wait meanwhile.
    """

    queued: Latency = Latency()
    paced: Latency = Latency()
    sent: Latency = Latency()
    answered: Latency = Latency()
    callback: Latency = Latency()


@attrs.frozen(kw_only=True)
class Stats:
    """What a session has done so far; seconds are seconds of audio unless said.

    Attributes:
        fed_seconds: What the caller fed.
        muted_seconds: How much of that was fed while muted.
        sent_seconds: How much of it has been sent.
        buffered_seconds: How much of it waits.
        silence_seconds: Silence that was put in.
        replayed_seconds: What was sent again after a reconnect.
        billed_seconds: All audio the service received: it bills silence too.
        lag_seconds: How far the waiting audio is behind its schedule.
        events: Messages received.
        malformed: How many of them were none.
        dropped_events: Events that an `events()` iterator had no room for.
        callback_errors: Exceptions that callbacks raised.
        finalizes: Calls of `finalize` that the server has answered.
        finalize_seconds: Wall-clock seconds from the last ``finalize`` on the
            wire to its answer; ``None`` before the first.
        stages: How long each stage takes.
        sessions: Connections that stood.
        request_id: The service's name for the session, for support.
    """

    fed_seconds: float = 0.0
    muted_seconds: float = 0.0
    sent_seconds: float = 0.0
    buffered_seconds: float = 0.0
    silence_seconds: float = 0.0
    replayed_seconds: float = 0.0
    billed_seconds: float = 0.0
    lag_seconds: float = 0.0
    events: int = 0
    malformed: int = 0
    dropped_events: int = 0
    callback_errors: int = 0
    finalizes: int = 0
    finalize_seconds: float | None = None
    stages: Stages = Stages()
    sessions: int = 0
    request_id: str | None = None


@attrs.define(kw_only=True)
class Counters:
    """The figures that nobody else keeps, while they grow."""

    fed: float = 0.0
    muted: float = 0.0
    replayed: float = 0.0
    events: int = 0
    malformed: int = 0
    dropped_events: int = 0
    finalizes: int = 0
    finalize_seconds: float | None = None
    sessions: int = 0
    request_id: str | None = None
