"""When a turn begins and ends."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartesia_stt_sync.server.thresholds import Thresholds, changed

settings = st.builds(
    Thresholds,
    start_threshold=st.floats(0.61, 0.9),
    eager_end_threshold=st.floats(0.51, 0.6),
    end_threshold=st.floats(0.05, 0.5),
    end_timeout_ms=st.floats(640, 11200),
)


def seconds(turn: Thresholds) -> tuple[float, float, float]:
    """Speech that begins it, pauses that perhaps and surely end it."""
    return round(turn.start, 2), round(turn.eager_end, 2), round(turn.end, 2)


def test_the_defaults() -> None:
    """They are the service's."""
    assert attrs.astuple(Thresholds()) == (0.8, 0.4, 0.2, 5600)
    assert seconds(Thresholds()) == (0.23, 0.66, 1.16)


def test_both_ends_of_the_ranges() -> None:
    """What the docstrings say of them."""
    quick = Thresholds(start_threshold=0.5, eager_end_threshold=0.6, end_threshold=0.5)
    slow = Thresholds(start_threshold=0.9, eager_end_threshold=0.3, end_threshold=0.05)
    assert seconds(quick) == (0.1, 0.37, 0.5)
    assert seconds(slow) == (0.33, 0.87, 2.16)
    assert attrs.evolve(slow, end_timeout_ms=640).end == 0.64


@given(one=settings, other=settings)
def test_each_goes_one_way(one: Thresholds, other: Thresholds) -> None:
    """More to start, less to end: longer. Nothing is longer than the timeout."""
    assert (one.start_threshold > other.start_threshold) <= (one.start >= other.start)
    assert (one.eager_end_threshold > other.eager_end_threshold) <= (
        one.eager_end <= other.eager_end
    )
    same_timeout = attrs.evolve(other, end_timeout_ms=one.end_timeout_ms)
    assert (one.end_threshold > other.end_threshold) <= (one.end <= same_timeout.end)
    assert one.end <= one.end_timeout_ms / 1000
    longest = attrs.evolve(one, end_timeout_ms=11200)
    assert longest.eager_end < longest.end


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"start_threshold": 0.5},
        {"start_threshold": 0.9, "eager_end_threshold": 0.6, "end_threshold": 0.5},
        {"eager_end_threshold": 0.3, "end_threshold": 0.05},
        {"end_timeout_ms": 640},
        {"end_timeout_ms": 11200.0},
    ],
)
def test_what_is_possible(values: dict[str, object]) -> None:
    """Each range has its ends; what is not named stays."""
    after = changed(Thresholds(), values)
    assert isinstance(after, Thresholds)
    assert attrs.asdict(after) == attrs.asdict(Thresholds()) | values


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"start_threshold": 0.49}, "start_threshold: a number from 0.5 to 0.9"),
        ({"start_threshold": 0.91}, "start_threshold: .*, got 0.91"),
        ({"eager_end_threshold": 0.29}, "eager_end_threshold: a number from 0.3"),
        ({"eager_end_threshold": 0.61}, "eager_end_threshold: .* to 0.6"),
        ({"end_threshold": 0.04}, "end_threshold: a number from 0.05"),
        ({"end_threshold": 0.51}, "end_threshold: .* to 0.5"),
        ({"end_timeout_ms": 639}, "end_timeout_ms: a number from 640 to 11200"),
        ({"end_timeout_ms": 11201}, "end_timeout_ms: "),
        ({"end_timeout_ms": True}, "end_timeout_ms: .*got True"),
        ({"end_timeout_ms": 10**400}, "end_timeout_ms: "),
        ({"end_timeout_ms": "1000"}, "end_timeout_ms: .*got '1000'"),
        ({"end_timeout_ms": None}, "end_timeout_ms: "),
        ({"end_threshold": float("nan")}, "end_threshold: .*got nan"),
        ({"threshold": 0.5}, "threshold: one of start_threshold, "),
        ({"end_threshold": 0.4}, "each above the next, got 0.8, 0.4, 0.4"),
        ({"start_threshold": 0.5, "eager_end_threshold": 0.5}, "got 0.5, 0.5, 0.2"),
    ],
)
def test_what_is_not_possible(values: dict[str, object], problem: str) -> None:
    """The answer names the setting, the rule and what came."""
    said = changed(Thresholds(), values, "turn.")
    assert isinstance(said, str)
    assert said.startswith("turn.")
    with pytest.raises(ValueError, match=problem):
        raise ValueError(said)


def test_new_values_meet_those_in_force() -> None:
    """What is possible depends on what was set before."""
    before = changed(Thresholds(), {"eager_end_threshold": 0.6})
    assert isinstance(before, Thresholds)
    assert isinstance(changed(before, {"end_threshold": 0.5}), Thresholds)
    assert isinstance(changed(before, {"start_threshold": 0.6}), str)
