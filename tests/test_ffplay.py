"""The line that plays raw samples."""

from __future__ import annotations

import shlex

import pytest

from cartesia_stt_sync import AudioFormat, Declaration
from cartesia_stt_sync.audio import ENCODINGS


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (
            AudioFormat("pcm_s16le", 16000),
            "ffplay -f s16le -sample_rate 16000 a.raw",
        ),
        (
            AudioFormat("pcm_mulaw", 8000, 2),
            "ffplay -f mulaw -sample_rate 8000 -ch_layout stereo a.raw",
        ),
        (
            AudioFormat("pcm_f64le", 48000, 6),
            "ffplay -f f64le -sample_rate 48000 -ch_layout 6c a.raw",
        ),
    ],
)
def test_formats(form: AudioFormat, line: str) -> None:
    """One channel is the default of every version of ffplay."""
    assert form.ffplay("a.raw") == line


def test_every_encoding() -> None:
    """All can be played but half floats."""
    mute = [name for name in ENCODINGS if AudioFormat(name, 8000).ffplay("-") is None]
    assert mute == ["pcm_f16le"]


def test_swapped() -> None:
    """A big-endian encoding has a name there."""
    way = Declaration(encoding="pcm_s16le", swapped=True, roughness=0.1)
    assert way.ffplay(16000, "-") == "ffplay -f s16be -sample_rate 16000 -"


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("a b's.raw", "a b's.raw"),
        ("-x.raw", "./-x.raw"),
        ("12:30.raw", "./12:30.raw"),
        ("/calls/12:30.raw", "/calls/12:30.raw"),
        ("-", "-"),
    ],
)
def test_paths(path: str, word: str) -> None:
    """A path is one word, and neither an option nor a protocol."""
    line = AudioFormat("pcm_s16le", 16000).ffplay(path)
    assert line is not None
    assert shlex.split(line)[-1] == word
