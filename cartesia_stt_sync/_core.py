"""One stream without its threads: what each call and each message changes.

Decides everything that is neither arithmetic of the outbox nor a transition of
the session, by putting those two and the transcript together. Time is an
argument. Never blocks, sends, calls back, or takes a lock: it leaves in
``answers`` and returns what there is to be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from . import checks
from ._backoff import Attempts
from ._drain import Drain
from ._ears import Heard
from ._finalizes import Finalizes
from ._findings import Findings
from ._news import Call, calls_for, server_error
from ._outbox import Outbox, Wait
from ._queue import Kind, Send
from ._session import FromServer, Ours, Session, State
from ._speech import Speech
from ._stages import Meters, stuck
from ._stats import Counters
from .endpoints import MANUAL, Endpoint
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
    TurnEnd,
    TurnEvent,
    TurnStart,
)

__all__ = ["Core"]

_AUDIO, _OPEN = Kind.AUDIO, State.OPEN
"""For each message: until Python 3.12 an enum's member takes longer to look up than a
call does."""

_NO_CODE = 1005
"""What a close frame without a code counts as (RFC 6455, 7.1.5)."""

_COMPLAINTS = frozenset({None, 400, 404, 409, 413, 422})
"""What an error says that may be about a command, and not about the session."""


class Core:
    """The state of one transcriber.

    Args:
        endpoint: Whom it talks to.
        watch: Who judges how the session is used; ``None``: nobody.
        outbox: What goes out when.
        meters: How long that takes, as the outbox notes it, too.
        attempts: When to connect again.
        close_timeout: Seconds from ``close`` to ``done``; ``None``: no limit.
        max_replay: Seconds of audio that may be sent again.
        channel: Which of the source's channels it is, from 0, where each has a session.

    Attributes:
        session: Where it stands.
        outbox: What goes out when.
        meters: How long each stage takes.
        drain: How long the end of the transcript is awaited.
        speech: The text.
        finalizes: Who waits for the end of an utterance.
        error: Why the session failed, if it did.
        aborted: Whether the caller has ended it.
        findings: What was noticed.
        counters: The figures.

    Threads: none; its driver holds a lock around each call.
    """

    __slots__ = (
        *("_attempts", "_checks", "_close_frame", "_complaint", "_configured"),
        *("_connected_at", "_endpoint", "_loss", "_replay", "_spent", "_watch"),
        *("aborted", "counters", "drain", "error", "finalizes", "findings", "meters"),
        *("outbox", "session", "speech"),
    )

    def __init__(
        self,
        *,
        endpoint: Endpoint = MANUAL,
        watch: checks.Watch | None = None,
        outbox: Outbox,
        meters: Meters,
        attempts: Attempts,
        close_timeout: float | None,
        max_replay: float = 0.0,
        channel: int | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._checks = watch is not None
        self._watch = watch or checks.Watch(0, finalizes=False, by_itself=False)
        self._attempts = attempts
        self._complaint: CartesiaSTTError | None = None  # after which nothing came
        self._connected_at = 0.0
        self._configured = False  # on this connection
        self._spent = False  # whether the budget is, and it has been told
        self._loss: CartesiaSTTError | None = None
        self.aborted = False
        self._replay = 0.0  # seconds, after that loss
        self._close_frame: tuple[int, str] | None = None

        self.outbox = outbox
        self.meters = meters
        self.drain = Drain(close_timeout)
        self.session = Session()
        self.speech = Speech(outbox, max_replay, channel)
        self.finalizes = Finalizes()
        self.error: CartesiaSTTError | None = None
        self.findings = Findings("" if channel is None else f"Channel {channel + 1}: ")
        self.counters = Counters()

    @property
    def drained(self) -> bool:
        """Whether the end was a clean one, to be followed by a close frame."""
        return self.session.state is State.CLOSED and self.drain.begun

    @property
    def connected_now(self) -> bool:
        """Whether a connection stands, for all that is known."""
        return self.session.state in (State.OPEN, State.DRAINING, State.CLOSING)

    # What callers do

    def feed(
        self, data: bytes, *, muted: bool, now: float, ends: Sequence[int] = ()
    ) -> None:
        """Queue audio.

        Args:
            data: Whole samples in the wire's format; silence by now if ``muted``.
            muted: Whether the speaker is.
            now: The time.
            ends: Where in it, in bytes, utterances end: each is finalized there.
        """
        begin = 0
        for end in ends:
            self.outbox.feed(data[begin:end], now, voiced=not muted)
            self.finalizes.queued(None)
            self.outbox.finalize(now)
            begin = end
        self.outbox.feed(data[begin:] if begin else data, now, voiced=not muted)

    def heard(self, heard: Heard, seconds: float, now: float, *, blocked: bool) -> None:
        """Note what there was to hear in audio that was fed.

        Args:
            heard: That.
            seconds: The audio's length.
            now: The time.
            blocked: Whether the caller had to wait for room.
        """
        if not self._checks:
            return
        self._note(heard.findings)
        found = self._watch.fed(
            now,
            seconds,
            heard.levels,
            blocked=blocked,
            waiting=self.outbox.buffered,
            untold=heard.untold,
        )
        self._note(found)

    def finalize(self, tail: bytes, now: float, waiter: object = None) -> None:
        """Queue the end of an utterance; `Finalizes.answers` will have its text.

        Args:
            tail: Audio that the conversion still held.
            now: The time.
            waiter: Who waits for the text.
        """
        self.outbox.refuse_behind_close("finalize")
        self.outbox.feed(tail, now)
        # Noted first: who is interrupted here waits for nothing, and must not take an
        # answer that is somebody else's.
        self.finalizes.queued(waiter)
        self.outbox.finalize(now, waiter)
        self._note(self._watch.finalized(now))

    def config(self, changes: Mapping[str, object], now: float) -> None:
        """Queue a change of the session's configuration."""
        self.outbox.config(changes, now)

    def close(self, tail: bytes, partial: int, now: float) -> None:
        """Queue what is left, and ``close``; once more is nothing.

        Args:
            tail: Audio that the conversion still held.
            partial: Bytes of a frame whose rest has not come.
            now: The time.
        """
        if self.session.ended or self.outbox.closing:
            return
        if self.session.ours(Ours.CLOSE) is State.CLOSED:
            return  # never opened
        if partial:
            self.findings.note(checks.partial_sample(partial))
        self.outbox.feed(tail, now)
        self.outbox.close(now)

    def abort(self) -> None:
        """End now; what is unanswered stays so."""
        if not self.session.ended:
            if unheard := self.outbox.unheard:
                self._note([checks.aborted_undrained(unheard)])
            self.session.ours(Ours.ABORT)
            self.aborted = True
            self.drain.give_up()
            self._answer_rest(ClosedError("the session was aborted"))

    def fail(self, error: CartesiaSTTError) -> None:
        """End with an error; the first end is the one that counts."""
        if not self.session.ended:
            self.session.ours(Ours.FAIL)
            self._failed(error)

    # What goes out

    def step(self, now: float, early: float = 0.0) -> Send | Wait | None:
        """Say what to send now, or when to ask again; ``None``: it is over.

        What is returned to be sent counts as sent.

        Args:
            now: The time.
            early: See `Outbox.poll`.
        """
        sending, state = self.meters.sent, self.session.state
        if sending.since is not None:
            self.sent(now)  # whoever asks has sent what it got before
        if state is not _OPEN:
            if self.session.ended:
                return None
            if state is State.CONNECTING:
                return Wait(None)
            if state is State.CLOSING:
                return self._await_done(now)
        step = self.outbox.poll(now, early)
        if self.outbox.dropped is not None and not self._spent:
            self._spent = True
            if state is _OPEN:  # else the caller has closed it
                self.session.ours(Ours.CLOSE)
            self.findings.note(checks.budget_spent(self.outbox.dropped))
        if isinstance(step, Send):
            sending.since = now
            if step.kind is _AUDIO:
                return step
            if step.kind is Kind.CLOSE:
                # Noted before it is sent: the answer may come before we return.
                self.session.ours(Ours.CLOSE_SENT)
                self.drain.begin(now)
            elif step.kind is Kind.FINALIZE:
                self.finalizes.sent(step.waiter, now)
            elif step.kind is Kind.CONFIG:
                self._configured = True
            elif step.kind is Kind.SILENCE and not self.finalizes.pending:
                self._note(self._watch.gap(self.outbox.gap))
        return step

    def sent(self, now: float) -> None:
        """Note that what `step` has returned is out."""
        self.meters.sent.end(now)
        self.outbox.sent(now)

    def _await_done(self, now: float) -> Wait | None:
        until = self.drain.until()
        if until is None or now < until:
            return Wait(until)
        kept = len(self.speech.text)
        end = "done" if self._endpoint.answers_close else "end"
        self.fail(
            DrainTimeout(
                f"no {end} within close_timeout={self.drain.limit:g} s: close is stuck "
                f"at {self.stuck(now)}; the text so far is kept ({kept} characters), "
                "its end may be missing"
            )
        )
        return None

    def stuck(self, now: float, waiter: object = None) -> str:
        """Name the stage that a command has not left yet, and why.

        Args:
            now: The time.
            waiter: Who waits for a ``finalize``; ``None``: it is the close.
        """
        sent_at = None
        if waiter is not None:
            sent_at = self.finalizes.sent_at(waiter)
        elif self.session.state is State.CLOSING:
            sent_at = self.drain.sent
        return stuck(
            self.meters,
            connected=self.connected_now,
            sent_at=sent_at,
            ahead=self.outbox.ahead_of(waiter),
            now=now,
        )

    # What comes in

    def connected(self, request_id: str | None, now: float) -> bool:
        """Note that a connection stands; tell whether it is still wanted."""
        if self.session.ended:
            return False
        self.session.ours(Ours.CONNECTED)
        self._connected_at = now
        self._configured, self._close_frame = False, None
        self.outbox.opened(now)
        self.counters.sessions += 1
        self.counters.request_id = request_id or self.counters.request_id
        if self.outbox.closing:
            self.session.ours(Ours.CLOSE)  # closed by the caller in the meantime
        return True

    def take_in(
        self, event: Event, now: float, size: int = 0, message: bytes = b""
    ) -> list[Call]:
        """Let an event change the state.

        Args:
            event: What came.
            now: The time.
            size: Bytes of its message.
            message: They, if they are at hand.

        Returns:
            Which handlers are to be called with what, in order.
        """
        if self.session.ended:
            return []  # the server went on after the end
        counters = self.counters
        counters.events += 1
        if event.request_id:
            counters.request_id = event.request_id
        self._complaint = None
        is_delta = isinstance(event, Transcript) and event.is_final
        if is_delta or isinstance(event, TurnEnd):
            self._watch.answered()
        elif isinstance(event, TurnStart):  # which lets the turn before it stand
            size = len(self.speech.turns.partial)
        else:
            size = 0
        if size and self.speech.limit.add(size) and (problem := self.speech.too_much()):
            self.fail(ProtocolError(problem))
            return []
        calls: list[Call] = []
        if isinstance(event, Transcript):
            event = self.speech.transcript(event, message)
            if is_delta and event.text:  # and not only what a replay makes it repeat
                self._attempts.answered()
            if self.speech.seam.differed:
                self.findings.note(checks.replay_differs())
        elif isinstance(event, TurnEvent):
            calls = self.speech.turn(event)
            if isinstance(event, TurnEnd) and self.speech.turns.ended[-1].text:
                self._attempts.answered()
        elif isinstance(event, FlushDone):
            self._flush_done(now)
        elif isinstance(event, Done):
            self._done(now)
        elif isinstance(event, ErrorEvent):
            calls = self._error(event)
        elif isinstance(event, Malformed):
            self.counters.malformed += 1
        calls = calls_for(event, calls)
        return [*self.findings.untold(), *calls] if self.findings.to_tell else calls

    def server_closed(self, code: int, reason: str, now: float) -> list[Call]:
        """Note the server's close frame; see `take_in`."""
        self._close_frame = (code, reason)
        said = f": {reason}" if reason else ""
        error = ConnectionLost(
            f"the server closed the connection ({code}){said}; the text so far is kept"
        )
        error.close_code = code
        if self._complaint is not None:
            self.fail(self._complaint)
        elif not self._is_normal(code):
            self.lost(error, now)
        elif self.session.state is not State.CLOSED:
            self._failed(error)
        elif self._endpoint.answers_close:
            self.findings.note(checks.no_done())
            self._answer_rest(None)
        else:
            self.meters.answered.add(now - self.drain.sent)
            return self.speech.turns.finish()
        return []

    def _is_normal(self, code: int) -> bool:
        """Whether a close frame with this code is an end, and no accident."""
        # Where the frame is the only answer to close, one without a code will do.
        closing = self.session.state is State.CLOSING
        silent = code == _NO_CODE and closing and not self._endpoint.answers_close
        if code != 1000 and not silent:
            return False
        return self.session.from_server(FromServer.CLOSED_NORMALLY)

    def lost(self, error: CartesiaSTTError, now: float) -> None:
        """Note that the connection broke: it is made anew, or that is the end."""
        if self.session.ended or self.session.state is State.CONNECTING:
            return  # known already, by the other thread or the other end
        if not self._attempts.worth(error):
            self.fail(self._complaint or error)
            return
        self._attempts.stood(now - self._connected_at)
        self.session.ours(Ours.RECONNECT)
        self._loss = error
        forgotten = self.outbox.forgotten
        self._replay = self.outbox.rewind(speech_lost=self.speech.under_way)
        self.counters.replayed += self._replay
        self.finalizes.rewind()
        self.meters.sent.since = None
        self.speech.sent_again(self._replay, whole=not forgotten)
        if forgotten:
            self.findings.note(checks.replay_overflow(forgotten))

    # Connecting again

    @property
    def loss(self) -> CartesiaSTTError | None:
        """What became of the last connection, if it was lost."""
        return self._loss

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

    def _note(self, findings: Iterable[checks.Finding]) -> None:
        if self._checks:
            for finding in findings:
                self.findings.note(finding)

    def telling(self, kind: str, now: float) -> None:
        """Note that handlers of this type have begun, and events wait behind them.

        Of all calls the one that needs no lock: others see it as it was, or as it is.
        """
        self.drain.telling(now)
        self.meters.callback.begin(now, kind)

    def told(self, now: float) -> None:
        """Note that they have returned."""
        self.drain.told(now)
        self.meters.callback.end(now)

    def farewell(self) -> list[Call]:
        """What handlers are told at the very end."""
        calls = self.findings.untold()
        if self.error is not None:
            calls.append(("error", self.error))
        code, reason = self._close_frame or (None, "")
        calls.append(("close", Closed(code=code, reason=reason, error=self.error)))
        return calls

    def _error(self, event: ErrorEvent) -> list[Call]:
        error = server_error(event)
        status = event.status_code
        if self._configured and status in _COMPLAINTS:
            # It may be about a config, and then the session goes on; if not, the
            # server closes the connection, and this is why.
            self._complaint = error
            self.findings.note(checks.config_refused(str(error)))
            return [("error", error)]
        self.session.from_server(FromServer.ERROR)
        self._failed(error)
        return []

    def _flush_done(self, now: float) -> None:
        self.session.from_server(FromServer.FLUSH_DONE)
        if not self.outbox.flushed():
            self.findings.note(checks.unasked_flush_done())
            return
        self._attempts.answered()
        self.speech.all_answered()
        self.counters.finalizes += 1
        seconds = self.finalizes.answered(self.speech.end_utterance(), now)
        self.counters.finalize_seconds = seconds
        self.meters.answered.add(seconds)

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
        error.request_id = error.request_id or self.counters.request_id
        self.error = error
        self._answer_rest(error)

    def _answer_rest(self, error: CartesiaSTTError | None) -> None:
        """No future outlives the session.

        After a clean end all audio has been heard, so what is left of the text
        answers the finalizes that the server passed over.
        """
        self.finalizes.answer_rest(lambda: error or self.speech.end_utterance())
