"""One stream without its threads: what each call and each message changes.

Decides everything that is neither arithmetic of the outbox nor a transition of
the session, by putting those two and the transcript together. Time is an
argument. Never blocks, sends, calls back, or takes a lock: it leaves in
``answers`` and returns what there is to be told.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from . import checks
from ._backoff import Attempts
from ._drain import Drain
from ._news import Call, calls_for, server_error
from ._outbox import Kind, Outbox, Send, Wait
from ._seam import Seam
from ._session import FromServer, Ours, Session, State
from ._stages import Meters, stuck
from ._stats import Counters
from .audio import Converter
from .errors import (
    CartesiaSTTError,
    ClosedError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    ProtocolError,
)
from .events import (
    Closed,
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Malformed,
    Reconnecting,
    Transcript,
)
from .transcript import Assembler

__all__ = ["Core"]

_MOST_TEXT = 8 << 20
_MOST_TEXT_A_SECOND = 16 << 10
"""Bytes of final transcripts that are kept, and as many more for each second of audio.

Nobody speaks so fast: these guard the memory against a server gone wrong.
"""


class Core:
    """The state of one transcriber.

    Args:
        converter: From what the caller feeds to what the wire takes.
        outbox: What goes out when.
        meters: How long that takes, as the outbox notes it, too.
        attempts: When to connect again.
        close_timeout: Seconds from ``close`` to ``done``; ``None``: no limit.
        max_replay: Seconds of audio that may be sent again.

    Attributes:
        session: Where it stands.
        outbox: What goes out when.
        meters: How long each stage takes.
        drain: How long the end of the transcript is awaited.
        assembler: The text.
        error: Why the session failed, if it did.
        findings: What was noticed.
        counters: The figures.
        answers: For each `finalize` that is over, in their order, its text, or
            the error that took its place; whoever keeps the futures empties it.

    Threads: none; its driver holds a lock around each call.
    """

    def __init__(
        self,
        *,
        converter: Converter,
        outbox: Outbox,
        meters: Meters,
        attempts: Attempts,
        close_timeout: float | None,
        max_replay: float = 0.0,
    ) -> None:
        self._converter = converter
        self._attempts = attempts
        self._seam = Seam(max_replay)
        self._pending = 0  # finalizes without an answer
        self._sent_at: deque[float] = deque()  # those of them on the wire
        self._text_bytes = 0  # of final transcripts, as they came
        self._loss: CartesiaSTTError | None = None
        self._replay = 0.0  # seconds, after that loss
        self._close_frame: tuple[int, str] | None = None
        self._untold: list[checks.Finding] = []

        self.outbox = outbox
        self.meters = meters
        self.drain = Drain(close_timeout)
        self.session = Session()
        self.assembler = Assembler()
        self.error: CartesiaSTTError | None = None
        self.findings: list[checks.Finding] = []
        self.counters = Counters()
        self.answers: deque[str | CartesiaSTTError] = deque()

    @property
    def drained(self) -> bool:
        """Whether the end was a clean one, to be followed by a close frame."""
        return self.session.state is State.CLOSED and self.drain.begun

    @property
    def connected_now(self) -> bool:
        """Whether a connection stands, for all that is known."""
        return self.session.state in (State.OPEN, State.DRAINING, State.CLOSING)

    # What callers do

    def feed(self, audio: Any, *, muted: bool, now: float) -> None:
        """Queue a piece of audio, or as much silence."""
        data = self._converter.convert(audio, muted=muted)
        self.outbox.feed(data, now, voiced=not muted)

    def finalize(self, now: float) -> None:
        """Queue the end of an utterance; `answers` will have its text."""
        self.outbox.refuse_behind_close("finalize")
        self.outbox.feed(self._converter.flush(), now)
        self.outbox.finalize(now)
        self._pending += 1

    def close(self, now: float) -> None:
        """Queue what is left, and ``close``; once more is nothing."""
        if self.session.ended or self.outbox.closing:
            return
        if self.session.ours(Ours.CLOSE) is State.CLOSED:
            return  # never opened
        if self._converter.pending_bytes:
            self.note(checks.partial_sample(self._converter.pending_bytes))
        self.outbox.feed(self._converter.flush(), now)
        self.outbox.close(now)

    def abort(self) -> None:
        """End now; what is unanswered stays so."""
        if not self.session.ended:
            self.session.ours(Ours.ABORT)
            self.drain.give_up()
            self._answer_rest(ClosedError("the session was aborted"))

    def fail(self, error: CartesiaSTTError) -> None:
        """End with an error; the first end is the one that counts."""
        if not self.session.ended:
            self.session.ours(Ours.FAIL)
            self._failed(error)

    # What goes out

    def step(self, now: float) -> Send | Wait | None:
        """Say what to send now, or when to ask again; ``None``: it is over.

        What is returned to be sent counts as sent.
        """
        self.meters.sent.end(now)  # whoever asks has sent what it got before
        if self.session.ended:
            return None
        if self.session.state is State.CONNECTING:
            return Wait(None)
        if self.session.state is State.CLOSING:
            return self._await_done(now)
        step = self.outbox.poll(now)
        if isinstance(step, Send):
            self.meters.sent.begin(now)
            if step.kind is Kind.CLOSE:
                # Noted before it is sent: the answer may come before we return.
                self.session.ours(Ours.CLOSE_SENT)
                self.drain.begin(now)
            elif step.kind is Kind.FINALIZE:
                self._sent_at.append(now)
        return step

    def _await_done(self, now: float) -> Wait | None:
        until = self.drain.until()
        if until is None or now < until:
            return Wait(until)
        kept = len(self.assembler.text)
        self.fail(
            DrainTimeout(
                f"no done within close_timeout={self.drain.limit:g} s: close is stuck "
                f"at {self.stuck(now)}; the text so far is kept ({kept} characters), "
                "its end may be missing"
            )
        )
        return None

    def stuck(self, now: float, finalize: int | None = None) -> str:
        """Name the stage that a command has not left yet, and why.

        Args:
            now: The time.
            finalize: Which of the unanswered ones, from 0; ``None``: the close.
        """
        which, sent_at = self._pending, None
        if finalize is not None:
            which = finalize
            if finalize < len(self._sent_at):
                sent_at = self._sent_at[finalize]
        elif self.session.state is State.CLOSING:
            sent_at = self.drain.sent
        return stuck(
            self.meters,
            connected=self.connected_now,
            sent_at=sent_at,
            ahead=self.outbox.ahead_of(which - len(self._sent_at)),
            now=now,
        )

    # What comes in

    def connected(self, request_id: str | None, now: float) -> bool:
        """Note that a connection stands; tell whether it is still wanted."""
        if self.session.ended:
            return False
        self.session.ours(Ours.CONNECTED)
        self.outbox.opened(now)
        self.counters.sessions += 1
        self.counters.request_id = request_id or self.counters.request_id
        if self.outbox.closing:
            self.session.ours(Ours.CLOSE)  # closed by the caller in the meantime
        return True

    def take_in(self, event: Event, now: float, size: int = 0) -> list[Call]:
        """Let an event change the state.

        Args:
            event: What came.
            now: The time.
            size: Bytes of its message.

        Returns:
            Which handlers are to be called with what, in order.
        """
        if self.session.ended:
            return []  # the server went on after the end
        self.counters.events += 1
        self.counters.request_id = event.request_id or self.counters.request_id
        self._attempts.answered()
        if isinstance(event, Transcript):
            if event.is_final and not self._room_for(size):
                return []
            event = self._transcript(event)
        elif isinstance(event, FlushDone):
            self._flush_done(now)
        elif isinstance(event, Done):
            self._done(now)
        elif isinstance(event, ErrorEvent):
            self.session.from_server(FromServer.ERROR)
            self._failed(server_error(event))
        elif isinstance(event, Malformed):
            self.counters.malformed += 1
        return [*self.untold(), *calls_for(event)]

    def server_closed(self, code: int, reason: str) -> None:
        """Note the server's close frame."""
        self._close_frame = (code, reason)
        said = f": {reason}" if reason else ""
        error = ConnectionLost(
            f"the server closed the connection ({code}){said}; the text so far is kept"
        )
        error.close_code = code
        if code != 1000 or not self.session.from_server(FromServer.CLOSED_NORMALLY):
            self.lost(error)
        elif self.session.state is State.CLOSED:
            self.note(checks.no_done())
            self._answer_rest(None)
        else:
            self._failed(error)

    def lost(self, error: CartesiaSTTError) -> None:
        """Note that the connection broke: it is made anew, or that is the end."""
        if self.session.ended or self.session.state is State.CONNECTING:
            return  # known already, by the other thread or the other end
        if not self._attempts.worth(error):
            self.fail(error)
            return
        self.session.ours(Ours.RECONNECT)
        self._loss = error
        forgotten = self.outbox.forgotten
        self._replay = self.outbox.rewind()
        self.counters.replayed += self._replay
        self._sent_at.clear()
        self.meters.sent.since = None
        if self._replay:
            self._seam.open()
        if forgotten:
            self.note(checks.replay_overflow(forgotten))

    # Connecting again

    def may_reconnect(self, error: CartesiaSTTError) -> bool:
        """Whether a loss of this kind would not be the end."""
        return self._attempts.worth(error)

    def next_attempt(self) -> Reconnecting | None:
        """Say when to try to connect again; ``None``: not at all, it is over."""
        if self.session.ended:
            return None
        following = self._attempts.next()
        if following is None:
            self.fail(
                ConnectionLost(f"connecting again did not help, gave up: {self._loss}")
            )
            return None
        attempt, delay = following
        return Reconnecting(attempt=attempt, delay=delay, replay_seconds=self._replay)

    def refused(self, error: ConnectError) -> None:
        """Note that connecting again was refused."""
        if self._attempts.worth(error):
            self._loss = error
            self._attempts.refused(error)
        else:
            self.fail(error)

    # What there is to tell

    def note(self, finding: checks.Finding) -> None:
        """Keep a finding, the first time it is made."""
        if all(known.code != finding.code for known in self.findings):
            self.findings.append(finding)
            self._untold.append(finding)

    def telling(self, kind: str, now: float) -> None:
        """Note that handlers of this type have begun, and events wait behind them."""
        self.drain.telling(now)
        self.meters.callback.begin(now, kind)

    def told(self, now: float) -> None:
        """Note that they have returned."""
        self.drain.told(now)
        self.meters.callback.end(now)

    def untold(self) -> list[Call]:
        """The findings that no handler has been told of."""
        told, self._untold = self._untold, []
        return [("finding", finding) for finding in told]

    def farewell(self) -> list[Call]:
        """What handlers are told at the very end."""
        calls = self.untold()
        if self.error is not None:
            calls.append(("error", self.error))
        code, reason = self._close_frame or (None, "")
        calls.append(("close", Closed(code=code, reason=reason, error=self.error)))
        return calls

    def _transcript(self, event: Transcript) -> Transcript:
        self.session.from_server(FromServer.TRANSCRIPT)
        final, words = event.is_final, event.words
        end = words[-1].end if words else None
        spoken = bool(event.text.strip())
        event = self.outbox.timeline.mapped(self._seam.without_repeats(event))
        if self._seam.differed:
            self.note(checks.replay_differs())
        self.assembler.add(event)
        if final or spoken:
            self.outbox.heard(final=final, duration=event.duration, end=end)
        if final:
            self._seam.note(event.text, placed=bool(event.duration or end))
        return event

    def _room_for(self, size: int) -> bool:
        """Take so many bytes of final text, or end the session for it."""
        self._text_bytes += size
        seconds = self.outbox.seconds(self.outbox.wire_bytes)
        most = _MOST_TEXT + round(seconds * _MOST_TEXT_A_SECOND)
        if self._text_bytes <= most:
            return True
        self.fail(
            ProtocolError(
                f"the server sent more than {most:,} bytes of final transcripts for "
                f"{seconds:.1f} s of audio; the text so far is kept"
            )
        )
        return False

    def _flush_done(self, now: float) -> None:
        self.session.from_server(FromServer.FLUSH_DONE)
        if not self.outbox.flushed():
            self.note(checks.unasked_flush_done())
            return
        self._seam.forget()
        self.counters.finalizes += 1
        seconds = now - self._sent_at.popleft()
        self.counters.finalize_seconds = seconds
        self.meters.answered.add(seconds)
        self._answer(self.assembler.end_utterance())

    def _done(self, now: float) -> None:
        if not self.session.from_server(FromServer.DONE):
            return  # of a connection that is lost already
        if self.session.state is State.CLOSED:
            self.meters.answered.add(now - self.drain.sent)
            self._answer_rest(None)
            return
        error = ConnectionLost(
            "the server said that it was done before close was sent; the text so far "
            "is kept, audio may be unheard"
        )
        error.close_code = 1000
        self._failed(error)

    def _failed(self, error: CartesiaSTTError) -> None:
        self.error = error
        self._answer_rest(error)

    def _answer(self, outcome: str | CartesiaSTTError) -> None:
        self._pending -= 1
        self.answers.append(outcome)

    def _answer_rest(self, error: CartesiaSTTError | None) -> None:
        """No future outlives the session.

        After a clean end all audio has been heard, so what is left of the text
        answers the finalizes that the server passed over.
        """
        while self._pending:
            self._answer(error or self.assembler.end_utterance())
