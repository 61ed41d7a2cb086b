"""What goes on the wire next, and when.

Decides the cutting, pacing and order of audio and commands, where silence is
put in, and what is sent again. Time is an argument, never a call: no clock, no
thread, no socket, so every rule is tested to the microsecond.

Audio goes when the audio before it has played out, and after a stall at most
``catch_up`` seconds at once; so in every window of w seconds at most w +
``catch_up`` + two chunks go out. A command keeps its place in the audio and goes
the moment that place is reached.
"""

from __future__ import annotations

import enum
import math
from collections import deque

import attrs

from ._pacing import Filler, Pacing, Schedule
from ._stages import Meters
from ._timeline import Timeline
from ._unanswered import Sent, Unanswered
from .audio import AudioFormat
from .errors import ClosedError

__all__ = ["Kind", "Outbox", "Send", "Wait"]

_FILL = 0.1
"""Seconds in a message of silence where audio goes out as it was fed."""


class Kind(enum.Enum):
    """What a message on the wire is."""

    AUDIO = "audio"
    SILENCE = "silence"
    FINALIZE = "finalize"
    CLOSE = "close"


@attrs.frozen
class Send:
    """Send this now.

    Attributes:
        kind: What it is.
        data: The audio; empty for a command, whose spelling is the endpoint's.
    """

    kind: Kind
    data: bytes = b""


@attrs.frozen
class Wait:
    """Nothing to send yet.

    Attributes:
        until: When to ask again, on the clock that was passed in; ``None`` is
            not before something changes.
    """

    until: float | None


_Piece = tuple[memoryview, bool, "float | None"]
"""Audio, whether it is voiced, and when it was fed; ``None``: it goes out once more."""


@attrs.define
class _Run:
    """Audio in a row, and the command that stands behind it."""

    pieces: deque[_Piece] = attrs.field(factory=deque)
    size: int = 0
    since: float = 0.0  # when it last became shorter than a chunk
    command: Kind | None = None
    commanded: float | None = None  # when; None: it goes out once more

    def add(self, data: bytes, voiced: bool, fed: float | None) -> None:
        self.pieces.append((memoryview(data), voiced, fed))
        self.size += len(data)


class Outbox:
    """Everything between the caller's feed and the socket.

    Args:
        audio: The wire's format.
        pacing: The limits.
        meters: Where to note how long what goes out has waited.
        max_replay: Seconds of unanswered audio to keep for a reconnect.

    Attributes:
        closing: Whether the ``close`` is queued or sent.
        timeline: Maps the server's seconds to the caller's.
        buffered_bytes: Audio that waits.
        source_bytes: The caller's audio sent so far, each byte counted once.
        silence_bytes: Silence put in so far.
        wire_bytes: All audio sent so far: with silence, and what was sent again.

    Threads: none of its own; its driver holds a lock around each call.
    """

    def __init__(
        self,
        audio: AudioFormat,
        pacing: Pacing,
        *,
        meters: Meters | None = None,
        max_replay: float = 0.0,
    ) -> None:
        self._width = audio.frame_bytes
        self._rate = audio.sample_rate * self._width  # bytes a second
        self._chunk = None if pacing.chunk is None else self._whole(pacing.chunk)
        fill = self._chunk or self._whole(_FILL)
        self._silence = audio.silence * (fill // self._width)

        self._runs: deque[_Run] = deque([_Run()])
        self._schedule = Schedule(pacing.catch_up)
        self._filler = Filler(pacing, self.seconds(fill))
        self._meters = meters or Meters()
        self._taken_at = -math.inf  # when something last left for the wire
        self._unanswered = Unanswered(self._whole(max_replay) if max_replay else 0)
        self._session_bytes = 0  # audio sent on this connection
        self._voiced_bytes = 0
        self._answered_until = 0.0  # seconds of this connection's audio
        # Sent and not answered: the two counts above when they were.
        self._finalizes: deque[tuple[int, int]] = deque()

        self.closing = False
        self.timeline = Timeline()
        self.buffered_bytes = self.source_bytes = 0
        self.silence_bytes = self.wire_bytes = 0

    def _whole(self, seconds: float) -> int:
        """Seconds as bytes, in whole samples, at least one."""
        return max(1, round(seconds * self._rate / self._width)) * self._width

    def seconds(self, size: int) -> float:
        """Bytes of the wire's format as seconds."""
        return size / self._rate

    @property
    def buffered(self) -> float:
        """Seconds of audio that wait."""
        return self.seconds(self.buffered_bytes)

    @property
    def forgotten(self) -> float:
        """Seconds of unanswered audio that ``max_replay`` could not hold."""
        return self.seconds(self._unanswered.forgotten)

    def lag(self, now: float) -> float:
        """Seconds that the waiting audio is behind its schedule."""
        due = self._schedule.due
        return max(0.0, now - due) if due is not None and self.buffered_bytes else 0.0

    # What the caller does

    def feed(self, data: bytes, now: float, *, voiced: bool = True) -> None:
        """Queue whole samples of audio; not ``voiced`` is a muted speaker's silence."""
        self.refuse_behind_close("feed")
        run = self._runs[-1]
        if not run.size:
            run.since = now
        if data:
            run.add(data, voiced, now)
            self.buffered_bytes += len(data)

    def finalize(self, now: float) -> None:
        """Queue a ``finalize`` behind the audio fed so far."""
        self.refuse_behind_close("finalize")
        self._command(Kind.FINALIZE, now)

    def close(self, now: float) -> None:
        """Queue the ``close`` behind everything; once more is nothing."""
        if not self.closing:
            self.closing = True
            self._command(Kind.CLOSE, now)

    def ahead_of(self, command: int) -> float:
        """Seconds of audio that stand before a command that waits.

        Args:
            command: Its number among those that wait, from 0.
        """
        size = 0
        for run, _ in zip(self._runs, range(command + 1), strict=False):
            size += run.size
        return self.seconds(size)

    def refuse_behind_close(self, what: str) -> None:
        """Raise `ClosedError` where nothing more can be queued.

        Args:
            what: What was to be done.
        """
        if self.closing:
            raise ClosedError(
                f"cannot {what} after close(): the session is ending, and a "
                "transcriber serves one; make a new transcriber"
            )

    def _command(self, kind: Kind, now: float) -> None:
        self._runs[-1].command, self._runs[-1].commanded = kind, now
        self._runs.append(_Run())

    # What the server does

    def opened(self, now: float) -> None:
        """Note that a connection stands; pacing and keep-alive begin here."""
        self._schedule.restart()
        self._filler.restart(now)

    def heard(
        self, *, final: bool, duration: float | None = None, end: float | None = None
    ) -> None:
        """Note a transcript with text.

        A final answers what was sent so far. A provisional one says that the
        server holds more than it has answered, even if no audio was sent since
        the last final: without that, the words behind that final would wait.

        Args:
            final: Whether it is one.
            duration: Seconds of audio that the final covers.
            end: When its last word ended, in the server's seconds.
        """
        self._filler.unanswered = not final
        if not final:
            return
        # The server's seconds count our silence. Durations leave out what it
        # skipped, and words may be counted from their own final's beginning: so
        # neither runs ahead of what it has really heard.
        until = self._answered_until
        if duration is not None and duration > 0:
            until += duration
        self._answer_until(max(until, end or 0.0))

    def _answer_until(self, seconds: float) -> None:
        sent = self.seconds(self._session_bytes)
        self._answered_until = max(self._answered_until, min(seconds, sent))
        source = self.timeline.source_time(self._answered_until)
        self._unanswered.covered(round(source * self._rate / self._width) * self._width)

    def flushed(self) -> bool:
        """Note a ``flush_done``; tell whether a sent ``finalize`` awaited it.

        No id pairs the two: the k-th answers the k-th.
        """
        if not self._finalizes:
            return False
        voiced, session = self._finalizes.popleft()
        if voiced == self._voiced_bytes:
            self._filler.unanswered = False
        self._unanswered.flushed(Kind.FINALIZE)
        self._answer_until(self.seconds(session))
        return True

    # What the driver does

    def poll(self, now: float) -> Send | Wait:
        """Take out what is to be sent at ``now``, or say when to ask again.

        What is returned counts as sent: send it before the next call.
        """
        run = self._runs[0]
        if run.size:
            return self._poll_audio(run, now)
        if run.command is not None:
            self._runs.popleft()
            self._left(run.commanded, now)
            return self._send_command(run.command)
        return Wait(None) if self.closing else self._poll_silence(now)

    def rewind(self) -> float:
        """Put what the server has not answered back in front, for a new connection.

        Returns:
            Seconds of audio that will be sent again.
        """
        runs = deque([_Run()])
        again = 0
        for sent in self._unanswered.take_back():
            if sent.command is None:
                runs[-1].add(sent.data, sent.voiced, None)
                again += len(sent.data)
            else:
                assert isinstance(sent.command, Kind)
                runs[-1].command = sent.command
                runs.append(_Run())
        first = self._runs.popleft()
        runs[-1].pieces.extend(first.pieces)
        runs[-1].size += first.size
        runs[-1].since = first.since
        runs[-1].command, runs[-1].commanded = first.command, first.commanded
        runs.extend(self._runs)
        self._runs = runs
        self._finalizes.clear()
        self._session_bytes, self._answered_until = 0, 0.0
        self.buffered_bytes += again
        self.source_bytes -= again
        self.timeline.restart(self.seconds(self.source_bytes))
        return self.seconds(again)

    def _poll_audio(self, run: _Run, now: float) -> Send | Wait:
        at = self._schedule.ready(now)
        size = len(run.pieces[0][0]) if self._chunk is None else self._chunk
        if run.size < size and run.command is None:
            # The rest of the chunk may be under way; but it is not waited for
            # longer than it would take to play.
            at = max(at, run.since + self.seconds(size))
        if now < at:
            return Wait(at)
        data, voiced, fed = _take(run, min(size, run.size))
        self._left(fed, now)
        run.since = now
        self.buffered_bytes -= len(data)
        self.source_bytes += len(data)
        self._advance(now, len(data))
        self._filler.audio_sent(now, self.seconds(len(data)))
        if voiced:
            self._filler.unanswered = True
            self._voiced_bytes += len(data)
        self._unanswered.add(Sent(data, None, voiced, self.source_bytes))
        return Send(Kind.AUDIO, data)

    def _poll_silence(self, now: float) -> Send | Wait:
        at = self._filler.at()
        if at == math.inf:
            return Wait(None)
        at = max(at, self._schedule.ready(now))
        if now < at:
            return Wait(at)
        size = len(self._silence)
        self.timeline.insert(self.seconds(self._session_bytes), self.seconds(size))
        self._advance(now, size)
        self._filler.silence_sent(now)
        self.silence_bytes += size
        return Send(Kind.SILENCE, self._silence)

    def _left(self, since: float | None, now: float) -> None:
        """Note that something leaves for the wire that has waited since then."""
        if since is not None:
            front = max(since, min(self._taken_at, now))
            self._meters.queued.add(front - since)
            self._meters.paced.add(now - front)
        self._taken_at = now

    def _send_command(self, command: Kind) -> Send:
        if command is Kind.FINALIZE:
            self._finalizes.append((self._voiced_bytes, self._session_bytes))
        self._unanswered.add(Sent(b"", command, False, self.source_bytes))
        return Send(command)

    def _advance(self, now: float, size: int) -> None:
        self._session_bytes += size
        self.wire_bytes += size
        self._schedule.advance(now, self.seconds(size))


def _take(run: _Run, size: int) -> tuple[bytes, bool, float | None]:
    """Take ``size`` bytes off the front; voiced if any is, fed when the first was."""
    run.size -= size
    since = run.pieces[0][2]
    parts: list[memoryview] = []
    any_voiced = False
    while size:
        head, voiced, fed = run.pieces.popleft()
        if len(head) > size:
            run.pieces.appendleft((head[size:], voiced, fed))
            head = head[:size]
        parts.append(head)
        size -= len(head)
        any_voiced = any_voiced or voiced
    return b"".join(parts), any_voiced, since
