"""What a finding is, and what those about a session say.

Decides words. Never raises, waits or sends: a finding does not stop anything, it
tells.
"""

from __future__ import annotations

import attrs

from .._value import Value

__all__ = [
    "PAGE",
    "Finding",
    "budget_spent",
    "config_refused",
    "no_done",
    "partial_sample",
    "recording_stopped",
    "replay_differs",
    "replay_overflow",
    "slow_callback",
    "unasked_flush_done",
]

PAGE = "https://docs.cartesia.ai/use-the-api/stt/troubleshooting/manual"
"""The service's page on what goes wrong with its Manual endpoint."""


@attrs.frozen(eq=False, repr=False)
class Finding(Value):
    """Something noticed that has cost text, time or money, or will.

    Attributes:
        code: Its short name, for programs.
        message: What was seen, in one sentence.
        advice: What to do about it.
        page: Where the service warns of it; empty where it is the library's own.
    """

    code: str
    message: str
    advice: str
    page: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"


def no_done() -> Finding:
    """The server closed normally after ``close``, but sent no ``done``."""
    return Finding(
        "no-done",
        "The server ended the session without saying that it was done.",
        "The text is as complete as the server made it; compare its end with the "
        "audio.",
    )


def partial_sample(size: int) -> Finding:
    """The caller's bytes did not end with a whole frame."""
    return Finding(
        "partial-sample",
        f"The audio ended {size} byte(s) into a sample; they were not sent.",
        "Check that encoding, sample width and channels are those of the audio.",
    )


def slow_callback(kind: str, seconds: float) -> Finding:
    """A callback held up the thread that receives."""
    return Finding(
        "slow-callback",
        f"A callback for {kind!r} took {seconds:.1f} s; until it returned, no event "
        "was received.",
        "Hand the work to a queue or an executor and return at once.",
    )


def unasked_flush_done() -> Finding:
    """A ``flush_done`` that answers no ``finalize``."""
    return Finding(
        "unasked-flush-done",
        "The server sent a flush_done that no finalize had asked for.",
        "It was ignored; the text is not affected.",
    )


def replay_overflow(seconds: float) -> Finding:
    """Audio that had to be dropped before it could be sent again."""
    return Finding(
        "replay-overflow",
        f"{seconds:.1f} s of audio were unanswered when the connection was lost and "
        "older than max_replay holds; what was said in them may be missing.",
        "Raise Reconnect(max_replay=), or finalize more often.",
    )


def replay_differs() -> Finding:
    """What was sent again was heard as other words."""
    return Finding(
        "replay-differs",
        "After a reconnect the server heard audio that was sent again as other words "
        "than the first time.",
        "Words around that place may be in the text twice.",
    )


def recording_stopped(reason: str) -> Finding:
    """The flight recorder cannot write any more."""
    return Finding(
        "recording-stopped",
        f"The recording of this session has stopped: {reason}.",
        "The session itself is not affected; see to the folder given as record=.",
    )


def budget_spent(dropped: float) -> Finding:
    """The session ends early, as its caller wished."""
    return Finding(
        "budget-spent",
        f"The budget of this session is spent: it ends now, and {dropped:.1f} s of "
        "audio that waited were not sent.",
        "Raise budget= if it was too small; stats.billed_seconds says what was sent.",
    )


def config_refused(error: str) -> Finding:
    """The server took exception to a command, probably to a config."""
    return Finding(
        "config-refused",
        f"The server did not take a change of the configuration: {error}.",
        "The session goes on as it was; correct the arguments of config().",
    )
