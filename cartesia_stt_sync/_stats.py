"""The figures of a session, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from ._value import Value

__all__ = ["Latency", "Stages", "Stats", "combined"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Latency(Value):
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


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Stages(Value):
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


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Stats(Value):
    """What a session has done so far; seconds are seconds of audio unless said.

    With ``channels="split"`` there is a session for each channel. What is fed, waits or
    takes time is then that of the channel that has most of it; what is sent or counted,
    and so what is billed, is the sum.

    Attributes:
        fed_seconds: What the caller fed.
        muted_seconds: How much of that was fed while muted.
        sent_seconds: How much of it has been sent, or left out behind a loss.
        buffered_seconds: How much of it waits.
        silence_seconds: Silence that was put in.
        replayed_seconds: What was to be sent again after a reconnect.
        skipped_seconds: What was then left out, because it was late, and quiet.
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
    skipped_seconds: float = 0.0
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


def combined(parts: Sequence[Stats], callback_errors: int) -> Stats:
    """The figures of several sessions as one's; those of one as they are.

    Args:
        parts: Of each.
        callback_errors: What their handlers, which they share, have raised.
    """
    if len(parts) == 1:
        return attrs.evolve(parts[0], callback_errors=callback_errors)

    def of(name: str, how: Callable[[list[float]], float]) -> Any:
        known = [value for part in parts if (value := getattr(part, name)) is not None]
        return how(known) if known else None

    most = ("fed_seconds", "muted_seconds", "buffered_seconds", "lag_seconds")
    # A finalize is answered once all have answered it.
    figures = {name: of(name, max) for name in (*most, "finalize_seconds")}
    figures["finalizes"] = of("finalizes", min)
    for name in ("sent", "silence", "replayed", "skipped", "billed"):
        figures[f"{name}_seconds"] = of(f"{name}_seconds", sum)
    for name in ("events", "malformed", "dropped_events", "sessions"):
        figures[name] = of(name, sum)
    stages = {
        name: _latency([getattr(part.stages, name) for part in parts])
        for name in attrs.fields_dict(Stages)
    }
    return Stats(
        **figures,
        callback_errors=callback_errors,
        stages=Stages(**stages),
        request_id=next((p.request_id for p in parts if p.request_id), None),
    )


def _latency(parts: Sequence[Latency]) -> Latency:
    known = [part for part in parts if part.count]
    count = sum(part.count for part in known)
    if not known:
        return Latency()
    return Latency(
        count=count,
        last=max(part.last or 0.0 for part in known),
        mean=sum((part.mean or 0.0) * part.count for part in known) / count,
        longest=max(part.longest or 0.0 for part in known),
    )


class Counters:
    """The figures that nobody else keeps, while they grow."""

    def __init__(self) -> None:
        self.fed = self.muted = self.replayed = 0.0
        self.events = self.malformed = self.dropped_events = 0
        self.finalizes = self.sessions = 0
        self.finalize_seconds: float | None = None
        self.request_id: str | None = None
