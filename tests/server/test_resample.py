"""The way to the recogniser's sample rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cartesia_stt_sync.server.resample import Resampler


def tone(hertz: float, rate: int, seconds: float = 0.5) -> NDArray[np.float32]:
    """A sine."""
    time = np.arange(round(rate * seconds)) / rate
    return np.sin(2 * np.pi * hertz * time).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 192000])
def test_keeps_speech_as_it_is(rate: int) -> None:
    """A tone in the middle of speech comes out the same, at its own time."""
    resampler = Resampler(rate, 16000)
    out = np.concatenate([resampler.convert(tone(1000, rate)), resampler.flush()])
    assert abs(len(out) - 8000) <= 2
    error = out - tone(1000, 16000)[: len(out)]
    assert np.abs(error[100:-100]).max() < 1e-3


def test_leaves_out_what_would_fold_back() -> None:
    """A tone above the new Nyquist frequency is gone, not somewhere else."""
    out = Resampler(48000, 16000).convert(tone(10_000, 48000))
    assert np.abs(out[200:]).max() < 1e-3


def test_same_rate_is_free() -> None:
    """Nothing is computed, nothing waits."""
    resampler, samples = Resampler(16000, 16000), tone(440, 16000)
    assert resampler.convert(samples) is samples
    assert len(resampler.flush()) == 0


@given(
    rate=st.sampled_from([8000, 11025, 44100]),
    cuts=st.lists(st.integers(0, 3000), max_size=8),
)
def test_cutting_changes_nothing(rate: int, cuts: Sequence[int]) -> None:
    """The same samples to the bit, however the audio is cut."""
    samples = tone(700, rate)[: sum(cuts)]
    whole, pieces = Resampler(rate, 16000), Resampler(rate, 16000)
    apart, at = [np.empty(0, np.float32)], 0
    for cut in cuts:
        apart.append(pieces.convert(samples[at : at + cut]))
        at += cut
    together = np.concatenate([whole.convert(samples), whole.flush()])
    np.testing.assert_array_equal(
        together, np.concatenate([*apart, pieces.flush()]), strict=True
    )


def test_goes_on_after_a_flush() -> None:
    """No sample is lost or doubled by it: only a few around it are less exact."""
    resampler, samples = Resampler(8000, 16000), tone(500, 8000)
    parts = []
    for half in (samples[:2000], samples[2000:]):
        parts += [resampler.convert(half), resampler.flush()]
    out = np.concatenate(parts)
    wanted = tone(500, 16000)[: len(out)]
    assert len(out) >= 7999
    far = np.r_[100:3900, 4100:7900]
    assert np.abs(out - wanted)[far].max() < 1e-3
