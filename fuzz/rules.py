"""The settings of a session, and which of its states may follow which.

Decides what `Model` holds a core to beside its figures. The table says more than the
library's own: by which call a state may be reached.
"""

from __future__ import annotations

import attrs

from cartesia_stt_sync._backoff import Attempts, Reconnect
from cartesia_stt_sync._core import Core
from cartesia_stt_sync._outbox import Outbox
from cartesia_stt_sync._pacing import Pacing
from cartesia_stt_sync._session import State
from cartesia_stt_sync._stages import Meters
from cartesia_stt_sync.audio import AudioFormat

__all__ = ["MOVES", "Options", "make_core"]

_N, _W, _O, _D, _C = (
    State.NEW,
    State.CONNECTING,
    State.OPEN,
    State.DRAINING,
    State.CLOSING,
)
_END, _BAD = State.CLOSED, State.FAILED
_LOSS = {(live, then) for live in (_O, _D, _C) for then in (_W, _BAD)}

MOVES: dict[str, set[tuple[State, State]]] = {
    "feed": set(),
    "finalize": set(),
    "close": {(_N, _END), (_O, _D)},
    "abort": {(state, _END) for state in (_N, _W, _O, _D, _C)},
    "fail": {(state, _BAD) for state in (_N, _W, _O, _D, _C)},
    "step": {(_D, _C), (_C, _BAD)},
    "connected": {(_W, _O), (_W, _D)},
    "transcript": {(state, _BAD) for state in (_W, _O, _D, _C)},
    "done": {(_O, _BAD), (_D, _BAD), (_C, _END)},
    "error": {(state, _BAD) for state in (_W, _O, _D, _C)},
    "event": set(),
    "lost": _LOSS,
    "server_closed": _LOSS | {(_C, _END)},
    "next_attempt": {(_W, _BAD)},
    "refused": {(_W, _BAD)},
}
"""From which state to which each thing may lead, besides to none other."""


@attrs.frozen(kw_only=True)
class Options:
    """The settings of a session, in the library's words."""

    encoding: str
    chunk: float | None
    catch_up: float | None
    silence: tuple[float | None, float | None]
    keep_alive: float | None
    close_timeout: float | None
    attempts: int | None
    max_replay: float


def make_core(options: Options, wire: AudioFormat) -> Core:
    """The core as a transcriber builds it."""
    after, limit = options.silence
    pacing = Pacing(
        chunk=options.chunk,
        catch_up=options.catch_up,
        silence_after=after,
        silence_limit=limit,
        keep_alive=options.keep_alive,
    )
    policy = None
    if options.attempts is not None:
        policy = Reconnect(attempts=options.attempts, max_replay=options.max_replay)
    most = policy.max_replay if policy else 0.0
    meters = Meters()
    return Core(
        outbox=Outbox(wire, pacing, meters=meters, max_replay=most),
        meters=meters,
        attempts=Attempts(policy, lambda: 1.0),
        close_timeout=options.close_timeout,
        max_replay=most,
    )
