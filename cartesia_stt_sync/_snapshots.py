"""How the streams of a transcriber stand, as values: one stream, or one a channel.

Decides how several become one picture. Requires their lock, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._channels import whole_of
from ._session import State
from ._stats import Stats, combined
from ._stream import Stream
from .events import Transcript
from .transcript import joined, whole

__all__ = [
    "copies_of",
    "figures_of",
    "lanes_of",
    "partial_of",
    "state_of",
    "transcript_of",
]

_SHOWN = {State.CLOSING: State.DRAINING, State.FAILED: State.CLOSED}

_ORDER = (State.CONNECTING, State.OPEN, State.DRAINING, State.NEW, State.CLOSED)
"""Of several states the first one tells most: what is still to come."""


def state_of(streams: Sequence[Stream]) -> str:
    """``NEW``, ``CONNECTING``, ``OPEN``, ``DRAINING`` or ``CLOSED``."""
    states = {stream.core.session.state for stream in streams}
    shown = {_SHOWN.get(state, state) for state in states}
    return next(state for state in _ORDER if state in shown).value


def figures_of(streams: Sequence[Stream], callback_errors: int) -> Stats:
    """The figures so far; each stream's lag is that of the time it is asked."""
    return combined([_figures(stream) for stream in streams], callback_errors)


def _figures(stream: Stream) -> Stats:
    core = stream.core
    box, counters = core.outbox, core.counters
    return Stats(
        # To the microsecond: a sum of many pieces is not exact.
        fed_seconds=round(counters.fed, 6),
        muted_seconds=round(counters.muted, 6),
        sent_seconds=box.seconds(box.source_bytes),
        buffered_seconds=box.buffered,
        silence_seconds=box.seconds(box.silence_bytes),
        replayed_seconds=counters.replayed,
        skipped_seconds=box.seconds(box.skipped_bytes),
        billed_seconds=box.seconds(box.wire_bytes),
        lag_seconds=box.lag(stream.now()),
        events=counters.events,
        malformed=counters.malformed,
        dropped_events=counters.dropped_events,
        finalizes=counters.finalizes,
        finalize_seconds=counters.finalize_seconds,
        stages=core.meters.stages(),
        sessions=counters.sessions,
        request_id=counters.request_id,
    )


def lanes_of(streams: Sequence[Stream]) -> list[Sequence[Transcript]]:
    """The final deltas of each, which only ever grow."""
    return [stream.core.speech.assembler.deltas for stream in streams]


def copies_of(streams: Sequence[Stream]) -> list[Sequence[Transcript]]:
    """The same as they are now, for who lets go of the lock."""
    return [stream.core.speech.assembler.deltas[:] for stream in streams]


def partial_of(streams: Sequence[Stream]) -> str:
    """The provisional text behind it; a line for each channel that has some."""
    tails = [stream.core.speech.assembler.partial for stream in streams]
    return "\n".join(tail for tail in tails if tail)


def transcript_of(lanes: Sequence[Sequence[Transcript]]) -> Transcript:
    """All of the deltas of each stream as one transcript; needs no lock."""
    if len(lanes) > 1:
        return whole_of(lanes)
    deltas = list(lanes[0])  # each is made once
    return whole(deltas, "".join(joined(deltas)))
