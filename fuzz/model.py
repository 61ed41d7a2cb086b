"""What a session owes its caller, kept beside the core and compared with it.

Decides what must follow from each thing that is done to a core: which byte goes
next, where a command stands, what text there is, which state may follow which. It
shares no arithmetic with the library: audio is one long string and a position in it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from cartesia_stt_sync._outbox import Wait
from cartesia_stt_sync._queue import Kind, Send
from cartesia_stt_sync._session import State
from cartesia_stt_sync.audio import AudioFormat, Converter
from cartesia_stt_sync.errors import ClosedError, ConnectionLost
from cartesia_stt_sync.events import (
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Reconnecting,
    Transcript,
)

from .pace import Pace
from .rules import MOVES, Options, make_core

__all__ = ["Model"]

_RATE = 1000
_LONGEST_WAIT = 300.0
_STOOD = 60.0
_W, _O, _D, _C = State.CONNECTING, State.OPEN, State.DRAINING, State.CLOSING
_END, _BAD = State.CLOSED, State.FAILED


class Model:
    """A core, and what is known of it from outside.

    Args:
        options: Its settings.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.wire = AudioFormat(options.encoding, _RATE)
        self.width = self.wire.frame_bytes
        self.converter = Converter(self.wire)
        self.core = make_core(options, self.wire)
        self.now = 100.0
        self.pace = Pace(options, _RATE * self.width)

        self.audio = bytearray()  # all that was fed, in whole samples
        self.half = b""  # of a sample
        self.at = 0  # the next byte to go
        self.begin = 0  # the first byte of this connection
        self.largest = 0  # bytes in a message
        self.finalizes: list[int] = []  # where each stands in the audio
        self.waiters: list[object] = []  # who waits for each
        self.sent = self.answered = 0  # of those
        self.awaiting: deque[int] = deque()  # where those stood that are unanswered
        self.surely = self.perhaps = 0  # bytes that have been answered
        self.close_sent: float | None = None
        self.texts: list[str] = []  # of all finals
        self.told = 0  # characters of the text that have answered a finalize
        self.repeats = False  # whether audio was sent again
        self.tries = 0  # since the server last answered something
        self.connected_at = 0.0

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self.core.session.state

    @contextmanager
    def move(self, what: str) -> Iterator[None]:
        """Do something, and see that the state goes where that may lead."""
        before = self.state
        yield
        assert self.state is before or (before, self.state) in MOVES[what], (
            f"{what}: {before.name} -> {self.state.name}"
        )

    # What is done to it

    def feed(self, data: bytes, *, muted: bool) -> None:
        """Feed bytes, which may end within a sample."""
        closing = self.core.outbox.closing
        try:
            with self.move("feed"):
                samples = self.converter.convert(data, muted=muted)
                self.core.feed(samples, muted=muted, now=self.now)
        except ClosedError:
            assert closing
            return
        assert not closing, "fed behind the close"
        self.half += data
        whole = len(self.half) // self.width * self.width
        heard, self.half = self.half[:whole], self.half[whole:]
        silence = self.wire.silence * (whole // self.width)
        self.audio += silence if muted else heard

    def finalize(self) -> None:
        """Queue a finalize."""
        closing = self.core.outbox.closing
        try:
            with self.move("finalize"):
                waiter = object()
                self.core.finalize(self.converter.flush(), self.now, waiter)
        except ClosedError:
            assert closing
            return
        assert not closing, "finalized behind the close"
        self.finalizes.append(len(self.audio))
        self.waiters.append(waiter)

    def close(self) -> None:
        """Queue the close."""
        with self.move("close"):
            partial = self.converter.pending_bytes
            self.core.close(self.converter.flush(), partial, self.now)

    def step(self) -> Send | Wait | None:
        """Ask what to send now, and see that it is right."""
        ended, before = self.core.session.ended, self.state
        with self.move("step"):
            step = self.core.step(self.now)
        if isinstance(step, Send):
            assert before in (_O, _D)
            self._went(step)
        elif step is None:
            self._over(ended)
        else:
            assert not ended
            assert step.until is None or step.until > self.now, "wait for the past"
            left = self.at < len(self.audio) or self.sent < len(self.finalizes)
            if before is _D or (before is _O and left):
                assert step.until is not None, "waits for ever with audio in hand"
        return step

    def _over(self, ended: bool) -> None:
        assert self.core.session.ended
        if not ended:
            limit = self.options.close_timeout
            assert self.close_sent is not None
            assert limit is not None
            assert self.now >= self.close_sent + limit - 1e-9, "gave up early"

    def _went(self, step: Send) -> None:
        ahead = self.finalizes[self.sent :]
        place = max(ahead[0], self.begin) if ahead else len(self.audio)
        if step.kind is Kind.AUDIO:
            size = len(step.data)
            assert size, "an empty message"
            assert step.data == self.audio[self.at : self.at + size], "other audio"
            self.at += size
            assert self.at <= place, "audio has overtaken a finalize"
            assert self.core.outbox.source_bytes == self.at
            self.largest = max(self.largest, size)
        else:
            assert self.at == place, f"{step.kind} before its place"
        if step.kind in (Kind.AUDIO, Kind.SILENCE):
            self.pace.went(self.now, len(step.data), voiced=step.kind is Kind.AUDIO)
        else:
            assert not step.data
        if step.kind is Kind.SILENCE:
            assert not ahead, "silence before a finalize"
            assert not self.core.outbox.closing
            assert step.data.strip(self.wire.silence) == b""
        elif step.kind is Kind.FINALIZE:
            assert ahead, "a finalize too many"
            self.awaiting.append(self.at)
            self.sent += 1
        elif step.kind is Kind.CLOSE:
            assert not ahead, "closed before a finalize"
            assert self.core.outbox.closing
            self.close_sent = self.now

    def connected(self) -> None:
        """Have a connection stand."""
        with self.move("connected"):
            assert self.core.connected("r", self.now)
        at = self.core.outbox.source_bytes
        assert self._is_quiet(self.at, at), "audio is left out that is not quiet"
        assert all(place <= self.at or place >= at for place in self.finalizes)
        self.at = at
        self.begin = self.at
        self.connected_at = self.now
        self.pace.restart(self.now)

    def take_in(self, event: Event, size: int = 0) -> None:
        """Have an event come."""
        ended, told = self.core.session.ended, len(self.core.speech.assembler.deltas)
        what = {Transcript: "transcript", Done: "done", ErrorEvent: "error"}
        with self.move(what.get(type(event), "event")):
            calls = self.core.take_in(event, self.now, size)
        if ended:
            assert calls == []
            return
        if isinstance(event, Transcript) and event.is_final:
            self._final(event, told, full=not calls)
        elif isinstance(event, FlushDone) and self.awaiting:
            self.surely = max(self.surely, self.awaiting.popleft())
            self.perhaps = max(self.perhaps, self.surely)
            self.answered += 1
            self._answered()
            self.tries = 0
        elif isinstance(event, FlushDone):
            codes = [finding.code for finding in self.core.findings.all]
            assert "unasked-flush-done" in codes

    def _answered(self) -> None:
        text = self.core.speech.assembler.text
        assert self.core.finalizes.answers[-1][1] == text[self.told :], (
            "another utterance's text"
        )
        assert len(self.core.finalizes.answers) == self.answered
        self.told = len(text)

    def _final(self, event: Transcript, told: int, *, full: bool) -> None:
        if full:
            assert self.state is _BAD, "a final was dropped"
            return
        if event.duration is not None or event.words:
            self.perhaps = max(self.perhaps, self.at)
        self.texts.append(event.text)
        (delta,) = self.core.speech.assembler.deltas[told:]
        self.tries = 0 if delta.text else self.tries
        assert event.text.endswith(delta.text), "words that nobody sent"
        assert self.repeats or event.text == delta.text, "text was cut"
        for word in delta.words or ():
            assert math.isfinite(word.start)
            assert math.isfinite(word.end)

    def lost(self, error: ConnectionLost) -> None:
        """Have the connection break."""
        with self.move("lost"), self._rewound():
            self.core.lost(error, self.now)

    def server_closed(self, code: int) -> None:
        """Have the server close it."""
        before = self.state
        with self.move("server_closed"), self._rewound():
            self.core.server_closed(code, "", self.now)
        if code == 1000 and before in (_O, _D, _C):
            assert self.state is (_END if before is _C else _BAD)

    def _is_quiet(self, begin: int, end: int) -> bool:
        """Whether audio is nothing but what a muted speaker's is replaced by."""
        return begin <= end and not self.audio[begin:end].strip(self.wire.silence)

    @contextmanager
    def _rewound(self) -> Iterator[None]:
        """See that all that is unanswered goes again, and nothing else."""
        before, replayed = self.state, self.core.counters.replayed
        yield
        if self.state is not _W or before is _W:
            return
        if self.now - self.connected_at >= _STOOD:
            self.tries = 0
        most = round(self.options.max_replay * _RATE) * self.width
        at = self.core.outbox.source_bytes
        again = self.core.counters.replayed - replayed
        assert abs(again * _RATE * self.width - (self.at - at)) < 1e-3
        assert at <= self.at <= at + most, "more than max_replay"
        assert at >= self.surely, "what was answered goes again"
        known = max(self.perhaps, self.begin)
        kept = self.at - most + (self.largest if most < self.at else 0)
        oldest = max(known, kept)
        assert at <= oldest or self._is_quiet(oldest, at), "unanswered audio is lost"
        if at > known and not self._is_quiet(known, at):
            codes = [finding.code for finding in self.core.findings.all]
            assert "replay-overflow" in codes, "lost without a word"
        self.repeats = self.repeats or at < self.at
        self.at, self.sent = at, self.answered
        self.awaiting.clear()
        self.close_sent = None

    def next_attempt(self) -> Reconnecting | None:
        """Ask when to try again."""
        with self.move("next_attempt"):
            plan = self.core.next_attempt()
        if plan is None:
            assert self.state is _BAD
            assert self.tries == self.options.attempts
            return None
        self.tries += 1
        assert plan.attempt == self.tries
        assert 0 <= plan.delay <= _LONGEST_WAIT
        return plan

    def drain(self) -> None:
        """Send all that is left: that needs time, and nothing else."""
        for _ in range(2 * (len(self.audio) - self.at + len(self.finalizes)) + 10):
            if self.state is not _D:
                break
            step = self.step()
            if isinstance(step, Wait):
                assert step.until is not None
                self.now = step.until
        assert self.state in (_C, _END, _BAD), f"stuck in {self.state.name}"
        if self.state is _C:
            assert self.at == len(self.audio), "closed before the end of the audio"
            assert self.sent == len(self.finalizes)
