"""Human speech with known words, and how far a transcript is from them."""

from __future__ import annotations

import re
import wave
from pathlib import Path

DATA = Path(__file__).parent / "data"


def clips() -> dict[str, str]:
    """Each clip's file name, without its ending, and the words said in it."""
    pairs = {}
    for line in (DATA / "transcription.txt").read_text().splitlines():
        match = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip())
        assert match is not None, line
        pairs[match[2]] = match[1]
    return pairs


def samples(name: str) -> bytes:
    """A clip's audio: 16 kHz, mono, 16 bits."""
    with wave.open(str(DATA / f"{name}.wav")) as clip:
        assert clip.getparams()[:3] == (1, 2, 16000)
        frames: bytes = clip.readframes(clip.getnframes())
        return frames


def words(text: str) -> list[str]:
    """Plain words: one spelling for what is said alike."""
    text = text.lower().replace("mr.", "mister").replace("-", " ")
    return re.sub(r"[^\w\s']", "", text).split()


def word_errors(said: str, heard: str) -> int:
    """Words put in, left out or replaced, at least (Levenshtein)."""
    before = list(range(len(words(heard)) + 1))
    for row, word in enumerate(words(said), 1):
        line = [row]
        for column, other in enumerate(words(heard), 1):
            line.append(
                min(
                    before[column] + 1,
                    line[-1] + 1,
                    before[column - 1] + (word != other),
                )
            )
        before = line
    return before[-1]
