"""What is wrong with how a session is used, and that correct use is left alone."""

from __future__ import annotations

import pytest

from cartesia_stt_sync.checks import Finding, Watch
from cartesia_stt_sync.checks.behaviour import BLOCK, Voice

from .measure_findings import arrivals, finalized_at_ends, finalized_in_speech

LOUD, SOFT = 0.2, 0.001


def watch(*, finalizes: bool = True, by_itself: bool = False) -> Watch:
    """A judge of a session at 16 kHz."""
    return Watch(16000, finalizes=finalizes, by_itself=by_itself)


def feed(judge: Watch, seconds: float, level: float, now: float = 0.0) -> list[str]:
    """Feed audio of one level, and return what is found."""
    found: list[Finding] = []
    for _ in range(round(seconds / BLOCK)):
        found += judge.fed(now, BLOCK, [level], blocked=True)
    return sorted({finding.code for finding in found})


def named(findings: list[Finding]) -> list[str]:
    """Findings by name."""
    return [finding.code for finding in findings]


class TestArrival:
    """How fast audio comes."""

    @pytest.mark.parametrize(
        ("times", "code"),
        [(3.0, "audio-too-fast"), (2.0, "audio-too-fast"), (0.5, "audio-too-slow")],
    )
    @pytest.mark.parametrize("piece", [0.01, 0.05, 0.1, 0.2])
    def test_another_rate(self, times: float, code: str, piece: float) -> None:
        """A source that is steady at another rate is noticed."""
        assert arrivals(times, piece, 0.0, 1) == {code}

    @pytest.mark.parametrize("jitter", [0.0, 0.2, 0.5])
    @pytest.mark.parametrize("piece", [0.01, 0.02, 0.1, 0.5])
    def test_real_time(self, piece: float, jitter: float) -> None:
        """One that is in time, with jitter and a stall, is not."""
        assert all(arrivals(1.0, piece, jitter, seed) == set() for seed in range(20))

    def test_a_file(self) -> None:
        """Audio that is there at once comes as fast as it can be read."""
        judge = watch()
        found = [judge.fed(n / 5000, 0.1, [], blocked=False) for n in range(100_000)]
        assert not any(found)

    def test_waiting_for_room(self) -> None:
        """Who is held up by the buffer is paced by it."""
        judge = watch()
        found = [judge.fed(n * 0.03, 0.1, [], blocked=n % 9 == 0) for n in range(999)]
        assert not any(found)

    @pytest.mark.parametrize("gap", [0.6, 2.0])
    def test_pieces_of_speech_alone(self, gap: float) -> None:
        """Who feeds only while somebody speaks has no rate to be judged by."""
        judge, now = watch(), 0.0
        for _ in range(30):
            for _ in range(10):
                assert judge.fed(now, 0.1, [], blocked=False) == []
                now += 0.1
            now += gap

    def test_the_rate_that_would_fit(self) -> None:
        """The sentence names it, where it is a usual one."""
        judge = watch()
        found = [
            finding
            for n in range(100)
            for finding in judge.fed(n * 0.1 / 3, 0.1, [], blocked=False)
        ]
        assert "3.00 times as fast as sample_rate=16000" in found[0].message
        assert "it would fit 48000 Hz" in found[0].message


class TestFinalize:
    """When it is called."""

    def test_in_speech(self) -> None:
        """A finalize that speech runs on across is found when it has run on."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 1.0, LOUD)
        assert judge.finalized(0.0) == []
        assert feed(judge, 0.10, LOUD) == []
        assert feed(judge, 0.10, LOUD) == ["finalize-in-speech"]

    @pytest.mark.parametrize("late", range(1, 10))
    def test_levels_late(self, late: int) -> None:
        """Where it was is known, though the levels of its place come long after."""
        blocks = [SOFT] * 20 + [LOUD] * 20
        for behind, codes in ((LOUD, {"finalize-in-speech"}), (SOFT, set[str]())):
            judge, found, waiting = watch(), list[Finding](), list[float]()
            for number, level in enumerate([*blocks, *[behind] * 20]):
                if number == 40:
                    found += judge.finalized(0.0)
                waiting.append(level)
                levels = waiting if not number % 10 - late else []
                waiting = [] if levels else waiting
                left = len(waiting)
                found += judge.fed(0.0, BLOCK, levels, blocked=True, untold=left)
            assert set(named(found)) == codes

    @pytest.mark.parametrize("seconds", [0.9 * BLOCK, 1.1 * BLOCK])
    def test_does_not_drift(self, seconds: float) -> None:
        """Blocks are not quite as long as they are said to be, and a call is long."""
        judge, found = watch(), list[Finding]()
        blocks = [SOFT] * 20 + [LOUD] * 20
        for utterance in range(200):
            for level in blocks:
                found += judge.fed(0.0, seconds, [level], blocked=True)
            in_speech = utterance == 199
            found += judge.finalized(0.0)
            for level in [LOUD if in_speech else SOFT] * 4:
                found += judge.fed(0.0, seconds, [level], blocked=True)
            assert named(found) == (["finalize-in-speech"] if in_speech else [])

    def test_two_in_a_row(self) -> None:
        """One in speech is found, though another follows before the levels come."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 1.0, LOUD)
        found = judge.finalized(0.0)
        for untold in range(1, 9):
            found += judge.fed(0.0, BLOCK, [], blocked=True, untold=untold)
        found += judge.finalized(0.0)
        levels = [LOUD] * 8 + [SOFT] * 2
        found += judge.fed(0.0, 2 * BLOCK, levels, blocked=True)
        assert named(found) == ["finalize-in-speech"]

    def test_right_behind_speech(self) -> None:
        """A speaker who stops with the last word is cut off nowhere."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 1.0, LOUD)
        judge.finalized(0.0)
        assert feed(judge, 0.3, SOFT) == []
        assert feed(judge, 1.0, LOUD) == []

    def test_a_button(self) -> None:
        """Who lets go of the button with the last word, and comes back later."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 1.0, LOUD)
        judge.finalized(1.0)
        assert feed(judge, 1.0, LOUD, now=2.0) == []

    def test_in_steady_noise(self) -> None:
        """Where it is never quiet nobody knows what is speech, so nobody is accused."""
        judge = watch()
        feed(judge, 20.0, 0.1)
        judge.finalized(0.0)
        assert feed(judge, 5.0, 0.1) == []

    def test_clips(self) -> None:
        """At the ends of real clips there is nothing to find, pause or not."""
        assert finalized_at_ends(0.3, trimmed=False) == 0
        assert finalized_at_ends(0.0, trimmed=False) == 0

    def test_in_the_middle_of_clips(self) -> None:
        """In the loud middle of words all are found."""
        count, found = finalized_in_speech()
        assert count > 20
        assert found == count

    def test_often(self) -> None:
        """Who finalizes by the clock is told once an utterance is enough."""
        judge, found = watch(), []
        for _ in range(6):
            feed(judge, 0.5, SOFT)
            found += judge.finalized(0.0)
        assert "finalize-often" in named(found)
        assert "5 calls of finalize() within 2.0 s" in found[0].message

    def test_short_answers(self) -> None:
        """An utterance in two seconds is a lively talk."""
        judge = watch()
        for _ in range(20):
            feed(judge, 2.0, SOFT)
            assert judge.finalized(0.0) == []

    def test_without_audio(self) -> None:
        """Calls with no audio between them cost nothing but themselves."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        assert not any(judge.finalized(0.0) for _ in range(9))
        assert len(judge._cuts) == 1

    def test_where_nobody_listens(self) -> None:
        """Without checks no audio is told of, and nothing piles up."""
        judge = watch()
        assert not any(judge.finalized(0.0) for _ in range(99))
        assert len(judge._cuts) == 1


class TestNever:
    """Speech that nobody finalizes."""

    def test_told(self) -> None:
        """Five quiet seconds after it, with no final, Auto is named."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 2.0, LOUD)
        assert feed(judge, 4.9, SOFT) == []
        [found] = judge.fed(0.0, BLOCK * 3, [SOFT] * 3, blocked=True)
        assert found.code == "no-finalize"
        assert "TurnTranscriber" in found.advice

    def test_a_cough(self) -> None:
        """What is not as long as a word is nothing that a text must come of."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 2.0, LOUD)
        judge.answered()
        feed(judge, 2.0, SOFT)
        feed(judge, 0.3, LOUD)
        assert feed(judge, 60.0, SOFT) == []

    def test_clicks(self) -> None:
        """Nor are several of those, with as much quiet between them."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 2.0, LOUD)
        judge.answered()
        for _ in range(5):
            feed(judge, 0.3, LOUD)
            assert feed(judge, 10.0, SOFT) == []

    def test_not_sent_yet(self) -> None:
        """Of what still waits to be sent the service can have said nothing."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 2.0, LOUD)
        levels = [SOFT] * round(7.0 / BLOCK)
        assert judge.fed(0.0, 7.0, levels, blocked=True, waiting=6.0) == []
        [found] = judge.fed(0.0, BLOCK, [SOFT], blocked=True, waiting=1.0)
        assert found.code == "no-finalize"

    def test_answered(self) -> None:
        """Where the service has answered by itself nothing is missing."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 2.0, LOUD)
        feed(judge, 1.0, SOFT)
        judge.answered()
        assert feed(judge, 60.0, SOFT) == []

    def test_answered_before_it_was_heard(self) -> None:
        """Levels come late, and what is answered by then is not missing either."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        for untold in range(1, 7):
            judge.fed(0.0, BLOCK, [], blocked=True, untold=untold)
        judge.answered()
        judge.fed(0.0, BLOCK, [LOUD] * 6 + [SOFT], blocked=True)
        assert feed(judge, 60.0, SOFT) == []
        # What comes behind the answer wants one of its own.
        feed(judge, 0.5, LOUD)
        assert feed(judge, 60.0, SOFT) == ["no-finalize"]

    def test_finalized(self) -> None:
        """Nor where somebody has called it."""
        judge = watch()
        feed(judge, 1.0, SOFT)
        feed(judge, 2.0, LOUD)
        judge.finalized(0.0)
        assert feed(judge, 60.0, SOFT) == []

    @pytest.mark.parametrize(
        "options", [{"finalizes": False}, {"by_itself": True}], ids=str
    )
    def test_not_needed(self, options: dict[str, bool]) -> None:
        """The Auto endpoint, and an endpointer, need nobody to call it."""
        judge = watch(**options)
        feed(judge, 1.0, SOFT)
        feed(judge, 2.0, LOUD)
        assert feed(judge, 60.0, SOFT) == []

    def test_nobody_spoke(self) -> None:
        """Quiet alone has no end."""
        assert feed(watch(), 60.0, SOFT) == []


def test_gap() -> None:
    """A second of silence in one gap is no jitter."""
    judge = watch()
    assert judge.gap(0.9) == []
    assert named(judge.gap(1.0)) == ["starved"]


def test_voice() -> None:
    """Speech stands out of what is there all the time by 12 dB."""
    voice = Voice()
    heard = [voice.add(level) for level in (0.02, 0.05, 0.1, 0.3, 0.05, 0.02)]
    assert heard == [False, False, True, True, False, False]
    assert (voice.run, voice.quiet, voice.level) == (0, 2, 0.02)
