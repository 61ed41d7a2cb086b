"""Two channels, a session each, behind one transcriber."""

from __future__ import annotations

import threading
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import numpy as np
import pytest

from cartesia_stt_sync import (
    AudioFormat,
    BufferFull,
    Closed,
    ClosedError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    Finding,
    ServerError,
    Transcriber,
    Transcript,
    Word,
    WouldDeadlock,
    _deltas,
)
from cartesia_stt_sync._transport import ServerClosed
from cartesia_stt_sync.events import ErrorEvent, Event
from cartesia_stt_sync.server import LocalServer

from .fakes import FLUSHED, LIMIT, FakeTransport, Rig, final, partial
from .speech import clips, samples, word_errors

STEREO = AudioFormat("pcm_s16le", 16000, 2)
LEFT, RIGHT = b"\x01\x00", b"\x02\x00"
TENTH = (LEFT + RIGHT) * 1600


def rig(*transports: FakeTransport, **options: Any) -> Rig:
    """A transcriber of two channels on two fake connections."""
    wires = transports or (FakeTransport("r1"), FakeTransport("r2"))
    common = {"source": STEREO, "channels": "split", "checks": False}
    return Rig(*wires, **{**common, **options})


def said(text: str, start: float) -> Transcript:
    """A final with a word."""
    return final(text, words=(Word(text.strip(), start, start + 0.2),))


def answer_close(r: Rig) -> None:
    """Let both servers end well."""
    for wire in r.transports:
        wire.answer_close()


def until_text(t: Transcriber, *texts: str) -> None:
    """Return once these are the deltas, one channel's behind the other's."""
    stream = t._stream

    def deltas() -> list[str]:
        lanes = [s.core.speech.assembler.deltas for s in stream.streams]
        return [delta.text for lane in lanes for delta in lane]

    with stream.lock:
        while deltas() != [*texts]:
            stream.wait(LIMIT)  # the clock says so if nobody wakes it


class TestAudio:
    """Who gets which samples."""

    def test_each_channel_to_its_session(self) -> None:
        """And each as one channel, also where a piece ends in mid-frame."""
        r = rig()
        with pytest.raises(ZeroDivisionError), r.t:
            r.t.feed(TENTH[:401])
            r.t.feed(TENTH[401:])
            left, right = (wire.until_sent(1) for wire in r.transports)
            assert left == [LEFT * 1600]
            assert right == [RIGHT * 1600]
            raise ZeroDivisionError
        assert r.t.state == "CLOSED"

    def test_arrays(self) -> None:
        """The columns."""
        r = rig()
        r.t.feed(np.full((1600, 2), (1, 2), np.int16))
        assert r.transports[1].until_sent(1) == [RIGHT * 1600]
        with pytest.raises(ConfigError, match="shape"):
            r.t.feed(np.zeros(1600, np.int16))
        r.t.abort()

    def test_mute(self) -> None:
        """All of it."""
        r = rig()
        r.t.mute()
        assert r.t.muted
        r.t.feed(TENTH)
        assert r.transports[1].until_sent(1) == [bytes(3200)]
        r.t.unmute()
        assert not r.t.muted
        r.t.abort()

    def test_all_or_nothing(self) -> None:
        """Where one channel has no room, none takes anything, and none is ahead."""
        r = rig(max_buffer=0.25)
        r.transports[1].stuck = True
        with r.t as t:
            t.feed(TENTH)
            r.transports[0].until_sent(1)
            t.feed(TENTH * 2)
            r.until_idle()
            r.clock.advance(1.0)
            r.transports[0].until_sent(3)  # it has room again, the other does not
            with pytest.raises(BufferFull, match="max_buffer=0.25"):
                t.feed(TENTH, timeout=0)
            fed = [s.core.counters.fed for s in t._stream.streams]
            assert fed == pytest.approx([0.3, 0.3])
            t.abort()

    def test_feeding_at_once(self) -> None:
        """Of two threads each piece stays whole, on both channels in the same order."""
        r = rig(chunk=None, max_buffer=None, catch_up=100.0)
        pieces = [(bytes([n, 0]) * 2) * 160 for n in range(1, 41)]
        with r.t as t:

            def feed(part: list[bytes]) -> None:
                for piece in part:
                    t.feed(piece)

            threads = [
                threading.Thread(target=feed, args=(part,))
                for part in (pieces[:20], pieces[20:])
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            r.until_idle()
            r.clock.advance(0.5)
            left, right = (wire.until_sent(40) for wire in r.transports)
            assert left == right
            assert sorted(left) == [piece[: len(piece) // 2] for piece in pieces]
            t.abort()

    def test_half_a_frame_at_the_end(self) -> None:
        """It is a finding, as ever."""
        r = rig()
        answer_close(r)
        r.t.feed(TENTH + b"\0\0\0")
        r.t.close()
        (found,) = r.t.findings
        assert found.code == "partial-sample"
        assert found.message.startswith("Channel 1: The audio ended 3 byte(s)")


class TestText:
    """What is said comes together."""

    def test_in_order_of_time(self) -> None:
        """Each delta says whose it is, and a change of the channel is a new line."""
        r = rig()
        answer_close(r)
        finals: list[Transcript] = []
        r.t.on("final", finals.append)
        with r.t as t:
            r.transports[1].push(said("Hi.", 1.0))
            until_text(t, "Hi.")
            r.transports[0].push(said("Hello.", 0.0), said(" Yes?", 2.0))
            until_text(t, "Hello.", " Yes?", "Hi.")
        assert t.text == "Hello.\nHi.\n Yes?"
        assert [(d.text, d.channel) for d in t.finals()] == [
            ("Hello.", 0),
            ("Hi.", 1),
            (" Yes?", 0),
        ]
        words = t.transcript.words
        assert words is not None
        assert [(w.word, w.channel) for w in words] == [
            ("Hello.", 0),
            ("Hi.", 1),
            ("Yes?", 0),
        ]
        assert sorted((d.text, d.channel) for d in finals) == [
            (" Yes?", 0),
            ("Hello.", 0),
            ("Hi.", 1),
        ]

    @pytest.mark.parametrize("channels", [1, 2])
    def test_nobody_waits(self, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """No lock is held while transcripts are made of what was kept."""
        r = rig() if channels == 2 else Rig()
        made, lock = _deltas._made, r.t._stream.lock
        count = 0

        def make(kept: Any, text: str) -> Transcript:
            nonlocal count
            count += 1
            assert lock.acquire(timeout=LIMIT)
            lock.release()
            return made(kept, text)

        answer_close(r)
        with r.t as t:
            r.transports[0].push(said("Hello.", 0.0))
            until_text(t, "Hello.")
        monkeypatch.setattr(_deltas, "_made", make)
        assert t.transcript.text == t.text == "Hello."
        assert [delta.text for delta in t.finals()] == ["Hello."]
        assert count == channels + 1  # one has its text at hand

    def test_as_it_comes(self) -> None:
        """An iterator gives each delta once it is there, and ends with the last."""
        r = rig()
        with r.t as t:
            finals, events = t.finals(), t.events()
            r.transports[1].push(said("Hi.", 1.0))
            assert (next(finals).text, next(events).request_id) == ("Hi.", None)
            r.transports[0].push(said("Hello.", 0.0))
            assert next(finals).channel == 0
            assert isinstance(next(events), Transcript)
            answer_close(r)
            t.close()
            assert list(finals) == []
            assert len(list(events)) == 2  # done, twice

    def test_partials(self) -> None:
        """A line for each channel that has one."""
        r = rig()
        seen = threading.Semaphore(0)
        r.t.on("partial", lambda _: seen.release())
        with r.t as t:
            r.transports[0].push(partial("Hel"))
            r.transports[1].push(partial("H"))
            assert seen.acquire(timeout=LIMIT)
            assert seen.acquire(timeout=LIMIT)
            assert t.partial == "Hel\nH"
            t.abort()

    def test_finalize(self) -> None:
        """One future for both, with a line for each that has said something."""
        r = rig()
        with r.t as t:
            t.feed(TENTH)
            future = t.finalize()
            for wire in r.transports:
                wire.until_sent(1)
            r.until_idle()
            r.clock.advance(0.2)
            for wire in r.transports:
                assert wire.until_sent(2)[1] == "finalize"
            r.transports[1].push(final("Hi."), FLUSHED)
            until_text(t, "Hi.")
            with pytest.raises(FutureTimeout, match="stuck at channel 1, 'answered'"):
                future.result(timeout=0.01)
            r.transports[0].push(final("Hello."), FLUSHED)
            assert future.result(timeout=LIMIT) == "Hello.\nHi."
            assert t._stream.stuck(future).startswith("nothing")  # type: ignore[arg-type]  # it is one of ours
            again = t.finalize()
            for wire in r.transports:
                wire.until_sent(3)
            r.transports[0].push(FLUSHED)
            r.transports[1].push(final(" Bye."), FLUSHED)
            assert again.result(timeout=LIMIT) == " Bye."
            assert t.stats.finalizes == 2
            t.abort()

    def test_config(self) -> None:
        """Both are told."""
        r = rig()
        r.t.config(keyterms=["Cartesia"])
        for wire in r.transports:
            assert wire.until_sent(1)[0].startswith('{"type": "config"')  # type: ignore[arg-type]  # text
        r.t.abort()

    def test_finalize_opens(self) -> None:
        """As for one channel."""
        r = rig()
        future = r.t.finalize()
        r.t.abort()
        with pytest.raises(ClosedError, match="aborted"):
            future.result(timeout=LIMIT)


class TestCallbacks:
    """On two threads, but one at a time."""

    def test_one_at_a_time(self) -> None:
        """While a callback runs, the other channel's wait for their turn."""
        r = rig()
        here, go, there = threading.Event(), threading.Event(), threading.Event()
        order: list[str] = []

        def slow(delta: Transcript) -> None:
            order.append(f"begin {delta.channel}")
            (there if delta.channel else here).set()
            assert go.wait(LIMIT)
            order.append(f"end {delta.channel}")

        r.t.on("final", slow)
        answer_close(r)
        with r.t as t:
            r.transports[0].push(final("a"))
            assert here.wait(LIMIT)
            r.transports[1].push(final("b"))
            until_text(t, "a", "b")  # taken in, and its thread goes for the callback
            assert not there.wait(0.05)
            go.set()
        assert order == ["begin 0", "end 0", "begin 1", "end 1"]

    def test_none_can_hang(self) -> None:
        """What either thread brings cannot be awaited in a callback of the other."""
        r = rig(max_buffer=0.1)
        caught: list[Exception] = []
        done = threading.Event()

        def callback(delta: Transcript) -> None:
            try:
                r.t.feed(TENTH * 2)
                r.t.feed(TENTH)
            except BufferFull as exc:
                caught.append(exc)
            try:
                r.t.finalize().result()
            except WouldDeadlock as exc:
                caught.append(exc)
            try:
                next(r.t.events())
            except WouldDeadlock as exc:
                caught.append(exc)
            r.t.close()  # does not wait for itself
            done.set()

        r.t.on("final", callback)
        answer_close(r)
        with r.t as t:
            r.transports[1].push(final("a"))
            assert done.wait(LIMIT)
            for wire in r.transports:
                wire.until_sent(1)
            r.clock.advance(0.3)
            t.close()
        assert [type(exc) for exc in caught] == [
            BufferFull,
            WouldDeadlock,
            WouldDeadlock,
        ]

    def test_after_the_end(self) -> None:
        """Nothing can be fed, and the message says so."""
        r = rig()
        r.t.abort()
        with pytest.raises(ClosedError, match="was aborted"):
            r.t.feed(TENTH)

    def test_the_end_is_told_once(self) -> None:
        """After the last of them has ended."""
        r = rig()
        ends: list[Closed] = []
        r.t.on("close", ends.append)
        answer_close(r)
        with r.t:
            pass
        assert [(end.code, end.error) for end in ends] == [(1000, None)]

    def test_findings_name_the_channel(self) -> None:
        """Each session has its own; both are told and kept."""
        r = rig(checks=True, budget=0.4)
        found: list[Finding] = []
        r.t.on("finding", found.append)
        answer_close(r)
        r.t.feed(TENTH * 5)
        for wire in r.transports:
            wire.until_sent(1)
        r.clock.advance(0.2)
        for wire in r.transports:
            assert wire.until_sent(3)[2] == "close"
        r.t.close()
        codes = sorted(one.message.partition(":")[0] for one in found)
        assert codes == ["Channel 1", "Channel 2"]
        assert [one.code for one in r.t.findings] == ["budget-spent"] * 2
        assert r.t.stats.billed_seconds == pytest.approx(0.4)


class TestFailing:
    """One session that fails is the end of all."""

    def test_the_others_are_drained(self) -> None:
        """Their last words come; every call raises what the first has failed of."""
        r = rig(reconnect=None)
        ends: list[Closed] = []
        errors: list[Exception] = []
        r.t.on("close", ends.append).on("error", errors.append)
        r.transports[1].answer_close(said("Hi.", 1.0))
        r.t.feed(TENTH)
        for wire in r.transports:
            wire.until_sent(1)
        r.transports[0].push(ErrorEvent(message="no more", status_code=500))
        with pytest.raises(ServerError, match="no more"):
            r.t.close()
        with pytest.raises(ServerError, match="no more"):
            r.t.feed(TENTH)
        with pytest.raises(ServerError, match="no more"):
            list(r.t.finals())
        assert r.t.text == "Hi."
        assert [type(end.error) for end in ends] == [ServerError]
        assert [type(error) for error in errors] == [ServerError]
        assert r.t.state == "CLOSED"

    def test_futures_end(self) -> None:
        """With the error, though the other channel has been answered."""
        r = rig(reconnect=None)
        r.transports[1].answer_close()
        future = r.t.finalize()
        for wire in r.transports:
            wire.until_sent(1)
        r.transports[1].push(final("Hi."), FLUSHED)
        r.transports[0].push(ConnectionLost("gone"))
        with pytest.raises(ConnectionLost, match="gone"):
            future.result(timeout=LIMIT)
        with pytest.raises(ConnectionLost, match="gone"):
            r.t.close()

    def test_one_is_refused(self) -> None:
        """Then none stays open."""
        refused = FakeTransport(refuse=ConnectError("too many streams"))
        r = rig(FakeTransport(), refused)
        with pytest.raises(ConnectError, match="too many"):
            r.t.feed(TENTH)
        assert r.transports[0].closed
        assert r.t.state == "CLOSED"
        with pytest.raises(ConnectError, match="too many"):
            r.t.open()

    def test_the_reason_is_told(self) -> None:
        """Who feeds a channel that was closed for another's sake is told why."""
        r = rig(reconnect=None)
        r.transports[1].answer_close()
        r.t.open()
        r.transports[0].push(ErrorEvent(message="no more", status_code=500))
        with pytest.raises(ServerError, match="no more"):
            list(r.t.finals())
        assert r.t.state == "CLOSED"
        for call in (r.t.open, r.t.finalize, lambda: r.t.feed(TENTH), r.t.close):
            with pytest.raises(ServerError, match="no more"):
                call()

    def test_close_in_time(self) -> None:
        """A limit is one for all."""
        r = rig()
        with r.t as t:
            t.close(wait=False)
            assert t.state == "DRAINING"
            with pytest.raises(DrainTimeout, match="timeout=0 s"):
                t.close(timeout=0)
            t.abort()

    def test_end_of_both_by_the_server(self) -> None:
        """A close that nobody asked for is a loss, as for one."""
        r = rig(reconnect=None)
        with pytest.raises(ConnectionLost), r.t:
            for wire in r.transports:
                wire.push(ServerClosed(1011, "overloaded"))
            r.transports[1].until_aborted()


class TestOptions:
    """What goes together."""

    @pytest.mark.parametrize("source", [None, AudioFormat("pcm_s16le", 16000)])
    def test_it_needs_channels(self, source: AudioFormat | None) -> None:
        """To split one is a mistake."""
        with pytest.raises(ConfigError, match="two channels or more"):
            Transcriber(api_key="k", source=source, channels="split")

    def test_it_is_one_of_two_words(self) -> None:
        """Numbers are for the source."""
        with pytest.raises(ConfigError, match='channels: "mix" or "split", got 2'):
            Transcriber(api_key="k", channels=2)  # type: ignore[arg-type]  # on purpose

    def test_an_endpointer_each(self) -> None:
        """They remember what they have heard, so none can serve both."""

        class Deaf:
            started = 0

            def start(self, sample_rate: int) -> None:
                self.started = sample_rate

            def hear(self, samples: Any) -> list[int]:
                return []

            def reset(self) -> None: ...

        with pytest.raises(ConfigError, match="endpointer: 2, one for each channel"):
            rig(endpointer=Deaf())
        both = [Deaf(), Deaf()]
        r = rig(endpointer=both)
        r.t.feed(TENTH)
        assert [one.started for one in both] == [16000, 16000]
        r.t.abort()

    def test_an_endpointer_that_raises(self) -> None:
        """It costs no channel its audio, or they would be apart from then on."""

        class Broken:
            def start(self, sample_rate: int) -> None: ...

            def hear(self, samples: Any) -> list[int]:
                raise ZeroDivisionError

            def reset(self) -> None: ...

        r = rig(endpointer=[Broken(), Broken()])
        answer_close(r)
        with pytest.raises(ZeroDivisionError):
            r.t.feed(TENTH)
        r.t.close()
        assert [wire.audio for wire in r.transports] == [LEFT * 1600, RIGHT * 1600]

    def test_figures(self) -> None:
        """What is billed is the sum; what was fed is what was fed."""
        r = rig()
        with r.t as t:
            t.feed(TENTH)
            for wire in r.transports:
                wire.until_sent(1)
            stats = t.stats
            assert stats.fed_seconds == pytest.approx(0.1)
            assert stats.billed_seconds == pytest.approx(0.2)
            assert (stats.sessions, stats.request_id) == (2, "r1")
            assert stats.stages.sent.count >= 1
            with pytest.raises(ConfigError, match="seconds of its own"):
                t.source_time(1.0)
            t.abort()

    def test_new(self) -> None:
        """Nothing is connected by the constructor."""
        r = rig()
        assert (r.t.state, r.t.text, r.t.partial) == ("NEW", "", "")
        assert repr(r.t) == "<Rigged NEW>"
        r.t.close()

    def test_recorded_apart(self, tmp_path: Any) -> None:
        """Two recordings, each with its own end."""
        r = rig(record=tmp_path)
        answer_close(r)
        with r.t as t:
            t.feed(TENTH)
            r.play(0.2)
        files = sorted(tmp_path.glob("*.jsonl"))
        assert len(files) == 2
        assert all(file.read_text().count('"event": "end"') == 1 for file in files)


def test_a_telephone_call() -> None:
    """Two people on two channels, heard by the recogniser: each line is one's own."""
    (one, first), (two, second) = list(clips().items())[:2]
    left = np.frombuffer(samples(one), np.int16)
    right = np.frombuffer(samples(two), np.int16)
    call = np.zeros((len(left) + len(right) + 8000, 2), np.int16)
    call[: len(left), 0] = left
    call[len(left) + 4000 : len(left) + 4000 + len(right), 1] = right
    events: list[Event] = []
    with (
        LocalServer() as server,
        Transcriber(
            base_url=server.base_url,
            api_key="any",
            source=STEREO,
            channels="split",
            max_buffer=60,
            close_timeout=60,
            on_event=events.append,
        ) as t,
    ):
        t.feed(call)
    lines = t.text.split("\n")
    assert [bool(line.strip()) for line in lines] == [True, True]
    assert word_errors(first, lines[0]) + word_errors(second, lines[1]) <= 4
    deltas = list(t.finals())
    assert [d.channel for d in deltas] == sorted(d.channel or 0 for d in deltas)
    words = t.transcript.words
    assert words is not None
    assert [w.start for w in words] == sorted(w.start for w in words)
    assert words[-1].channel == 1
    assert words[-1].start > len(left) / 16000
