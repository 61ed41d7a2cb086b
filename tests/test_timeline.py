"""The server's seconds and the caller's."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync._timeline import Timeline

RATE = 100
"""Samples a second in the model: few, so that examples stay readable."""

RUNS = st.lists(
    st.tuples(st.sampled_from(["audio", "silence"]), st.integers(1, 30)), max_size=15
)


def test_without_silence() -> None:
    """Both clocks are the same as long as nothing was put in."""
    timeline = Timeline()
    assert [timeline.source_time(t) for t in (0, 0.5, 1e6)] == [0, 0.5, 1e6]


def test_one_gap() -> None:
    """Behind a gap its length is taken off; inside, time stands where it began."""
    timeline = Timeline()
    timeline.insert(2.0, 0.5)
    times = {1.5: 1.5, 2.0: 2.0, 2.25: 2.0, 2.5: 2.0, 2.75: 2.25, 10.0: 9.5}
    assert {t: timeline.source_time(t) for t in times} == times


def test_several_gaps() -> None:
    """The lengths of all gaps before a moment are taken off."""
    timeline = Timeline()
    timeline.insert(1.0, 1.0)
    timeline.insert(3.0, 2.0)
    times = {0.5: 0.5, 1.5: 1.0, 2.5: 1.5, 3.0: 2.0, 4.9: 2.0, 5.0: 2.0, 6.0: 3.0}
    assert {t: timeline.source_time(t) for t in times} == times


def test_gap_of_many_chunks() -> None:
    """Silence is put in a chunk at a time; what adjoins is one gap."""
    timeline = Timeline()
    for n in range(100):
        timeline.insert(1.0 + n * 0.1, 0.1)
    assert timeline.source_time(5.0) == 1.0
    assert timeline.source_time(12.0) == pytest.approx(2.0)
    assert len(timeline._starts) == 1


def test_gap_at_the_beginning() -> None:
    """Silence before any audio is time that the caller never had."""
    timeline = Timeline()
    timeline.insert(0.0, 1.0)
    assert timeline.source_time(0.5) == 0.0
    assert timeline.source_time(1.5) == 0.5


def test_restart() -> None:
    """A new session begins where the caller's audio has come to, without gaps."""
    timeline = Timeline()
    timeline.insert(1.0, 1.0)
    timeline.restart(7.5)
    assert timeline.source_time(0.0) == 7.5
    assert timeline.source_time(3.0) == 10.5
    timeline.insert(1.0, 0.5)
    assert timeline.source_time(2.0) == 9.0


@settings(deadline=None, max_examples=200)
@given(RUNS, st.integers(0, 500))
def test_against_counting(runs: list[tuple[str, int]], base: int) -> None:
    """The caller's time is the number of the caller's samples sent until then."""
    timeline = Timeline()
    timeline.restart(base / RATE)
    sent: list[str] = []
    for kind, samples in runs:
        if kind == "silence":
            timeline.insert(len(sent) / RATE, samples / RATE)
        sent += [kind] * samples
    for n in range(len(sent) + 1):
        counted = base + sent[:n].count("audio")
        assert timeline.source_time(n / RATE) == pytest.approx(counted / RATE, abs=1e-6)
    beyond = base + sent.count("audio") + 50
    got = timeline.source_time((len(sent) + 50) / RATE)
    assert got == pytest.approx(beyond / RATE, abs=1e-6)


@settings(deadline=None, max_examples=200)
@given(RUNS, st.lists(st.floats(0, 10), max_size=20))
def test_monotone(runs: list[tuple[str, int]], times: list[float]) -> None:
    """A later moment is never an earlier one of the caller's, nor a later one."""
    timeline = Timeline()
    at = 0
    for kind, samples in runs:
        if kind == "silence":
            timeline.insert(at / RATE, samples / RATE)
        at += samples
    mapped = [timeline.source_time(t) for t in sorted(times)]
    assert all(a <= b + 1e-9 for a, b in pairwise(mapped))
    assert all(m <= t + 1e-9 for m, t in zip(mapped, sorted(times), strict=True))
