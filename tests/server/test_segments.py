"""Where speech begins and ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cartesia_stt_sync.server.segments import RATE, Detector, Segment, Segmenter

WINDOW = 160  # 10 ms


def segmenter() -> Segmenter:
    """One that takes ones for speech and zeros for silence."""
    return Segmenter(Detector(WINDOW, lambda window, before: bool(window[0] > 0.5)))


def sound(*spans: float) -> NDArray[np.float32]:
    """Seconds of silence and of speech in turn."""
    return np.concatenate(
        [
            np.full(round(seconds * RATE), i % 2, np.float32)
            for i, seconds in enumerate(spans)
        ]
    )


def span(segment: Segment | None) -> tuple[float, float]:
    """Its start and end in seconds."""
    assert segment is not None
    return round(segment.start, 3), round(segment.end, 3)


def test_silence_is_nothing() -> None:
    """No segment comes of it, at a flush neither."""
    s = segmenter()
    assert s.feed(sound(5.0)) == []
    assert s.current() is None
    assert s.flush() is None


def test_a_segment_ends_after_silence() -> None:
    """With a bit of the silence before and after it."""
    s = segmenter()
    segments = s.feed(sound(1.0, 2.0, 1.0))
    assert [span(segment) for segment in segments] == [(0.7, 3.3)]
    assert segments[0].samples.sum() == 2 * RATE


def test_a_pause_does_not_end_it() -> None:
    """Less than 0.6 s of silence is part of the speech."""
    s = segmenter()
    assert s.feed(sound(0.0, 1.0, 0.59, 1.0, 0.5)) == []
    assert span(s.current()) == (0.0, 3.09)
    assert span(s.flush()) == (0.0, 2.89)


def test_the_next_begins_where_the_last_ended() -> None:
    """What was cut off a segment is the pre-roll of the next."""
    s = segmenter()
    segments = s.feed(sound(0.0, 1.0, 0.65, 1.0, 1.0))
    assert [span(segment) for segment in segments] == [(0.0, 1.3), (1.3, 2.95)]


def test_flush_takes_all_of_it() -> None:
    """Also what is less than a window; then nothing is heard twice."""
    s = segmenter()
    s.feed(sound(0.0, 1.0))
    s.feed(np.ones(7, np.float32))
    last = s.flush()
    assert last is not None
    assert len(last.samples) == RATE + 7
    s.feed(sound(0.0, 1.0))
    after = s.flush()
    assert after is not None
    assert after.start == last.end
    assert len(after.samples) == RATE


def test_a_click_is_not_speech() -> None:
    """Less than 0.09 s of it is dropped, in the middle or at a flush."""
    s = segmenter()
    assert s.feed(sound(1.0, 0.08, 1.0)) == []
    s.feed(sound(0.0, 0.08))
    assert s.current() is None
    assert s.flush() is None
    s.feed(sound(0.0, 0.09))
    assert s.flush() is not None


def test_the_voice() -> None:
    """Speech counts within its segment; a click is none, and ends no pause."""
    s = segmenter()
    s.feed(sound(0.5, 1.0, 0.3))
    assert s.voice() == pytest.approx((1.0, 0.3))
    s.feed(sound(0.5, 0.08, 0.5))
    assert s.voice() == pytest.approx((0.0, 1.38))
    s.feed(sound(0.5, 0.09))
    assert s.voice() == pytest.approx((0.09, 0.0))


def test_long_speech_is_cut() -> None:
    """At 20 s if need be, at a short pause before if there is one."""
    s = segmenter()
    assert [span(x) for x in s.feed(sound(0.0, 25.0))] == [(0.0, 20.0)]
    assert span(s.flush()) == (20.0, 25.0)
    s = segmenter()
    assert [span(x) for x in s.feed(sound(0.0, 13.0, 0.3, 5.0))] == [(0.0, 13.2)]


def test_the_detector_knows_whether_there_was_speech() -> None:
    """So that it may be harder to start than to go on."""
    told = []

    def speech(window: NDArray[np.float32], before: bool) -> bool:
        told.append(before)
        return bool(window[0] > 0.5)

    Segmenter(Detector(WINDOW, speech)).feed(sound(0.01, 0.01, 0.01))
    assert told == [False, False, True]


@given(
    spans=st.lists(st.sampled_from([0.05, 0.2, 0.5, 0.7, 3.0]), max_size=8),
    cuts=st.lists(st.integers(0, 30_000), max_size=8),
)
def test_cutting_changes_nothing(spans: Sequence[float], cuts: Sequence[int]) -> None:
    """The same segments, however the audio is cut; none overlaps another."""
    samples = sound(0.5, *spans)
    whole, pieces = segmenter(), segmenter()
    together = [*whole.feed(samples), whole.flush()]
    apart: list[Segment | None] = []
    for part in np.split(samples, np.cumsum(cuts)):
        apart += pieces.feed(part)
    apart.append(pieces.flush())
    found = [span(segment) for segment in together if segment is not None]
    assert found == [span(segment) for segment in apart if segment is not None]
    borders = [second for pair in found for second in pair]
    assert borders == sorted(borders)


@pytest.mark.parametrize("at", [0, 1, WINDOW - 1])
def test_segments_stand_at_their_true_time(at: int) -> None:
    """The samples of a segment are the stream's, from its start on."""
    stream = np.arange(3 * RATE, dtype=np.float32)
    s = Segmenter(Detector(WINDOW, lambda window, before: bool(window[0] > 8000)))
    s.feed(stream[at:])
    segment = s.flush()
    assert segment is not None
    assert segment.samples[0] == round(segment.start * RATE) + at
