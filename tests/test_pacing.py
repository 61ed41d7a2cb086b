"""When audio is due, and when silence is."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cartesia_stt_sync._pacing import Filler, Pacing, Schedule
from cartesia_stt_sync.errors import ConfigError

CHUNK = 0.125
"""A length that binary fractions hold exactly, so that times compare equal."""


class TestPacing:
    """The limits."""

    def test_defaults(self) -> None:
        """They are those of the public face."""
        assert Pacing() == Pacing(
            chunk=0.1,
            catch_up=0.5,
            silence_after=0.3,
            silence_limit=10.0,
            keep_alive=60.0,
        )

    @pytest.mark.parametrize(
        "name", ["chunk", "catch_up", "silence_after", "silence_limit", "keep_alive"]
    )
    def test_none_switches_off(self, name: str) -> None:
        """Each may be None; none may be negative or no number."""
        options: dict[str, Any] = {name: None}
        assert getattr(Pacing(**options), name) is None
        for value in (-0.1, math.nan, math.inf, "1", True):
            options[name] = value
            with pytest.raises(ConfigError, match=f"^{name}: seconds, .*or None, got"):
                Pacing(**options)

    @pytest.mark.parametrize("name", ["catch_up", "silence_after", "silence_limit"])
    def test_nought(self, name: str) -> None:
        """No lag, no patience and no silence are all sensible."""
        options: dict[str, Any] = {name: 0}
        assert getattr(Pacing(**options), name) == 0

    @pytest.mark.parametrize(("name", "value"), [("chunk", 0), ("keep_alive", 0)])
    def test_not_nought(self, name: str, value: float) -> None:
        """A chunk without length, or keeping alive all the time, is none."""
        options: dict[str, Any] = {name: value}
        with pytest.raises(ConfigError, match=f"^{name}: seconds, more than 0"):
            Pacing(**options)

    def test_long_chunk(self) -> None:
        """A chunk of more than ten seconds is a mistake for milliseconds."""
        with pytest.raises(ConfigError, match="at most 10, or None, got 100"):
            Pacing(chunk=100)

    def test_within(self) -> None:
        """A buffer holds two chunks; one without a limit, or of pieces, holds all."""
        pacing = Pacing(chunk=0.1)
        assert pacing.within(0.2) is pacing.within(None) is pacing
        assert pacing.within(0.1) == Pacing(chunk=0.05)
        assert Pacing(chunk=None).within(0.1) == Pacing(chunk=None)


def after(schedule: Schedule, now: float, seconds: float) -> float | None:
    """When it is due after so much audio was sent now."""
    schedule.advance(now, seconds)
    return schedule.due


class TestSchedule:
    """When the audio sent so far has played out."""

    def test_first(self) -> None:
        """The first audio goes at once, whenever that is."""
        schedule = Schedule(0.5)
        assert schedule.due is None
        assert schedule.ready(7.0) == 7.0
        assert after(schedule, 7.0, 0.1) == 7.1
        assert schedule.ready(7.0) == 7.1

    def test_by_the_length_of_the_audio(self) -> None:
        """Late by less than catch_up, the schedule stays where it was."""
        schedule = Schedule(0.5)
        schedule.advance(0.0, CHUNK)
        for n in range(1, 1000):
            assert after(schedule, n * CHUNK + 0.01, CHUNK) == (n + 1) * CHUNK

    def test_catch_up(self) -> None:
        """Late by more than catch_up, it starts from catch_up ago."""
        schedule = Schedule(0.5)
        schedule.advance(0.0, CHUNK)
        assert after(schedule, 10.0, CHUNK) == 9.5 + CHUNK
        assert after(schedule, 10.0, CHUNK) == 9.5 + 2 * CHUNK

    def test_exactly_catch_up(self) -> None:
        """Late by just catch_up nothing is forgiven."""
        schedule = Schedule(0.5)
        schedule.advance(0.0, CHUNK)
        assert after(schedule, CHUNK + 0.5, CHUNK) == 2 * CHUNK

    def test_no_limit(self) -> None:
        """Without catch_up any lag is made up for."""
        schedule = Schedule(None)
        schedule.advance(0.0, CHUNK)
        assert after(schedule, 1e6, CHUNK) == 2 * CHUNK

    def test_no_lag_at_all(self) -> None:
        """With a catch_up of 0 each chunk plays out before the next."""
        schedule = Schedule(0.0)
        schedule.advance(0.0, CHUNK)
        assert after(schedule, 1.0, CHUNK) == 1.0 + CHUNK

    def test_restart(self) -> None:
        """A new connection owes nothing."""
        schedule = Schedule(0.5)
        schedule.advance(0.0, 100.0)
        schedule.restart()
        assert schedule.ready(1.0) == 1.0

    def test_ahead(self) -> None:
        """What the first one took is learnt, then less of each; of a stall, nothing."""
        schedule = Schedule(0.5)
        schedule.took(0.0004)
        assert schedule.ahead == 0.0004
        schedule.took(0.02)
        assert schedule.ahead == 0.0004
        schedule.took(0.0002)
        assert schedule.ahead == pytest.approx(0.0003)
        for _ in range(20):
            schedule.took(0.0003)
        schedule.took(0.0011)
        assert schedule.ahead == pytest.approx(0.0003 + 0.0007 / 8)

    def test_ahead_of_another_connection(self) -> None:
        """The machine stays the same."""
        schedule = Schedule(0.5)
        schedule.took(0.0004)
        schedule.restart()
        assert schedule.ahead == 0.0004


def filler(**limits: Any) -> Filler:
    """A filler of a connection that stands since 0."""
    made = Filler(Pacing(**{"keep_alive": None} | limits), CHUNK)
    made.restart(0.0)
    return made


class TestFiller:
    """When silence goes out."""

    def test_nothing_to_answer(self) -> None:
        """Without unanswered audio no gap is filled."""
        made = filler()
        made.audio_sent(0.0, CHUNK)
        assert made.at() == math.inf

    def test_first_silence(self) -> None:
        """A gap is filled silence_after behind what has played out."""
        made = filler(silence_after=0.25)
        made.audio_sent(1.0, CHUNK)
        made.unanswered = True
        assert made.at() == 1.0 + CHUNK + 0.25

    def test_audio_at_once(self) -> None:
        """Audio that went at once counts as long as it takes to be heard."""
        made = filler(silence_after=0.25)
        made.audio_sent(1.0, CHUNK)
        made.audio_sent(1.0, CHUNK)
        made.audio_sent(1.1, 1.0)
        made.unanswered = True
        assert made.at() == 1.0 + 2 * CHUNK + 1.0 + 0.25

    def test_late_audio(self) -> None:
        """Audio that went late counts from then: a hiccup is no gap."""
        made = filler(silence_after=0.25)
        made.audio_sent(1.0, CHUNK)
        made.audio_sent(2.0, CHUNK)
        made.unanswered = True
        assert made.at() == 2.0 + CHUNK + 0.25

    def test_at_pace(self) -> None:
        """Silence follows a chunk a chunk, from when it was due."""
        made = filler(silence_after=0.25)
        made.audio_sent(0.0, CHUNK)
        made.unanswered = True
        for n in range(10):
            due = CHUNK + 0.25 + n * CHUNK
            assert made.at() == due
            made.silence_sent(due + 0.01)

    def test_after_a_stall(self) -> None:
        """Silence that is late by more than a chunk is not made up for."""
        made = filler(silence_after=0.25)
        made.audio_sent(0.0, CHUNK)
        made.unanswered = True
        made.at()
        made.silence_sent(9.0)
        assert made.at() == 9.0 + CHUNK

    @pytest.mark.parametrize(
        ("limit", "chunks"), [(0.0, 0), (0.1, 0), (CHUNK, 1), (1.0, 8), (1.1, 8)]
    )
    def test_limit(self, limit: float, chunks: int) -> None:
        """No more whole chunks go into a gap than fit silence_limit."""
        made = filler(silence_limit=limit)
        made.audio_sent(0.0, CHUNK)
        made.unanswered = True
        sent = 0
        while made.at() < math.inf:
            made.silence_sent(made.at())
            sent += 1
        assert sent == chunks

    def test_limit_of_many_tenths(self) -> None:
        """A hundred tenths are ten seconds, although floats say otherwise."""
        made = Filler(Pacing(keep_alive=None), 0.1)
        made.restart(0.0)
        made.audio_sent(0.0, 0.1)
        made.unanswered = True
        sent = 0
        while made.at() < math.inf:
            made.silence_sent(made.at())
            sent += 1
        assert sent == 100

    def test_limit_is_for_each_gap(self) -> None:
        """Audio ends a gap; the next has its own limit, and waits its own time."""
        made = filler(silence_limit=CHUNK, silence_after=0.25)
        made.audio_sent(0.0, CHUNK)
        made.unanswered = True
        made.silence_sent(made.at())
        assert made.at() == math.inf
        made.audio_sent(5.0, CHUNK)
        assert made.at() == 5.0 + CHUNK + 0.25

    def test_no_limit(self) -> None:
        """Without a limit silence goes on as long as there is something to answer."""
        made = filler(silence_limit=None)
        made.audio_sent(0.0, CHUNK)
        made.unanswered = True
        for _ in range(1000):
            made.silence_sent(made.at())
        assert made.at() < math.inf
        made.unanswered = False
        assert made.at() == math.inf

    def test_off(self) -> None:
        """silence_after=None fills nothing."""
        made = filler(silence_after=None)
        made.audio_sent(0.0, CHUNK)
        made.unanswered = True
        assert made.at() == math.inf

    def test_keep_alive(self) -> None:
        """An idle connection gets a chunk each keep_alive seconds, from its start."""
        made = filler(keep_alive=60)
        assert made.at() == 60
        made.silence_sent(60.5)
        assert made.at() == 120.5
        made.audio_sent(100.0, CHUNK)
        assert made.at() == 160.0

    def test_keep_alive_after_the_limit(self) -> None:
        """Behind the limit of a gap the connection is still held."""
        made = filler(keep_alive=60, silence_limit=CHUNK, silence_after=0.25)
        made.audio_sent(0.0, CHUNK)
        made.unanswered = True
        first = made.at()
        made.silence_sent(first)
        assert made.at() == first + 60

    def test_restart(self) -> None:
        """A new server holds nothing, and is kept alive from now on."""
        made = filler(keep_alive=60)
        made.audio_sent(0.0, CHUNK)
        made.unanswered = True
        made.silence_sent(made.at())
        made.restart(100.0)
        assert not made.unanswered
        assert made.at() == 160.0
