"""What goes on the wire next, and when.

Decides the cutting, pacing and order of audio and commands, where silence is
put in, and what is sent again. Time is an argument, never a call: no clock, no
thread, no socket, so every rule is tested to the microsecond.

Audio goes when the audio before it has played out, at most a millisecond sooner where
timers have been late by as much, and after a stall at most ``catch_up`` seconds at
once; so in every window of w seconds at most w + ``catch_up`` + two chunks go out. A
command keeps its place in the audio and goes the moment that place is reached.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import cache
from itertools import takewhile
from typing import NamedTuple

from ._pacing import Filler, Pacing, Schedule
from ._queue import Kind, Queue, Run, Send
from ._quiet import leading_quiet
from ._stages import Meters
from ._timeline import Timeline
from ._unanswered import Sent, Unanswered
from .audio import AudioFormat
from .errors import ClosedError

__all__ = ["Kind", "Outbox", "Send", "Wait"]

_FILL = 0.1
"""Seconds in a message of silence where audio goes out as it was fed."""

_AUDIO = Kind.AUDIO
"""Until Python 3.12 an enum's member takes longer to look up than a call does."""

_UNHEARD = 1.0
"""Seconds of audio that a server may not have listened to yet when it answers."""

_BEFORE_SPEECH = 0.5
"""Seconds of quiet that are sent before speech after a loss: it may have begun softly,
and the server has to learn what quiet is."""

_LATE = 3.0
"""Seconds from which on it is worth it. What is late by them stays so: audio that goes
on in real time cannot catch up. What a file's reader has fed in advance is not late."""

_LOOKED_AT = 60.0
"""Seconds of audio that are looked at for it at a time: an hour may be waiting."""


class Wait(NamedTuple):
    """Nothing to send yet.

    Attributes:
        until: When to ask again, on the clock that was passed in; ``None`` is
            not before something changes.
    """

    until: float | None


class Outbox:
    """Everything between the caller's feed and the socket.

    Args:
        audio: The wire's format.
        pacing: The limits.
        meters: Where to note how long what goes out has waited.
        max_replay: Seconds of unanswered audio to keep for a reconnect.
        budget: Seconds of audio that may be sent at all, ours included.

    Attributes:
        dropped: Seconds of audio that the budget was not enough for; ``None``: it
            is not spent.
        timeline: Maps the server's seconds to the caller's.
        filler: Says when silence is due, and whether the server owes an answer.
        buffered_bytes: Audio that waits.
        source_bytes: The caller's audio sent so far, each byte counted once.
        silence_bytes: Silence put in so far.
        skipped_bytes: What was left out after losses, late and quiet; `source_bytes`
            counts it, too.
        skipped_now: How much of it after the last one.
        passed_over: The caller's audio that will never be answered, since the last
            final that said how much it answers: quiet, at the beginnings of losses.
        wire_bytes: All audio sent so far: with silence, and what was sent again.

    Threads: none of its own; its driver holds a lock around each call.
    """

    __slots__ = (
        *("_answered_until", "_audio", "_budget", "_changes", "_chunk"),
        *("_close_sent", "_finalizes", "_late", "_meters", "_moment", "_named"),
        *("_opened_at", "_queue", "_rate", "_schedule", "_session_bytes", "_silence"),
        *("_spoken_until", "_taken_at", "_unanswered", "_voiced_bytes", "_width"),
        *("buffered_bytes", "dropped", "filler", "passed_over", "silence_bytes"),
        *("skipped_bytes", "skipped_now", "source_bytes", "timeline", "wire_bytes"),
    )

    def __init__(
        self,
        audio: AudioFormat,
        pacing: Pacing,
        *,
        meters: Meters | None = None,
        max_replay: float = 0.0,
        budget: float | None = None,
    ) -> None:
        self._audio = audio
        self._width = audio.frame_bytes
        self._rate = audio.sample_rate * self._width  # bytes a second
        self._chunk = None if pacing.chunk is None else self._whole(pacing.chunk)
        fill = self._chunk or self._whole(_FILL)
        self._silence = _silence(audio.silence, fill // self._width)

        self._queue = Queue()
        self._schedule = Schedule(pacing.catch_up)
        self._named: float | None = None  # when to ask for audio that is there already
        self._moment: float | None = None  # when to begin with what goes out now
        self.filler = Filler(pacing, self.seconds(fill))
        self._meters = meters or Meters()
        self._taken_at = -math.inf  # when something last left for the wire
        self._unanswered = Unanswered(self._whole(max_replay) if max_replay else 0)
        self._budget = None if budget is None else self._whole(budget)
        self._changes: dict[str, object] = {}  # made by all configs sent so far
        self._session_bytes = 0  # audio sent on this connection
        self._voiced_bytes = 0
        self._answered_until = 0.0  # seconds of this connection's audio
        # Sent and not answered: the two counts above when they were.
        self._finalizes: list[tuple[int, int]] = []
        # How far there had been text that was lost with its connection, as
        # `source_bytes` counts.
        self._spoken_until = 0
        self._late = 0.0  # seconds by which losses have put off what waits
        self._opened_at = -math.inf

        self._close_sent = False
        self.dropped: float | None = None
        self.timeline = Timeline()
        self.buffered_bytes = self.source_bytes = 0
        self.silence_bytes = self.wire_bytes = 0
        self.skipped_bytes = self.skipped_now = self.passed_over = 0

    def _whole(self, seconds: float) -> int:
        """Seconds as bytes, in whole samples, at least one."""
        return max(1, round(seconds * self._rate / self._width)) * self._width

    def seconds(self, size: int) -> float:
        """Bytes of the wire's format as seconds."""
        return size / self._rate

    @property
    def closing(self) -> bool:
        """Whether the ``close`` is queued or sent."""
        return self._close_sent or self._queue.ends_with is Kind.CLOSE

    @property
    def buffered(self) -> float:
        """Seconds of audio that wait."""
        return self.seconds(self.buffered_bytes)

    @property
    def gap(self) -> float:
        """Seconds of silence that fill the gap in the audio that is open."""
        return self.filler.filled

    @property
    def unheard(self) -> float:
        """Seconds of the caller's audio without an answer; 0 where none is due."""
        if not (self.filler.unanswered or self.buffered_bytes):
            return 0.0
        sent = self.source_bytes - self._unanswered.answered
        return self.seconds(self.buffered_bytes + max(0, sent))

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
        self._queue.feed(data, now, voiced=voiced)
        self.buffered_bytes += len(data)

    def finalize(self, now: float, waiter: object = None) -> None:
        """Queue a ``finalize`` behind the audio fed so far, for whoever waits."""
        self.refuse_behind_close("finalize")
        self._queue.command(Send(Kind.FINALIZE, waiter=waiter), now)

    def config(self, changes: Mapping[str, object], now: float) -> None:
        """Queue a ``config`` behind the audio fed so far."""
        self.refuse_behind_close("change the configuration")
        self._queue.command(Send(Kind.CONFIG, changes=changes), now)

    def close(self, now: float) -> None:
        """Queue the ``close`` behind everything; once more is nothing."""
        if not self.closing:
            self._queue.command(Send(Kind.CLOSE), now)

    def ahead_of(self, waiter: object) -> float:
        """Seconds of audio that stand before a ``finalize`` that waits.

        Args:
            waiter: Who waits for its answer; ``None``: what stands before the end.
        """
        return self.seconds(self._queue.ahead_of(waiter))

    @property
    def spent(self) -> str | None:
        """That the budget is spent, and what to do; ``None``: it is not."""
        if self.dropped is None:
            return None
        assert self._budget is not None
        return (
            f"the budget of {self.seconds(self._budget):g} s of audio is spent, and "
            "that ends the session; make a new transcriber, with a larger budget= if "
            "this one was too small"
        )

    def refuse_behind_close(self, what: str) -> None:
        """Raise `ClosedError` where nothing more can be queued.

        Args:
            what: What was to be done.
        """
        if (spent := self.spent) is not None:
            raise ClosedError(f"cannot {what}: {spent}")
        if self.closing:
            raise ClosedError(
                f"cannot {what} after close(): the session is ending, and a "
                "transcriber serves one; make a new transcriber"
            )

    # What the server does

    def opened(self, now: float) -> None:
        """Note that a connection stands; pacing and keep-alive begin here.

        Where it is not the first, quiet in front is left out, as much as is late.
        """
        if self.wire_bytes:
            self._leave_out_quiet(now)
        self._opened_at = now
        self._schedule.restart()
        self.filler.restart(now)

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
        self.filler.unanswered = not final
        if not final:
            return
        self._spoken_until = 0
        # The server's seconds count our silence. Durations leave out what it
        # skipped, and words may be counted from their own final's beginning: so
        # neither runs ahead of what it has really heard.
        until = self._answered_until
        if duration is not None and duration > 0:
            until += duration
        self._answer_until(end if end is not None and end > until else until)

    @property
    def sent_seconds(self) -> float:
        """Seconds of audio sent on this connection, silence included."""
        return self.seconds(self._session_bytes)

    def turn_ended(self, told: float = 0.0) -> None:
        """Note the end of a turn: it answers what was sent, but for the last second.

        The service calls a turn over once its speaker has been quiet for a while.
        What it has not heard by then may be the beginning of the next one. But what
        was sent when it had told all of the turn holds that turn's words, and they
        shall not come again.

        Args:
            told: `sent_seconds` when it first had.
        """
        self.filler.unanswered = False
        self._spoken_until = 0
        self._answer_until(max(self.sent_seconds - _UNHEARD, told))

    def _answer_until(self, seconds: float) -> None:
        sent = self._session_bytes / self._rate
        seconds = seconds if seconds < sent else sent
        if seconds <= self._answered_until:
            return  # as it was
        self._answered_until = seconds
        timeline = self.timeline
        source = timeline.source_time(seconds) if timeline.differs else seconds
        self._unanswered.covered(round(source * self._rate / self._width) * self._width)

    def flushed(self) -> bool:
        """Note a ``flush_done``; tell whether a sent ``finalize`` awaited it.

        No id pairs the two: the k-th answers the k-th.
        """
        if not self._finalizes:
            return False
        self._spoken_until = 0
        voiced, session = self._finalizes.pop(0)
        if voiced == self._voiced_bytes:
            self.filler.unanswered = False
        self._unanswered.flushed()
        self._answer_until(self.seconds(session))
        return True

    # What the driver does

    def poll(self, now: float, early: float = 0.0) -> Send | Wait:
        """Take out what is to be sent at ``now``, or say when to ask again.

        What is returned counts as sent: send it before the next call.

        Args:
            now: The time.
            early: How long before that a whole chunk may go now.
        """
        run = self._queue.runs[0]
        if not run.size:
            return self._poll_command(run, now)
        # Audio, ten times a second and stream: one function, with few calls.
        schedule = self._schedule
        due, ahead = schedule.due, schedule.ahead
        size = run.next_piece() if self._chunk is None else self._chunk
        if (early + ahead) * self._rate > size:  # else several went that are not due
            ahead = min(ahead, size / self._rate)
            early = size / self._rate - ahead
        at = self._named  # whatever was learnt since: who was told so keeps to it
        if at is None:
            at = (now if due is None else due) - ahead
        whole = run.size >= size
        if not whole:
            early = 0.0
            if run.command is None:
                # The rest of the chunk may be under way; but it is not waited for
                # longer than it would take to play.
                at = max(at, run.since + self.seconds(size))
            size = run.size
        if now + early < at:
            self._named = at if whole else None
            return Wait(at)
        if self._budget is not None:
            size = min(size, self._room())
            if not size:
                return self._end_early(now)
        data, voiced, fed = run.take(size)
        self._left(fed, now)
        run.since = now
        self.buffered_bytes -= size
        self.source_bytes += size
        self._session_bytes += size
        self.wire_bytes += size
        seconds = size / self._rate
        # Not of what goes early because somebody feeds just then.
        waited = self._named is not None and now >= self._named
        self._moment = self._named if waited else None
        due = schedule.advance(now, seconds)
        self.filler.audio_sent(now, seconds)
        if voiced:
            self.filler.unanswered = True
            self._voiced_bytes += size
        self._unanswered.add(Sent(data, None, voiced, self.source_bytes))
        self._named = due - ahead if run.size >= size else None
        return Send(_AUDIO, data, self._named)

    def sent(self, now: float) -> None:
        """Note that what `poll` has returned is out; once each."""
        if self._moment is not None:
            self._schedule.took(now - self._moment)
            self._moment = None

    def rewind(self, *, speech_lost: bool = False) -> float:
        """Put what the server has not answered back in front, for a new connection.

        Args:
            speech_lost: Whether the server had begun to say what is in it.

        Returns:
            Seconds of audio that will be sent again, but for what is left out.
        """
        again = self._unanswered.take_back()
        size = sum(len(sent.data) for sent in again)
        messages = [(sent.data, sent.voiced, sent.command) for sent in again]
        if self._changes:  # a new connection knows only the handshake's
            config = Send(Kind.CONFIG, changes=self._changes)
            messages.insert(0, (b"", False, config))
        self._queue.put_back(messages)
        self._finalizes.clear()
        self._named = self._moment = None
        self._session_bytes, self._answered_until = 0, 0.0
        self.buffered_bytes += size
        self.source_bytes -= size
        if speech_lost:
            before = takewhile(lambda sent: sent.command is None, again)
            until = self.source_bytes + sum(len(sent.data) for sent in before)
            self._spoken_until = max(self._spoken_until, until)
        self.timeline.restart(self.seconds(self.source_bytes))
        self._late += self.seconds(size)
        return self.seconds(size)

    def _leave_out_quiet(self, now: float) -> None:
        """Do not send quiet that is late already: what follows would be late for it."""
        self.skipped_now = 0
        for run in self._queue.runs:
            if not _only_configures(run):
                break
        if run.size:
            # Audio waits since it was fed, or since what was before it was sent.
            since = max(self._taken_at, self._opened_at, run.pieces[0][2] or -math.inf)
            self._late += now - since if since > -math.inf else 0.0
        while quiet := min(self._quiet(run), self._whole(self._late)):
            run.take(quiet)
            self._late -= self.seconds(quiet)
            self.buffered_bytes -= quiet
            self.source_bytes += quiet
            self.skipped_now += quiet
        self.skipped_bytes += self.skipped_now
        self.passed_over += self.skipped_now
        self._unanswered.covered(self.source_bytes)
        self.timeline.restart(self.seconds(self.source_bytes))

    def _quiet(self, run: Run) -> int:
        """Bytes in front of the waiting audio that need not be sent after a loss."""
        late = self._whole(_LATE)
        if run.size < late or self._late < _LATE:
            return 0
        quiet = leading_quiet(run.front(self._whole(_LOOKED_AT)), self._audio)
        # If all that there was text of seems quiet, it is speech all the same.
        spoken = self.source_bytes < self._spoken_until <= self.source_bytes + quiet
        if quiet < late or spoken:
            return 0
        return quiet - self._whole(_BEFORE_SPEECH)

    def _poll_command(self, run: Run, now: float) -> Send | Wait:
        """The same where no audio stands in front: a command, or silence."""
        if run.command is None:
            self._late = 0.0  # whoever feeds live has been caught up with
            return Wait(None) if self.closing else self._poll_silence(now)
        self._queue.take_command()
        self._left(run.commanded, now)
        self._note_command(run.command)
        return run.command

    def _poll_silence(self, now: float) -> Send | Wait:
        at = self.filler.at()
        if at == math.inf:
            return Wait(None)
        at = max(at, self._schedule.ready(now))
        if now < at:
            return Wait(at)
        size = len(self._silence)
        if self._room() < size:
            return self._end_early(now)
        seconds = self.seconds(size)
        self.timeline.insert(self.seconds(self._session_bytes), seconds)
        self._session_bytes += size
        self.wire_bytes += size
        self._schedule.advance(now, seconds)
        self.filler.silence_sent(now)
        self.silence_bytes += size
        return Send(Kind.SILENCE, self._silence)

    def _room(self) -> int:
        """Bytes of audio that the budget is still enough for, in whole samples."""
        if self._budget is None:
            return sys.maxsize
        return max(0, self._budget - self.wire_bytes)

    def _end_early(self, now: float) -> Send | Wait:
        """The budget is spent: what waits is dropped, but for its commands."""
        self.dropped = self.buffered
        self.buffered_bytes = 0
        self._queue.drop_audio()
        self.close(now)
        return self.poll(now)

    def _left(self, since: float | None, now: float) -> None:
        """Note that something leaves for the wire that has waited since then."""
        if since is not None:
            # Nothing was taken before it came, or later than now.
            front = self._taken_at
            front = since if front < since else now if front > now else front
            self._meters.queued.add(front - since)
            self._meters.paced.add(now - front)
        self._taken_at = now

    def _note_command(self, command: Send) -> None:
        if command.kind is Kind.CONFIG:
            self._changes = merged(self._changes, command.changes)
            return
        if command.kind is Kind.CLOSE:
            self._close_sent = True
        elif command.kind is Kind.FINALIZE:
            self._finalizes.append((self._voiced_bytes, self._session_bytes))
        self._unanswered.add(Sent(b"", command, False, self.source_bytes))


def _only_configures(run: Run) -> bool:
    command = run.command
    return not run.size and command is not None and command.kind is Kind.CONFIG


@cache
def _silence(frame: bytes, count: int) -> bytes:
    """A message of silence, one for all sessions that send the same."""
    return frame * count


def merged(
    known: Mapping[str, object], changes: Mapping[str, object]
) -> dict[str, object]:
    """What holds after a change: an absent key stays, within a block as well."""
    result = dict(known)
    for name, value in changes.items():
        before = result.get(name)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        result[name] = {**before, **value} if both else value  # type: ignore[dict-item]  # checked
    return result
