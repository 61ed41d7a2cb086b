"""A Ctrl-C in the middle of a call, at each place where there can be one.

Python raises KeyboardInterrupt in the main thread once a call has returned, or as a
function begins. A profile function sees these very places, and raises it at each of
them in turn, with the session's other threads at work. Whoever was interrupted has its
exception; nobody else may wait for ever, get another's answer, or see a thread die.
"""

from __future__ import annotations

import gc
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from time import monotonic
from types import FrameType

import pytest

import cartesia_stt_sync
from cartesia_stt_sync import AudioFormat, ClosedError, Reconnect, Transcriber
from cartesia_stt_sync._transport import ServerClosed
from cartesia_stt_sync.events import Done
from cartesia_stt_sync.server import LocalServer

from .fakes import FLUSHED, LIMIT, FakeTransport, Rig, final

CHUNK = b"\x11\x22" * 1600

_PACKAGE = str(Path(cartesia_stt_sync.__file__).parent)

_MOST = 2000
"""Places in one call; a test that finds more would never end."""


def _interrupted(
    call: Callable[[], object], place: int, times: int = sys.maxsize
) -> bool:
    """Call, and interrupt at one of the places; whether there was one so late.

    Args:
        call: What to interrupt.
        place: The number of the place.
        times: How often the same instruction counts: a handshake is read byte by byte.
    """
    seen = itertools.count()
    met: Counter[object] = Counter()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "return", "c_return"):
            ours = frame.f_code.co_filename.startswith(_PACKAGE)
            where = (frame.f_code, frame.f_lasti, event)
            met[where] += ours
            if ours and met[where] <= times and next(seen) == place:
                sys.setprofile(None)
                raise KeyboardInterrupt

    gc.disable()  # or the interrupt may go to what is collected, and be lost there
    sys.setprofile(profile)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
        gc.enable()
    return False


def _serve(wire: FakeTransport) -> None:
    """Answer each finalize with a number of its own, and the close."""
    told = itertools.count(1)

    def reply(data: bytes | str) -> None:
        if data == "finalize":
            wire.push(final(f" {next(told)}"), FLUSHED)
        if data == "close":
            wire.push(Done(), ServerClosed(1000, ""))

    wire.on_send = reply


def _a_finalize(rig: Rig) -> Callable[[], object]:
    return rig.t.finalize


def _live_audio(rig: Rig) -> Callable[[], object]:
    return lambda: rig.t.feed(CHUNK)


def _audio_in_advance(rig: Rig) -> Callable[[], object]:
    return lambda: rig.t.feed(CHUNK * 3)


def _a_close(rig: Rig) -> Callable[[], object]:
    return lambda: rig.t.close(wait=False)


@pytest.mark.parametrize("then", ["goes on", "aborts"])
@pytest.mark.parametrize(
    "action", [_a_finalize, _live_audio, _audio_in_advance, _a_close]
)
def test_at_each_place(
    action: Callable[[Rig], Callable[[], object]],
    then: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The finalizes before it and behind it are answered, each with its own text."""
    for place in range(_MOST):
        wires = [FakeTransport(), FakeTransport()]
        for wire in wires:
            _serve(wire)
        rig = Rig(*wires, reconnect=Reconnect(), close_timeout=None)
        rig.t.open()
        rig.t.feed(CHUNK)
        before = rig.t.finalize()
        assert before.result(LIMIT) == " 1"
        interrupted = _interrupted(action(rig), place)
        if then == "aborts":
            rig.t.abort()
        else:
            _goes_on(rig, place)
        assert not [record for record in caplog.records if "died" in record.message]
        if not interrupted:
            assert place > 20, "nothing was interrupted"
            return
    raise AssertionError("more places than there can be")


@pytest.mark.parametrize("again", [True, False], ids=["again", "once"])
@pytest.mark.parametrize("channels", ["mix", "split"])
def test_at_each_place_of_abort(
    channels: str, again: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has pressed it twice leaves nobody waiting: no future, no iterator.

    Args:
        channels: Whether there is a session, or one for each of two channels.
        again: Whether it is aborted once more, as by who leaves a block.
    """
    for place in range(_MOST):
        rig = Rig(
            *(FakeTransport(), FakeTransport()),
            reconnect=None,
            close_timeout=None,
            source=AudioFormat("pcm_s16le", 16000, 2),
            channels=channels,
        )
        rig.t.open()
        futures = [rig.t.finalize() for _ in range(3)]
        ended = threading.Event()

        def iterate(rig: Rig = rig, ended: threading.Event = ended) -> None:
            for _ in rig.t.finals():
                pass
            ended.set()

        threading.Thread(target=iterate, daemon=True).start()
        interrupted = _interrupted(rig.t.abort, place)
        begun = any(stream.ended for stream in rig.t._stream.streams)
        if again:
            began = monotonic()
            rig.t.abort()
            assert monotonic() - began < LIMIT / 2
        if again or begun:
            assert ended.wait(LIMIT)
            for future in futures:
                with pytest.raises(ClosedError):
                    future.result(LIMIT)
        else:
            rig.t.abort()
        assert not [record for record in caplog.records if "died" in record.message]
        assert "still runs" not in caplog.text
        if not interrupted:
            assert place > 20, "nothing was interrupted"
            return
    raise AssertionError("more places than there can be")


# A socket on its way from whoever made it to whoever holds it has no owner yet: it is
# closed when the exception's frames go, and Python remarks on it.
@pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)
@pytest.mark.parametrize("real", [False, True], ids=["fake", "real"])
def test_at_each_place_of_open(real: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Then nobody waits for a connection that nobody makes; all threads end."""
    with LocalServer(script=[]) if real else nullcontext() as server:
        for place in range(_MOST):
            wire = FakeTransport()
            t = Rig(wire).t
            if server is not None:
                t = Transcriber(api_key="k", base_url=server.base_url)
            interrupted = _interrupted(t.open, place, times=3)
            if interrupted:
                told: list[BaseException | None] = []
                other = threading.Thread(target=_open_too, args=(t, told))
                other.start()
                other.join(LIMIT)
                assert told, f"at place {place} another thread waits for ever"
                # Cut, if its threads may have it, who close it; else closed.
                let_go = wire.aborted or wire.closed or not wire.opened
                assert let_go or told == [None], f"at place {place} it stays connected"
            t.abort()
            assert t.state in ("NEW", "CLOSED", "FAILED"), place
            assert not [record for record in caplog.records if "died" in record.message]
            if not interrupted:
                assert place > 20, "nothing was interrupted"
                return
    raise AssertionError("more places than there can be")


def test_open_beside_an_abort() -> None:
    """The Ctrl-C comes out, though another thread has ended the session."""

    class Wire(FakeTransport):
        def open(self) -> str | None:
            other = threading.Thread(target=t.abort)
            other.start()
            other.join(LIMIT)
            raise KeyboardInterrupt

    wire = Wire()
    t = Rig(wire).t
    with pytest.raises(KeyboardInterrupt):
        t.open()
    assert (t.state, wire.closed) == ("CLOSED", True)


def _open_too(t: Transcriber, told: list[BaseException | None]) -> None:
    try:
        t.open()
    except ClosedError as exc:
        told.append(exc)
    else:
        told.append(None)


def _goes_on(rig: Rig, place: int) -> None:
    """The session is as useful as before, or has ended and says so."""
    late = None
    with suppress(ClosedError):  # it was a close that was interrupted
        rig.t.feed(CHUNK)
        late = rig.t.finalize()
    rig.t.close(wait=False)
    changed = rig.t._stream.changed
    until = monotonic() + LIMIT
    while rig.t.state not in ("CLOSED", "FAILED"):
        assert monotonic() < until, f"at place {place} it stands still"
        rig.clock.advance(0.2)
        with changed:
            changed.wait(0.001)  # the threads are to get a word in
    rig.t.close()
    if late is not None:
        text = late.result(LIMIT)
        assert text.strip().isdigit(), (place, text)
        assert rig.t.text.endswith(text), (place, rig.t.text, text)
