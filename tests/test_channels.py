"""Channels taken apart, and their texts put together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartesia_stt_sync import AudioFormat, ConfigError, Transcript, Word
from cartesia_stt_sync._channels import Merger, Splitter, stamped, whole_of

STEREO = AudioFormat("pcm_s16le", 8000, 2)


def delta(text: str, start: float | None = None, **more: Any) -> Transcript:
    """A final one, whose only word begins at a time, if one is given."""
    words = None if start is None else (Word(text.strip(), start, start + 0.5),)
    return Transcript(text=text, is_final=True, words=words, **more)


def texts(deltas: list[Transcript]) -> list[str]:
    """What they say, in their order."""
    return [one.text for one in deltas]


class TestSplitter:
    """On the way in."""

    @given(
        st.binary(max_size=60),
        st.lists(st.integers(0, 60), max_size=5),
        st.sampled_from(["pcm_s16le", "pcm_mulaw", "pcm_s24le", "pcm_f64le"]),
        st.integers(2, 3),
    )
    def test_any_cutting(
        self, data: bytes, cuts: list[int], encoding: str, channels: int
    ) -> None:
        """However it is cut, each channel gets its samples and no others."""
        source = AudioFormat(encoding, 8000, channels)
        splitter = Splitter(source)
        lanes = [b""] * channels
        places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        for begin, end in pairwise(places):
            parts = splitter.split(data[begin:end])
            lanes = [lane + part for lane, part in zip(lanes, parts, strict=True)]
        width = source.frame_bytes // channels
        samples = [
            data[at : at + width]
            for at in range(
                0, len(data) // source.frame_bytes * source.frame_bytes, width
            )
        ]
        assert lanes == [b"".join(samples[n::channels]) for n in range(channels)]
        assert splitter.pending_bytes == len(data) % source.frame_bytes

    def test_arrays(self) -> None:
        """A column each."""
        array = np.arange(6, dtype=np.int16).reshape(3, 2)
        splitter = Splitter(STEREO)
        left, right = splitter.split(array)
        assert (left.tolist(), right.tolist()) == ([0, 2, 4], [1, 3, 5])
        assert splitter.seconds(array) == 3 / 8000
        assert splitter.seconds(bytes(8)) == 2 / 8000

    @pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3), (2, 2, 2)])
    def test_arrays_of_other_shapes(self, shape: tuple[int, ...]) -> None:
        """They are refused, with the shape that is wanted."""
        with pytest.raises(ConfigError, match=r"shape \(frames, 2\), got shape"):
            Splitter(STEREO).seconds(np.zeros(shape, np.int16))

    def test_an_array_behind_half_a_frame(self) -> None:
        """It cannot be told what it belongs to."""
        splitter = Splitter(STEREO)
        splitter.split(bytes(3))
        with pytest.raises(ConfigError, match="3 bytes of a partial frame"):
            splitter.seconds(np.zeros((4, 2), np.int16))

    def test_no_audio(self) -> None:
        """As everywhere."""
        with pytest.raises(ConfigError, match="bytes-like"):
            Splitter(STEREO).seconds("text")


class TestMerger:
    """On the way out."""

    def test_by_words(self) -> None:
        """The first word's time counts, whichever channel it is in."""
        left = [delta("Hello.", 0.5), delta(" How are you?", 3.0)]
        right = [delta("Hi.", 1.5), delta(" Fine.", 4.0)]
        merged = Merger(2).merge([left, right])
        assert texts(merged) == ["Hello.", "Hi.", " How are you?", " Fine."]

    def test_by_durations(self) -> None:
        """Where there are no words, what came before says when one begins."""
        left = [delta("a", duration=2.0), delta("b", duration=1.0)]
        right = [delta("c", duration=1.0), delta("d", duration=2.0)]
        merged = Merger(2).merge([left, right])
        assert texts(merged) == ["a", "c", "d", "b"]

    def test_piece_by_piece(self) -> None:
        """It remembers how far each channel has come."""
        merger = Merger(2)
        merger.merge([[delta("a", duration=2.0)], []])
        first = [delta("b", duration=1.0)]
        assert texts(merger.merge([first, [delta("c", duration=1.0)]])) == ["c", "b"]

    def test_no_times(self) -> None:
        """Each channel keeps its order, and nothing is lost."""
        merged = Merger(2).merge([[delta("a"), delta("b")], [delta("c")]])
        assert texts(merged) == ["a", "b", "c"]

    def test_a_channel_never_turns_back(self) -> None:
        """Words whose times are out of order do not change the order of the text."""
        left = [delta("a", 5.0), delta("b", 1.0)]
        assert texts(Merger(2).merge([left, [delta("c", 3.0)]])) == ["c", "a", "b"]

    @pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
    def test_odd_times(self, odd: float) -> None:
        """Times that are none count as not known."""
        left = [delta("a", odd), delta("b", 2.0, duration=odd)]
        assert texts(Merger(2).merge([left, [delta("c", 1.0)]])) == ["a", "c", "b"]


class TestWhole:
    """All of it as one transcript."""

    def test_it_says_all(self) -> None:
        """A line for each change of the channel; words and duration of both."""
        left = [delta("Hello.", 0.5, duration=2.0, language="en", request_id="r1")]
        left += [delta(" And you?", 3.0, duration=2.0)]
        right = [delta("Hi.", 1.5, duration=3.0, request_id="r2")]
        lanes = [
            [stamped(one, n) for one in lane] for n, lane in enumerate([left, right])
        ]
        whole = whole_of(lanes)
        assert whole.text == "Hello.\nHi.\n And you?"
        assert (whole.duration, whole.language, whole.request_id) == (4.0, "en", "r1")
        assert whole.words is not None
        assert [(w.word, w.channel) for w in whole.words] == [
            ("Hello.", 0),
            ("Hi.", 1),
            ("And you?", 0),
        ]

    def test_nothing_came(self) -> None:
        """Then it is empty, and says what it does not know."""
        whole = whole_of([[], []])
        assert (whole.text, whole.words, whole.duration) == ("", None, None)

    def test_stamped_without_words(self) -> None:
        """The channel is noted all the same."""
        one = stamped(delta("Hello."), 1)
        assert (one.channel, one.words) == (1, None)
