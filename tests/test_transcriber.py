"""The public face and its two threads, on a clock and a connection of the test's."""

from __future__ import annotations

import gc
import logging
import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest

from cartesia_stt_sync import (
    AudioFormat,
    AuthenticationError,
    BufferFull,
    CartesiaSTTError,
    Closed,
    ClosedError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    ErrorEvent,
    Finding,
    Malformed,
    Reconnect,
    Reconnecting,
    ServerError,
    Transcriber,
    Transcript,
    Unknown,
    Word,
    WouldDeadlock,
)
from cartesia_stt_sync._transport import ServerClosed
from cartesia_stt_sync.audio import Converter
from cartesia_stt_sync.events import Done

from .fakes import FLUSHED, LIMIT, FakeTransport, Rig, final, partial

SECOND = bytes(32000)
CHUNK = bytes(3200)


def loud(seconds: float) -> bytes:
    """Audio that is not silence."""
    return b"\x11\x22" * int(16000 * seconds)


class TestOpening:
    """From the constructor to a connection that stands."""

    def test_constructor_does_no_io(self) -> None:
        """Nothing is connected before open."""
        rig = Rig()
        assert not rig.wire.opened
        assert rig.t.state == "NEW"
        rig.t.close()
        assert rig.t.state == "CLOSED"
        assert not rig.wire.opened

    def test_with_opens_and_closes(self) -> None:
        """A with block is a whole session."""
        rig = Rig()
        rig.wire.answer_close()
        with rig.t as t:
            assert t is rig.t
            assert t.state == "OPEN"
        assert rig.wire.sent == ["close"]
        assert rig.t.state == "CLOSED"
        assert rig.wire.closed

    def test_first_feed_opens(self) -> None:
        """Feeding needs no open before it."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.feed(CHUNK)
        assert rig.wire.opened
        rig.t.close()

    def test_first_finalize_opens(self) -> None:
        """Neither does finalizing."""
        rig = Rig()
        rig.wire.answer_close()
        future = rig.t.finalize()
        rig.wire.until_sent(1)
        rig.wire.push(FLUSHED)
        assert future.result(LIMIT) == ""
        rig.t.close()

    def test_open_twice_is_once(self) -> None:
        """A second open does nothing."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.open()
        rig.t.open()
        rig.t.close()
        with pytest.raises(ClosedError, match="make a new"):
            rig.t.open()

    def test_refusal_is_raised_and_final(self) -> None:
        """The handshake's error comes out of open, and out of every later call."""
        rig = Rig(FakeTransport(refuse=AuthenticationError("no", status_code=401)))
        with pytest.raises(AuthenticationError) as caught:
            rig.t.open()
        assert caught.value.status_code == 401
        for call in (lambda: rig.t.feed(CHUNK), rig.t.finalize, rig.t.close):
            with pytest.raises(AuthenticationError):
                call()
        assert rig.t.state == "CLOSED"
        assert rig.wire.closed

    def test_interrupt_while_connecting(self) -> None:
        """Ctrl-C in open ends the session for whoever else waits."""
        rig = Rig(FakeTransport(refuse=KeyboardInterrupt()))  # type: ignore[arg-type]  # on purpose
        with pytest.raises(KeyboardInterrupt):
            rig.t.open()
        with pytest.raises(ClosedError, match="interrupted"):
            rig.t.feed(CHUNK)

    def test_two_threads_open_one_session(self) -> None:
        """The second of two waits for the first, and no second connection is made."""
        entered, go = threading.Event(), threading.Event()

        class Slow(FakeTransport):
            def open(self) -> str | None:
                entered.set()
                assert go.wait(LIMIT)
                return super().open()

        rig = Rig(Slow())
        rig.wire.answer_close()
        threads = [threading.Thread(target=rig.t.open) for _ in range(2)]
        threads[0].start()
        assert entered.wait(LIMIT)
        assert rig.t.state == "CONNECTING"
        threads[1].start()
        rig.clock.until_waiting(threads[1].name)
        rig.t.feed(CHUNK)  # buffered meanwhile
        go.set()
        for thread in threads:
            thread.join(LIMIT)
        assert rig.t.stats.sessions == 1
        rig.t.close()
        assert rig.wire.audio == CHUNK

    def test_abort_while_connecting(self) -> None:
        """An abort reaches a connection that does not stand yet."""
        entered = threading.Event()

        class Slow(FakeTransport):
            def open(self) -> str | None:
                entered.set()
                self.until_aborted()
                raise ConnectError("aborted while connecting")

        rig = Rig(Slow())
        caught: list[BaseException] = []

        def opening() -> None:
            try:
                rig.t.open()
            except CartesiaSTTError as exc:
                caught.append(exc)

        thread = threading.Thread(target=opening)
        thread.start()
        assert entered.wait(LIMIT)
        rig.t.abort()
        thread.join(LIMIT)
        assert isinstance(caught[0], CartesiaSTTError)
        assert rig.t.state == "CLOSED"

    def test_forgotten_options_fail_before_io(self) -> None:
        """A bad argument is refused by name, by the constructor."""
        with pytest.raises(ConfigError, match="chunk: seconds"):
            Rig(chunk=0)
        with pytest.raises(ConfigError, match="source: AudioFormat"):
            Rig(source="pcm_s16le")
        with pytest.raises(ConfigError, match="reconnect: Reconnect"):
            Rig(reconnect=True)
        with pytest.raises(ConfigError, match="max_message"):
            Rig(max_message=1)
        with pytest.raises(ConfigError, match="api_key"):
            Transcriber()


class TestSending:
    """What goes out, and when."""

    def test_audio_goes_at_pace(self) -> None:
        """One chunk each 0.1 s, whatever was fed at once."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.feed(SECOND)
        rig.until_idle()
        assert [len(m) for m in rig.wire.sent] == [3200]
        rig.play(0.5)
        assert [len(m) for m in rig.wire.sent] == [3200] * 6
        rig.play(0.5)
        assert len(rig.wire.audio) == 32000
        rig.t.close()

    def test_finalize_wakes_a_sleeping_sender(self) -> None:
        """On an empty buffer a finalize goes without time passing."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.open()
        rig.until_idle()
        rig.t.finalize()
        assert rig.wire.until_sent(1) == ["finalize"]
        rig.t.close()

    def test_finalize_keeps_its_place(self) -> None:
        """A finalize goes right behind the audio fed before it, not sooner."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.feed(loud(0.25))
        rig.t.finalize()
        rig.t.feed(loud(0.1))
        rig.until_idle()
        assert rig.wire.commands == []
        rig.play(0.2)
        assert [len(m) for m in rig.wire.sent] == [3200, 3200, 1600, 8]
        rig.play(0.1)
        assert rig.wire.sent[4] == loud(0.1)
        rig.t.close()

    def test_feed_blocks_until_there_is_room(self) -> None:
        """With the buffer full, feed waits for the pacer."""
        rig = Rig(max_buffer=0.5)
        rig.wire.answer_close()
        rig.t.feed(loud(0.6))  # one goes out at once
        rig.until_idle()
        fed = threading.Event()

        def feeding() -> None:
            rig.t.feed(loud(0.1))
            fed.set()

        thread = threading.Thread(target=feeding, name="feeding")
        thread.start()
        rig.clock.until_waiting("feeding")
        assert not fed.is_set()
        rig.play(0.1)
        assert fed.wait(LIMIT)
        thread.join()
        rig.play(0.6)
        rig.t.close()
        assert rig.wire.audio == loud(0.7)

    def test_buffer_full_takes_nothing(self) -> None:
        """A feed that times out can be made again with the same audio."""
        rig = Rig(max_buffer=0.5)
        rig.wire.answer_close()
        rig.t.feed(loud(0.6))
        rig.until_idle()
        with pytest.raises(BufferFull, match=r"max_buffer=0\.5"):
            rig.t.feed(loud(0.3), timeout=0)
        assert rig.t.stats.fed_seconds == pytest.approx(0.6)
        rig.play(0.5)
        rig.t.feed(loud(0.3), timeout=0)
        rig.play(0.5)
        rig.t.close()
        assert len(rig.wire.audio) == len(loud(0.9))

    @pytest.mark.parametrize("timeout", [-1, "1", math.nan])
    def test_no_length_of_time(self, timeout: Any) -> None:
        """It is refused before anything is fed or closed."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.open()
        with pytest.raises(ConfigError, match="^timeout: seconds, at least 0, or None"):
            rig.t.feed(CHUNK, timeout=timeout)
        with pytest.raises(ConfigError, match="^timeout: seconds, at least 0, or None"):
            rig.t.close(timeout=timeout)
        rig.t.feed(CHUNK, timeout=math.inf)
        rig.t.close()
        assert rig.t.stats.sent_seconds == 0.1

    def test_a_small_buffer(self) -> None:
        """It holds two chunks; else a feed and what it holds up wait for each other."""
        rig = Rig(max_buffer=0.1)
        rig.t.feed(loud(0.06))
        rig.until_idle()
        assert len(rig.wire.audio) == len(loud(0.05))
        rig.t.abort()

    def test_buffer_full_while_it_reconnects(self) -> None:
        """A feed that finds no room then says that this is why."""
        rig = Rig(FakeTransport(), FakeTransport(), max_buffer=0.5)
        rig.t.feed(loud(0.5))
        rig.wire.until_sent(1)
        rig.wire.push(ConnectionLost("gone"))
        rig.until_retrying()
        with pytest.raises(BufferFull, match="the connection was lost"):
            rig.t.feed(loud(0.5), timeout=0)
        rig.t.abort()

    def test_feeds_do_not_mix(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of two threads feeding at once, each piece stays whole, however long."""
        rig = Rig(max_buffer=None, chunk=None)
        rig.t.open()
        began, go = threading.Event(), threading.Event()

        def slowly(self: Converter, audio: object) -> tuple[float, Iterator[object]]:
            def pieces() -> Iterator[object]:
                yield SECOND
                began.set()
                assert go.wait(LIMIT)
                yield SECOND

            return 2.0, pieces()

        (stream,) = rig.t._stream.streams
        monkeypatch.setattr(Converter, "pieces", slowly)
        first = threading.Thread(target=rig.t.feed, args=["two seconds"])
        first.start()
        assert began.wait(LIMIT)
        monkeypatch.undo()
        with pytest.raises(
            BufferFull, match="another thread was in the middle of feed"
        ):
            rig.t.feed(CHUNK, timeout=0)
        second = threading.Thread(target=rig.t.feed, args=[CHUNK], name="second")
        second.start()
        rig.clock.until_waiting("second")
        go.set()
        first.join(LIMIT)
        second.join(LIMIT)
        assert rig.t.stats.fed_seconds == pytest.approx(2.1)
        queued = stream.core.outbox._queue.runs[0].pieces
        assert bytes(queued[-1][0]) == CHUNK
        rig.t.abort()

    def test_blocked_feed_hears_of_close_at_once(self) -> None:
        """It does not wait for room that it may not use."""
        rig = Rig(max_buffer=0.1)
        rig.t.feed(loud(0.3))
        caught: list[Exception] = []

        def feeding() -> None:
            try:
                rig.t.feed(loud(0.3))
            except ClosedError as exc:
                caught.append(exc)

        thread = threading.Thread(target=feeding, name="feeding")
        thread.start()
        rig.clock.until_waiting("feeding")
        rig.t.close(wait=False)
        thread.join(LIMIT)
        assert len(caught) == 1
        rig.t.abort()

    def test_partial_samples_join(self) -> None:
        """Odd pieces of bytes are the same audio as whole ones."""
        rig = Rig()
        rig.wire.answer_close()
        audio = bytes(range(256)) * 25
        for begin in range(0, len(audio), 333):
            rig.t.feed(audio[begin : begin + 333])
        rig.play(0.4)
        rig.t.close()
        assert rig.wire.audio == audio

    def test_partial_sample_at_the_end_is_a_finding(self) -> None:
        """Half a sample cannot be sent; it is not lost in silence."""
        rig = Rig()
        rig.wire.answer_close()
        found: list[Finding] = []
        rig.t.on("finding", found.append)
        rig.t.feed(CHUNK + b"\1")
        rig.play(0.2)
        rig.t.close()
        assert [finding.code for finding in found] == ["partial-sample"]
        assert rig.t.findings == tuple(found)
        assert rig.wire.audio == CHUNK

    def test_arrays_and_formats(self) -> None:
        """Floats, integers and stereo become the wire's bytes."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.feed(np.zeros((800, 2), np.float32))
        rig.t.feed(np.full(800, 0.5))
        rig.play(0.2)
        rig.t.close()
        assert rig.wire.audio == bytes(1600) + b"\x00\x40" * 800

    def test_source_is_converted(self) -> None:
        """What is fed in another format arrives in the wire's."""
        rig = Rig(source=AudioFormat("pcm_f32le", 16000, 2))
        rig.wire.answer_close()
        rig.t.feed(np.full((1600, 2), 0.25, "<f4").tobytes())
        rig.play(0.2)
        rig.t.close()
        assert rig.wire.audio == b"\x00\x20" * 1600

    def test_resampled_audio_is_flushed_before_a_finalize(self) -> None:
        """The last samples in the resampler belong before the finalize."""
        rig = Rig(source=AudioFormat("pcm_s16le", 48000))
        rig.wire.answer_close()
        rig.t.feed(bytes(2 * 4800))
        rig.t.finalize()
        rig.play(0.2)
        assert len(rig.wire.audio) == 3200
        assert rig.wire.sent[-1] == "finalize"
        rig.t.close()

    def test_not_audio_is_refused_by_name(self) -> None:
        """A list or a text is no audio, and is told so before connecting."""
        rig = Rig()
        for wrong in ("text", [1, 2, 3], None, 7):
            with pytest.raises(ConfigError, match="audio: bytes-like"):
                rig.t.feed(wrong)
        assert not rig.wire.opened

    def test_mute_sends_silence_of_the_same_length(self) -> None:
        """While muted, what is fed is heard as silence."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.feed(loud(0.1))
        rig.t.mute()
        assert rig.t.muted
        rig.t.feed(loud(0.2))
        rig.t.unmute()
        assert not rig.t.muted
        rig.t.feed(loud(0.1))
        rig.play(0.5)
        rig.t.close()
        assert rig.wire.audio == loud(0.1) + bytes(6400) + loud(0.1)
        assert rig.t.stats.muted_seconds == pytest.approx(0.2)

    @pytest.mark.parametrize(
        ("encoding", "byte"), [("pcm_mulaw", b"\xff"), ("pcm_alaw", b"\xd5")]
    )
    def test_starved_stream_gets_the_encodings_silence(
        self, encoding: str, byte: bytes
    ) -> None:
        """A gap is filled in the encoding's own bytes, up to the limit."""
        rig = Rig(encoding=encoding, sample_rate=8000, silence_limit=0.5)
        rig.wire.answer_close()
        rig.t.feed(b"\x12" * 800)
        rig.play(3)
        assert rig.wire.audio == b"\x12" * 800 + byte * 800 * 5
        assert rig.t.stats.silence_seconds == pytest.approx(0.5)
        assert rig.t.stats.billed_seconds == pytest.approx(0.6)
        rig.t.close()

    def test_no_silence_once_answered(self) -> None:
        """Silence is billed: after a final none is sent but the keep-alive."""
        rig = Rig(keep_alive=5.0)
        rig.wire.answer_close()
        heard = threading.Event()
        rig.t.on("final", lambda event: heard.set())
        rig.t.feed(loud(0.1))
        rig.until_idle()
        rig.wire.push(final("word"))
        assert heard.wait(LIMIT)
        rig.play(4.9)
        assert rig.wire.audio == loud(0.1)
        rig.play(0.2)
        assert rig.wire.audio == loud(0.1) + CHUNK
        rig.t.close()

    def test_word_times_are_the_callers(self) -> None:
        """Silence put in is taken out of the words' times again."""
        rig = Rig()
        rig.t.feed(loud(0.1))
        rig.play(1.3)
        filled = rig.t.stats.silence_seconds
        assert filled == pytest.approx(1.0)
        rig.t.feed(loud(0.1))
        rig.play(0.1)
        said = final("hi", words=(Word("hi", 1.12, 1.18),))
        rig.wire.answer_close(said)
        rig.t.close()
        words = rig.t.transcript.words
        assert words is not None
        assert words[0].start == pytest.approx(0.12)
        assert words[0].end == pytest.approx(0.18)
        assert rig.t.source_time(1.12) == pytest.approx(0.12)


class TestReceiving:
    """What comes in, and whom it reaches."""

    def test_deltas_join_byte_for_byte(self) -> None:
        """Nothing is stripped, nothing is added, whoever looks at it."""
        texts = [" Hello", ", world ", "", "  ", "\u00e9\U0001f600", "!"]
        rig = Rig()
        finals: list[str] = []
        rig.t.on("final", lambda event: finals.append(event.text))
        rig.wire.answer_close(*map(final, texts))
        with rig.t as t:
            pass
        assert t.text == "".join(texts)
        assert finals == texts
        assert [delta.text for delta in t.finals()] == texts
        assert str(t.transcript) == t.text

    def test_partial_is_replaced(self) -> None:
        """A provisional tail stands until the next transcript."""
        rig = Rig()
        rig.t.open()
        seen: list[tuple[str, str]] = []
        done = threading.Event()

        def note(event: Transcript) -> None:
            seen.append((rig.t.text, rig.t.partial))
            if event.is_final:
                done.set()

        rig.t.on("transcript", note)
        rig.wire.push(partial("Hel"), partial("Hello"), final("Hello."))
        assert done.wait(LIMIT)
        assert seen == [("", "Hel"), ("", "Hello"), ("Hello.", "")]
        rig.wire.answer_close()
        rig.t.close()

    def test_finalize_gives_its_utterances_text(self) -> None:
        """Several finals, unprompted ones too, are one utterance."""
        rig = Rig()
        rig.t.open()
        first = rig.t.finalize()
        rig.wire.until_sent(1)
        rig.wire.push(final("One"), final(" two."), FLUSHED)
        assert first.result(LIMIT) == "One two."
        second, third = rig.t.finalize(), rig.t.finalize()
        rig.wire.until_sent(3)
        rig.wire.push(final(" Late."), FLUSHED, FLUSHED)
        assert second.result(LIMIT) == " Late."
        assert third.result(LIMIT) == ""
        rig.wire.answer_close(final(" End."))
        rig.t.close()
        assert rig.t.text == "One two. Late. End."
        assert rig.t.stats.finalizes == 3

    def test_unasked_flush_done_is_a_finding(self) -> None:
        """A flush_done nobody asked for answers nobody's finalize."""
        rig = Rig()
        rig.wire.answer_close(FLUSHED)
        rig.t.open()
        rig.t.close()
        assert [finding.code for finding in rig.t.findings] == ["unasked-flush-done"]

    def test_done_answers_what_flush_done_did_not(self) -> None:
        """After a clean end no future hangs, and none loses its text."""
        rig = Rig()
        rig.wire.answer_close(final("all"))
        rig.t.open()
        first, second = rig.t.finalize(), rig.t.finalize()
        rig.t.close()
        assert (first.result(0), second.result(0)) == ("all", "")

    def test_finalize_cannot_be_cancelled(self) -> None:
        """What was asked of the server cannot be taken back."""
        rig = Rig()
        rig.wire.answer_close()
        future = rig.t.finalize()
        assert not future.cancel()
        rig.t.close()
        assert future.exception(0) is None

    def test_malformed_and_unknown_messages_pass(self) -> None:
        """Garbage is an event and a counter, never a crash."""
        rig = Rig()
        rig.wire.answer_close()
        events = rig.t.events()
        rig.t.open()
        rig.wire.push(b"\xff\xfe", b"{}", b'{"type":"novelty","x":1}')
        got = [next(events) for _ in range(3)]
        assert [type(event) for event in got] == [Malformed, Malformed, Unknown]
        assert got[2].extra == {"x": 1}
        rig.t.close()
        assert rig.t.stats.malformed == 2
        assert [event.type for event in events] == ["done"]

    def test_events_drop_the_oldest_partials_first(self) -> None:
        """A reader that sleeps loses what the next transcript replaces anyway."""
        rig = Rig()
        slow = rig.t.events()
        slow.limit = 3  # type: ignore[attr-defined]  # smaller, for the test
        rig.wire.answer_close(
            final("a"), partial("b"), partial("c"), final("d"), final("e")
        )
        with rig.t:
            pass
        assert [str(e) if e.type == "transcript" else e.type for e in slow] == [
            "d",
            "e",
            "done",
        ]
        assert rig.t.stats.dropped_events == 3
        assert rig.t.text == "ade"

    def test_events_are_bounded_in_bytes_too(self) -> None:
        """A few huge events nobody reads take no more memory than many small ones."""
        rig = Rig()
        slow = rig.t.events()
        slow.limit_bytes = 1000  # type: ignore[attr-defined]  # smaller, for the test
        rig.t.open()
        huge = [b'{"type":"x","n":%d,"pad":"%s"}' % (n, b"-" * 450) for n in range(5)]
        rig.wire.push(*huge)
        rig.wire.answer_close(final("a"))
        rig.t.close()
        got = [event.extra.get("n", event.type) for event in slow]
        assert got == [4, "transcript", "done"]
        assert rig.t.stats.dropped_events == 4

    def test_finals_from_the_first_for_everyone(self) -> None:
        """Two iterators, one begun late, see the same deltas."""
        rig = Rig()
        rig.t.open()
        early: list[str] = []
        reader = threading.Thread(
            target=lambda: early.extend(d.text for d in rig.t.finals()), name="reader"
        )
        reader.start()
        rig.clock.until_waiting("reader")
        rig.wire.push(final("a"))
        rig.wire.answer_close(final("b"))
        rig.t.close()
        reader.join(LIMIT)
        assert early == ["a", "b"]
        assert [d.text for d in rig.t.finals()] == ["a", "b"]

    def test_finals_raise_after_the_last_delta(self) -> None:
        """The error comes, but not before the text that came."""
        rig = Rig()
        rig.t.open()
        rig.wire.push(final("kept"), ErrorEvent(message="boom", status_code=500))
        got: list[str] = []
        with pytest.raises(ServerError, match="boom") as caught:
            got.extend(d.text for d in rig.t.finals())
        assert caught.value.status_code == 500
        assert rig.t.text == "kept"
        with pytest.raises(ServerError):
            list(rig.t.events())
        with pytest.raises(ServerError):
            rig.t.close()


class TestCallbacks:
    """Callbacks run on the receiver, in order, and cannot hang it."""

    def test_order_and_thread(self, pooled: bool) -> None:
        """The type's own handlers first, then the shorthand's, then all events'."""
        calls: list[tuple[str, str]] = []
        where = "worker" if pooled else "receiver"

        def note(kind: str) -> Callable[[object], None]:
            return lambda event: calls.append(
                (kind, where * (where in threading.current_thread().name))
            )

        rig = Rig(on_final=note("final"), on_event=note("event"))
        rig.t.on("transcript", note("transcript"))
        rig.wire.answer_close(final("x"))
        with rig.t:
            pass
        assert calls[:3] == [
            ("transcript", where),
            ("final", where),
            ("event", where),
        ]

    def test_on_is_a_decorator_too(self) -> None:
        """Both spellings of the official SDK work."""
        rig = Rig()
        seen: list[str] = []

        @rig.t.on("partial")
        def show(event: Transcript) -> None:
            seen.append(event.text)

        assert rig.t.on("final", lambda event: seen.append(event.text)) is rig.t
        assert callable(show)
        rig.wire.answer_close(partial("p"), final("f"))
        with rig.t:
            pass
        assert seen == ["p", "f"]
        with pytest.raises(ConfigError, match="handler for 'final'"):
            rig.t.on("final", 7)  # type: ignore[call-overload]  # on purpose

    @pytest.mark.parametrize(
        ("handled", "attended", "level"),
        [(False, False, "ERROR"), (True, False, "INFO"), (False, True, "INFO")],
    )
    def test_an_error_that_nobody_is_told(
        self,
        handled: bool,
        attended: bool,
        level: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """It is in the log, with the session's number; one that is told is a note."""
        rig, over = Rig(reconnect=None), threading.Event()
        caplog.set_level(logging.INFO)
        rig.t.on("close", lambda closed: over.set())
        if handled:
            rig.t.on("error", lambda error: None)
        rig.t.open()
        if attended:
            rig.wire.push(final("a"))
            next(rig.t.finals())
        rig.t.close(wait=False)
        rig.wire.push(ErrorEvent(message="no credits", request_id="r7"))
        assert over.wait(LIMIT)
        rig.t.abort()
        [record] = [r for r in caplog.records if "session ended" in r.message]
        assert (record.levelname, vars(record)["request_id"]) == (level, "r7")
        assert "no credits" in record.message

    def test_a_key_whose_end_would_be_cut_off(self) -> None:
        """A broken message is quoted, and most of a key is as good as all of it."""
        key = "sk_car_0123456789abcdef"
        rig, seen = Rig(api_key=key), list[Malformed]()
        rig.t.on("malformed", seen.append)
        rig.wire.push(("x" * 190 + key).encode())
        rig.wire.answer_close()
        with rig.t:
            pass
        [event] = seen
        assert event.data == "x" * 190 + "***"

    def test_who_writes_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        """It is written where the context of whoever opened the session is known."""
        call: ContextVar[str] = ContextVar("call", default="")
        seen: list[tuple[str, object]] = []

        class Note(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                seen.append((call.get(), getattr(record, "finding", None)))

        log, handler = logging.getLogger("cartesia_stt_sync"), Note()
        log.addHandler(handler)
        try:
            token = call.set("call-7")
            rig = Rig()
            rig.t.open()
            call.reset(token)
            rig.wire.push(FLUSHED)  # that nobody has asked for
            rig.wire.answer_close()
            rig.t.close()
        finally:
            log.removeHandler(handler)
        assert ("call-7", rig.t.findings[0]) in seen

    def test_a_block_left_by_the_timeout_of_its_close(self) -> None:
        """What goes on in the background, as the message says, is not aborted."""
        rig = Rig()
        with pytest.raises(DrainTimeout, match="in the background"), rig.t:
            rig.t.close(timeout=0.0)
        assert rig.t.state == "DRAINING"
        rig.wire.until_sent(1)
        rig.wire.push(final("late"), Done(), ServerClosed(1000, ""))
        rig.t.close()
        assert rig.t.text == "late"

    def test_one_that_raises_is_reported(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its traceback is logged, on_error is told, and the rest go on."""
        errors: list[Exception] = []
        seen: list[str] = []
        rig = Rig(on_error=errors.append)

        def broken(event: Transcript) -> None:
            raise ValueError("mine")

        rig.t.on("final", broken).on("final", lambda event: seen.append(event.text))
        rig.wire.answer_close(final("x"))
        with caplog.at_level(logging.ERROR), rig.t:
            pass
        assert seen == ["x"]
        assert [str(error) for error in errors] == ["mine"]
        assert "mine" in caplog.text
        assert rig.t.stats.callback_errors == 1

    def test_slow_one_is_a_finding(self) -> None:
        """While a callback runs nothing is received, so a long one is told."""
        rig = Rig()
        rig.t.on("final", lambda event: rig.clock.advance(0.6))
        rig.wire.answer_close(final("x"), final("y"))
        with rig.t:
            pass
        assert [finding.code for finding in rig.t.findings] == ["slow-callback"]

    def test_close_in_a_callback_does_not_join_itself(self) -> None:
        """Closing from a callback drains in the background."""
        rig = Rig()
        rig.wire.answer_close(final("tail"))
        ended = threading.Event()
        rig.t.on("final", lambda event: rig.t.close()).on(
            "close", lambda event: ended.set()
        )
        rig.t.open()
        rig.wire.push(final("stop"))
        assert ended.wait(LIMIT)
        rig.t.close()
        assert rig.t.text == "stoptail"

    def test_abort_in_a_callback(self) -> None:
        """Aborting from a callback ends the session without a deadlock."""
        rig = Rig()
        ended = threading.Event()
        rig.t.on("final", lambda event: rig.t.abort()).on(
            "close", lambda event: ended.set()
        )
        rig.t.open()
        rig.wire.push(final("stop"))
        assert ended.wait(LIMIT)
        rig.t.close()

    def test_feed_in_a_callback_never_blocks(self) -> None:
        """With the buffer full a callback gets BufferFull at once."""
        rig = Rig(max_buffer=0.2)
        caught: list[Exception] = []
        told = threading.Event()

        def feeding(event: Transcript) -> None:
            try:
                rig.t.feed(loud(0.2))
            except BufferFull as exc:
                caught.append(exc)
            told.set()

        rig.t.on("final", feeding)
        rig.t.feed(loud(0.3))
        rig.wire.push(final("x"))
        assert told.wait(LIMIT)
        assert len(caught) == 1
        rig.t.abort()

    def test_waiting_in_a_callback_raises(self) -> None:
        """What only the receiver could bring is not waited for on the receiver."""
        rig = Rig()
        caught: list[Exception] = []
        future = rig.t.finalize()

        def waiting(event: Transcript) -> None:
            for wait in (
                future.result,
                lambda: future.exception(1),
                lambda: list(rig.t.finals()),
                lambda: next(iter(rig.t.events())),
            ):
                try:
                    wait()
                except WouldDeadlock as exc:
                    caught.append(exc)
            with pytest.raises(FutureTimeout):
                future.result(timeout=0)

        rig.t.on("final", waiting)
        rig.wire.answer_close(final("x"))
        rig.t.close()
        assert len(caught) == 4
        assert rig.t.stats.callback_errors == 0

    def test_a_futures_callback_may_call_back(self) -> None:
        """add_done_callback is the way to go on after a finalize in a callback."""
        rig = Rig()
        rig.wire.answer_close()
        texts: list[str] = []
        ended = threading.Event()

        def go_on(future: Future[str]) -> None:
            texts.append(future.result())
            rig.t.close()

        rig.t.on("close", lambda event: ended.set())
        rig.t.open()
        rig.t.finalize().add_done_callback(go_on)
        rig.wire.until_sent(1)
        rig.wire.push(final("x"), FLUSHED)
        assert ended.wait(LIMIT)
        rig.t.close()
        assert texts == ["x"]

    def test_system_exit_in_a_callback_leaves_nobody_waiting(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """If the receiver dies, the session fails; it does not hang."""
        rig = Rig()

        def leave(event: Transcript) -> None:
            raise SystemExit(3)

        rig.t.on("final", leave)
        future = rig.t.finalize()
        rig.wire.push(final("x"))
        with pytest.raises(CartesiaSTTError, match="SystemExit"):
            future.result(LIMIT)
        with pytest.raises(CartesiaSTTError, match="SystemExit"):
            rig.t.close()

    def test_a_futures_callback_that_exits_leaves_the_others_answered(self) -> None:
        """Every future gets its answer, whatever another one's callback does."""
        rig = Rig()
        futures = [rig.t.finalize() for _ in range(3)]

        def leave(future: Future[str]) -> None:
            raise SystemExit(3)

        futures[0].add_done_callback(leave)
        with suppress(SystemExit):  # or the driver was there first, and exits
            rig.t.abort()
        for future in futures:
            assert isinstance(future.exception(LIMIT), ClosedError)
        rig.t.close()

    def test_the_same_on_the_receiver(self, caplog: pytest.LogCaptureFixture) -> None:
        """There it ends the session, with the others answered as well."""
        rig = Rig()
        futures = [rig.t.finalize() for _ in range(3)]
        rig.wire.until_sent(3)

        def leave(future: Future[str]) -> None:
            raise SystemExit(3)

        for future in futures:
            future.add_done_callback(leave)
        rig.wire.push(final("x"), FLUSHED)
        assert futures[0].result(LIMIT) == "x"
        for future in futures[1:]:
            assert isinstance(future.exception(LIMIT), CartesiaSTTError)
        with pytest.raises(CartesiaSTTError, match="SystemExit"):
            rig.t.close()
        assert "died" in caplog.text

    def test_no_threads_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pair that cannot start ends the session and leaves nothing behind."""
        real = threading.Thread.start
        for which in (("-receiver", "-worker-1"), ("-sender", "-worker-2")):
            rig = Rig()

            def start(thread: threading.Thread, which: tuple[str, ...] = which) -> None:
                if thread.name.endswith(which):
                    raise RuntimeError("can't start new thread")
                real(thread)

            monkeypatch.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError):
                rig.t.open()
            monkeypatch.setattr(threading.Thread, "start", real)
            with pytest.raises(ClosedError, match="interrupted"):
                rig.t.close()
            rig.t.abort()
            assert rig.wire.closed


class TestStuck:
    """A wait that is too long ends in an error that names the stage."""

    def test_finalize(self) -> None:
        """From behind the audio to the answer; and stats has each stage's time."""
        rig = Rig(silence_after=None)
        rig.t.feed(loud(0.5))
        future = rig.t.finalize()
        with pytest.raises(
            FutureTimeout, match=r"within 0 s: stuck at 'queued': 0\.\d s"
        ):
            future.result(timeout=0)
        rig.play(0.6)
        rig.clock.advance(2.0)
        with pytest.raises(FutureTimeout, match=r"stuck at 'answered': sent 2\.\d s"):
            future.exception(timeout=0)
        rig.wire.push(final("x"), FLUSHED)
        assert future.result(LIMIT) == "x"
        stages = rig.t.stats.stages
        assert stages.answered.count == 1
        assert stages.answered.last == rig.t.stats.finalize_seconds
        assert stages.sent.count == 6
        assert stages.queued.longest == pytest.approx(0.4, abs=0.02)
        rig.t.abort()

    def test_the_sessions_own_timeout_is_not_renamed(self) -> None:
        """A future that a DrainTimeout ended raises that."""
        rig = Rig(close_timeout=1.0)
        future = rig.t.finalize()
        rig.t.close(wait=False)
        rig.wire.until_sent(2)
        rig.until_idle()
        rig.clock.advance(1.1)
        with pytest.raises(DrainTimeout, match="close is stuck at 'answered'"):
            future.result(LIMIT)

    def test_a_callback(self) -> None:
        """A handler that does not return is named, with its type."""
        rig = Rig()
        entered, leave = threading.Event(), threading.Event()

        def hang(event: Transcript) -> None:
            entered.set()
            assert leave.wait(LIMIT)

        rig.t.on("partial", hang)
        future = rig.t.finalize()
        rig.wire.until_sent(1)
        rig.wire.push(partial("x"), FLUSHED)
        assert entered.wait(LIMIT)
        with pytest.raises(
            FutureTimeout, match="stuck at 'callback': one for 'partial'"
        ):
            future.result(timeout=0)
        leave.set()
        assert future.result(LIMIT) == ""
        assert rig.t.stats.stages.callback.count == 1
        rig.t.abort()


class TestEnding:
    """Every way a session ends, and who is told."""

    def test_close_drains_at_pace(self) -> None:
        """The rest of the audio, close, every event, done; in that order."""
        rig = Rig()
        rig.t.feed(loud(0.5))
        rig.wire.answer_close(final("tail"))
        rig.t.close(wait=False)
        assert rig.t.state == "DRAINING"
        with pytest.raises(ClosedError, match="after close"):
            rig.t.feed(CHUNK)
        with pytest.raises(ClosedError, match="after close"):
            rig.t.finalize()
        rig.play(0.3)
        assert rig.wire.commands == []
        rig.until_idle()
        rig.clock.advance(0.1)
        rig.wire.until_sent(6)
        rig.t.close()
        assert rig.wire.audio == loud(0.5)
        assert rig.wire.sent[-1] == "close"
        assert rig.t.text == "tail"
        assert rig.t.state == "CLOSED"
        with pytest.raises(ClosedError):
            rig.t.feed(CHUNK)

    def test_budget_is_spent(self) -> None:
        """While the session ends, and when it has, what is refused says why."""
        rig = Rig(budget=0.2)
        rig.t.feed(loud(0.5))
        rig.play(0.3)
        rig.wire.until_sent(3)
        refused = r"the budget of 0\.2 s of audio is spent, .* a larger budget="
        for ended in (False, True):
            if ended:
                rig.wire.push(Done(), ServerClosed(1000, ""))
                rig.t.close()
            assert (rig.t.state == "CLOSED") == ended
            with pytest.raises(ClosedError, match=refused):
                rig.t.feed(CHUNK)
            with pytest.raises(ClosedError, match=refused):
                rig.t.finalize()
            with pytest.raises(ClosedError, match=refused):
                rig.t.config(keyterms=["a"])

    def test_close_is_idempotent(self) -> None:
        """Closing again is nothing, and sends nothing."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.open()
        rig.t.close()
        rig.t.close()
        rig.t.abort()
        assert rig.wire.sent == ["close"]

    def test_silent_server_is_a_drain_timeout(self) -> None:
        """Without done the wait ends, and the text is kept."""
        rig = Rig(close_timeout=4.0)
        rig.t.open()
        future = rig.t.finalize()
        rig.wire.push(final("kept"))
        assert next(rig.t.finals()).text == "kept"
        rig.t.close(wait=False)
        rig.wire.until_sent(2)
        rig.until_idle()
        rig.clock.advance(4.0)
        with pytest.raises(DrainTimeout, match="close_timeout=4"):
            rig.t.close()
        with pytest.raises(DrainTimeout):
            future.result(LIMIT)
        assert rig.t.text == "kept"

    def test_slow_callbacks_are_not_the_servers_silence(self) -> None:
        """What came in time is not lost because callbacks took theirs."""
        rig = Rig(close_timeout=1.0)
        rig.t.on("final", lambda event: rig.clock.advance(0.4))
        rig.t.open()
        rig.wire.answer_close(*[final(str(number)) for number in range(6)])
        rig.t.close()
        assert rig.t.text == "012345"

    def test_a_callback_that_hangs_is_named(self) -> None:
        """One that does not return ends the wait all the same, and is to blame."""
        rig = Rig(close_timeout=1.0)
        entered, go = threading.Event(), threading.Event()

        def hang(event: Transcript) -> None:
            entered.set()
            assert go.wait(LIMIT)

        rig.t.on("final", hang)
        rig.t.open()
        rig.wire.push(final("x"))
        assert entered.wait(LIMIT)
        rig.clock.advance(0.5)
        rig.t.close(wait=False)
        rig.wire.until_sent(1)
        rig.until_idle()
        rig.clock.advance(1.1)
        with pytest.raises(DrainTimeout, match="'callback': one for 'final'"):
            list(rig.t.finals())
        go.set()
        with pytest.raises(DrainTimeout):
            rig.t.close()

    def test_close_with_a_timeout_goes_on_behind(self) -> None:
        """The caller's limit is the caller's; the session still ends cleanly."""
        rig = Rig()
        rig.wire.answer_close(final("tail"))
        rig.t.feed(loud(0.5))
        with pytest.raises(DrainTimeout, match=r"'queued': 0\.\d s of audio"):
            rig.t.close(timeout=0)
        rig.play(0.3)
        rig.clock.advance(0.1)
        rig.t.close()
        assert rig.t.text == "tail"

    def test_normal_end_without_done_is_a_finding(self) -> None:
        """Third parties report it, so it is clean, but told."""
        rig = Rig()
        rig.wire.on_send = lambda data: rig.wire.push(
            final("x"), ServerClosed(1000, "")
        )
        with rig.t:
            pass
        assert rig.t.text == "x"
        assert [finding.code for finding in rig.t.findings] == ["no-done"]

    @pytest.mark.parametrize("end", [Done(), ServerClosed(1000, "bye")])
    def test_early_end_is_a_loss(self, end: Done | ServerClosed) -> None:
        """Before close was sent, done and a normal close are no clean end."""
        rig = Rig()
        rig.t.open()
        rig.wire.push(final("x"), end)
        with pytest.raises(ConnectionLost, match="kept") as caught:
            list(rig.t.finals())
        assert caught.value.close_code == 1000
        assert rig.t.text == "x"
        with pytest.raises(ConnectionLost):
            rig.t.close()

    def test_error_reaches_every_waiting_caller(self) -> None:
        """feed, a future, finals, events and close all end, each with its own copy."""
        rig = Rig(max_buffer=0.1)
        rig.t.feed(loud(0.3))
        future = rig.t.finalize()
        caught: dict[str, BaseException] = {}

        def waiting(name: str, call: object) -> threading.Thread:
            def run() -> None:
                try:
                    call()  # type: ignore[operator]  # a function
                except ServerError as exc:
                    caught[name] = exc

            thread = threading.Thread(target=run, name=name)
            thread.start()
            return thread

        threads = [
            waiting("feed", lambda: rig.t.feed(loud(0.3))),
            waiting("result", lambda: future.result(LIMIT)),
            waiting("finals", lambda: list(rig.t.finals())),
            waiting("events", lambda: list(rig.t.events())),
        ]
        for name in ("feed", "finals", "events"):
            rig.clock.until_waiting(name)
        rig.wire.push(final("kept"), ErrorEvent(message="boom"))
        for thread in threads:
            thread.join(LIMIT)
        assert set(caught) == {"feed", "result", "finals", "events"}
        assert len(set(map(id, caught.values()))) == 4
        assert rig.t.text == "kept"
        with pytest.raises(ServerError):
            rig.t.close()

    def test_error_reaches_callers_while_a_callback_runs(self) -> None:
        """A receiver that is busy holds up nobody: the sender finds the loss too."""
        rig = Rig(reconnect=None)
        busy, go = threading.Event(), threading.Event()

        def slow(event: Transcript) -> None:
            busy.set()
            assert go.wait(LIMIT)

        rig.t.on("final", slow)
        rig.t.open()
        rig.wire.push(final("x"))
        assert busy.wait(LIMIT)
        rig.wire.broken = ConnectionLost("reset")
        future = rig.t.finalize()
        rig.wire.until_aborted()
        rig.until_idle()
        assert not future.done(), "the receiver may have the server's own word"
        rig.clock.advance(0.05)
        with pytest.raises(ConnectionLost, match="reset"):
            future.result(LIMIT)
        with pytest.raises(ConnectionLost, match="reset"):
            rig.t.feed(CHUNK)
        go.set()
        with pytest.raises(ConnectionLost, match="reset"):
            rig.t.close()

    def test_the_servers_word_beats_the_senders_loss(self) -> None:
        """A close code that is in hand says more than a write that failed."""
        rig = Rig()
        busy, go = threading.Event(), threading.Event()

        def slow(event: Transcript) -> None:
            busy.set()
            assert go.wait(LIMIT)

        rig.t.on("final", slow)
        rig.t.open()
        rig.wire.push(final("x"))
        assert busy.wait(LIMIT)
        rig.wire.push(ServerClosed(1008, "policy"))
        rig.wire.broken = ConnectionLost("reset")
        rig.t.feed(CHUNK)
        rig.wire.until_aborted()
        go.set()
        with pytest.raises(ConnectionLost, match="1008"):
            list(rig.t.finals())
        with pytest.raises(ConnectionLost, match="1008"):
            rig.t.close()

    def test_callbacks_hear_of_the_end_last(self) -> None:
        """error, then close, then nothing."""
        told: list[object] = []
        rig = Rig(on_error=told.append)
        rig.t.on("close", told.append)
        rig.t.open()
        rig.wire.push(ServerClosed(1008, "policy"))
        with pytest.raises(ConnectionLost, match="1008"):
            list(rig.t.finals())
        with pytest.raises(ConnectionLost, match="policy"):
            rig.t.close()
        error, closed = told
        assert isinstance(error, ConnectionLost)
        assert isinstance(closed, Closed)
        assert (closed.code, closed.reason) == (1008, "policy")
        assert closed.error is error

    def test_abort_frees_everyone(self) -> None:
        """Waiting callers get ClosedError, iterators end, the text stays."""
        rig = Rig()
        rig.t.open()
        future = rig.t.finalize()
        heard = threading.Event()
        rig.t.on("final", lambda event: heard.set())
        rig.wire.push(final("kept"))
        assert heard.wait(LIMIT)
        rig.t.abort()
        with pytest.raises(ClosedError, match="aborted"):
            future.result(0)
        assert [d.text for d in rig.t.finals()] == ["kept"]
        with pytest.raises(ClosedError):
            rig.t.feed(CHUNK)
        rig.t.close()
        assert rig.t.text == "kept"

    def test_exception_in_with_aborts(self) -> None:
        """The caller's own error is not held up by draining."""
        rig = Rig()
        with pytest.raises(ZeroDivisionError), rig.t as t:
            t.feed(loud(5))
            1 / 0  # noqa: B018  # on purpose
        assert rig.t.state == "CLOSED"
        assert "close" not in rig.wire.commands

    def test_server_that_never_closes_is_cut(self) -> None:
        """After done the close frame is waited for, but not for ever."""
        rig = Rig()
        done = threading.Event()
        rig.t.on("done", lambda event: done.set())
        rig.t.open()
        rig.wire.on_send = lambda data: rig.wire.push(Done())
        rig.t.close(wait=False)
        assert done.wait(LIMIT)
        rig.clock.advance(0)  # whoever waited for done now waits for the close
        rig.until_idle()
        rig.clock.advance(1.0)
        rig.t.close()
        assert rig.wire.closed

    def test_blocked_sender_is_freed(self) -> None:
        """A send that does not return ends with the session."""
        rig = Rig()
        rig.wire.stuck = True
        rig.t.feed(CHUNK)
        rig.t.abort()
        assert rig.wire.closed

    def test_forgotten_transcriber_warns_and_drains(self) -> None:
        """One that is dropped is noticed, drained, and frees its threads."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.feed(CHUNK)
        with pytest.warns(ResourceWarning, match="never closed"):
            del rig.t
            gc.collect()
        rig.wire.until_sent(2)
        assert rig.wire.commands == ["close"]

    def test_it_is_drained_where_warnings_are_errors_too(self) -> None:
        """The warning comes last, for it may raise."""
        rig = Rig()
        rig.wire.answer_close()
        rig.t.open()
        unraisable: list[object] = []
        hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                del rig.t
                gc.collect()
        finally:
            sys.unraisablehook = hook
        assert len(unraisable) == 1
        assert rig.wire.until_sent(1) == ["close"]


class TestReconnecting:
    """A loss that is worth it costs time, and no words."""

    def test_callbacks_see_the_openers_context_on_every_connection(self) -> None:
        """Handlers after a reconnect, and of the reconnect itself, too."""
        request: ContextVar[str] = ContextVar("request", default="none")
        seen: list[str] = []
        rig = Rig(FakeTransport(), FakeTransport())
        for kind in ("reconnect", "final", "close"):
            rig.t.on(kind, lambda event: seen.append(request.get()))
        token = request.set("r-1")
        rig.t.open()
        request.reset(token)
        future = rig.t.finalize()
        future.add_done_callback(lambda future: seen.append(request.get()))
        rig.wire.until_sent(1)
        rig.wire.push(ConnectionLost("gone"))
        rig.until_retrying()
        rig.clock.advance(0.3)
        again = rig.transports[1]
        again.until_sent(1)
        again.push(final("x"), FLUSHED)
        again.answer_close()
        rig.t.close()
        assert seen == ["r-1"] * 4

    def test_unanswered_audio_is_sent_again(self) -> None:
        """From the last answer on, in order, before what is new."""
        second = FakeTransport(request_id="req-2")
        rig = Rig(FakeTransport(), second, reconnect=Reconnect(first_delay=1.0))
        told: list[Reconnecting] = []
        ready = threading.Event()
        rig.t.on("reconnect", told.append).on("reconnect", lambda plan: ready.set())
        rig.t.feed(loud(0.2))
        answered = rig.t.finalize()
        rig.play(0.2)
        rig.wire.push(final("One"), FLUSHED)
        assert answered.result(LIMIT) == "One"
        rig.t.feed(b"\x33\x44" * 3200)
        pending = rig.t.finalize()
        rig.play(0.2)
        assert rig.wire.commands == ["finalize", "finalize"]
        rig.wire.push(ConnectionLost("reset"))
        assert ready.wait(LIMIT)
        assert rig.t.state == "CONNECTING"
        rig.until_retrying()
        rig.t.feed(b"\x55\x66" * 1600)
        rig.clock.advance(1.0)
        second.until_sent(1)
        rig.play(0.3)
        assert second.audio == b"\x33\x44" * 3200 + b"\x55\x66" * 1600
        assert second.sent[2] == "finalize"
        second.push(final(" two"), FLUSHED)
        assert pending.result(LIMIT) == " two"
        second.answer_close()
        rig.t.close()
        assert rig.t.text == "One two"
        assert told == [Reconnecting(attempt=1, delay=1.0, replay_seconds=0.2)]
        stats = rig.t.stats
        assert (stats.sessions, stats.request_id) == (2, "req-2")
        assert stats.replayed_seconds == pytest.approx(0.2)
        assert stats.sent_seconds == pytest.approx(0.5)
        assert stats.billed_seconds == pytest.approx(0.7)

    def test_quiet_is_skipped(self) -> None:
        """And counted, where it was fed while there was no connection."""
        second = FakeTransport()
        rig = Rig(
            *(FakeTransport(), second),
            silence_after=None,
            max_buffer=None,
            reconnect=Reconnect(first_delay=6.0),
        )
        rig.t.feed(loud(0.2))
        rig.play(0.2)
        answered = rig.t.finalize()
        rig.wire.push(final("One"), FLUSHED)
        assert answered.result(LIMIT) == "One"
        rig.wire.push(ConnectionLost("reset"))
        rig.until_retrying()
        rig.t.feed(bytes(5 * 32000))
        rig.t.feed(loud(0.1))
        rig.clock.advance(6.0)
        second.until_sent(1)
        rig.play(1.0)
        assert second.audio == bytes(16000) + loud(0.1)
        stats = rig.t.stats
        assert stats.skipped_seconds == pytest.approx(4.5)
        assert stats.fed_seconds == pytest.approx(5.3)
        assert stats.sent_seconds == pytest.approx(5.3)
        assert stats.billed_seconds == pytest.approx(0.8)
        rig.t.abort()

    def test_pending_close_keeps_its_place(self) -> None:
        """A session lost while draining is drained on the next connection."""
        second = FakeTransport()
        rig = Rig(FakeTransport(), second)
        second.answer_close(final("tail"))
        rig.wire.on_send = lambda data: (
            rig.wire.push(ServerClosed(1012, "")) if data == "close" else None
        )
        rig.t.feed(CHUNK)
        rig.t.close(wait=False)
        rig.until_retrying()
        rig.clock.advance(0.25)
        second.until_sent(2)
        rig.t.close()
        assert second.sent == [CHUNK, "close"]
        assert rig.t.text == "tail"

    def test_both_threads_notice_one_loss(self) -> None:
        """The second to notice does not take the next connection for the lost one."""
        second = FakeTransport()
        rig = Rig(FakeTransport(), second, reconnect=Reconnect(first_delay=0))
        rig.t.open()
        rig.wire.broken = ConnectionLost("reset")
        future = rig.t.finalize()
        assert second.until_sent(1) == ["finalize"]
        second.push(FLUSHED)
        assert future.result(LIMIT) == ""
        second.answer_close()
        rig.t.close()
        assert rig.t.stats.sessions == 2

    def test_gives_up(self) -> None:
        """After the last attempt the loss is told, typed, and everyone is freed."""
        refusals = [FakeTransport(refuse=ConnectError("down")) for _ in range(2)]
        rig = Rig(FakeTransport(), *refusals, reconnect=Reconnect(attempts=2))
        future = rig.t.finalize()
        rig.wire.push(ConnectionLost("reset"))
        for _ in range(2):
            rig.until_retrying()
            rig.clock.advance(8.0)
        with pytest.raises(ConnectionLost, match="gave up: down"):
            future.result(LIMIT)
        with pytest.raises(ConnectionLost):
            rig.t.close()
        assert all(wire.closed for wire in rig.transports)

    def test_refused_for_good(self) -> None:
        """A refusal that time cannot mend ends it at once."""
        refusal = FakeTransport(refuse=AuthenticationError("no", status_code=401))
        rig = Rig(FakeTransport(), refusal)
        rig.t.open()
        rig.wire.push(ConnectionLost("reset"))
        rig.until_retrying()
        rig.clock.advance(0.25)
        with pytest.raises(AuthenticationError):
            list(rig.t.finals())
        with pytest.raises(AuthenticationError):
            rig.t.close()

    def test_abort_ends_the_waiting(self) -> None:
        """An abort between two attempts is not waited out."""
        rig = Rig()
        rig.t.open()
        rig.wire.push(ConnectionLost("reset"))
        rig.until_retrying()
        rig.t.abort()
        assert rig.t.state == "CLOSED"

    def test_abort_while_connecting_again(self) -> None:
        """An abort during the handshake of a second connection ends that one."""
        entered = threading.Event()

        class Slow(FakeTransport):
            def open(self) -> str | None:
                entered.set()
                self.until_aborted()
                return super().open()  # it stood just before it was cut

        second = Slow()
        rig = Rig(FakeTransport(), second)
        rig.t.open()
        rig.wire.push(ConnectionLost("reset"))
        rig.until_retrying()
        rig.clock.advance(0.25)
        assert entered.wait(LIMIT)
        rig.t.abort()
        assert second.closed

    def test_not_without_a_policy(self) -> None:
        """With reconnect=None the first loss is the end."""
        rig = Rig(reconnect=None)
        rig.t.open()
        rig.wire.push(ConnectionLost("reset"))
        with pytest.raises(ConnectionLost, match="reset"):
            list(rig.t.finals())
        with pytest.raises(ConnectionLost):
            rig.t.close()


class TestKey:
    """The key is in no error, also where the server sends it back."""

    KEY = "sk_car_0123456789abcdef"

    def test_in_an_error_event(self) -> None:
        """Whoever is told of it: handlers, callers, and the raw event."""
        rig = Rig(api_key=self.KEY, reconnect=None)
        told: list[object] = []
        for kind in ("event", "error", "close"):
            rig.t.on(kind, told.append)
        rig.t.open()
        said = f"bad {self.KEY}"
        more = {"hint": said, "n": 1}
        rig.wire.push(ErrorEvent(message=said, title=said, doc_url=said, extra=more))
        with pytest.raises(ServerError) as caught:
            list(rig.t.finals())
        rig.t.abort()
        assert caught.value.title == "bad ***"
        assert self.KEY not in repr([caught.value, caught.value.__dict__, told])

    def test_in_the_reason_of_a_close_frame(self) -> None:
        """It is in the error, and told with the end."""
        rig = Rig(api_key=self.KEY, reconnect=None)
        told: list[object] = []
        rig.t.on("close", told.append)
        rig.t.open()
        rig.wire.push(ServerClosed(1008, f"bad {self.KEY}"))
        with pytest.raises(ConnectionLost, match=r"bad \*\*\*"):
            list(rig.t.finals())
        rig.t.abort()
        assert self.KEY not in repr(told)
