"""What is wrong with how a session is used: its pace, its finalizes, its end.

Decides from what is fed and called, and when, as numbers that are passed in. Every
rule is slow to judge: a finding about correct use would teach people to look away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .finding import PAGE, Finding

__all__ = ["BLOCK", "Watch", "aborted_undrained", "no_language"]

BLOCK = 0.05
"""Seconds of audio behind each level that is passed in."""

_RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
"""What audio is usually sampled at, in Hz."""


def arrives_fast(times: float, rate: int) -> Finding:
    """More audio comes than time passes."""
    return Finding(
        "audio-too-fast",
        f"Audio arrives {times:.2f} times as fast as sample_rate={rate} and its "
        f"encoding say{_instead(rate * times)}.",
        "Declare the rate and the encoding that the audio has, in sample_rate= and "
        "encoding=, or in source=.",
        PAGE,
    )


def arrives_slow(times: float, rate: int) -> Finding:
    """Less audio comes than time passes."""
    return Finding(
        "audio-too-slow",
        f"Audio arrives steadily, but only {times:.2f} times as fast as "
        f"sample_rate={rate} and its encoding say{_instead(rate * times)}.",
        "Declare the rate and the encoding that the audio has; or, if they are right, "
        "feed in time: a loop that sleeps as long as each piece lasts falls behind.",
        PAGE,
    )


def _instead(rate: float) -> str:
    """The usual rate that would fit, if one does."""
    nearest = min(_RATES, key=lambda known: abs(known - rate))
    fits = abs(nearest - rate) <= 0.04 * nearest
    return f"; it would fit {nearest} Hz" if fits else ""


def finalize_in_speech() -> Finding:
    """The speaker went on across a ``finalize``."""
    return Finding(
        "finalize-in-speech",
        "A finalize() was called while somebody spoke: the speech goes on right behind "
        "it, and the word that was cut is damaged.",
        "Call it once the speaker has finished, or pass endpointer= and let the "
        "transcriber call it.",
        PAGE,
    )


def finalize_often(seconds: float) -> Finding:
    """Somebody finalizes by the clock and not by the speech."""
    return Finding(
        "finalize-often",
        f"There were {_OFTEN} calls of finalize() within {seconds:.1f} s of audio.",
        "Call it once an utterance, at its end: each call costs the text its context. "
        "For the text so far there is partial.",
        PAGE,
    )


def never_finalized(seconds: float) -> Finding:
    """Speech has been over for long, and its text has not come."""
    return Finding(
        "no-finalize",
        f"Speech ended {seconds:.0f} s ago, its text has not come, and nobody has "
        "called finalize(): the service waits for more.",
        "Call finalize() at the end of an utterance, or pass endpointer=; where the "
        "service shall find the ends by itself, use the Auto endpoint: "
        "TurnTranscriber.",
        PAGE,
    )


def starved(seconds: float) -> Finding:
    """Audio stopped in the middle of it."""
    return Finding(
        "starved",
        f"No audio came for {seconds:.1f} s while the service had speech to answer; "
        "silence was sent in its place, and is billed.",
        "Go on feeding while the speaker is quiet or muted, mute() keeps the time; or "
        "call finalize() when an utterance is over.",
        PAGE,
    )


def aborted_undrained(seconds: float) -> Finding:
    """The end of the text was thrown away."""
    return Finding(
        "not-drained",
        f"The session was aborted with {seconds:.1f} s of audio that the service had "
        "not answered; their text is lost.",
        "End with close(), which waits for the last words; an exception in a with "
        "block aborts.",
        PAGE,
    )


def no_language(model: str) -> Finding:
    """A model that has to be told gets no language."""
    return Finding(
        "no-language",
        f"The model {model} does not detect languages, and is told none.",
        'Pass language="en", or whatever is spoken.',
        PAGE,
    )


_WINDOW = 1.5
"""Seconds of arrivals that are looked at, twice in a row."""

_PIECES = 5
"""Pieces in a window, at least."""

_GAP = 0.5
"""Seconds between two pieces from which on the source is no steady one."""

_STEADY = 0.04
"""How much two windows in a row may differ."""

_FAST, _SLOW = 1.25, 0.8
"""Beyond these it is no clock that drifts, and no loop that sleeps a little long."""

_BURST = 16.0
"""From here on it is a file that is read, and not a source."""

_OFTEN, _OFTEN_WITHIN = 5, 4.0
"""So many finalizes in so many seconds of audio are too many."""

_SPOKEN = 10
"""Blocks of speech that are more than a cough, which no text comes of."""

_OVER = 5.0
"""Seconds of quiet audio after which speech was over long ago."""

_STARVED = 1.0
"""Seconds of silence in one gap that are no jitter."""

_PROMPT = 0.3
"""Seconds within which audio that goes on goes on."""

_LIKE = 3.0
"""How much the level of speech changes from one block to the next, at most."""

_WHILE = 3
"""Blocks of speech on either side of a cut."""

_SLACK = 0.01
"""Blocks, because sums of floats are not exact."""

_LOUD = 0.01
"""A level below which nothing is taken for speech: -40 dB of full scale."""

_ABOVE_FLOOR = 4.0
"""How far speech stands out of what is there all the time: 12 dB."""

_LATELY, _SPAN = 20, round(0.5 / BLOCK)
"""What is there all the time is looked for in so many spans of so many blocks."""


class Watch:
    """The judge of one session.

    Args:
        rate: Samples a second that were declared, in Hz.
        finalizes: Whether the endpoint has a ``finalize``.
        by_itself: Whether an endpointer calls it.

    Attributes:
        unanswered: Blocks of speech since the last final or end of a turn.

    Threads: none of its own; its driver holds a lock around each call.
    """

    __slots__ = (
        *("_answered", "_arrivals", "_by_itself", "_calls", "_cuts", "_fed"),
        *("_finalizes", "_rate", "_untold", "_voice", "unanswered"),
    )

    def __init__(self, rate: int, *, finalizes: bool, by_itself: bool) -> None:
        self._rate = rate
        self._arrivals = Arrivals()
        self._finalizes = finalizes
        self._by_itself = by_itself
        self._voice = Voice()
        self._fed = 0.0  # seconds of audio
        self._untold = 0.0  # blocks of it whose levels are still to come
        self._answered = 0.0  # blocks of it that stood before the last answer
        self._calls: list[float] = []  # the last, at which second of audio
        self._cuts: list[Cut] = []  # the finalizes that are in question
        self.unanswered = 0

    def fed(
        self,
        now: float,
        seconds: float,
        levels: Sequence[float],
        *,
        blocked: bool,
        waiting: float = 0.0,
        untold: float = 0.0,
    ) -> list[Finding]:
        """Note a piece of audio.

        Args:
            now: When it came.
            seconds: Its length.
            levels: The root mean square, from 0 to 1, of each `BLOCK` of what was
                untold, of this piece and of those before; none where nobody listened.
            blocked: Whether the caller had to wait for room.
            waiting: Seconds of all audio so far that are not sent yet: of those the
                service can have said nothing.
            untold: Blocks of all audio so far whose levels are still to come.
        """
        found = []
        times = self._arrivals.add(now, seconds, blocked=blocked)
        if times is not None:
            judge = arrives_fast if times > 1 else arrives_slow
            found.append(judge(times, self._rate))
        self._fed += seconds
        self._untold = untold
        for cut in self._cuts:
            cut.fed(now)
        if not levels:
            return found
        voice = self._voice
        for level in levels:
            if voice.add(level) and voice.heard > self._answered + _SLACK:
                self.unanswered += 1
            for cut in self._cuts:
                if cut.goes_on(voice):
                    found.append(finalize_in_speech())
        if self._cuts:
            self._cuts = [cut for cut in self._cuts if cut.in_question]
        quiet = voice.quiet * BLOCK - waiting
        expected = self._finalizes and not self._by_itself and not self._calls
        if quiet >= _OVER:
            if expected and self.unanswered >= _SPOKEN:
                found.append(never_finalized(quiet))
            self.unanswered = 0  # clicks, with minutes between them, are no speech
        return found

    def answered(self) -> None:
        """Note a final, or the end of a turn."""
        # Also to speech that has come, though its levels have not.
        self.unanswered, self._answered = 0, self._voice.heard + self._untold

    def finalized(self, now: float) -> list[Finding]:
        """Note that the caller has called ``finalize``."""
        self.answered()
        self._calls = [*self._calls[1 - _OFTEN :], self._fed]
        # One for each place: who calls it without audio in between adds none.
        self._cuts = [cut for cut in self._cuts if cut.before < self._answered]
        self._cuts.append(Cut(self._answered, now, self._voice))
        span = self._fed - self._calls[0]
        if len(self._calls) == _OFTEN and 0 < span <= _OFTEN_WITHIN:
            return [finalize_often(span)]
        return []

    def gap(self, silence: float) -> list[Finding]:
        """Note how much silence has filled the gap that is open.

        Args:
            silence: Seconds; only of a gap in which no ``finalize`` is on its way.
        """
        return [starved(silence)] if silence >= _STARVED else []


class Cut:
    """A ``finalize`` between two blocks of audio.

    Args:
        before: Blocks before it.
        now: When it was called.
        voice: What has been heard of them.

    Attributes:
        before: Likewise.
        in_question: Whether it may still turn out to be in speech.
    """

    def __init__(self, before: float, now: float, voice: Voice) -> None:
        self.before = before
        self._at = now
        self._level = voice.level  # of the last block before it
        self._run = voice.run  # blocks of speech in a row before it
        self._behind = 0  # and behind it
        self._prompt: bool | None = None  # whether audio went on at once
        self.in_question = True

    def fed(self, now: float) -> None:
        """Note that more audio has come."""
        if self._prompt is None:
            self._prompt = now - self._at <= _PROMPT

    def goes_on(self, voice: Voice) -> bool:
        """Whether speech has run on across it, with the block that the voice has heard.

        Only where it does so at once, about as loud, and for a while on both sides:
        two utterances that were cut tight and fed in a row are none of it.
        """
        if voice.heard <= self.before + _SLACK:
            self._level, self._run = voice.level, voice.run  # still before it
            return False
        goes_on = self.in_question and voice.quiet == 0
        if not self._behind:
            goes_on = goes_on and self._run >= _WHILE and bool(self._prompt)
            goes_on = goes_on and self._is_like(voice.level)
        self._behind += 1
        self.in_question = goes_on and self._behind < _WHILE
        return goes_on and self._behind == _WHILE

    def _is_like(self, level: float) -> bool:
        return 1 / _LIKE <= level / self._level <= _LIKE


class Voice:
    """Whether somebody speaks, from levels alone.

    Cheap and cautious: speech is what stands well out of the quietest that was heard
    lately. In steady noise it hears nobody, and so never accuses.

    Attributes:
        heard: Blocks.
        run: Blocks of speech in a row.
        quiet: Blocks since the last of it.
        level: Of the latest block.
    """

    __slots__ = ("_floor", "_floors", "heard", "level", "quiet", "run")

    def __init__(self) -> None:
        # The quietest of each span of late; that under way is the last.
        self._floors: list[float] = []
        self._floor = math.inf  # the quietest of them
        self.heard = self.run = self.quiet = 0
        self.level = 0.0

    def add(self, level: float) -> bool:
        """Add a block's level; tell whether it is speech."""
        if not self.heard % _SPAN:
            self._floors = [*self._floors[1 - _LATELY :], math.inf]
            self._floor = min(self._floors)
        self.heard += 1
        self.level = level
        if level < self._floors[-1]:
            self._floors[-1] = level
            self._floor = min(self._floor, level)
        # Until it has been quiet once, nobody knows what quiet is.
        if level <= _LOUD or level <= _ABOVE_FLOOR * self._floor:
            self.run = 0
            self.quiet += 1
            return False
        self.run += 1
        self.quiet = 0
        return True


class Arrivals:
    """How fast audio comes, where it comes steadily."""

    __slots__ = ("_before", "_begin", "_last", "_pieces", "_seconds")

    def __init__(self) -> None:
        self._begin: float | None = None
        self._last = 0.0
        self._seconds = 0.0
        self._pieces = 0
        self._before: float | None = None  # what the window before came to

    def add(self, now: float, seconds: float, *, blocked: bool) -> float | None:
        """Note a piece; return how many times too fast, or slow, once that is sure."""
        if blocked or self._begin is None or now - self._last > max(_GAP, 2 * seconds):
            # The first piece of a window is what came before it began.
            self._before = None
            self._restart(now)
            return None
        self._last = now
        self._seconds += seconds
        self._pieces += 1
        span = now - self._begin
        if span < _WINDOW or self._pieces < _PIECES:
            return None
        times = self._seconds / span
        steady = self._before is not None and abs(times / self._before - 1) <= _STEADY
        self._before = times
        self._restart(now)
        if not steady or _SLOW <= times <= _FAST or times > _BURST:
            return None
        return times

    def _restart(self, now: float) -> None:
        self._begin = self._last = now
        self._seconds = 0.0
        self._pieces = 0
