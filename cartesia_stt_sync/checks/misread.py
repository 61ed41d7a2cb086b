"""Whether bytes are what they are declared to be.

Decides by a vote of the first blocks with something to hear in them. NumPy does the
arithmetic and is imported by the first call.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from ..audio import AudioFormat, decode
from .declaration import SMOOTH, Declaration, diagnose, read_as, roughness
from .finding import PAGE, Finding
from .level import AS_INTEGERS, INTEGERS, SMOOTH_INTEGERS, sounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CLOSELY", "Misread"]

CLOSELY = 10
"""Blocks with sound that are all looked at; of the others one in as many."""


def wrong_encoding(
    declared: AudioFormat, best: Declaration, heard: str = "noise"
) -> Finding:
    """The bytes are sound when they are read in another way."""
    return Finding(
        "wrong-encoding",
        f"The audio is {heard} as {declared.encoding}, and sound as {best.name}.",
        f"Declare what it is: {best.arguments(declared.sample_rate)}.",
        PAGE,
    )


def wrong_channels(declared: AudioFormat, best: Declaration) -> Finding:
    """The encoding is right, the number of channels is not."""
    return Finding(
        "wrong-channels",
        f"The audio has {best.channels} channel(s), and {declared.channels} are "
        "declared: it would be heard at another speed.",
        f"Declare what it is: {best.arguments(declared.sample_rate)}.",
        PAGE,
    )


_VOTES = 3
"""Blocks that must agree on what the audio is."""

_ENOUGH = 400
"""Frames below which a block says nothing: the last one of a file may be short."""

_PLAIN = 0.1
"""Roughness below which sixteen bits are just that."""

_PLAINLY = 2
"""Blocks of that kind that are enough, where no other has spoken against it."""

_CLEARLY = 0.6
"""How much smoother it must then be than as it was declared."""


_LAWS = {"pcm_mulaw": "pcm_alaw", "pcm_alaw": "pcm_mulaw"}

_OTHER_LAW = 0.75
"""How much smoother G.711 must be in the other law.

Over three blocks with sound in them that is 1.17 at least of correct audio, and 0.8 at
most of wrong audio, where the other law is smooth at all; a block alone is not as sure.
"""


class Laws:
    """Whether G.711 is of the law that was declared.

    The wrong one is a rough sound and no noise, so a block alone does not tell.
    """

    __slots__ = ("_audio", "_blocks", "_other", "_ratios", "_rough")

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._other = _LAWS.get(audio.encoding)
        self._blocks = 0
        self._ratios: list[float] = []
        self._rough: list[float] = []

    @property
    def known(self) -> bool:
        """Whether there is nothing to ask."""
        return self._other is None

    def add(self, block: bytes, samples: NDArray[np.float32]) -> None:
        """Take in a block: its bytes, and what they are as declared."""
        if self._other is None:
            return
        self._blocks += 1
        other = decode(block, self._other).reshape(samples.shape)
        for channel in range(samples.shape[1]):
            mine, rough = roughness(samples[:, channel]), roughness(other[:, channel])
            if mine and rough:
                self._ratios.append(math.log(rough / mine))
                self._rough.append(rough)

    def verdict(self, least: int) -> Declaration | None:
        """The other law, if it is that.

        Args:
            least: Blocks that are needed.
        """
        if self._other is None or self._blocks < least or not self._ratios:
            return None
        rough = sum(self._rough) / len(self._rough)
        ratio = math.exp(sum(self._ratios) / len(self._ratios))
        if rough >= SMOOTH or ratio >= _OTHER_LAW:
            return None
        return Declaration(
            encoding=self._other, channels=self._audio.channels, roughness=rough
        )


class Misread:
    """Whether the bytes are what they are declared to be."""

    __slots__ = (
        *("_audio", "_blocks", "_faint", "_latest", "_laws", "_moves", "_plain"),
        *("_votes", "over", "trusted"),
    )

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._laws = Laws(audio)
        self._votes: dict[tuple[str, int, bool], int] = {}
        self._latest: dict[tuple[str, int, bool], Declaration] = {}
        self._blocks = 0
        self._plain = 0  # blocks that were, plainly, what they were declared to be
        self._faint, self._moves = b"", 0.0  # what is loudest of what is hardly heard
        self.over = audio.channels > 2  # whether it has been decided
        self.trusted = self.over

    def judge(self, block: bytes, samples: NDArray[np.float32]) -> Finding | None:
        """Judge a block: its bytes, and what they are as declared."""
        if self.over or len(samples) < _ENOUGH:
            return None
        if not sounds(samples):
            # All of it may be the low bytes of samples that are read backwards.
            if (moves := float(abs(samples - samples[0]).max())) > self._moves:
                self._moves, self._faint = moves, block
            return None
        if _is_tone(samples):
            return None
        self._laws.add(block, samples)
        law = self._laws.verdict(_VOTES)
        if law is not None:
            self.over, self.trusted = True, False
            return wrong_encoding(self._audio, law)
        best = self._plainly(block)
        self._plain += best is not None
        if best is None:
            best = next(iter(diagnose(block)), None)
        if best is None:
            return None  # smooth in no reading, as a room's noise is: it tells nothing
        self._blocks += 1
        if self._fits(best, samples):
            self.trusted = True
            sure = not self._votes and self._laws.known
            enough = self._blocks > _VOTES or self._plain >= _PLAINLY
            self.over = (sure and enough) or self._blocks >= CLOSELY
            return None
        key = best.encoding, best.channels, best.swapped
        votes = self._votes[key] = self._votes.get(key, 0) + 1
        self._latest[key] = best
        self.over = self._blocks >= CLOSELY or votes >= _VOTES
        return self._verdict(best) if self._agrees(votes, _VOTES) else None

    def _plainly(self, block: bytes) -> Declaration | None:
        """What is as smooth, as declared, as nothing is by mistake.

        Then no other way to read it is looked at: that takes ten times as long, at the
        beginning of each session, and there may be hundreds.
        """
        audio = self._audio
        if audio.encoding != "pcm_s16le":  # eight bits are smooth in another's reading
            return None
        way = read_as(block, audio.encoding)
        plain = way is not None and way.channels == audio.channels
        return way if way is not None and plain and way.roughness < _PLAIN else None

    def end(self) -> Finding | None:
        """Decide with what votes there are: nothing follows."""
        if self.over:
            return None
        self.over = True
        law = self._laws.verdict(1)
        if law is not None:
            return wrong_encoding(self._audio, law)
        if not self._votes:
            return self._of_the_faint() if not self._blocks else None
        key = max(self._votes, key=self._votes.__getitem__)
        agreed = self._agrees(self._votes[key], 1)
        return self._verdict(self._latest[key]) if agreed else None

    def _of_the_faint(self) -> Finding | None:
        """Whether what is hardly heard is loud in another way."""
        import numpy as np

        best = next(iter(diagnose(self._faint)), None)
        if best is None:
            return None
        with np.errstate(all="ignore"):
            faint = decode(self._faint, self._audio.encoding)
            loud = decode(best.straight(_whole(self._faint)), best.encoding)
        fits = self._fits(best, faint.reshape(-1, self._audio.channels))
        if fits or not sounds(loud.reshape(-1, 1)):
            return None
        return wrong_encoding(self._audio, best, "hardly anything")

    def _agrees(self, votes: int, least: int) -> bool:
        return votes >= least and votes >= 0.7 * self._blocks

    def _verdict(self, best: Declaration) -> Finding:
        same = best.encoding == self._audio.encoding and not best.swapped
        return (wrong_channels if same else wrong_encoding)(self._audio, best)

    def _fits(self, best: Declaration, samples: NDArray[np.float32]) -> bool:
        audio = self._audio
        declared = audio.encoding, audio.channels, False
        if (best.encoding, best.channels, best.swapped) == declared:
            return True
        if best.encoding == audio.encoding and not best.swapped and best.channels == 2:
            return False  # found by how they alternate, not by how smooth they are
        floats = audio.encoding.startswith("pcm_f")
        peak = float(abs(samples).max()) if floats and samples.size else 0.0
        scaled = AS_INTEGERS < peak <= INTEGERS
        if scaled:  # perhaps: then they are sound all the same
            samples = samples / samples.dtype.type(peak)
        apart = [roughness(samples[:, n]) for n in range(audio.channels)]
        known = [rough for rough in apart if rough is not None]
        if scaled:
            known = [rough for rough in known if rough < SMOOTH_INTEGERS]
        if known and floats:
            return True  # other bytes are floats of all sizes, and no numbers at all
        return bool(known) and best.roughness >= _CLEARLY * max(known)


def _whole(data: bytes) -> bytes:
    """Whole samples, of whatever width."""
    return data[: len(data) // 24 * 24]


_PARTIALS, _TONAL = 12, 0.8
"""So few lines of a spectrum hold so much of a beep, and never of speech."""


@lru_cache(maxsize=4)
def _bell(size: int) -> NDArray[np.float64]:
    """So that what is cut out of a sound has no hard edges."""
    import numpy as np

    return np.hanning(size)


def _is_tone(samples: NDArray[np.float32]) -> bool:
    """Whether this is a beep: it is smooth in many a wrong reading, too."""
    import numpy as np

    mono = np.add.reduce(samples[:4096], axis=1)
    mono = (mono - np.add.reduce(mono) / np.float32(len(mono))) * _bell(len(mono))
    lines = np.fft.rfft(mono)
    power = lines.real**2 + lines.imag**2
    strongest = np.partition(power, -_PARTIALS)[-_PARTIALS:]
    # What is not finite is none: it is not more than itself.
    return float(strongest.sum()) > _TONAL * float(power.sum())
