r"""The state of a session: every transition stands in the two tables below.

Decides which state follows, and whether the end was a clean one. A pair that is
missing from its table is the error. Never waits, sends, or knows of threads.

::

    NEW -> CONNECTING -> OPEN -> DRAINING -> CLOSING -> CLOSED
                ^         |         |           |    \
                +---------+---------+-----------+     FAILED

DRAINING: the caller has closed, audio is still to be sent. CLOSING: ``close``
is sent, the rest of the transcript and ``done`` are to come.
"""

from __future__ import annotations

import enum

from .errors import ClosedError

__all__ = ["FromServer", "Ours", "Session", "State"]


class State(enum.Enum):
    """Where a session stands; CLOSED is a clean end, FAILED one with an error."""

    NEW = "NEW"
    CONNECTING = "CONNECTING"
    OPEN = "OPEN"
    DRAINING = "DRAINING"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    FAILED = "FAILED"


class Ours(enum.Enum):
    """What this side does."""

    CONNECT = "connect"
    CONNECTED = "connected"
    RECONNECT = "reconnect"
    CLOSE = "close"
    CLOSE_SENT = "close sent"
    ABORT = "abort"
    FAIL = "fail"


class FromServer(enum.Enum):
    """What the server does, as far as the state cares."""

    TRANSCRIPT = "transcript"
    FLUSH_DONE = "flush_done"
    DONE = "done"
    ERROR = "error"
    CLOSED_NORMALLY = "a close frame with 1000"


_S = State

_OURS: dict[tuple[State, Ours], State] = {
    (_S.NEW, Ours.CONNECT): _S.CONNECTING,
    (_S.CONNECTING, Ours.CONNECTED): _S.OPEN,
    (_S.OPEN, Ours.RECONNECT): _S.CONNECTING,
    (_S.DRAINING, Ours.RECONNECT): _S.CONNECTING,
    (_S.CLOSING, Ours.RECONNECT): _S.CONNECTING,
    # Nothing was fed, so there is nothing to drain.
    (_S.NEW, Ours.CLOSE): _S.CLOSED,
    # The connection comes first; then the same call is made again.
    (_S.CONNECTING, Ours.CLOSE): _S.CONNECTING,
    (_S.OPEN, Ours.CLOSE): _S.DRAINING,
    (_S.DRAINING, Ours.CLOSE_SENT): _S.CLOSING,
    # Idempotent: closing what is closing or closed changes nothing.
    (_S.DRAINING, Ours.CLOSE): _S.DRAINING,
    (_S.CLOSING, Ours.CLOSE): _S.CLOSING,
    (_S.CLOSED, Ours.CLOSE): _S.CLOSED,
    (_S.FAILED, Ours.CLOSE): _S.FAILED,
    # The first end is the one that counts.
    **{(s, Ours.ABORT): _S.CLOSED for s in _S if s is not _S.FAILED},
    (_S.FAILED, Ours.ABORT): _S.FAILED,
    **{(s, Ours.FAIL): _S.FAILED for s in _S if s is not _S.CLOSED},
    (_S.CLOSED, Ours.FAIL): _S.CLOSED,
}

_LIVE = (_S.OPEN, _S.DRAINING, _S.CLOSING)

_FROM_SERVER: dict[tuple[State, FromServer], State] = {
    **{(s, FromServer.TRANSCRIPT): s for s in _LIVE},
    **{(s, FromServer.FLUSH_DONE): s for s in _LIVE},
    **{(s, FromServer.ERROR): _S.FAILED for s in _LIVE},
    # It was on the way when the loss was noticed, and explains it.
    (_S.CONNECTING, FromServer.ERROR): _S.FAILED,
    # Before "close" was sent these are an early end: audio may be unheard.
    (_S.OPEN, FromServer.DONE): _S.FAILED,
    (_S.DRAINING, FromServer.DONE): _S.FAILED,
    (_S.CLOSING, FromServer.DONE): _S.CLOSED,
    (_S.OPEN, FromServer.CLOSED_NORMALLY): _S.FAILED,
    (_S.DRAINING, FromServer.CLOSED_NORMALLY): _S.FAILED,
    # Third parties report ends without "done": clean, but worth a finding.
    (_S.CLOSING, FromServer.CLOSED_NORMALLY): _S.CLOSED,
}


_ENDED = (_S.CLOSED, _S.FAILED)


class Session:
    """The state of one transcriber's conversation with the service.

    Attributes:
        state: Where it stands.
        ended: Whether nothing more can come.
    """

    __slots__ = ("ended", "state")

    def __init__(self) -> None:
        self.state = State.NEW
        self.ended = False

    def _enter(self, state: State) -> None:
        self.state = state
        self.ended = state in _ENDED

    def ours(self, what: Ours) -> State:
        """Note what this side did.

        Raises:
            ClosedError: It cannot be done in this state.
        """
        following = _OURS.get((self.state, what))
        if following is None:
            raise ClosedError(
                f"cannot {what.value}: the session is {self.state.value}; "
                "a transcriber serves one session, so make a new one"
            )
        self._enter(following)
        return following

    def from_server(self, what: FromServer) -> bool:
        """Note what the server did; tell whether it may do so in this state."""
        following = _FROM_SERVER.get((self.state, what))
        if following is None:
            return False
        self._enter(following)
        return True
