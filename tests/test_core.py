"""One stream without its threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cartesia_stt_sync._backoff import Attempts, Reconnect
from cartesia_stt_sync._core import Core
from cartesia_stt_sync._outbox import Outbox, Wait
from cartesia_stt_sync._pacing import Pacing
from cartesia_stt_sync._queue import Kind, Send
from cartesia_stt_sync._session import Ours, State
from cartesia_stt_sync._stages import Meters
from cartesia_stt_sync.audio import AudioFormat, Converter
from cartesia_stt_sync.checks import Finding
from cartesia_stt_sync.errors import (
    AuthenticationError,
    CartesiaSTTError,
    ClosedError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    ProtocolError,
    RateLimitError,
    ServerError,
)
from cartesia_stt_sync.events import (
    Closed,
    Connected,
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Malformed,
    Reconnecting,
    Transcript,
    TurnEagerEnd,
    TurnEnd,
    TurnResume,
    TurnStart,
    TurnUpdate,
    Unknown,
    Word,
)

CHUNK = 0.125
SECOND = bytes(range(250)) * 128


def final(text: str, **fields: Any) -> Transcript:
    """A delta."""
    return Transcript(text=text, is_final=True, **fields)


def partial(text: str) -> Transcript:
    """A provisional tail."""
    return Transcript(text=text, is_final=False)


class Rig:
    """A core, its time, and what it has sent.

    Args:
        open: Whether its connection stands already.
    """

    def __init__(
        self,
        *,
        open: bool = True,
        reconnect: Reconnect | None = Reconnect(),
        close_timeout: float | None = 10.0,
        source: AudioFormat | None = None,
        budget: float | None = None,
        **limits: Any,
    ) -> None:
        wire = AudioFormat("pcm_s16le", 16000)
        max_replay = reconnect.max_replay if reconnect else 0.0
        off = {"chunk": CHUNK, "silence_after": None, "keep_alive": None}
        meters = Meters()
        self.converter = Converter(wire, source)
        self.core = Core(
            outbox=Outbox(
                wire,
                Pacing(**off | limits),
                meters=meters,
                max_replay=max_replay,
                budget=budget,
            ),
            meters=meters,
            attempts=Attempts(reconnect, lambda: 1.0),
            close_timeout=close_timeout,
            max_replay=max_replay,
        )
        self.now = 100.0
        self.sent: list[Send] = []
        self._made = 0
        self.calls: list[tuple[str, object]] = []
        if open:
            self.open()

    def open(self, request_id: str | None = None) -> bool:
        """Connect for the first time."""
        self.core.session.ours(Ours.CONNECT)
        return self.core.connected(request_id, self.now)

    def feed(self, audio: Any, *, muted: bool = False) -> None:
        """Queue audio now."""
        data = self.converter.convert(audio, muted=muted)
        self.core.feed(data, muted=muted, now=self.now)

    def finalize(self) -> None:
        """Queue a finalize now; its number waits for it."""
        self.core.finalize(self.converter.flush(), self.now, self._made)
        self._made += 1

    def close(self) -> None:
        """Close now."""
        self.core.close(self.converter.flush(), self.converter.pending_bytes, self.now)

    def run(self, seconds: float = 0.0) -> Wait | None:
        """Send all that goes within so many seconds."""
        until = self.now + seconds
        while True:
            step = self.core.step(self.now)
            if isinstance(step, Send):
                self.sent.append(step)
            elif step is None or step.until is None or step.until > until:
                self.now = until
                return step
            else:
                self.now = step.until

    def hear(self, *events: Event) -> None:
        """Take in events now."""
        for event in events:
            self.calls += self.core.take_in(event, self.now)

    def kinds(self) -> list[str]:
        """What went, by name."""
        return [send.kind.value for send in self.sent]

    def answers(self) -> list[str | CartesiaSTTError]:
        """The answers since the last time."""
        taken = [answer for _, answer in self.core.finalizes.answers]
        self.core.finalizes.answers.clear()
        return taken

    def state(self) -> State:
        """Where the session stands."""
        return self.core.session.state

    def codes(self) -> list[str]:
        """The codes of all findings."""
        return [finding.code for finding in self.core.findings.all]


def lost(code: int = 1006) -> ConnectionLost:
    """A connection that ended with this code."""
    error = ConnectionLost("gone")
    error.close_code = code
    return error


def closing(rig: Rig) -> Rig:
    """Close it, and send that."""
    rig.close()
    rig.run(5.0)
    assert rig.state() is State.CLOSING
    return rig


class TestFinalize:
    """Utterances and their answers."""

    def test_pairs(self) -> None:
        """The k-th flush_done answers the k-th finalize with the text in between."""
        rig = Rig()
        rig.finalize()
        rig.finalize()
        rig.finalize()
        rig.run()
        rig.hear(final("one"), final(" and"), FlushDone(), FlushDone())
        assert rig.answers() == ["one and", ""]
        rig.hear(partial(" tw"), final(" two"), FlushDone())
        assert rig.answers() == [" two"]
        assert rig.core.speech.assembler.text == "one and two"

    def test_unprompted_finals(self) -> None:
        """Finals that nobody asked for belong to the utterance under way."""
        rig = Rig()
        rig.hear(final("by"), final(" itself"))
        rig.finalize()
        rig.run()
        rig.hear(FlushDone())
        assert rig.answers() == ["by itself"]

    def test_late_final(self) -> None:
        """A final right behind flush_done is kept, in the next utterance."""
        rig = Rig()
        rig.finalize()
        rig.run()
        rig.hear(FlushDone(), final("late"))
        rig.finalize()
        rig.run()
        rig.hear(final(" next"), FlushDone())
        assert rig.answers() == ["", "late next"]
        assert rig.core.speech.assembler.text == "late next"

    def test_unasked(self) -> None:
        """A flush_done that nobody asked for is a finding, once, and answers nobody."""
        rig = Rig()
        rig.hear(final("a"), FlushDone(), FlushDone())
        assert rig.codes() == ["unasked-flush-done"]
        assert rig.core.counters.finalizes == 0
        rig.finalize()
        rig.run()
        rig.hear(FlushDone())
        assert rig.answers() == ["a"]

    def test_not_sent_yet(self) -> None:
        """A flush_done before the finalize has gone is not its answer."""
        rig = Rig()
        rig.feed(SECOND)
        rig.finalize()
        rig.run()
        rig.hear(FlushDone())
        assert rig.answers() == []
        rig.run(2.0)
        rig.hear(final("a"), FlushDone())
        assert rig.answers() == ["a"]

    def test_seconds(self) -> None:
        """How long an answer took counts from when its finalize went."""
        rig = Rig()
        assert rig.core.counters.finalize_seconds is None
        rig.feed(SECOND)
        rig.finalize()
        rig.run(0.875)
        rig.now += 0.25
        rig.hear(FlushDone())
        assert rig.core.counters.finalize_seconds == 0.25
        assert rig.core.counters.finalizes == 1

    def test_flushes_the_resampler(self) -> None:
        """All of the utterance goes before its finalize, the resampler's tail too."""
        rig = Rig(source=AudioFormat("pcm_s16le", 48000))
        rig.feed(bytes(96000))
        rig.finalize()
        rig.run(2.0)
        assert rig.kinds()[-1] == "finalize"
        assert sum(len(send.data) for send in rig.sent) == 32000


class TestCloseAndDone:
    """The clean end."""

    def test_clean(self) -> None:
        """close goes behind the audio, done ends it, and the end is a clean one."""
        rig = Rig()
        rig.feed(SECOND)
        rig.close()
        assert rig.state() is State.DRAINING
        rig.run(5.0)
        assert rig.kinds() == ["audio"] * 8 + ["close"]
        assert rig.state() is State.CLOSING
        assert not rig.core.drained
        rig.hear(final("a"), Done())
        assert rig.state() is State.CLOSED
        assert rig.core.drained
        assert rig.core.error is None
        assert rig.core.step(rig.now) is None
        assert rig.codes() == []
        assert rig.core.farewell() == [("close", Closed())]

    def test_nothing_after_done(self) -> None:
        """What the server sends after the end changes nothing, and nobody is told."""
        rig = closing(Rig())
        rig.hear(Done())
        events = rig.core.counters.events
        assert rig.core.take_in(final("late"), rig.now) == []
        assert rig.core.speech.assembler.text == ""
        assert rig.core.counters.events == events

    def test_unanswered_finalizes(self) -> None:
        """After done the finalizes that were passed over get what is left."""
        rig = Rig()
        rig.finalize()
        rig.finalize()
        closing(rig)
        rig.hear(final("rest"), Done())
        assert rig.answers() == ["rest", ""]

    def test_without_done(self) -> None:
        """A normal close frame in place of done is clean, with a finding."""
        rig = Rig()
        rig.finalize()
        closing(rig)
        rig.hear(final("rest"))
        rig.core.server_closed(1000, "bye", rig.now)
        assert rig.state() is State.CLOSED
        assert rig.core.error is None
        assert rig.answers() == ["rest"]
        assert rig.codes() == ["no-done"]
        kinds = [kind for kind, _ in rig.core.farewell()]
        assert kinds == ["finding", "close"]

    def test_close_frame_after_done(self) -> None:
        """The close frame that follows done is kept for the farewell, no more."""
        rig = closing(Rig())
        rig.hear(Done())
        rig.core.server_closed(1000, "bye", rig.now)
        assert rig.codes() == []
        assert rig.core.farewell() == [("close", Closed(code=1000, reason="bye"))]

    @pytest.mark.parametrize("draining", [False, True])
    def test_early_done(self, draining: bool) -> None:
        """done before close was sent is no clean end: audio may be unheard."""
        rig = Rig()
        rig.feed(SECOND)
        rig.finalize()
        if draining:
            rig.close()
        rig.run()
        rig.hear(final("a"), Done())
        assert rig.state() is State.FAILED
        error = rig.core.error
        assert isinstance(error, ConnectionLost)
        assert error.close_code == 1000
        assert "before close was sent" in str(error)
        assert rig.answers() == [error]
        assert rig.core.speech.assembler.text == "a"
        assert not rig.core.drained

    @pytest.mark.parametrize("draining", [False, True])
    def test_early_close_frame(self, draining: bool) -> None:
        """Nor is a normal close frame before close was sent."""
        rig = Rig()
        rig.feed(SECOND)
        rig.finalize()
        if draining:
            rig.close()
        rig.run()
        rig.core.server_closed(1000, "idle", rig.now)
        assert rig.state() is State.FAILED
        error = rig.core.error
        assert isinstance(error, ConnectionLost)
        assert error.close_code == 1000
        assert str(error) == (
            "the server closed the connection (1000): idle; the text so far is kept"
        )
        assert rig.answers() == [error]
        assert rig.core.farewell() == [
            ("error", error),
            ("close", Closed(code=1000, reason="idle", error=error)),
        ]

    def test_never_opened(self) -> None:
        """Closing what was never opened ends it, and sends nothing."""
        rig = Rig(open=False)
        rig.close()
        assert rig.state() is State.CLOSED
        assert not rig.core.drained
        assert rig.core.step(rig.now) is None

    def test_idempotent(self) -> None:
        """Closing again changes nothing, at any time."""
        rig = Rig()
        rig.close()
        rig.close()
        rig.run()
        rig.close()
        rig.hear(Done())
        rig.close()
        assert rig.kinds() == ["close"]
        assert rig.state() is State.CLOSED

    def test_nothing_behind_close(self) -> None:
        """Neither audio nor a finalize can follow; what was queued is not harmed."""
        rig = Rig()
        rig.close()
        with pytest.raises(ClosedError):
            rig.feed(b"ab")
        with pytest.raises(ClosedError):
            rig.finalize()
        waiting = rig.run()
        assert waiting == Wait(rig.now + 10.0)
        rig.hear(Done())
        assert rig.answers() == []

    def test_partial_sample(self) -> None:
        """Half a sample at the end is a finding: the format may be a wrong one."""
        rig = Rig()
        rig.feed(b"\1\2\3")
        rig.close()
        assert rig.codes() == ["partial-sample"]

    def test_flushes_the_resampler(self) -> None:
        """The resampler's tail goes before close."""
        rig = Rig(source=AudioFormat("pcm_s16le", 48000))
        rig.feed(bytes(96000))
        closing(rig)
        assert sum(len(send.data) for send in rig.sent) == 32000

    def test_closed_while_connecting(self) -> None:
        """A close before the connection stands drains as soon as it does."""
        rig = Rig()
        rig.feed(SECOND)
        rig.core.lost(lost(), rig.now)
        rig.close()
        assert rig.state() is State.CONNECTING
        assert rig.core.step(rig.now) == Wait(None)
        assert rig.core.connected(None, rig.now)
        assert rig.state() is State.DRAINING
        rig.run(5.0)
        assert rig.kinds() == ["audio"] * 8 + ["close"]


class TestDrainTimeout:
    """A server that does not say done."""

    def test_silent_server(self) -> None:
        """After close_timeout it is given up on; the text so far is kept."""
        rig = Rig(close_timeout=10.0)
        rig.finalize()
        rig.close()
        assert rig.run() == Wait(110.0)
        rig.hear(final("so far"))
        rig.now = 109.999
        assert rig.run() == Wait(110.0)
        rig.now = 110.0
        assert rig.run() is None
        assert rig.state() is State.FAILED
        error = rig.core.error
        assert isinstance(error, DrainTimeout)
        assert str(error) == (
            "no done within close_timeout=10 s: close is stuck at 'answered': sent "
            "10.0 s ago, not answered yet; the text so far is kept (6 characters), its "
            "end may be missing"
        )
        assert rig.answers() == [error]
        assert rig.core.speech.assembler.text == "so far"

    def test_counts_from_close_on_the_wire(self) -> None:
        """Audio that is still to be sent does not count."""
        rig = Rig(close_timeout=1.0, chunk=None)
        rig.feed(SECOND)
        rig.feed(SECOND)
        rig.feed(SECOND)
        rig.close()
        rig.run(2.5)
        assert rig.state() is State.CLOSING
        rig.run(0.5)
        assert rig.state() is State.FAILED

    def test_callback_that_holds_it_up(self) -> None:
        """While a callback runs nothing is received: its time is not the server's."""
        rig = Rig(close_timeout=10.0)
        rig.close()
        assert rig.run() == Wait(110.0)
        rig.now = 105.0
        rig.core.telling("final", rig.now)
        assert rig.run() == Wait(115.0)
        rig.now = 112.0
        assert rig.run() == Wait(115.0)
        rig.core.told(rig.now)
        assert rig.run() == Wait(117.0)
        rig.now = 117.0
        assert rig.run() is None
        assert "'answered': sent 17.0 s ago" in str(rig.core.error)

    def test_callback_from_before_close(self) -> None:
        """Of one that began before, only the time since close counts."""
        rig = Rig(close_timeout=10.0)
        rig.core.telling("final", rig.now)
        rig.now = 104.0
        rig.close()
        assert rig.run() == Wait(114.0)
        rig.now = 106.0
        rig.core.told(rig.now)
        assert rig.run() == Wait(116.0)

    def test_callback_that_does_not_return(self) -> None:
        """One that hangs is given up on like a silent server, and named."""
        rig = Rig(close_timeout=10.0)
        rig.close()
        rig.run()
        rig.now = 105.0
        rig.core.telling("final", rig.now)
        rig.now = 115.0
        assert rig.run() is None
        assert isinstance(rig.core.error, DrainTimeout)
        assert "'callback': one for 'final' has not returned for 10.0 s" in str(
            rig.core.error
        )

    def test_callback_outside_the_drain(self) -> None:
        """Before close a callback's time is nobody's business."""
        rig = Rig(close_timeout=10.0)
        rig.core.telling("final", rig.now)
        rig.now = 150.0
        rig.core.told(rig.now)
        rig.core.told(rig.now)
        rig.close()
        assert rig.run() == Wait(160.0)

    def test_no_limit(self) -> None:
        """Without one it waits for ever."""
        rig = Rig(close_timeout=None)
        rig.close()
        assert rig.run() == Wait(None)
        rig.now = 1e9
        assert rig.run() == Wait(None)
        rig.hear(Done())
        assert rig.core.drained


class TestStuck:
    """Whoever waits too long is told at which stage it is held up."""

    def test_close(self) -> None:
        """From behind the audio to the answer."""
        rig = Rig()
        rig.feed(SECOND)
        rig.finalize()
        rig.close()
        assert rig.core.stuck(rig.now) == (
            "'queued': 1.0 s of audio stand before it, sent in real time"
        )
        rig.run(0.75)
        assert rig.core.stuck(rig.now).startswith("'paced': 0.1 s of audio")
        rig.run(0.125)
        rig.now += 2.0
        assert rig.core.stuck(rig.now) == "'answered': sent 2.0 s ago, not answered yet"

    def test_finalize(self) -> None:
        """Each of several has a stage of its own."""
        rig = Rig()
        rig.finalize()
        rig.feed(SECOND)
        rig.finalize()
        rig.run(0.5)
        rig.feed(SECOND)
        rig.finalize()
        rig.now += 1.0
        assert rig.core.stuck(rig.now, 0).startswith("'answered': sent 1.5 s ago")
        assert rig.core.stuck(rig.now, 1).startswith("'queued': 0.4 s")
        assert rig.core.stuck(rig.now, 2).startswith("'queued': 1.4 s")
        rig.hear(FlushDone())
        assert rig.core.stuck(rig.now, 1).startswith("'queued': 0.4 s")

    def test_a_server_that_does_not_read(self) -> None:
        """The socket takes nothing."""
        rig = Rig()
        rig.feed(SECOND)
        rig.finalize()
        assert isinstance(rig.core.step(rig.now), Send)
        rig.now += 3.0
        assert rig.core.stuck(rig.now, 0) == (
            "'sent': the server has read nothing for 3.0 s, and 0.9 s of audio stand "
            "before it"
        )
        rig.run()
        assert rig.core.meters.stages().sent.longest == 3.0

    def test_a_callback(self) -> None:
        """The answer may wait behind it."""
        rig = Rig()
        rig.finalize()
        rig.run()
        rig.core.telling("partial", rig.now)
        rig.now += 4.0
        assert rig.core.stuck(rig.now, 0) == (
            "'callback': one for 'partial' has not returned for 4.0 s, and nothing is "
            "received meanwhile"
        )
        rig.core.told(rig.now)
        assert rig.core.stuck(rig.now, 0).startswith("'answered'")
        assert rig.core.meters.stages().callback.longest == 4.0

    def test_no_connection(self) -> None:
        """Nothing goes out while it is made anew."""
        rig = Rig()
        rig.finalize()
        assert isinstance(rig.core.step(rig.now), Send)
        rig.core.lost(lost(), rig.now)
        rig.now += 9.0
        assert rig.core.stuck(rig.now, 0).startswith(
            "'queued': the connection was lost"
        )
        rig.core.connected(None, rig.now)
        rig.run()
        assert rig.core.meters.stages().sent.longest == 0.0, "a loss is not a send"
        rig.now += 1.0
        rig.hear(FlushDone())
        assert rig.core.meters.stages().answered.last == 1.0

    @pytest.mark.parametrize("at_the_next_step", [False, True])
    def test_sending_is_begun_ahead(self, at_the_next_step: bool) -> None:
        """By what it took; the next chunk has its moment by then, but not the third."""
        rig = Rig()
        begin = rig.now
        rig.feed(SECOND)
        for late in (0.0, 0.0008, 0.0):
            assert isinstance(rig.core.step(rig.now), Send)
            rig.now += late
            if not at_the_next_step:
                rig.core.sent(rig.now)
            step = rig.core.step(rig.now)
            assert isinstance(step, Wait)
            assert step.until is not None
            rig.now = step.until
        assert rig.now == pytest.approx(begin + 3 * CHUNK - 0.0008, abs=1e-9)

    def test_done_is_an_answer(self) -> None:
        """So its seconds count as one."""
        rig = closing(Rig())
        rig.now += 2.0
        rig.hear(Done())
        assert rig.core.meters.stages().answered.longest == 7.0


class TestErrors:
    """Ends with an error."""

    @pytest.mark.parametrize("state", ["open", "draining", "closing", "connecting"])
    def test_error_event(self, state: str) -> None:
        """An error event ends the session, with all that the service told."""
        rig = Rig()
        rig.finalize()
        if state in ("draining", "closing"):
            rig.close()
        if state != "draining":
            rig.run()
        if state == "connecting":
            rig.core.lost(lost(), rig.now)
        rig.hear(
            ErrorEvent(
                message="No credits are left.",
                title="Quota exceeded",
                status_code=402,
                error_code="quota_exceeded",
                doc_url="https://example.org/q",
                request_id="r-1",
            )
        )
        assert rig.state() is State.FAILED
        error = rig.core.error
        assert isinstance(error, ServerError)
        assert str(error) == (
            "the service reported an error (402): Quota exceeded: No credits are left."
        )
        assert (error.status_code, error.title) == (402, "Quota exceeded")
        assert (error.error_code, error.request_id) == ("quota_exceeded", "r-1")
        assert error.doc_url == "https://example.org/q"
        assert rig.answers() == [error]

    @pytest.mark.parametrize(
        ("event", "message"),
        [
            (ErrorEvent(message="m"), "the service reported an error: m"),
            (ErrorEvent(message="m", title="m"), "the service reported an error: m"),
            (ErrorEvent(message="m", title=""), "the service reported an error: m"),
            (
                ErrorEvent(message="m", status_code=500),
                "the service reported an error (500): m",
            ),
        ],
    )
    def test_message(self, event: ErrorEvent, message: str) -> None:
        """Nothing is said twice, and nothing is made up."""
        rig = Rig()
        rig.hear(event)
        assert str(rig.core.error) == message

    def test_abort(self) -> None:
        """An abort answers all who wait with ClosedError, and is no failure."""
        rig = Rig()
        rig.feed(SECOND)
        rig.finalize()
        rig.finalize()
        rig.core.abort()
        assert rig.state() is State.CLOSED
        assert rig.core.error is None
        assert not rig.core.drained
        assert [str(answer) for answer in rig.answers()] == [
            "the session was aborted"
        ] * 2
        assert rig.run() is None
        assert rig.core.farewell() == [("close", Closed())]

    def test_abort_in_the_drain(self) -> None:
        """An abort while done is awaited is not a clean end."""
        rig = closing(Rig())
        rig.core.abort()
        assert not rig.core.drained
        rig.hear(Done())
        assert not rig.core.drained

    def test_the_first_end_counts(self) -> None:
        """Whatever comes after an end changes nothing."""
        rig = Rig()
        rig.core.fail(ClosedError("first"))
        rig.core.fail(ClosedError("second"))
        rig.core.abort()
        rig.close()
        rig.core.lost(lost(), rig.now)
        rig.core.server_closed(1000, "", rig.now)
        rig.hear(ErrorEvent(message="third"))
        assert str(rig.core.error) == "first"
        assert rig.state() is State.FAILED
        assert not rig.core.connected(None, rig.now)
        assert rig.core.next_attempt() is None

    def test_fail_after_a_clean_end(self) -> None:
        """A clean end stays one."""
        rig = closing(Rig())
        rig.hear(Done())
        rig.core.fail(ClosedError("late"))
        rig.core.abort()
        assert rig.core.error is None
        assert rig.core.drained

    @pytest.mark.parametrize("how", ["fail", "lost", "server_closed", "abort", "error"])
    @pytest.mark.parametrize("sent", [False, True])
    def test_nobody_waits_for_ever(self, how: str, sent: bool) -> None:
        """Each pending finalize is answered at every kind of end, sent or not."""
        rig = Rig(reconnect=None)
        if not sent:
            rig.feed(SECOND)
        rig.finalize()
        rig.finalize()
        rig.run()
        rig.hear(final("kept"))
        core = rig.core
        ways: dict[str, Callable[[], object]] = {
            "fail": lambda: core.fail(ProtocolError("x")),
            "lost": lambda: core.lost(lost(), rig.now),
            "server_closed": lambda: core.server_closed(1011, "", rig.now),
            "abort": core.abort,
            "error": lambda: rig.hear(ErrorEvent(message="x")),
        }
        ways[how]()
        answers = rig.answers()
        assert len(answers) == 2
        assert all(isinstance(answer, CartesiaSTTError) for answer in answers)
        assert core.speech.assembler.text == "kept"
        core.fail(ProtocolError("again"))
        assert rig.answers() == []


class TestLoss:
    """A lost connection, and the next one."""

    def test_again(self) -> None:
        """What is unanswered goes again, and the finalize gets its answer."""
        rig = Rig()
        rig.feed(SECOND)
        rig.finalize()
        rig.run(2.0)
        rig.core.lost(lost(), rig.now)
        assert rig.state() is State.CONNECTING
        assert rig.answers() == []
        assert rig.core.step(rig.now) == Wait(None)
        told = rig.core.next_attempt()
        assert told == Reconnecting(attempt=1, delay=0.25, replay_seconds=1.0)
        rig.sent.clear()
        assert rig.core.connected("r-2", rig.now)
        assert rig.state() is State.OPEN
        rig.run(2.0)
        assert rig.kinds() == ["audio"] * 8 + ["finalize"]
        rig.hear(final("all"), FlushDone())
        assert rig.answers() == ["all"]
        assert rig.core.counters.sessions == 2
        assert rig.core.counters.replayed == 1.0
        assert rig.core.counters.request_id == "r-2"

    def test_an_error_has_the_sessions_number(self) -> None:
        """Whatever ended it: support asks for that."""
        rig = Rig(reconnect=None)
        rig.hear(final("one", request_id="r7"))
        rig.core.lost(lost(), rig.now)
        assert rig.core.error is not None
        assert rig.core.error.request_id == "r7"

    def test_quiet(self) -> None:
        """Where nobody spoke there is nothing to hear again, unless there was text."""
        rig = Rig()
        rig.feed(bytes(len(SECOND) * 8))
        rig.run(8.0)
        rig.core.lost(lost(), rig.now)
        told = rig.core.next_attempt()
        assert told is not None
        assert told.replay_seconds == rig.core.counters.replayed == 8.0
        rig.core.connected(None, rig.now)
        assert rig.core.outbox.buffered == 0.5
        rig.feed(bytes(len(SECOND) * 8))
        rig.run(9.0)
        rig.hear(Transcript(text="Hm", is_final=False))
        rig.core.lost(lost(), rig.now)
        told = rig.core.next_attempt()
        assert told is not None
        assert told.replay_seconds == 8.5

    def test_durations_add_up(self) -> None:
        """To what was fed, the quiet that is never answered included."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        rig.hear(final("one", duration=1.0))
        rig.feed(bytes(len(SECOND) * 8))
        rig.run(8.0)
        rig.core.lost(lost(), rig.now)
        rig.feed(bytes(len(SECOND) * 8))
        rig.feed(SECOND)
        rig.now += 9.0
        rig.core.connected(None, rig.now)  # 15.5 s of these 17 are left out
        rig.run(4.0)
        rig.hear(final(" two", duration=1.5), final(" three", duration=0.5))
        deltas = rig.core.speech.assembler.deltas
        assert [delta.duration for delta in deltas] == [1.0, 17.0, 0.5]
        rig.core.lost(lost(), rig.now)
        assert rig.core.next_attempt() is not None
        assert rig.core.counters.replayed == 8.0  # of the last loss there is nothing

    @pytest.mark.parametrize(
        "event", [partial("hm"), TurnUpdate(transcript="hm")], ids=["text", "turn"]
    )
    def test_quiet_of_which_there_was_text(self, event: Event) -> None:
        """However soft, it goes again after each loss, until it is answered."""
        rig = Rig()
        rig.feed(bytes(len(SECOND) * 8))
        rig.run(8.0)
        rig.hear(event)
        for _ in range(2):
            rig.core.lost(lost(), rig.now)
            told = rig.core.next_attempt()
            assert told is not None
            assert told.replay_seconds == 8.0
            rig.core.connected(None, rig.now)
            rig.run(8.0)
        turn = event.type != "transcript"
        rig.hear(TurnEnd(transcript="hm") if turn else final("hm"))
        rig.feed(bytes(len(SECOND) * 8))
        rig.run(8.0)
        rig.core.lost(lost(), rig.now)
        rig.core.connected(None, rig.now)
        assert rig.core.outbox.buffered == 0.5

    def test_a_turn_that_was_cut_off_stands(self) -> None:
        """Also where the connection is lost again before the next one begins."""
        rig = Rig(reconnect=Reconnect(max_replay=1.0))
        rig.feed(SECOND * 3)
        rig.run(3.0)
        rig.hear(TurnStart(), TurnUpdate(transcript="one two three"))
        for _ in range(2):
            rig.core.lost(lost(), rig.now)
            assert rig.core.next_attempt() is not None
            rig.core.connected(None, rig.now)
            rig.run(0.25)
        rig.run(3.0)
        rig.hear(TurnStart(), TurnEnd(transcript="three four"))
        ended = [turn.text for turn in rig.core.speech.turns.ended]
        assert ended == ["one two three", " four"]

    @pytest.mark.parametrize(
        ("told", "again"),
        [
            (TurnUpdate(transcript="book a table"), 0.5),
            (TurnEagerEnd(transcript="Book a table?"), 0.5),
            (TurnUpdate(transcript="book a"), 1.0),
            (TurnStart(), 1.0),
        ],
    )
    def test_the_turn_before(self, told: Event, again: float) -> None:
        """What was sent when all its words had been told is not sent again.

        However soon the service called it over: or its last word would be heard once
        more, as a turn of its own.
        """
        rig = Rig()
        rig.feed(SECOND)
        rig.run(0.25)
        rig.hear(TurnStart(), TurnUpdate(transcript="book"))
        rig.run(0.125)
        rig.hear(told)
        rig.run(1.0)
        if isinstance(told, TurnUpdate):  # once more, and spelled otherwise
            rig.hear(told, TurnEagerEnd(transcript=told.transcript.title()))
        rig.hear(TurnResume(), TurnEnd(transcript="Book a table."))
        rig.core.lost(lost(), rig.now)
        attempt = rig.core.next_attempt()
        assert attempt is not None
        assert attempt.replay_seconds == again
        # The next turn's words are its own, on the next connection, too.
        rig.core.connected(None, rig.now)
        rig.hear(TurnUpdate(transcript="book a table"))
        rig.core.lost(lost(), rig.now)
        rig.core.next_attempt()
        rig.core.connected(None, rig.now)
        rig.run(1.0)
        rig.hear(TurnEnd(transcript="book a table"))
        rig.core.lost(lost(), rig.now)
        attempt = rig.core.next_attempt()
        assert attempt is not None
        assert attempt.replay_seconds == again

    def test_answered_before(self) -> None:
        """What was answered stays answered, and counts for its own utterance."""
        rig = Rig()
        for _ in range(2):
            rig.feed(SECOND)
            rig.finalize()
        rig.run(3.0)
        rig.hear(final("one"), FlushDone())
        rig.core.lost(lost(), rig.now)
        rig.core.connected(None, rig.now)
        rig.run(3.0)
        rig.hear(final(" two"), FlushDone())
        assert rig.answers() == ["one", " two"]
        assert rig.core.counters.finalizes == 2

    def test_seconds_of_a_finalize_sent_twice(self) -> None:
        """How long an answer took counts from the last time its finalize went."""
        rig = Rig()
        rig.finalize()
        rig.run()
        rig.now += 5.0
        rig.core.lost(lost(), rig.now)
        rig.core.connected(None, rig.now)
        rig.run()
        rig.now += 0.5
        rig.hear(FlushDone())
        assert rig.core.counters.finalize_seconds == 0.5

    def test_gives_up(self) -> None:
        """After the last try the session fails, with what went wrong last."""
        rig = Rig(reconnect=Reconnect(attempts=2))
        rig.finalize()
        rig.core.lost(lost(), rig.now)
        assert rig.core.next_attempt() is not None
        rig.core.refused(ConnectError("no route"))
        assert rig.core.next_attempt() is not None
        rig.core.refused(ConnectError("still no route"))
        assert rig.core.next_attempt() is None
        assert rig.state() is State.FAILED
        error = rig.core.error
        assert isinstance(error, ConnectionLost)
        assert "still no route" in str(error)
        assert rig.answers() == [error]

    def test_drops_each_time(self) -> None:
        """A server that accepts and drops each connection is given up on, too."""
        rig = Rig(reconnect=Reconnect(attempts=3))
        attempts = []
        rig.core.lost(lost(), rig.now)
        while (told := rig.core.next_attempt()) is not None:
            attempts.append(told.attempt)
            rig.core.connected(None, rig.now)
            rig.feed(SECOND)
            rig.run(1.0)
            rig.core.lost(lost(), rig.now)
        assert attempts == [1, 2, 3]
        assert rig.state() is State.FAILED

    @pytest.mark.parametrize("what", ["text", "finalize", "turn", "time"])
    def test_tries_count_anew(self, what: str) -> None:
        """After text, an answered finalize, a turn's end, and a minute of peace."""
        rig = Rig(reconnect=Reconnect(attempts=1))
        for _ in range(5):
            rig.core.lost(lost(), rig.now)
            told = rig.core.next_attempt()
            assert told is not None
            assert told.attempt == 1
            rig.core.connected(None, rig.now)
            if what == "text":
                rig.hear(final("new"))
            elif what == "finalize":
                rig.finalize()
                rig.run()
                rig.hear(FlushDone())
            elif what == "turn":
                rig.hear(TurnEnd(transcript="new"))
            else:
                rig.now += 60.0

    @pytest.mark.parametrize(
        "says",
        [
            Connected(),
            partial("one"),
            final(""),
            final("one two"),  # what was sent again says so once more
            FlushDone(),  # that nobody has asked for
            TurnStart(),
            TurnUpdate(transcript="one"),
            TurnEnd(transcript=""),
            Unknown(type="hello"),
            Malformed(reason="not JSON", data="?"),
        ],
    )
    def test_talk_is_no_answer(self, says: Event) -> None:
        """A server that takes each connection, says something and drops it: no end.

        All that is sent again is billed again, and who closes would wait for ever.
        """
        rig = Rig(reconnect=Reconnect(attempts=2))
        rig.feed(SECOND)
        rig.run(2.0)
        rig.hear(final("one two"))
        for attempt in (1, 2):
            rig.core.lost(lost(), rig.now)
            told = rig.core.next_attempt()
            assert told is not None
            assert told.attempt == attempt
            rig.core.connected(None, rig.now)
            rig.run(59.0)
            rig.hear(says)
        rig.core.lost(lost(), rig.now)
        assert rig.core.next_attempt() is None
        assert isinstance(rig.core.error, ConnectionLost)

    def test_the_close_of_an_earlier_connection(self) -> None:
        """What handlers are told at the end is how the last one was closed."""
        rig = Rig()
        rig.core.server_closed(1012, "deploy", rig.now)
        assert rig.core.next_attempt() is not None
        rig.core.connected(None, rig.now)
        rig.close()
        rig.run()
        rig.hear(Done())
        assert rig.core.farewell() == [("close", Closed(code=None, reason=""))]

    def test_refused_for_good(self) -> None:
        """A refusal that will not pass ends it at once, as what it is."""
        rig = Rig()
        rig.core.lost(lost(), rig.now)
        rig.core.next_attempt()
        error = AuthenticationError("revoked", status_code=401)
        rig.core.refused(error)
        assert rig.core.error is error
        assert rig.core.next_attempt() is None

    def test_asked_to_wait(self) -> None:
        """A refusal that says how long to wait is heeded."""
        rig = Rig()
        rig.core.lost(lost(), rig.now)
        rig.core.next_attempt()
        error = RateLimitError("too many", status_code=429)
        error.retry_after = 7.0
        rig.core.refused(error)
        assert rig.core.next_attempt() == Reconnecting(
            attempt=2, delay=7.0, replay_seconds=0.0
        )

    def test_done_of_a_connection_that_is_lost(self) -> None:
        """What was still on the way of the old one ends nothing on the new one."""
        rig = Rig()
        rig.finalize()
        rig.run()
        rig.core.lost(lost(), rig.now)
        rig.hear(Done())
        rig.core.connected(None, rig.now)
        rig.run()
        rig.hear(FlushDone())
        rig.core.abort()
        assert rig.answers() == [""]

    def test_noticed_twice(self) -> None:
        """The other thread, or the close frame behind it, notes the same loss."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(2.0)
        rig.core.lost(lost(), rig.now)
        rig.core.lost(lost(), rig.now)
        rig.core.server_closed(1011, "", rig.now)
        rig.core.server_closed(1000, "", rig.now)
        assert rig.state() is State.CONNECTING
        assert rig.core.counters.replayed == 1.0

    @pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013])
    def test_close_codes_worth_it(self, code: int) -> None:
        """The server's close frame with a passing trouble leads to another try."""
        rig = Rig()
        rig.core.server_closed(code, "restart", rig.now)
        assert rig.state() is State.CONNECTING

    @pytest.mark.parametrize("code", [1002, 1008, 1009, 4000])
    def test_close_codes_not_worth_it(self, code: int) -> None:
        """With any other it is the end."""
        rig = Rig()
        rig.core.server_closed(code, "", rig.now)
        assert rig.state() is State.FAILED
        error = rig.core.error
        assert isinstance(error, ConnectionLost)
        assert error.close_code == code
        assert str(error) == (
            f"the server closed the connection ({code}); the text so far is kept"
        )

    def test_may_reconnect(self) -> None:
        """Whether a loss would be the end depends on its kind, and on the policy."""
        assert Rig().core.may_reconnect(lost())
        assert not Rig().core.may_reconnect(lost(1000))
        assert not Rig(reconnect=None).core.may_reconnect(lost())

    def test_connected_now(self) -> None:
        """A connection stands from connected to lost, and from there to the end."""
        rig = Rig(open=False)
        assert not rig.core.connected_now
        rig.open()
        assert rig.core.connected_now
        rig.core.lost(lost(), rig.now)
        assert not rig.core.connected_now
        rig.core.connected(None, rig.now)
        closing(rig)
        assert rig.core.connected_now
        rig.hear(Done())
        assert not rig.core.connected_now

    def test_no_reconnect(self) -> None:
        """With reconnect=None the first loss is the end."""
        rig = Rig(reconnect=None)
        error = lost()
        rig.core.lost(error, rig.now)
        assert rig.core.error is error

    @pytest.mark.parametrize("max_replay", [0.0, 30.0])
    def test_in_the_drain(self, max_replay: float) -> None:
        """A loss after close was sent sends it again: done is still to come."""
        rig = Rig(reconnect=Reconnect(max_replay=max_replay), close_timeout=10.0)
        rig.feed(SECOND)
        closing(rig)
        rig.now += 5.0
        rig.core.lost(lost(), rig.now)
        rig.now += 1.0
        rig.sent.clear()
        rig.core.connected(None, rig.now)
        assert rig.state() is State.DRAINING
        rig.run(2.0)
        assert rig.kinds()[-1] == "close"
        assert rig.state() is State.CLOSING
        rig.hear(Done())
        assert rig.core.drained

    def test_replay_overflow(self) -> None:
        """Unanswered audio that is no more kept is a finding, with its length."""
        rig = Rig(reconnect=Reconnect(max_replay=0.25))
        rig.feed(SECOND)
        rig.run(2.0)
        rig.core.lost(lost(), rig.now)
        assert rig.codes() == ["replay-overflow"]
        assert rig.core.findings.all[0].message.startswith("0.8 s of audio")

    def test_no_overflow(self) -> None:
        """Audio that was answered before the loss is none of it."""
        rig = Rig(reconnect=Reconnect(max_replay=0.25))
        rig.feed(SECOND)
        rig.finalize()
        rig.run(2.0)
        rig.hear(FlushDone())
        rig.core.lost(lost(), rig.now)
        assert rig.codes() == []

    def test_aborted_meanwhile(self) -> None:
        """A connection that comes too late is not wanted."""
        rig = Rig(open=False)
        rig.core.abort()
        assert not rig.core.connected(None, rig.now)


class TestSeam:
    """A reconnect loses no word, and says none twice."""

    def lose(self, rig: Rig, seconds: float) -> None:
        """Lose the connection, make it anew, send all again."""
        rig.core.lost(lost(), rig.now)
        told = rig.core.next_attempt()
        assert told is not None
        assert told.replay_seconds == seconds
        rig.core.connected(None, rig.now)
        rig.run(5.0)

    def test_durations(self) -> None:
        """What finals cover by their durations is not sent again."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        rig.hear(final("one", duration=0.5), final(" two", duration=0.25))
        self.lose(rig, 0.25)
        assert rig.sent[-1].data == SECOND[-4000:]

    def test_words(self) -> None:
        """Where durations leave a pause out, the end of the last word says more."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        words = (Word("one", 0.5, 0.75),)
        rig.hear(final("one", duration=0.25, words=words))
        self.lose(rig, 0.25)

    def test_words_counted_from_their_final(self) -> None:
        """Words whose times begin anew in each final take nothing back."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        for text in ("one", " two"):
            words = (Word(text.strip(), 0.0, 0.25),)
            rig.hear(final(text, duration=0.375, words=words))
        self.lose(rig, 0.25)

    def test_neither(self) -> None:
        """Without either all is sent again, and its words are said once."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        rig.finalize()
        rig.run()
        rig.hear(final("One two"), final(" three"))
        self.lose(rig, 1.0)
        rig.hear(partial("one two three f"))
        assert rig.core.speech.assembler.partial == " f"
        rig.hear(final("one two three four"), FlushDone(), final(" one"))
        assert rig.core.speech.assembler.text == "One two three four one"
        assert rig.answers() == ["One two three four"]
        assert not rig.codes()

    def test_every_handler_gets_the_same(self) -> None:
        """What is told joins to what `text` says; the words fit it."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        rig.hear(final("one"))
        self.lose(rig, 1.0)
        rig.calls.clear()
        words = (Word("one", 0.0, 0.25), Word("two", 0.25, 0.5))
        rig.hear(final("one two", words=words))
        told = final(" two", words=words[1:])
        assert rig.calls == [(k, told) for k in ("transcript", "final", "event")]

    def test_lost_twice(self) -> None:
        """Also where the second loss comes before the first replay was heard."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        rig.hear(final("one two"))
        self.lose(rig, 1.0)
        rig.hear(final("one"))
        self.lose(rig, 1.0)
        rig.hear(final("one two three"))
        assert rig.core.speech.assembler.text == "one two three"

    def test_heard_otherwise(self) -> None:
        """Other words are kept, and a finding says that they may be a repeat."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        rig.hear(final("one two three"))
        self.lose(rig, 1.0)
        rig.hear(final(" red green blue"))
        assert rig.core.speech.assembler.text == "one two three red green blue"
        assert rig.codes() == ["replay-differs"]

    def test_nothing_sent_again(self) -> None:
        """The same words said after a loss that replayed nothing are new ones."""
        rig = Rig()
        rig.feed(SECOND)
        rig.finalize()
        rig.run(1.0)
        rig.hear(final("yes"), FlushDone())
        self.lose(rig, 0.0)
        rig.feed(SECOND)
        rig.run(1.0)
        rig.hear(final("yes"))
        assert rig.core.speech.assembler.text == "yesyes"


class TestEvents:
    """Who is to be told of what."""

    @pytest.mark.parametrize(
        ("event", "kinds"),
        [
            (final("a"), ["transcript", "final", "event"]),
            (partial("a"), ["transcript", "partial", "event"]),
            (Unknown(type="turn.start"), ["turn.start", "event"]),
            (Malformed(reason="x", data="y"), ["malformed", "event"]),
            (ErrorEvent(message="x"), ["event"]),
            *(
                (Unknown(type=name), ["event"])
                for name in (
                    "final",
                    "partial",
                    "event",
                    "error",
                    "finding",
                    "reconnect",
                    "close",
                )
            ),
        ],
        ids=str,
    )
    def test_handlers(self, event: Event, kinds: list[str]) -> None:
        """Each event is told to its type's handlers, the shorthand's, and all's.

        Names that mean something else here are not called with the service's events.
        """
        rig = Rig()
        rig.hear(event)
        assert rig.calls == [(kind, event) for kind in kinds]

    def test_flush_done_and_done(self) -> None:
        """Answers are events, too."""
        rig = Rig()
        rig.finalize()
        closing(rig)
        rig.hear(FlushDone(), Done())
        assert [kind for kind, _ in rig.calls] == [
            "flush_done",
            "event",
            "done",
            "event",
        ]

    def test_findings_first(self) -> None:
        """A finding is told before the event that it came with, and once."""
        rig = Rig()
        rig.hear(FlushDone(), FlushDone())
        kinds = [kind for kind, _ in rig.calls]
        assert kinds == ["finding", "flush_done", "event", "flush_done", "event"]
        assert isinstance(rig.calls[0][1], Finding)
        assert rig.core.findings.untold() == []
        assert len(rig.core.findings.all) == 1

    def test_findings_once(self) -> None:
        """Of each code the first finding is kept."""
        rig = Rig()
        for advice in ("a", "b"):
            rig.core.findings.note(Finding("x", "X.", advice))
        rig.core.findings.note(Finding("y", "Y.", "c"))
        assert [finding.advice for finding in rig.core.findings.all] == ["a", "c"]
        assert [kind for kind, _ in rig.core.findings.untold()] == ["finding"] * 2
        assert rig.core.findings.untold() == []

    def test_malformed(self) -> None:
        """A message that is none is counted, and harms nothing."""
        rig = Rig()
        rig.hear(Malformed(reason="x", data="y"), final("a"))
        assert rig.core.counters.malformed == 1
        assert rig.core.counters.events == 2
        assert rig.core.speech.assembler.text == "a"

    def test_text_without_end(self) -> None:
        """More than anybody could have said ends the session; what came is kept."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(1.0)
        size = 1 << 20
        for _ in range(8):
            assert rig.core.take_in(final("x"), rig.now, size)
        assert not rig.core.take_in(final("y"), rig.now, size)
        assert isinstance(rig.core.error, ProtocolError)
        assert "more than 8,404,992 bytes of final transcripts for 1.0 s" in str(
            rig.core.error
        )
        assert rig.core.speech.assembler.text == "x" * 8

    def test_much_text(self) -> None:
        """A fast speaker's day is far from that; provisional text is not kept."""
        rig = Rig(chunk=None)
        for _ in range(600):
            rig.feed(SECOND)
            rig.run(1.0)
            rig.core.take_in(partial("x"), rig.now, 1 << 20)
            rig.core.take_in(final("x"), rig.now, 10_000)
        assert rig.core.error is None

    def test_request_id(self) -> None:
        """The last that was named is kept for support."""
        rig = Rig(open=False)
        rig.open("r-1")
        assert rig.core.counters.request_id == "r-1"
        rig.hear(partial("a"))
        assert rig.core.counters.request_id == "r-1"
        rig.hear(final("a", request_id="r-2"))
        assert rig.core.counters.request_id == "r-2"

    def test_word_times(self) -> None:
        """Times of words are the caller's, behind silence put in and after a loss."""
        rig = Rig(silence_after=0.0, silence_limit=0.5)
        rig.feed(SECOND)
        rig.run(5.0)
        rig.feed(SECOND)
        rig.run(5.0)
        words = (Word("a", 0.5, 1.25), Word("b", 1.75, 2.0))
        rig.hear(final("a b", words=words, duration=2.25, language="en"))
        told = final(
            "a b",
            words=(Word("a", 0.5, 1.0), Word("b", 1.25, 1.5)),
            duration=2.25,
            language="en",
        )
        assert rig.calls[0] == ("transcript", told)
        assert list(rig.core.speech.assembler.deltas) == [told]
        rig.core.lost(lost(), rig.now)
        rig.core.connected(None, rig.now)
        rig.run(1.0)
        rig.hear(final("c", words=(Word("c", 0.0, 0.25),)))
        assert rig.core.speech.assembler.deltas[-1].words == (Word("c", 1.75, 2.0),)

    @pytest.mark.parametrize("text", ["", " ", "\n"])
    def test_provisional_text_of_blanks(self, text: str) -> None:
        """An empty provisional text does not say that the server holds speech."""
        rig = Rig(silence_after=0.25)
        rig.feed(SECOND)
        rig.run(1.0)
        rig.hear(final("a"), partial(text))
        rig.run(60.0)
        assert "silence" not in rig.kinds()

    def test_provisional_text(self) -> None:
        """Provisional text does, and a final without text ends it."""
        rig = Rig(silence_after=0.25)
        rig.feed(SECOND)
        rig.run(1.0)
        rig.hear(final("a"), partial("b"))
        rig.run(1.0)
        silence = rig.kinds().count("silence")
        assert silence > 0
        rig.hear(final(""))
        rig.run(60.0)
        assert rig.kinds().count("silence") == silence


class TestClock:
    """A clock that jumps, as when a machine wakes up."""

    def test_forward(self) -> None:
        """Audio that has waited goes out at pace; an idle hour is one keep-alive."""
        rig = Rig(catch_up=0.5, keep_alive=60.0)
        for _ in range(3):
            rig.feed(SECOND)
        rig.run(0.5)
        sent = len(rig.sent)
        rig.now += 3600.0
        rig.run()
        # 0.5 s catch up, and the two chunks of slack that the outbox promises.
        assert len(rig.sent) - sent <= 0.5 / CHUNK + 2
        rig.run(5.0)
        audio = b"".join(send.data for send in rig.sent)
        assert audio == 3 * SECOND
        rig.now += 3600.0
        rig.run()
        assert rig.kinds().count("silence") == 1

    def test_forward_in_the_drain(self) -> None:
        """The time is over, as the clock says; and what waits is told so."""
        rig = closing(Rig())
        rig.now += 3600.0
        rig.run()
        assert isinstance(rig.core.error, DrainTimeout)

    def test_backward(self) -> None:
        """A clock that runs back, which none should, sends nothing twice."""
        rig = Rig()
        rig.feed(SECOND)
        rig.run(0.5)
        rig.now -= 3600.0
        rig.run()
        rig.run(3605.0)
        assert b"".join(send.data for send in rig.sent) == SECOND


class TestFeeding:
    """Audio on its way in."""

    def test_muted(self) -> None:
        """While muted as much silence goes, and nothing of what was said."""
        rig = Rig()
        rig.feed(SECOND, muted=True)
        rig.feed(SECOND)
        rig.run(3.0)
        assert b"".join(send.data for send in rig.sent) == bytes(32000) + SECOND

    def test_before_the_connection(self) -> None:
        """Audio and finalizes that come while it connects are kept."""
        rig = Rig()
        rig.core.lost(lost(), rig.now)
        rig.feed(SECOND)
        rig.finalize()
        rig.core.connected(None, rig.now)
        rig.run(2.0)
        assert rig.kinds() == ["audio"] * 8 + ["finalize"]

    def test_refused(self) -> None:
        """What is no audio is refused, and changes nothing."""
        rig = Rig()
        with pytest.raises(ConfigError):
            rig.feed("text")
        assert rig.core.outbox.buffered_bytes == 0

    def test_steps(self) -> None:
        """What goes next is the outbox's business."""
        rig = Rig()
        assert rig.run() == Wait(None)
        rig.feed(SECOND)
        step = rig.core.step(rig.now)
        assert step == Send(Kind.AUDIO, SECOND[:4000], rig.now + CHUNK)
        assert rig.core.step(rig.now) == Wait(rig.now + CHUNK)


class TestBudget:
    """A session that may cost so much and no more."""

    def test_a_clean_end(self) -> None:
        """It ends as by close: what was sent is heard, who waits gets an answer."""
        rig = Rig(budget=0.5)
        rig.feed(SECOND)
        rig.finalize()
        rig.run(2.0)
        assert rig.kinds() == ["audio"] * 4 + ["finalize", "close"]
        assert rig.core.session.state is State.CLOSING
        rig.hear(final("half"), FlushDone(), Done())
        assert rig.core.drained
        assert rig.answers() == ["half"]
        [found] = rig.core.findings.all
        assert found.code == "budget-spent"
        assert "0.5 s of audio that waited were not sent" in found.message

    def test_closed_before(self) -> None:
        """Who feeds a file and leaves is told, too, and once."""
        rig = Rig(budget=0.5)
        rig.feed(SECOND)
        rig.close()
        rig.run(2.0)
        assert rig.kinds() == ["audio"] * 4 + ["close"]
        rig.hear(final("half"), Done())
        assert rig.core.drained
        [found] = rig.core.findings.all
        assert found.code == "budget-spent"
