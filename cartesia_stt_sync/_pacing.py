"""How fast audio goes, and when silence takes its place.

Decides two moments: when the next audio is due, and when a gap in it is filled.
Time is an argument, never a call.
"""

from __future__ import annotations

import math

import attrs

from . import _validate as check
from ._value import Value

__all__ = ["Filler", "Pacing", "Schedule"]

_MOST_AHEAD = 0.001
"""Seconds that audio may go before it is due, at most."""

_HICCUP = 0.02
"""Seconds that no timer is to blame for."""

_MEMORY = 8
"""Messages of which the schedule knows, more or less, how long they took."""

_OFF_OR_SECONDS = check.field(check.seconds, none=True)
_OFF_OR_POSITIVE = check.field(check.seconds, none=True, positive=True)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Pacing(Value):
    """The limits, in seconds; ``None`` switches one off.

    Attributes:
        chunk: Length of a message of audio; ``None``: each as it was fed.
        catch_up: How far the schedule may lag; ``None``: any lag is made up for.
        silence_after: How long a gap must be before silence fills it.
        silence_limit: How much silence fills one gap at most.
        keep_alive: How often an idle stream sends one chunk of silence. The
            service disconnects after 3 minutes without audio.

    Raises:
        ConfigError: Not a length of time.
    """

    chunk: float | None = attrs.field(
        default=0.1,
        validator=check.field(check.seconds, none=True, positive=True, most=10),
    )
    catch_up: float | None = attrs.field(default=0.5, validator=_OFF_OR_SECONDS)
    silence_after: float | None = attrs.field(default=0.3, validator=_OFF_OR_SECONDS)
    silence_limit: float | None = attrs.field(default=10.0, validator=_OFF_OR_SECONDS)
    keep_alive: float | None = attrs.field(default=60.0, validator=_OFF_OR_POSITIVE)

    def within(self, buffer: float | None) -> Pacing:
        """The same with chunks of which a buffer of so many seconds holds two.

        Else who waits for room to feed the rest of a chunk, and what there is of it,
        which waits for that rest, would wait for each other.
        """
        if self.chunk is None or buffer is None or self.chunk <= buffer / 2:
            return self
        return attrs.evolve(self, chunk=buffer / 2)


class Schedule:
    """When the audio sent so far has played out.

    Who sleeps until a moment wakes up behind it, and then has to build and send the
    message: by half a millisecond, or what the machine makes of it. So who sends is to
    begin ahead of the moment, by as much as that has taken before.

    Attributes:
        due: That moment, or ``None`` before the first audio of a connection.
        ahead: How long before it to begin.
    """

    __slots__ = ("_catch_up", "_known", "ahead", "due")

    def __init__(self, catch_up: float | None) -> None:
        self._catch_up = math.inf if catch_up is None else catch_up
        self._known = 0  # messages, up to `_MEMORY`
        self.due: float | None = None
        self.ahead = 0.0

    def restart(self) -> None:
        """Forget the past: a new connection begins."""
        self.due = None

    def ready(self, now: float) -> float:
        """Return the moment from which audio may go."""
        return now if self.due is None else self.due

    def advance(self, now: float, seconds: float) -> float:
        """Note audio sent: ``due`` moves by its length; return it.

        From where it was, not from ``now``, and so never drifts; only a lag beyond
        ``catch_up`` is forgiven.
        """
        due = now if self.due is None else self.due
        earliest = now - self._catch_up
        due = (due if due > earliest else earliest) + seconds
        self.due = due
        return due

    def took(self, seconds: float) -> None:
        """Note how long after the moment to begin audio was out that had waited."""
        if seconds < _HICCUP:
            # The first one says all that is known; from then on each says less.
            self._known = min(self._known + 1, _MEMORY)
            self.ahead += (min(seconds, _MOST_AHEAD) - self.ahead) / self._known


class Filler:
    """When silence goes out in place of audio that does not come.

    Stopping is not silence: the server goes on waiting, and no final comes. But
    silence is billed, so it fills a gap only while the server holds audio that
    it has not answered, and for ``silence_limit`` seconds at most. After that
    one chunk each ``keep_alive`` seconds holds the connection.

    Attributes:
        unanswered: Whether the server holds speech that it has not answered.
        filled: Seconds of silence in the gap that is open.
    """

    __slots__ = (
        *("_chunk", "_next", "_pacing", "_played", "_quiet_since", "filled"),
        "unanswered",
    )

    def __init__(self, pacing: Pacing, chunk: float) -> None:
        self._pacing = pacing
        self._chunk = chunk
        self.unanswered = False
        self._quiet_since = 0.0  # when audio of any kind last went out
        self._next: float | None = None  # when the gap under way gets more silence
        self.filled = 0.0  # seconds put into that gap
        self._played = -math.inf  # when a listener has heard all the audio

    def restart(self, now: float) -> None:
        """Note that a connection stands; the server holds nothing yet."""
        self.unanswered = False
        self._quiet_since = now
        self._next, self.filled, self._played = None, 0.0, -math.inf

    def audio_sent(self, now: float, seconds: float) -> None:
        """Note the caller's audio: any gap is over.

        Args:
            now: When it went.
            seconds: Its length.
        """
        self._quiet_since = now
        self._next, self.filled = None, 0.0
        # Late audio counts from when it went, not from when it was due: a hiccup
        # of the caller's is no gap in the speech, nor are several in a row.
        self._played = (self._played if self._played > now else now) + seconds

    def silence_sent(self, now: float) -> None:
        """Note a chunk of silence."""
        self._quiet_since = now
        if self._next is not None:
            # From when it was due, so that it stays at pace; after a stall from
            # now, because nobody waits for silence that is late.
            late = now - self._next > self._chunk
            self._next = (now if late else self._next) + self._chunk
            self.filled += self._chunk

    def at(self) -> float:
        """Return when the next chunk of silence is to go; infinity is never."""
        alive = math.inf
        if self._pacing.keep_alive is not None:
            alive = self._quiet_since + self._pacing.keep_alive
        return min(alive, self._fill())

    def _fill(self) -> float:
        after, limit = self._pacing.silence_after, self._pacing.silence_limit
        if after is None or not self.unanswered:
            return math.inf
        # Half a sample's slack for the sum of many chunks.
        if limit is not None and self.filled + self._chunk > limit + 1e-5:
            return math.inf
        if self._next is None:
            self._next = self._played + after
        return self._next
