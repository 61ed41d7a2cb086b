"""Many transcribers on one pool: what each of them does to the others, namely nothing.

What one does by itself is in the tests of the public face: `pytest --pooled` runs them
in a pool.
"""

from __future__ import annotations

import gc
import logging
import os
import struct
import threading
import time
from typing import Any

import pytest

from cartesia_stt_sync import (
    CartesiaSTTError,
    ClosedError,
    ConfigError,
    ConnectError,
    ConnectionLost,
    Pool,
    Reconnect,
    ServerError,
    Transcriber,
    Transcript,
    TurnTranscriber,
    _receiving,
    checks,
)
from cartesia_stt_sync._core import Core
from cartesia_stt_sync._crew import Crew
from cartesia_stt_sync._member import Member
from cartesia_stt_sync._receiving import Receiving
from cartesia_stt_sync._transport import ServerClosed
from cartesia_stt_sync.events import Done
from cartesia_stt_sync.server import LocalServer
from cartesia_stt_sync.wire import dump

from .conftest import Tls
from .fakes import FLUSHED, LIMIT, FakeTransport, Rig, final
from .peer import Connection, Peer, silent
from .programs import python

SCRIPT = [(0.1, "Hello"), (0.2, " world")]
CHUNK = bytes(3200)


def transcriber(url: str, pool: Pool, **options: Any) -> Transcriber:
    """One in a pool."""
    return Transcriber(**{"api_key": "k", "base_url": url, "pool": pool, **options})


def member(t: Transcriber) -> Member:
    """What drives it."""
    driver = t._stream.streams[0].driver
    assert isinstance(driver, Member)
    return driver


def threads() -> list[str]:
    """What those of pools are called, without the pool's number."""
    names = [x.name for x in threading.enumerate() if "stt-pool" in x.name]
    return sorted(name.split("-", 4)[-1] for name in names)


def answers(peer: Connection) -> None:
    """Serve until ``close``."""
    peer.accept()
    peer.read_until("close")
    peer.send(dump(Done()))
    peer.send_close(1000)
    peer.until_gone()


class Held:
    """A callback that is held until it may go on."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self, event: object) -> None:
        self.entered.set()
        assert self.go.wait(LIMIT)


class TestThreads:
    """There are a few, as long as they are needed."""

    def test_from_the_first_to_the_last(self) -> None:
        """However many transcribers there are; and then once more."""
        pool = Pool()
        with LocalServer(script=SCRIPT) as server:
            for _ in range(2):
                ts = [transcriber(server.base_url, pool) for _ in range(3)]
                assert threads() == []
                for t in ts:
                    t.open()
                assert threads() == ["worker-1", "worker-2"]
                assert repr(pool) == "<Pool of 3 streams>"
                for t in ts:
                    t.close()
                assert threads() == []
                assert repr(pool) == "<Pool of 0 streams>"

    @pytest.mark.parametrize("which", ["worker-1", "worker-2"])
    def test_none_to_be_had(self, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Opening fails, leaves nothing behind, and may go well later."""
        real, pool = threading.Thread.start, Pool()

        def start(thread: threading.Thread) -> None:
            if thread.name.endswith(which):
                raise RuntimeError("can't start new thread")
            real(thread)

        rig = Rig(pool=pool)
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            rig.t.open()
        monkeypatch.setattr(threading.Thread, "start", real)
        assert rig.wire.closed
        with pytest.raises(ClosedError, match="interrupted"):
            rig.t.close()
        again = Rig(pool=pool)
        again.wire.answer_close()
        with again.t:
            pass

    def test_no_descriptors_to_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nor does one leave anything that cannot make its selector."""

        def fails() -> None:
            raise OSError("too many open files")

        rig = Rig(pool=Pool())
        monkeypatch.setattr("selectors.DefaultSelector", fails)
        with pytest.raises(OSError, match="too many"):
            rig.t.open()
        assert rig.wire.closed
        rig.t.abort()

    def test_no_thread_to_connect_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is tried again, as where the server is not to be reached."""
        real, refused = threading.Thread.start, threading.Event()

        def start(thread: threading.Thread) -> None:
            if "-dial-" in thread.name and not refused.is_set():
                refused.set()
                raise RuntimeError("can't start new thread")
            real(thread)

        monkeypatch.setattr(threading.Thread, "start", start)
        rig = Rig(FakeTransport(), FakeTransport(), pool=Pool())
        rig.transports[1].answer_close()
        rig.t.open()
        rig.wire.push(ConnectionLost("gone"))
        for _ in range(2):
            rig.until_retrying()
            rig.clock.advance(8.0)
        rig.t.close()
        assert refused.is_set()
        assert rig.t.stats.sessions == 2


class TestOthers:
    """What one transcriber's server, callback or bug does is its own affair."""

    def test_a_slow_callback(self) -> None:
        """All others go on, from the first word to the end."""
        pool, held = Pool(workers=2), Held()
        said: list[str] = []
        with LocalServer(script=SCRIPT, max_streams=None) as server:
            slow = transcriber(server.base_url, pool, on_final=held)
            slow.feed(CHUNK)
            assert held.entered.wait(LIMIT)
            for _ in range(5):
                with transcriber(
                    server.base_url, pool, on_final=lambda d: said.append(d.text)
                ) as t:
                    t.feed(CHUNK * 2)
                    t.finalize().add_done_callback(lambda f: said.append("!"))
            assert not held.go.is_set()
            held.go.set()
            slow.close()
        assert "".join(said).replace("!", "") == "Hello world" * 5
        assert said.count("!") == 5

    def test_a_callback_known_to_be_slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It does not run on who reads, until it has been quick again."""
        ways: list[str] = []
        for way in ("put", "submit"):
            usual = getattr(Crew, way)

            def noted(self: Crew, job: Any, way: str = way, usual: Any = usual) -> None:
                ways.append(way)
                usual(self, job)

            monkeypatch.setattr(Crew, way, noted)
        rig = Rig(pool=Pool())
        came = threading.Semaphore(0)
        rig.t.on("event", lambda e: came.release())
        rig.t.open()
        for limit in (LIMIT, 0.0, LIMIT, LIMIT):  # the second counts as slow
            monkeypatch.setattr(_receiving, "_QUICK", limit)
            rig.wire.push(final("x"))
            assert came.acquire(timeout=LIMIT)
            while member(rig.t)._busy:
                time.sleep(0.001)
        assert ways == ["put", "put", "submit", "put"]
        rig.t.abort()

    def test_a_server_that_does_not_read(self) -> None:
        """Its own stream is lost by ``io_timeout``; the others notice nothing."""
        leave = threading.Event()

        def deaf(peer: Connection) -> None:
            peer.accept()
            assert leave.wait(3 * LIMIT)

        pool = Pool()
        options: dict[str, Any] = {
            "encoding": "pcm_s32le",
            "sample_rate": 768_000,  # three megabytes a second: no buffer holds it
            "max_buffer": None,
            "chunk": None,
            "io_timeout": 0.5,
            "reconnect": None,
        }
        with Peer(deaf) as peer, LocalServer(script=SCRIPT) as server:
            stuck = transcriber(peer.url, pool, **options)
            stuck.feed(bytes(768_000 * 4 * 8))
            with transcriber(server.base_url, pool) as t:
                t.feed(CHUNK * 2)
            assert t.text == "Hello world"
            # Who notices first, the pool's timer or the system's, is open.
            with pytest.raises(ConnectionLost, match="io_timeout|timed out"):
                list(stuck.finals())
            with pytest.raises(ConnectionLost):
                stuck.close()
            leave.set()

    def test_a_message_that_takes_too_long(self) -> None:
        """Its time is up when that of ``io_timeout`` is, and not a moment sooner."""
        rig = Rig(pool=Pool(), io_timeout=5.0, reconnect=None)
        rig.wire.stuck = True
        rig.t.feed(CHUNK)
        rig.until_idle()
        rig.clock.advance(4.9)
        rig.until_idle()
        assert rig.t.state == "OPEN"
        with rig.t._stream.lock:
            stage = rig.t._stream.streams[0].core.stuck(rig.clock.now())
        assert stage.startswith("'sent': the server has read nothing for 4.9 s")
        rig.clock.advance(0.2)
        rig.wire.until_aborted()
        with pytest.raises(ConnectionLost, match="io_timeout=5 s"):
            rig.t.close()

    def test_a_message_that_goes_after_all(self) -> None:
        """Then the next ones go as ever."""
        rig = Rig(pool=Pool())
        rig.wire.stuck = True
        rig.t.feed(CHUNK * 3)
        rig.until_idle()
        assert rig.wire.sent == []
        rig.wire.unstick()
        rig.wire.until_sent(1)
        rig.play(0.3)
        rig.wire.answer_close()
        rig.t.close()
        assert rig.wire.audio == CHUNK * 3

    @pytest.mark.parametrize("how", ["abort", "loss"])
    def test_an_end_while_a_message_is_stuck(self, how: str) -> None:
        """It is cut, or begun anew on the next connection."""
        rig = Rig(FakeTransport(), FakeTransport(), pool=Pool())
        rig.wire.stuck = True
        rig.t.feed(CHUNK)
        rig.until_idle()
        if how == "abort":
            rig.t.abort()
            assert rig.wire.closed
            return
        rig.wire.push(ConnectionLost("gone"))
        rig.until_retrying()
        rig.clock.advance(0.3)
        assert rig.transports[1].until_sent(1) == [CHUNK]
        rig.transports[1].answer_close()
        rig.t.close()

    def test_a_server_that_reads_late(self) -> None:
        """What had no room goes out as it gets some, and in order."""
        go, got = threading.Event(), bytearray()

        def late(peer: Connection) -> None:
            peer.accept()
            assert go.wait(LIMIT)
            for data in peer.read_until("close"):
                got.extend(data)
            peer.send(dump(Done()))
            peer.send_close(1000)
            peer.until_gone()

        audio = struct.pack("<1000000I", *range(1_000_000)) * 4
        with Peer(late) as peer:
            t = transcriber(
                peer.url,
                Pool(),
                encoding="pcm_s32le",
                sample_rate=768_000,
                max_buffer=None,
                chunk=None,
                catch_up=None,
                checks=False,
                io_timeout=None,
            )
            t.feed(audio)
            t.close(wait=False)
            go.set()
            t.close()
        assert bytes(got) == audio

    @pytest.mark.parametrize("what", ["pings", "partials"])
    def test_a_flood(self, what: str) -> None:
        """One server that never stops does not keep the others from being heard."""
        leave = threading.Event()
        text = b'{"type":"transcript","text":"x","is_final":false}'
        frame = b"\x89\x01?" if what == "pings" else b"\x81" + bytes([len(text)]) + text

        def floods(peer: Connection) -> None:
            peer.accept()
            peer.sock.settimeout(1.0)
            try:
                while not leave.is_set():
                    peer.sock.sendall(frame * (65536 // len(frame)))
            except OSError:
                return

        pool = Pool()
        with Peer(floods) as peer, LocalServer(script=SCRIPT) as server:
            flooded = transcriber(peer.url, pool)
            flooded.open()
            with transcriber(server.base_url, pool) as t:
                t.feed(CHUNK * 2)
                assert t.finalize().result(LIMIT) == "Hello world"
            leave.set()
            flooded.abort()

    def test_one_that_exits_in_a_callback(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its session fails, and its error is logged; the threads go on."""
        pool = Pool(workers=1)

        def leave(event: object) -> None:
            raise SystemExit(3)

        with LocalServer(script=SCRIPT) as server:
            other = transcriber(server.base_url, pool)
            other.open()
            t = transcriber(server.base_url, pool, on_final=leave)
            t.on("close", leave)
            t.feed(CHUNK)
            with pytest.raises(CartesiaSTTError, match="SystemExit"):
                list(t.finals())
            with pytest.raises(CartesiaSTTError, match="SystemExit"):
                t.close()
            other.feed(CHUNK * 2)
            other.close()
        assert other.text == "Hello world"
        assert "a thread of the session died" in caplog.text
        assert "a callback for the end raised" in caplog.text

    @pytest.mark.parametrize("where", ["step", "take_in", "next_attempt"])
    def test_a_bug(
        self, where: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        """On any of the threads it ends one session, and no other."""
        pool = Pool()

        usual = getattr(Core, where)

        def bug(self: Core, *args: Any) -> Any:
            if self is core:
                raise ZeroDivisionError("a bug")
            return usual(self, *args)

        with Peer(answers) as peer:
            other = transcriber(peer.url, pool)
            other.open()
            rig = Rig()
            rig.t.abort()
            with LocalServer(script=SCRIPT) as server:
                t = transcriber(server.base_url, pool)
                t.open()
                core = t._stream.streams[0].core
                monkeypatch.setattr(Core, where, bug)
                if where == "next_attempt":
                    with t._stream.lock:
                        core.session.ended  # noqa: B018  # it stands
                    member(t).cut()
                else:
                    t.feed(CHUNK)
                with pytest.raises(CartesiaSTTError, match="a bug"):
                    list(t.finals())
                with pytest.raises(CartesiaSTTError, match="a bug"):
                    t.close()
            other.close()
        assert "a thread of the session died" in caplog.text

    def test_a_bug_in_connecting_again(self) -> None:
        """There, too."""

        class Broken(FakeTransport):
            def open(self) -> str | None:
                raise ZeroDivisionError("a bug")

        rig = Rig(FakeTransport(), Broken(), pool=Pool())
        rig.t.open()
        rig.wire.push(ConnectionLost("gone"))
        rig.until_retrying()
        rig.clock.advance(1.0)
        with pytest.raises(CartesiaSTTError, match="a bug"):
            list(rig.t.finals())
        rig.t.abort()
        assert rig.transports[1].closed

    def test_a_connection_that_cannot_be_watched(self) -> None:
        """A bug of a descriptor is one more."""

        class Odd(FakeTransport):
            def fileno(self) -> int:
                super().fileno()
                return -1

        rig = Rig(Odd(), pool=Pool())
        rig.t.open()
        with pytest.raises(CartesiaSTTError, match="died of ValueError"):
            list(rig.t.finals())
        rig.t.abort()

    def test_a_failure_of_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where not even waiting works, each session ends and says why."""
        pool = Pool()
        with LocalServer(script=SCRIPT) as server:
            ts = [transcriber(server.base_url, pool) for _ in range(3)]
            for t in ts:
                t.open()
            assert pool._engine is not None

            def fails(seconds: float | None) -> bool:
                raise OSError("no memory")

            monkeypatch.setattr(pool._engine.watch, "select", fails)
            ts[0].feed(CHUNK * 3)  # which wakes who leads
            for t in ts:
                with pytest.raises(CartesiaSTTError, match="no memory"):
                    list(t.finals())
                with pytest.raises(CartesiaSTTError, match="no memory"):
                    t.close()
        assert threads() == []

    def test_a_time_far_away(self) -> None:
        """No wait is longer than any system can wait."""
        rig = Rig(pool=Pool(), close_timeout=1e9)
        rig.t.open()
        rig.t.close(wait=False)
        rig.until_idle()
        assert rig.t.state == "DRAINING"
        rig.t.abort()
        with LocalServer(script=SCRIPT) as server:
            with transcriber(server.base_url, Pool(), io_timeout=1e9) as t:
                t.feed(CHUNK * 2)
        assert t.text == "Hello world"

    def test_many_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who leads takes in a few, and the rest is a job; all come, in order."""
        monkeypatch.setattr(_receiving, "_MOST_AT_ONCE", 2)
        put, jobs = Crew.put, []

        def noted(self: Crew, job: Any) -> None:
            jobs.append(job)
            put(self, job)

        monkeypatch.setattr(Crew, "put", noted)
        rig = Rig(pool=Pool())
        rig.t.open()
        rig.wire.push(*(final(text) for text in "abcde"))
        finals = rig.t.finals()
        assert [next(finals).text for _ in "abcde"] == [*"abcde"]
        assert len(jobs) == 1
        rig.wire.push(final("f"))
        assert next(finals).text == "f"
        assert len(jobs) == 1  # one alone needs none
        rig.t.abort()

    def test_always_slow(self) -> None:
        """What comes while a slow callback runs is slow, too, and is known to be."""
        rig, held = Rig(pool=Pool()), Held()
        told = threading.Semaphore(0)

        def slow(delta: Transcript) -> None:
            if delta.text == "a":
                held(delta)
            time.sleep(0.002)
            told.release()

        rig.t.on("final", slow)
        rig.t.open()
        rig.wire.push(final("a"))
        assert held.entered.wait(LIMIT)
        for text in "bcd":
            rig.wire.push(final(text))
        held.go.set()
        for _ in "abcd":
            assert told.acquire(timeout=LIMIT)
        while member(rig.t)._busy:
            time.sleep(0.001)
        assert not member(rig.t)._quick
        rig.t.abort()


class TestOrder:
    """Within one transcriber all is as with a pair."""

    def test_callbacks(self) -> None:
        """One at a time, each event in its turn, on however many threads."""
        rig = Rig(pool=Pool(workers=4))
        seen: list[str] = []
        at_once = threading.Lock()

        def note(delta: Transcript) -> None:
            assert at_once.acquire(blocking=False)
            seen.append(delta.text)
            at_once.release()

        rig.t.on("final", note)
        rig.t.open()
        texts = [str(number) for number in range(300)]
        for text in texts:
            rig.wire.push(final(text))
        rig.wire.answer_close()
        rig.t.close()
        assert seen == texts
        assert rig.t.stats.callback_errors == 0

    def test_futures_and_callbacks(self) -> None:
        """A future's own callback has its place among the others."""
        rig = Rig(pool=Pool())
        seen: list[str] = []
        held = Held()
        rig.t.on("final", held).on("final", lambda d: seen.append(d.text))
        future = rig.t.finalize()
        future.add_done_callback(lambda f: seen.append(f"<{f.result()}>"))
        rig.wire.until_sent(1)
        rig.wire.push(final("a"), FLUSHED, final("b"))
        assert held.entered.wait(LIMIT)
        assert not future.done()
        held.go.set()
        rig.wire.answer_close()
        rig.t.close()
        assert seen == ["a", "<a>", "b"]

    def test_one_that_is_slow_to_leave(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who goes on waits for it: a context is entered by one thread at a time."""
        usual = Receiving._work

        def work(self: Receiving) -> None:
            usual(self)
            time.sleep(0.03)  # the interpreter may have given its turn to others

        monkeypatch.setattr(Receiving, "_work", work)
        rig = Rig(pool=Pool())
        seen: list[str] = []
        came = threading.Semaphore(0)
        rig.t.on("final", lambda d: seen.append(d.text))
        rig.t.on("event", lambda e: came.release())
        rig.t.open()
        for text in ("a", "b", "c"):
            rig.wire.push(final(text))
            assert came.acquire(timeout=LIMIT)
        rig.wire.answer_close()
        rig.t.close()
        assert seen == ["a", "b", "c"]

    def test_what_a_slow_callback_holds_up_is_bounded(self) -> None:
        """Then its socket is not read, until there is room again; and all comes."""
        held, count = Held(), 20_000
        full, seen = threading.Event(), []

        def pours(peer: Connection) -> None:
            peer.accept()
            pad = b"-" * 1000
            frames = b"".join(
                b"\x81\x7e" + struct.pack("!H", len(text)) + text
                for text in (
                    b'{"type":"transcript","text":"%d","is_final":false,"pad":"%s"}'
                    % (number, pad)
                    for number in range(count)
                )
            )
            view = memoryview(frames)
            peer.sock.settimeout(0.5)
            while view and not full.is_set():
                try:
                    view = view[peer.sock.send(view[:65536]) :]
                except TimeoutError:
                    full.set()
            peer.sock.settimeout(3 * LIMIT)
            peer.sock.sendall(view)
            peer.read_until("close")
            peer.send(dump(Done()))
            peer.send_close(1000)
            peer.until_gone()

        with Peer(pours) as peer:
            t = transcriber(peer.url, Pool())
            t.on("partial", held).on("partial", lambda d: seen.append(int(d.text)))
            t.open()
            assert full.wait(LIMIT)
            # What waits, and what one turn of reading may bring.
            assert len(member(t)._inbox) < 500 + 4 * 65536 / 1000
            held.go.set()
            t.close()
        assert seen == list(range(count))

    def test_one_at_a_time_of_all_that_wait(self) -> None:
        """With every worker at a slow callback, the rest wait, and then run."""
        pool, slow = Pool(workers=2), [Held(), Held()]
        said = threading.Event()
        with LocalServer(script=SCRIPT, max_streams=None) as server:
            ts = [transcriber(server.base_url, pool, on_final=held) for held in slow]
            ts.append(transcriber(server.base_url, pool))
            ts[2].on("final", lambda delta: said.set())
            for t, held in zip(ts, slow, strict=False):
                t.feed(CHUNK)
                assert held.entered.wait(LIMIT)
            ts[2].feed(CHUNK)
            assert next(ts[2].finals()).text == "Hello"
            assert not said.is_set()
            slow[0].go.set()
            assert said.wait(LIMIT)
            slow[1].go.set()
            for t in ts:
                t.close()


class TestEnding:
    """Many, and each in its own way."""

    def test_a_log_that_blocks(self) -> None:
        """It is written by a worker: the others send and read on meanwhile."""
        blocked, free = threading.Event(), threading.Event()

        class Blocking(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                blocked.set()
                assert free.wait(LIMIT)

        log, handler = logging.getLogger("cartesia_stt_sync"), Blocking()
        pool = Pool()
        one, other = Rig(pool=pool), Rig(pool=pool)
        log.addHandler(handler)
        try:
            for rig in (one, other):
                rig.t.open()
            one.wire.push(FLUSHED)  # that nobody has asked for
            assert blocked.wait(LIMIT)
            future = other.t.finalize()
            other.wire.push(final("on"), FLUSHED)
            assert future.result(LIMIT / 2) == "on"
        finally:
            free.set()
            log.removeHandler(handler)
        for rig in (one, other):
            rig.t.abort()

    def test_a_log_beside_callbacks_that_block(self) -> None:
        """It waits for none of them, and takes no worker from the others."""
        free = threading.Event()
        pool = Pool(workers=2)
        one, other = Rig(pool=pool), Rig(pool=pool)
        blocked, logged = threading.Event(), threading.Event()

        def block(transcript: object) -> None:
            blocked.set()
            assert free.wait(LIMIT)

        class Note(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                logged.set()

        log, handler = logging.getLogger("cartesia_stt_sync"), Note()
        log.addHandler(handler)
        try:
            one.t.on("final", block)
            for rig in (one, other):
                rig.t.open()
            one.wire.push(final("on"))
            assert blocked.wait(LIMIT)
            (stream,) = one.t._stream.streams
            stream.change(lambda core: core.findings.note(checks.no_done()))
            assert logged.wait(LIMIT / 4)
            heard = threading.Event()
            other.t.on("final", lambda _: heard.set())
            other.wire.push(final("on"))
            assert heard.wait(LIMIT / 4)
        finally:
            free.set()
            log.removeHandler(handler)
        for rig in (one, other):
            rig.t.abort()

    def test_a_log_that_is_slow(self) -> None:
        """It has all that there was to say by the time that the end is told."""
        said: list[str] = []

        class Slow(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                time.sleep(0.1)
                said.append(record.getMessage())

        log, handler = logging.getLogger("cartesia_stt_sync"), Slow()
        pool = Pool()
        other = Rig(pool=pool)
        other.t.open()
        log.addHandler(handler)
        try:
            for _ in range(5):
                rig = Rig(pool=pool)
                rig.t.open()
                rig.wire.answer_close()
                rig.t.feed(CHUNK[:-1])  # which ends within a sample
                rig.t.close()
                assert len(said) == 1
                said.clear()
        finally:
            log.removeHandler(handler)
        other.t.abort()

    def test_a_mix(self, caplog: pytest.LogCaptureFixture) -> None:
        """Closed, aborted, forgotten, failed, refused, lost: no thread is left."""
        pool = Pool()

        def errs(peer: Connection) -> None:
            peer.accept()
            peer.send('{"type": "error", "message": "no"}')
            peer.send_close(1011)
            peer.until_gone()

        def ends(t: Transcriber) -> None:
            with pytest.raises(ServerError):
                list(t.finals())
            with pytest.raises(ServerError):
                t.close()

        caplog.set_level(logging.CRITICAL)
        with (
            LocalServer(script=SCRIPT, max_streams=None) as server,
            Peer(*[errs] * 8) as bad,
        ):
            closed = [transcriber(server.base_url, pool) for _ in range(24)]
            aborted = [transcriber(server.base_url, pool) for _ in range(8)]
            failed = [transcriber(bad.url, pool) for _ in range(8)]
            forgotten: list[Transcriber] = []
            ended = threading.Semaphore(0)
            for _ in range(8):
                forgotten.append(transcriber(server.base_url, pool))
                forgotten[-1].on("close", lambda end: ended.release())
            for one in (*closed, *aborted, *forgotten):
                one.feed(CHUNK * 2)
            for one in failed:
                one.open()
                ends(one)
            with pytest.warns(ResourceWarning, match="never closed"):
                forgotten.clear()
                gc.collect()
            for one in aborted:
                one.abort()
            for one in closed:
                one.close(wait=False)
            for one in closed:
                one.close()
            for _ in range(8):
                assert ended.acquire(timeout=LIMIT)
            assert [one.text for one in closed] == ["Hello world"] * 24
            assert all(one.state == "CLOSED" for one in (*aborted, *failed))

    def test_losses(self) -> None:
        """Many reconnect at once, by a few threads that end."""

        def loses(peer: Connection) -> None:
            peer.accept()
            peer.read()

        pool, count = Pool(), 6
        peers = [Peer(loses, answers) for _ in range(count)]
        ts = []
        for peer in peers:
            peer.__enter__()
        try:
            for peer in peers:
                t = transcriber(peer.url, pool, reconnect=Reconnect(first_delay=0.01))
                t.feed(CHUNK)
                ts.append(t)
            for t in ts:
                t.close()
        finally:
            for peer in peers:
                peer.__exit__(None, None, None)
        assert [t.stats.sessions for t in ts] == [2] * count

    def test_in_a_callback_of_another(self) -> None:
        """One may close another there, and wait for it."""
        pool = Pool(workers=2)
        closed = threading.Event()
        with LocalServer(script=SCRIPT) as server:
            other = transcriber(server.base_url, pool, on_final=lambda d: None)
            other.feed(CHUNK * 2)

            def close(delta: object) -> None:
                other.close()
                closed.set()

            with transcriber(server.base_url, pool, on_final=close) as t:
                t.feed(CHUNK)
            assert closed.is_set()
        assert other.text == "Hello world"
        assert t.stats.callback_errors == 0

    def test_a_callback_that_outlasts_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Waiting for it ends, and says why."""
        rig, held = Rig(pool=Pool()), Held()
        rig.t.on("final", held)
        rig.t.open()
        rig.wire.push(final("x"))
        assert held.entered.wait(LIMIT)
        driver = member(rig.t)
        driver.join(0.0)
        assert "a callback still runs" in caplog.text
        held.go.set()
        rig.t.abort()

    def test_closed_while_a_callback_runs(self) -> None:
        """The server's close frame waits its turn, as all that comes."""
        rig, held = Rig(pool=Pool()), Held()
        rig.t.on("final", held)
        rig.t.open()
        rig.wire.push(final("x"), ServerClosed(1008, "policy"))
        assert held.entered.wait(LIMIT)
        assert rig.t.state == "OPEN"
        held.go.set()
        with pytest.raises(ConnectionLost, match="policy"):
            list(rig.t.finals())
        rig.t.abort()


class TestTls:
    """What TLS has read ahead is not left lying."""

    def test_many(self, tls: Tls) -> None:
        """All words of all streams, and each finalize."""
        pool = Pool()
        with LocalServer(
            script=SCRIPT, max_streams=None, ssl_context=tls.server
        ) as server:
            ts = [
                transcriber(server.base_url, pool, ssl_context=tls.client)
                for _ in range(12)
            ]
            for t in ts:
                t.feed(CHUNK * 2)
            texts = [t.finalize().result(LIMIT) for t in ts]
            for t in ts:
                t.close()
        assert texts == ["Hello world"] * 12

    def test_an_event_with_the_handshake(self, tls: Tls) -> None:
        """One that comes in the same record as the upgrade shows on no descriptor."""

        def at_once(peer: Connection) -> None:
            sock, whole = peer.sock, bytearray()

            class Collect:
                def sendall(self, data: bytes) -> None:
                    whole.extend(data)

                def __getattr__(self, name: str) -> Any:
                    return getattr(sock, name)

            peer.sock = Collect()  # type: ignore[assignment]  # for the test
            peer.accept()
            peer.send(dump(final("early")))
            peer.sock = sock
            sock.sendall(whole)
            peer.read_until("close")
            peer.send(dump(Done()))
            peer.send_close(1000)
            peer.until_gone()

        with Peer(at_once, tls=tls.server) as peer:
            with transcriber(peer.url, Pool(), ssl_context=tls.client) as t:
                assert next(t.finals()).text == "early"


class TestOptions:
    """What a pool is given, and to whom."""

    def test_workers(self) -> None:
        """One at least."""
        for wrong in (0, 1.5, True, None):
            with pytest.raises(ConfigError, match="workers: a whole number"):
                Pool(workers=wrong)  # type: ignore[arg-type]  # on purpose

    @pytest.mark.parametrize("face", [Transcriber, TurnTranscriber])
    def test_pool(self, face: Any) -> None:
        """A Pool or nothing."""
        with pytest.raises(ConfigError, match=r"pool: Pool\(...\) or None, got 4"):
            face(api_key="k", pool=4)

    def test_refused(self) -> None:
        """For a handshake that fails no thread is started."""
        before = threads()
        rig = Rig(FakeTransport(refuse=ConnectError("down")), pool=Pool())
        with pytest.raises(ConnectError, match="down"):
            rig.t.open()
        assert threads() == before

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_fork_unused(self) -> None:
        """One that had no stream yet, as where a module makes it, serves the child."""
        with LocalServer(script=SCRIPT) as server:
            code, out, err = python(
                """
                import os, threading
                from cartesia_stt_sync import Pool, Transcriber
                pool = Pool()
                with Transcriber(pool=pool) as t:
                    t.feed(bytes(6400))
                pool._lock.acquire()  # as if another thread were at it
                pid = os.fork()
                pool._lock.release()
                texts = []
                def call():
                    with Transcriber(pool=pool) as t:
                        t.feed(bytes(6400))
                    texts.append(t.text)
                threads = [threading.Thread(target=call) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert texts == 4 * ["Hello world"]
                assert repr(pool) == "<Pool of 0 streams>"
                if pid:
                    _, status = os.waitpid(pid, 0)
                    print(os.waitstatus_to_exitcode(status))
                """,
                server.base_url,
            )
        assert (code, out) == (0, "0\n"), err

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_fork(self) -> None:
        """A child is refused its parent's, may have its own, and harms nobody."""
        with LocalServer(script=SCRIPT) as server:
            code, out, err = python(
                """
                import os, sys, warnings
                from cartesia_stt_sync import ClosedError, Pool, Transcriber
                warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads
                pool = Pool()
                t = Transcriber(pool=pool)
                t.feed(bytes(6400))
                pid = os.fork()
                if not pid:
                    try:
                        Transcriber(pool=pool).open()
                    except ClosedError as exc:
                        assert "this pool was inherited over a fork" in str(exc)
                    else:
                        os._exit(1)
                    with Transcriber(pool=Pool()) as mine:
                        mine.feed(bytes(6400))
                    assert mine.text == "Hello world"
                    sys.exit(7)  # through the exit hooks
                _, status = os.waitpid(pid, 0)
                assert os.waitstatus_to_exitcode(status) == 7, status
                t.close()
                print(t.text)
                """,
                server.base_url,
            )
        assert (code, out) == (0, "Hello world\n"), err

    def test_exit(self) -> None:
        """A script that forgets to close several is drained."""
        with LocalServer(script=SCRIPT) as server:
            code, out, err = python(
                """
                from cartesia_stt_sync import Pool, Transcriber
                pool, kept = Pool(), []
                for _ in range(3):
                    t = Transcriber(pool=pool, on_final=lambda d: print(d, flush=True))
                    t.feed(bytes(6400))
                    kept.append(t)
                """,
                server.base_url,
            )
        assert code == 0, err
        assert sorted(out.split()) == ["Hello"] * 3 + ["world"] * 3


def test_silent_streams_cost_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has nothing to say is not asked, whatever the others do."""
    pool = Pool()
    with Peer(silent) as peer, LocalServer(script=SCRIPT) as server:
        quiet = transcriber(peer.url, pool, keep_alive=None)
        quiet.open()
        turns: list[float] = []
        core, step = quiet._stream.streams[0].core, Core.step

        def watched(self: Core, now: float, early: float = 0.0) -> Any:
            if self is core:
                turns.append(now)
            return step(self, now, early)

        with quiet._stream.lock:
            monkeypatch.setattr(Core, "step", watched)
        with transcriber(server.base_url, pool) as t:
            t.feed(CHUNK * 2)
        assert t.text == "Hello world"
        assert len(turns) <= 1  # it may not have been asked yet after open
        quiet.abort()
