"""A recogniser for tests that hears numbers: what was lost, or came twice, shows.

Each word is a stretch of audio of one sample value, and its text is that number.
So the text of a session that lost nothing and said nothing twice is " 1 2 3 4 ...",
whatever became of its connections. Pure: bytes in, events out.
"""

from __future__ import annotations

from array import array

from cartesia_stt_sync.events import Event, FlushDone, Transcript, Word

RATE = 16000
LENGTH = RATE // 4
"""Samples of a word, if nothing else is said."""


def spoken(first: int, last: int, length: int = LENGTH) -> bytes:
    """The words from ``first`` to ``last``, as audio."""
    samples = array("h")
    for number in range(first, last + 1):
        samples.extend([number] * length)
    return samples.tobytes()


def written(last: int) -> str:
    """The text of all words up to the last."""
    return "".join(f" {number}" for number in range(1, last + 1))


class Hearer:
    """What one connection's server hears.

    Args:
        placed: How finals say where they are: by ``"duration"``, ``"words"``,
            ``"both"``, or not at all (``"neither"``).
        a_final: Words in a final that comes unasked; 0: none does.
        length: Samples of a word.
    """

    def __init__(
        self, placed: str = "duration", a_final: int = 1, length: int = LENGTH
    ) -> None:
        self._length = length
        self._placed = placed
        self._a_final = a_final
        self._position = 0  # samples heard
        self._answered = 0.0  # seconds that finals have covered
        self._word = self._heard = self._begin = 0
        self._words: list[Word] = []

    def feed(self, data: bytes) -> list[Event]:
        """Hear audio; say what came of it unasked."""
        said: list[Event] = []
        samples = array("h", data)
        at = 0
        while at < len(samples):
            number = samples[at]
            run = _run(samples, at, self._length)
            if number:
                said += self._hear(number, run)
            self._position += run
            at += run
        return said

    def _hear(self, number: int, run: int) -> list[Event]:
        """Hear so many samples of a word."""
        if number != self._word:
            # Half a word is not heard, as at the beginning of a connection.
            self._word, self._heard, self._begin = number, 0, self._position
        missing = self._length - self._heard
        self._heard += run
        if not 0 < missing <= run:
            return []
        end = self._position + missing
        self._words.append(Word(f" {number}", self._begin / RATE, end / RATE))
        ripe = self._a_final and len(self._words) >= self._a_final
        return self._final() if ripe else []

    def finalize(self) -> list[Event]:
        """Say the rest."""
        return [*self._final(), FlushDone()]

    def _final(self) -> list[Event]:
        if not self._words:
            return []
        end = self._words[-1].end
        said = Transcript(
            text="".join(word.word for word in self._words),
            is_final=True,
            duration=end - self._answered
            if self._placed in ("duration", "both")
            else None,
            words=tuple(self._words) if self._placed in ("words", "both") else None,
        )
        self._answered = end
        self._words = []
        return [said]


def _run(samples: array[int], at: int, step: int) -> int:
    """How many samples from there on are the same; quick for long runs."""
    end = at + 1
    while step:
        if samples[end : end + step] == array("h", [samples[at]] * step):
            end += step
        else:
            step //= 2
    return end - at
