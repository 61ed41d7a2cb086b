"""What can happen to a session, as operations of two bytes each.

Decides what the two bytes of an operation mean, and keeps to what callers and the
two threads can do: no audio before the session was opened, no second connection
while one stands. `Model` says what must follow. Pure: time is a number.
"""

from __future__ import annotations

from cartesia_stt_sync._outbox import Wait
from cartesia_stt_sync._queue import Send
from cartesia_stt_sync._session import Ours, State
from cartesia_stt_sync.errors import (
    CartesiaSTTError,
    ConnectError,
    ConnectionLost,
)
from cartesia_stt_sync.events import (
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Malformed,
    Reconnecting,
    Transcript,
    Unknown,
    Word,
)
from cartesia_stt_sync.wire import dump

from .choices import Choices
from .looks import check_end
from .model import Model
from .rules import Options

__all__ = ["Driver"]

_MOST_FED = 20_000
"""Bytes of audio, at 1,000 or 2,000 a second: an input takes milliseconds."""

_MOST_STEPS = 200
_SIZES = (1, 2, 3, 20, 100, 101, 200, 250, 333, 1000, 2000, 0)
_WAITS = (0.0, 0.001, 0.05, 0.1, 0.1, 0.3, 0.5, 1.0, 2.5, 10.0, 61.0, 200.0)
_TEXTS = ("", " ", "one", " two", " three four", "one two", "One, two.", "\ud800", "é")
_CODES = (1006, 1000, 1001, 1011, 1005, 1008, 1012, 1015)
_STATUSES = (None, 503, 429, 500, 401, None, 503, 429)
_RETRIES = (None, 0.0, 7.0, 1e9)
_HUGE = 9 << 20
_PATTERN = bytes((n * 181 + n // 251) & 0xFF for n in range(1 << 16))


class Driver:
    """Does to a core what an input says, and lets the model look at each step.

    Args:
        choices: The input.
    """

    def __init__(self, choices: Choices) -> None:
        self.model = Model(
            Options(
                encoding=choices.pick(("pcm_s16le", "pcm_mulaw")),
                chunk=choices.pick((0.1, 0.05, None, 1.0)),
                catch_up=choices.pick((0.5, 0.0, None, 2.0)),
                silence=choices.pick(
                    ((0.3, 10.0), (None, 10.0), (0.0, 1.0), (0.3, None), (0.3, 0.0))
                ),
                keep_alive=choices.pick((60.0, None, 0.5)),
                close_timeout=choices.pick((10.0, None, 0.0, 1.0)),
                attempts=choices.pick((5, 100, 5, 1, 100, None, 5, 0)),
                max_replay=choices.pick((30.0, 0.0, 0.05, 1.0)),
            )
        )
        self.core = self.model.core
        self.fed = 0  # bytes as they came, with half samples
        self.telling = False
        self.plan: Reconnecting | None = None

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self.core.session.state

    @property
    def reconnecting(self) -> bool:
        """Whether a connection was lost and is to be made anew."""
        return self.state is State.CONNECTING and self.core.counters.sessions > 0

    # The caller

    def open(self) -> None:
        """Open the session, as the first call does that needs it."""
        if self.state is State.NEW:
            self.connect(0, 0)
            self.connect(0, 0)

    def feed(self, a: int, b: int) -> None:
        """Feed a piece of audio, voiced or not."""
        self.open()
        if self.core.session.ended:
            return
        size = _SIZES[a % len(_SIZES)] if self.fed < _MOST_FED else 1
        begin = self.fed % (len(_PATTERN) - max(_SIZES))
        self.fed += size
        self.model.feed(_PATTERN[begin : begin + size], muted=b % 4 == 3)

    def finalize(self, a: int, b: int) -> None:
        """End an utterance."""
        self.open()
        if not self.core.session.ended:
            self.model.finalize()

    def close(self, a: int, b: int) -> None:
        """Drain, if the input means it: most sessions go on for longer."""
        if a % 4 == 0:
            self.model.close()

    def abort(self, a: int, b: int) -> None:
        """End at once, if the input means it."""
        if a % 8 == 0:
            with self.model.move("abort"):
                self.core.abort()

    # The sender

    def step(self, a: int, b: int) -> None:
        """Ask once what is to be sent."""
        self.open()
        self.model.step()

    def run(self, a: int, b: int) -> None:
        """Let time pass, and send what goes."""
        self.open()
        until = self.model.now + _WAITS[a % len(_WAITS)]
        for _ in range(_MOST_STEPS):
            step = self.model.step()
            if isinstance(step, Send):
                continue
            if not isinstance(step, Wait) or step.until is None or step.until > until:
                break
            self.model.now = step.until
        self.model.now = max(self.model.now, until)

    def stall(self, a: int, b: int) -> None:
        """Let time pass while the sender cannot get at it."""
        self.model.now += _WAITS[a % len(_WAITS)]

    # The receiver

    def hear(self, event: Event, size: int = 0) -> None:
        """Take in an event; none comes before the first connection."""
        self.return_from_handler()
        if self.core.counters.sessions:
            self.model.take_in(event, size)

    def final(self, a: int, b: int) -> None:
        """Hear a delta, with or without its place."""
        event = Transcript(
            text=_TEXTS[a % len(_TEXTS)],
            is_final=True,
            duration=(None, None, 0.1, 1.0, 1e308, -1.0, 0.0)[b % 7],
            words=self.words(b // 7),
        )
        self.hear(event, _HUGE if b == 255 else len(dump(event)))

    def words(self, kind: int) -> tuple[Word, ...] | None:
        """No words, or some, in times that may be absurd."""
        times = (None, None, (0.0, 0.2), (0.5, 0.25), (1e308, 1e308), (-2.0, -1.0))
        span = times[kind % len(times)]
        return None if span is None else (Word("one", 0.0, 0.1), Word("two", *span))

    def partial(self, a: int, b: int) -> None:
        """Hear a provisional tail."""
        self.hear(Transcript(text=_TEXTS[a % len(_TEXTS)], is_final=False))

    def flush_done(self, a: int, b: int) -> None:
        """Hear the answer to a finalize, asked for or not."""
        self.hear(FlushDone())

    def other(self, a: int, b: int) -> None:
        """Hear what changes nothing."""
        rare: tuple[Event, ...] = (
            Malformed(reason="not JSON", data="?"),
            Unknown(type="close"),
            Unknown(type="turn.start", request_id="r"),
        )
        self.hear(rare[a % 3])

    def done(self, a: int, b: int) -> None:
        """Hear that the server is done, mostly when it may be."""
        if self.state is State.CLOSING or a % 8 == 0:
            self.hear(Done())

    def error(self, a: int, b: int) -> None:
        """Hear an error, if the input means it."""
        if a % 4 == 0:
            self.hear(ErrorEvent(message="trouble", title="T", status_code=500 + b))

    def tell(self, a: int, b: int) -> None:
        """Let a handler begin."""
        if not self.telling:
            self.telling = True
            self.core.telling("final", self.model.now)

    def return_from_handler(self, a: int = 0, b: int = 0) -> None:
        """Let the handler return."""
        if self.telling:
            self.telling = False
            self.core.told(self.model.now)

    def server_closed(self, a: int, b: int) -> None:
        """See the server's close frame."""
        self.return_from_handler()
        if self.core.counters.sessions:
            self.plan = None
            self.model.server_closed(_CODES[a % len(_CODES)])

    def lost(self, a: int, b: int) -> None:
        """Lose the connection."""
        self.return_from_handler()
        if self.core.counters.sessions:
            self.plan = None
            error = ConnectionLost("gone")
            error.close_code = _CODES[a % len(_CODES)] if b % 16 == 0 else 1006
            self.model.lost(error)

    def attempt(self, a: int, b: int) -> None:
        """Plan the next try."""
        if self.reconnecting and self.plan is None:
            self.plan = self.model.next_attempt()

    def refused(self, a: int, b: int) -> None:
        """Have the try refused."""
        self.attempt(a, b)
        if self.reconnecting:
            status = _STATUSES[a % len(_STATUSES)]
            error = ConnectError("refused", status_code=status)
            error.retry_after = _RETRIES[b % len(_RETRIES)]
            self.plan = None
            with self.model.move("refused"):
                self.core.refused(error)

    def connect(self, a: int, b: int) -> None:
        """Open the session, or have the next try succeed."""
        if self.state is State.NEW:
            self.core.session.ours(Ours.CONNECT)
            return
        self.attempt(a, b)
        if self.state is State.CONNECTING:
            self.plan = None
            self.model.connected()

    def fail(self, a: int, b: int) -> None:
        """Have a thread die, if the input means it."""
        if a % 16 == 0:
            with self.model.move("fail"):
                self.core.fail(CartesiaSTTError("a thread died"))

    def ask(self, a: int, b: int) -> None:
        """Ask where it is stuck, which must have an answer at any time."""
        waiting = self.model.waiters[len(self.core.finalizes.answers) :]
        waiter = None if a % 4 == 0 or not waiting else waiting[b % len(waiting)]
        assert self.core.stuck(self.model.now, waiter).startswith("'")
        assert self.core.outbox.lag(self.model.now) >= 0

    # The end

    def finish(self) -> None:
        """Bring it to its end, which must be possible from anywhere."""
        self.return_from_handler()
        self.open()
        self.connect(0, 0)
        self.model.close()
        self.model.drain()
        if not self.core.session.ended:
            self.model.take_in(Done())
            assert self.state is State.CLOSED
        check_end(self.model)
