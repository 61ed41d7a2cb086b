"""When the fault of a stream comes."""

from __future__ import annotations

import pytest

from cartesia_stt_sync.server.messages import Command
from cartesia_stt_sync.server.moment import Moment, Step, Steps
from cartesia_stt_sync.server.session import Job
from cartesia_stt_sync.server.thresholds import Thresholds

FAULT, END = Step.FAULT, Step.END
FINALIZE, CLOSE = Command.FINALIZE, Command.CLOSE


def run(at: float | str | None, *jobs: Job) -> list[Steps]:
    """What each job comes to, of a stream of ten samples a second, two bytes each."""
    moment = Moment(at, rate=10, width=2)
    return [moment.begin(), *(moment.steps(job) for job in jobs)]


def test_never() -> None:
    """A stream without a fault is its jobs, and the end behind ``close``."""
    assert run(None, b"abcd", FINALIZE, CLOSE) == [
        [],
        [b"abcd"],
        [FINALIZE],
        [CLOSE, END],
    ]


@pytest.mark.parametrize("at", [0, 0.0, 0.04])
def test_at_once(at: float) -> None:
    """No audio is needed for less than half a sample of it, and it comes once."""
    assert run(at, b"ab", b"cd") == [[FAULT], [b"ab"], [b"cd"]]


@pytest.mark.parametrize(
    ("jobs", "steps"),
    [
        ([b"abcdef", b"gh"], [[b"abcd", FAULT, b"ef"], [b"gh"]]),
        ([b"abcd", b"ef"], [[b"abcd", FAULT], [b"ef"]]),
        ([b"ab", FINALIZE, b"cdef"], [[b"ab"], [FINALIZE], [b"cd", FAULT, b"ef"]]),
        ([b"ab", CLOSE], [[b"ab"], [CLOSE, END]]),
    ],
)
def test_after_audio(jobs: list[Job], steps: list[Steps]) -> None:
    """It comes behind the sample, however the audio is cut, once or never."""
    assert run(0.2, *jobs) == [[], *steps]


def test_rounds_to_a_sample() -> None:
    """0.3 s are three samples of ten a second, though not quite so in binary."""
    assert run(0.1 + 0.2, b"abcdefgh")[1] == [b"abcdef", FAULT, b"gh"]


def test_at_a_command() -> None:
    """It comes before the first such command; ``done`` is behind ``close``."""
    jobs = (b"ab", FINALIZE, FINALIZE, CLOSE)
    assert run("finalize", *jobs) == [
        [],
        [b"ab"],
        [FAULT, FINALIZE],
        [FINALIZE],
        [CLOSE, END],
    ]
    assert run("close", *jobs)[-1] == [FAULT, CLOSE, END]
    assert run("done", *jobs)[-1] == [CLOSE, FAULT, END]


def test_new_settings_are_no_moment() -> None:
    """They pass, and what is counted goes on."""
    new = Thresholds(end_timeout_ms=640)
    assert run(0.1, new, b"abcd") == [[], [new], [b"ab", FAULT, b"cd"]]
