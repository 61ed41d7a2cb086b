"""Who sends: the driver's sender, or a caller in its stead while that is idle."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from cartesia_stt_sync import ConnectionLost
from cartesia_stt_sync._core import Core
from cartesia_stt_sync._driving import Line
from cartesia_stt_sync._member import Member
from cartesia_stt_sync._outbox import Wait
from cartesia_stt_sync._pair import ThreadPair
from cartesia_stt_sync._queue import Send

from .fakes import LIMIT, FakeTransport, Rig, final, partial

CHUNK = b"\x11\x22" * 1600


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A session whose sender is idle."""
    rig = Rig(FakeTransport(), FakeTransport())
    rig.t.open()
    rig.until_idle()
    yield rig
    rig.t.abort()


def line(rig: Rig) -> Line:
    """Its driver."""
    driver = rig.t._stream.streams[0].driver
    assert isinstance(driver, Line)
    return driver


def until_text(rig: Rig, text: str) -> None:
    """Return once so much has been taken in."""
    stream = rig.t._stream
    with stream.lock:
        while stream.streams[0].core.speech.text != text:
            stream.wait(LIMIT)  # the clock says so if nobody wakes it


def test_what_is_due_goes_from_the_callers_thread(rig: Rig) -> None:
    """Audio that plays now, and a command with nothing before it."""
    by: list[int] = []
    rig.wire.on_send = lambda _: by.append(threading.get_ident())
    rig.t.feed(CHUNK)
    rig.t.finalize()
    assert rig.wire.sent == [CHUNK, "finalize"]
    assert by == [threading.get_ident()] * 2


def test_what_is_not_due_is_left_to_the_sender(rig: Rig) -> None:
    """It wakes for it, though it had expected to sleep for longer."""
    rig.t.feed(CHUNK * 2)
    future = rig.t.finalize()
    assert rig.wire.sent == [CHUNK]
    rig.until_idle()
    rig.clock.advance(0.1)
    assert rig.wire.until_sent(3) == [CHUNK, CHUNK, "finalize"]
    assert not future.done()


def test_live_audio_may_be_a_little_early(rig: Rig) -> None:
    """It jitters; but what is early adds up to no more than that."""
    rig.t.feed(CHUNK)
    for _ in range(3):
        rig.clock.advance(0.09)
        rig.t.feed(CHUNK)
    # 30 ms early by now, and with that too early.
    assert len(rig.wire.sent) == 3
    rig.until_idle()
    rig.clock.advance(0.03)
    assert len(rig.wire.until_sent(4)) == 4


def test_half_a_chunk_is_not_sent_early(rig: Rig) -> None:
    """The rest of it may be under way."""
    rig.t.feed(CHUNK[:1600])
    rig.clock.advance(0.04)
    rig.until_idle()
    assert not rig.wire.sent
    rig.t.feed(CHUNK[1600:])
    assert rig.wire.sent == [CHUNK]


def test_one_at_a_time(rig: Rig) -> None:
    """Others neither wait for whoever is at it nor overtake it, nor does the sender."""
    began, go_on = threading.Event(), threading.Event()
    by: list[str] = []

    def on_send(data: bytes | str) -> None:
        by.append(threading.current_thread().name)
        if data == CHUNK:
            began.set()
            assert go_on.wait(LIMIT)

    rig.wire.on_send = on_send
    feeder = threading.Thread(target=rig.t.feed, args=(CHUNK,), name="feeder")
    feeder.start()
    assert began.wait(LIMIT)
    rig.t.finalize()
    rig.until_idle()  # it looked, and found somebody at it
    assert rig.wire.sent == [CHUNK]
    go_on.set()
    feeder.join(LIMIT)
    assert rig.wire.sent == [CHUNK, "finalize"]
    assert by == ["feeder", "feeder"]


def test_no_room(rig: Rig) -> None:
    """A caller never waits for the socket: the sender does."""
    rig.wire.stuck = True
    rig.t.feed(CHUNK)
    rig.t.finalize()
    assert not rig.wire.sent
    rig.wire.unstick()
    assert rig.wire.until_sent(2) == [CHUNK, "finalize"]


def heals(rig: Rig) -> None:
    """The connection is made anew, and the audio goes out on it."""
    rig.wire.until_aborted()
    rig.until_retrying()
    rig.clock.advance(60)
    assert rig.transports[1].until_sent(1) == [CHUNK]


def test_a_loss_is_the_sessions_and_not_the_callers(rig: Rig) -> None:
    """The call has queued its audio; what becomes of that is told in one way."""
    rig.wire.broken = ConnectionLost("gone")
    rig.t.feed(CHUNK)
    heals(rig)


def test_an_interrupt_in_the_middle_of_it(rig: Rig) -> None:
    """Nobody knows how much is out, so the connection is of no more use."""

    def on_send(data: bytes | str) -> None:
        raise KeyboardInterrupt

    rig.wire.on_send = on_send
    with pytest.raises(KeyboardInterrupt):
        rig.t.feed(CHUNK)
    heals(rig)


def test_an_interrupt_before_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken out to be sent is not lost, nor is the sender locked out."""
    borrow = type(line(rig))._borrow

    def borrowed(self: Line) -> Send | None:
        monkeypatch.undo()
        assert borrow(self) is not None
        raise KeyboardInterrupt

    monkeypatch.setattr(type(line(rig)), "_borrow", borrowed)
    with pytest.raises(KeyboardInterrupt):
        rig.t.feed(CHUNK)
    heals(rig)


def test_a_bug_in_it_ends_the_session(rig: Rig) -> None:
    """And not just the call in which it showed."""

    def on_send(data: bytes | str) -> None:
        raise ZeroDivisionError

    rig.wire.on_send = on_send
    rig.t.feed(CHUNK)
    with pytest.raises(Exception, match="died of ZeroDivisionError"):
        rig.t.close()


def asleep(driver: Line) -> bool:
    """Whether nobody has asked the sender to look."""
    if isinstance(driver, ThreadPair):
        return driver._bell._waited_for
    assert isinstance(driver, Member)
    return not driver.queued


def test_what_comes_in_wakes_nobody(rig: Rig) -> None:
    """A delta is no reason to send."""
    rig.wire.push(final("Hello"))
    until_text(rig, "Hello")
    assert asleep(line(rig))


def test_but_for_silence_that_is_due_now(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provisional text behind a final: the server holds speech, and awaits more."""
    rig.t.feed(CHUNK)
    rig.wire.push(final("Hello"))
    until_text(rig, "Hello")
    rig.until_idle()
    asked, step = threading.Semaphore(0), Core.step

    def watched(self: Core, now: float, early: float = 0.0) -> Send | Wait | None:
        asked.release()
        return step(self, now, early)

    monkeypatch.setattr(Core, "step", watched)
    rig.wire.push(partial(" wor"))
    assert asked.acquire(timeout=LIMIT)


def test_audio_in_advance(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent last says when the next is due: the core is asked once a chunk."""
    rig.t.feed(CHUNK * 5)
    rig.until_idle()
    asked, step = [0.0], Core.step

    def watched(self: Core, now: float, early: float = 0.0) -> Send | Wait | None:
        asked.append(now)
        return step(self, now, early)

    monkeypatch.setattr(Core, "step", watched)
    for number in range(2, 6):
        asked.clear()
        rig.clock.advance(0.1)
        rig.clock.until_waiting(rig.sender)
        assert rig.wire.sent == [CHUNK] * number
        assert len(asked) == (1 if number < 5 else 2)


RIFF = b"RIFF\x24\x0c\0\0WAVEfmt " + CHUNK[16:]


@pytest.fixture
def logged() -> Iterator[SimpleQueue[str]]:
    """The threads on which something is logged."""
    by: SimpleQueue[str] = SimpleQueue()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            by.put(str(record.threadName))

    handler = Handler()
    log = logging.getLogger("cartesia_stt_sync")
    log.addHandler(handler)
    yield by
    log.removeHandler(handler)


def test_a_finding_is_logged_at_once(rig: Rig, logged: SimpleQueue[str]) -> None:
    """Though the sender has nothing to send: on its thread, and on no caller's."""
    rig.t.feed(RIFF)
    assert rig.sender in logged.get(timeout=LIMIT)
    assert logged.empty()


def test_what_happens_while_the_sender_sends(
    rig: Rig, logged: SimpleQueue[str]
) -> None:
    """It looks again, though it knows when the next chunk is due."""
    rig.t.feed(CHUNK * 5)
    rig.until_idle()

    def on_send(data: bytes | str) -> None:
        rig.wire.on_send = lambda data: None
        feeder = threading.Thread(target=rig.t.feed, args=(RIFF,))
        feeder.start()
        feeder.join(LIMIT)

    rig.wire.on_send = on_send
    rig.clock.advance(0.1)
    assert rig.sender in logged.get(timeout=LIMIT)
