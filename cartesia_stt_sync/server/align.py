"""When each word was said: the text laid along the audio.

Decides how words are spelled for the aligner and what stands in where it fails.
The aligner is pocketsphinx, told what was said and asked only when. Touches no
clock or socket; one aligner is for one thread at a time, which its user sees to.
"""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..events import Word
from .segments import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Aligner", "spread", "to_pcm"]

_FRAME = 0.01
"""Seconds a frame of pocketsphinx."""

_DIGITS = "zero one two three four five six seven eight nine".split()

# A rough guess at how an unknown word sounds. Its neighbours hold it in place, so
# a guess is enough to find where it was said.
_SOUNDS = {
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "ng": "NG", "qu": "K W",
    "ck": "K", "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "AW",
    "ai": "EY", "ay": "EY", "oi": "OY", "oy": "OY", "aw": "AO", "au": "AO",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G",
    "h": "HH", "i": "IH", "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N",
    "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH",
    "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip
_SOUND = re.compile("|".join(_SOUNDS))  # the pairs stand before the single letters


class Aligner:
    """Find the words of a known text in its audio.

    Raises:
        ImportError: pocketsphinx is not installed.
    """

    def __init__(self) -> None:
        sphinx = importlib.import_module("pocketsphinx")
        # Without a language model: it is told the words.
        self._decoder: Any = sphinx.Decoder(lm=None, loglevel="FATAL")

    def align(self, samples: NDArray[np.float32], text: str) -> tuple[Word, ...]:
        """Find when each word of ``text`` was said.

        Args:
            samples: 16 kHz, mono.
            text: What was said in them.

        Returns:
            The blank-separated words of ``text`` in seconds from the first sample;
            evenly spread by their letters where the audio does not fit the text.
        """
        tokens = text.split()
        spoken = [spell(token) for token in tokens]
        times = self._times(samples, [word for words in spoken for word in words])
        if times is None:
            return spread(tokens, len(samples) / RATE)
        aligned, at, end = [], 0, 0.0
        for token, words in zip(tokens, spoken, strict=True):
            if words:
                start, end = times[at][0], times[at + len(words) - 1][1]
                at += len(words)
            else:
                start = end  # a lone dash takes no time
            aligned.append(Word(token, round(start, 2), round(end, 2)))
        return tuple(aligned)

    def _times(
        self, samples: NDArray[np.float32], words: Sequence[str]
    ) -> list[tuple[float, float]] | None:
        """Start and end of each word, or ``None`` if the audio does not fit."""
        if not words or not len(samples):
            return None
        try:
            for word in words:
                if self._decoder.lookup_word(word) is None:
                    self._decoder.add_word(word, sounds(word), True)
            self._decoder.set_align_text(" ".join(words))
            self._decoder.start_utt()
            try:
                self._decoder.process_raw(to_pcm(samples), full_utt=True)
            finally:
                self._decoder.end_utt()
        except RuntimeError:
            return None  # pocketsphinx's only word for every failure
        times = [
            (segment.start_frame * _FRAME, (segment.end_frame + 1) * _FRAME)
            for segment in self._decoder.seg() or ()
            if is_word(segment.word)
        ]
        return times if len(times) == len(words) else None


def spell(token: str) -> list[str]:
    """A written word as spoken words of plain letters; perhaps none, or several."""
    plain = unicodedata.normalize("NFKD", token.lower().replace("\u2019", "'"))
    words = []
    for part in re.findall(r"[a-z']+|[0-9]", plain.encode("ascii", "ignore").decode()):
        word = _DIGITS[int(part)] if part.isdigit() else part.strip("'")
        if word:
            words.append(word)
    return words


def sounds(word: str) -> str:
    """A guess at the phones of a word that no dictionary has."""
    return " ".join(_SOUNDS[match] for match in _SOUND.findall(word))


def is_word(symbol: str) -> bool:
    """Whether pocketsphinx means a word, and not a silence, a noise or a border."""
    return not symbol.startswith(("<", "["))


def spread(tokens: Sequence[str], seconds: float) -> tuple[Word, ...]:
    """The words one after the other, as long as they have letters."""
    letters = sum(map(len, tokens)) or 1
    words, done = [], 0
    for token in tokens:
        start, done = seconds * done / letters, done + len(token)
        words.append(Word(token, round(start, 2), round(seconds * done / letters, 2)))
    return tuple(words)


def to_pcm(samples: NDArray[np.float32]) -> bytes:
    """What pocketsphinx reads: 16-bit samples in this machine's byte order."""
    scaled = np.clip(np.rint(samples * 32768), -32768, 32767)
    return scaled.astype(np.int16).tobytes()
