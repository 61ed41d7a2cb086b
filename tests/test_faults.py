"""The fault matrix: what each misbehaviour of a server comes to.

Every row runs one ordinary program against a server on bare sockets that serves
well up to a moment, and then does something else. What the program sees, how long
that takes and what is left behind stand in the table.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, ClassVar

import attrs
import pytest

from cartesia_stt_sync import (
    AuthenticationError,
    CartesiaSTTError,
    ConnectError,
    ConnectionLost,
    DrainTimeout,
    ProtocolError,
    QuotaError,
    RateLimitError,
    Reconnect,
    ServerError,
    Transcriber,
)
from cartesia_stt_sync.events import Done, Event, Transcript
from cartesia_stt_sync.wire import dump

from .hearing import Hearer, spoken, written
from .peer import Connection, Handler, Peer

KEY = "sk_car_0123456789abcdef"
LENGTH = 160
"""Samples of a word: a hundredth of a second."""

WORDS = 8
PATIENT: dict[str, Any] = {"chunk": 0.02, "reconnect": None}
"""For what does not end by a limit: a busy machine shall not make it one."""

QUICK: dict[str, Any] = {
    "open_timeout": 0.5,
    "close_timeout": 0.5,
    "io_timeout": 0.5,
}
"""For what does."""

PROMPT = 5.0
"""Seconds in which the program, of 80 ms of audio, is over; no default limit is."""

AGAIN = Reconnect(attempts=3, first_delay=0.01, max_delay=0.05)

Act = Callable[[Connection], "bool | None"]
"""A misbehaviour; true: the server goes on as if nothing had been."""


# The server's side


def serve(peer: Connection, at: str = "", act: Act | None = None) -> None:
    """Serve well; at a moment do what is to be done.

    Args:
        peer: The connection.
        at: ``"open"``, ``"audio"``: at the first of it, ``"finalize"`` or
            ``"close"``: in place of its answer.
        act: What to do.
    """
    hearer = Hearer(length=LENGTH)
    pending = {at} if act else set()

    def goes_on(moment: str) -> bool:
        if moment not in pending:
            return True
        pending.clear()
        assert act is not None
        return bool(act(peer))

    peer.accept()
    if not goes_on("open"):
        return
    while True:
        opcode, data = peer.read()
        if opcode == -1:
            return
        if opcode == 2:
            say(peer, hearer.feed(data))
            if not goes_on("audio"):
                return
        elif opcode == 1:
            if not goes_on(data.decode()):
                return
            say(peer, hearer.finalize()[: None if data == b"finalize" else -1])
            if data == b"close":
                say(peer, [Done()])
                peer.send_close(1000)
                return peer.until_gone()


def say(peer: Connection, events: list[Event]) -> None:
    """Send events; a client that has left does not hear them."""
    try:
        for event in events:
            peer.send(dump(event))
    except OSError:
        return


def faulty(at: str, act: Act) -> Handler:
    """A server that does it then."""
    return lambda peer: serve(peer, at, act)


def good(peer: Connection) -> None:
    """A server without fault."""
    serve(peer)


def sends(data: bytes | str, opcode: int = 1) -> Act:
    """Send a message, and go on."""

    def act(peer: Connection) -> bool:
        peer.send(data, opcode)
        return True

    return act


def writes(data: bytes) -> Act:
    """Write raw bytes, then wait for the client to leave."""

    def act(peer: Connection) -> None:
        peer.sock.sendall(data)
        peer.until_gone()

    return act


def closes(code: int | None) -> Act:
    """Send a close frame; ``None``: one without a code."""

    def act(peer: Connection) -> None:
        if code is None:
            peer.send(b"", 8)
        else:
            peer.send_close(code, "because")
        peer.until_gone()

    return act


def errs(event: dict[str, Any]) -> Act:
    """Report an error, and close as the service does."""

    def act(peer: Connection) -> None:
        peer.send(json.dumps({"type": "error", **event}))
        peer.send_close(1011)
        peer.until_gone()

    return act


def ends(peer: Connection) -> None:
    """End the connection without a close frame."""


def resets(peer: Connection) -> None:
    """Reset it."""
    linger = struct.pack("ii", 1, 0)
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def half_a_frame(peer: Connection) -> None:
    """Begin a message, and end in the middle."""
    peer.sock.sendall(b"\x81\x7e\x01\x00" + b'{"type":')


def says_done(peer: Connection) -> None:
    """Be done, unasked."""
    say(peer, [Done()])
    peer.send_close(1000)
    peer.until_gone()


def is_silent(peer: Connection) -> None:
    """Read on, and say nothing more."""
    peer.until_gone()


def repeats(frame: bytes) -> Act:
    """Write the same frame until the client leaves."""

    def act(peer: Connection) -> None:
        block = frame * (1 + 65536 // len(frame))
        peer.sock.settimeout(1.0)  # a window that a client has left shut stays so
        try:
            while True:
                peer.sock.sendall(block)
        except OSError:
            return

    return act


def floods(peer: Connection) -> bool:
    """Say 4,000 provisional transcripts, and go on."""
    text = dump(Transcript(text="x" * 100, is_final=False)).encode()
    peer.sock.sendall((b"\x81\x7e" + struct.pack("!H", len(text)) + text) * 4_000)
    return True


def framed(event: Event) -> bytes:
    """An event in its frame."""
    text = dump(event).encode()
    return b"\x81\x7f" + struct.pack("!Q", len(text)) + text


# The program


@attrs.frozen
class Outcome:
    """What the program saw.

    Attributes:
        t: Its transcriber.
        error: What ended it, if anything did.
        future: Of its finalize, if it came so far.
        seconds: How long it took.
    """

    t: Transcriber
    error: CartesiaSTTError | None
    future: Future[str] | None
    seconds: float


def run(*handlers: Handler, **options: Any) -> Outcome:
    """Say four words, finalize, say four more, close."""
    with Peer(*handlers) as peer:
        t = Transcriber(api_key=KEY, base_url=peer.url, **PATIENT | options)
        unread = t.events()
        error = future = None
        began = time.monotonic()
        try:
            t.open()
            t.feed(spoken(1, WORDS // 2, LENGTH))
            future = t.finalize()
            t.feed(spoken(WORDS // 2 + 1, WORDS, LENGTH))
            t.close()
        except CartesiaSTTError as exc:
            error = exc
        seconds = time.monotonic() - began
        t.abort()  # nothing, but that it waits for the threads
        del unread
    return Outcome(t, error, future, seconds)


@contextmanager
def nothing_left() -> Iterator[None]:
    """No file descriptor more than before; conftest looks for threads."""
    before = descriptors()
    yield
    left = [fd for fd in descriptors() if fd not in before]
    assert not left, f"{len(left)} descriptors left"


def descriptors() -> set[int]:
    """Of this process, where it can be told."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:  # not Linux: sockets left are warnings all the same
        return set()
    open_ones = set()
    for name in names:
        try:
            os.fstat(int(name))
        except OSError:  # the one that listed them
            continue
        open_ones.add(int(name))
    return open_ones


def check(outcome: Outcome, kind: type[Exception] | None, code: int = 0) -> None:
    """Compare with a row of the table."""
    assert type(outcome.error) is (kind or type(None)), repr(outcome.error)
    assert outcome.seconds < PROMPT
    assert outcome.t.state == "CLOSED"
    assert KEY not in str(outcome.error)
    heard = outcome.t.text.rstrip("x")  # what some servers flood with
    assert written(WORDS).startswith(heard), "no word twice, none lost"
    if kind is None:
        assert heard == written(WORDS)
    if code:
        assert getattr(outcome.error, "close_code", None) == code
    if outcome.future is not None:
        assert outcome.future.done()
        failure = outcome.future.exception()
        assert failure is None or type(failure) is type(outcome.error)


# The table

EACH = ("open", "audio", "finalize", "close")
ONE = ("audio",)


@attrs.frozen
class Row:
    """A misbehaviour and what comes of it.

    Attributes:
        act: What the server does.
        kind: The error it is, or ``None`` where the session goes on to a clean end.
        heals: Whether a reconnect makes it good.
        code: The close code that the error has.
        states: When.
        unlike: States in which the error is another one.
    """

    act: Act
    kind: type[CartesiaSTTError] | None = ConnectionLost
    heals: bool = True
    code: int = 0
    states: tuple[str, ...] = EACH
    unlike: dict[str, type[CartesiaSTTError] | None] = attrs.field(factory=dict)

    @property
    def limits(self) -> dict[str, Any]:
        """The program's: short ones where they are what ends it."""
        return QUICK if self.kind is DrainTimeout else {}


CLEAN_AT_CLOSE: dict[str, type[CartesiaSTTError] | None] = {"close": None}
NOT_FINALIZE = ("open", "audio", "close")
"""For what would be taken for the finalize's own answer."""

TABLE = {
    "reset": Row(resets, code=1006),
    "end without a close frame": Row(ends, code=1006),
    "half a frame": Row(half_a_frame, code=1006),
    "close 1000 without done": Row(
        closes(1000), heals=False, code=1000, unlike=CLEAN_AT_CLOSE
    ),
    "close without a code": Row(closes(None), code=1005),
    **{
        f"close {code}": Row(closes(code), code=code, states=states)
        for code, states in ((1001, ONE), (1011, ONE), (1012, EACH), (1013, ONE))
    },
    **{
        f"close {code}": Row(closes(code), heals=False, code=code, states=ONE)
        for code in (1002, 1003, 1007, 1008, 1009, 3000, 4000)
    },
    "done, unasked": Row(says_done, heals=False, code=1000, unlike=CLEAN_AT_CLOSE),
    "flush_done, unasked": Row(
        sends('{"type": "flush_done"}'), kind=None, states=NOT_FINALIZE
    ),
    "error, current shape": Row(
        errs({"title": "No", "message": "no", "status_code": 500}),
        kind=ServerError,
        heals=False,
    ),
    "error, older shape": Row(
        errs({"message": "No: no", "code": 500}),
        kind=ServerError,
        heals=False,
        states=ONE,
    ),
    "error, oldest shape": Row(
        errs({"error": "no"}), kind=ServerError, heals=False, states=ONE
    ),
    "no JSON": Row(sends("garbage"), kind=None),
    "JSON that is no event": Row(sends("[1, 2]"), kind=None, states=ONE),
    "an event of no known type": Row(sends('{"type": "new"}'), kind=None, states=ONE),
    "a transcript without a text": Row(
        sends('{"type": "transcript"}'), kind=None, states=ONE
    ),
    "invalid UTF-8": Row(sends(b'{"type": "\xff"}'), kind=None),
    "binary garbage": Row(sends(b"\0\xff" * 100, 2), kind=None, states=ONE),
    "JSON 200,000 deep": Row(sends("[" * 200_000), kind=None, states=ONE),
    "a number of 5,000 digits": Row(sends("9" * 5000), kind=None, states=ONE),
    "a ping": Row(sends(b"?", 9), kind=None, states=ONE),
    "a pong, unasked": Row(sends(b"!", 10), kind=None, states=ONE),
    "a frame of 2^40 bytes": Row(
        writes(b"\x81\x7f" + (1 << 40).to_bytes(8, "big") + b"x" * 1000),
        kind=ProtocolError,
        heals=False,
    ),
    "a frame of 2^63 bytes": Row(
        writes(b"\x81\x7f" + (1 << 63).to_bytes(8, "big")),
        kind=ProtocolError,
        states=ONE,
        heals=False,
    ),
    "a masked frame": Row(
        writes(b"\x81\x80\0\0\0\0"), kind=ProtocolError, states=ONE, heals=False
    ),
    "reserved bits": Row(
        writes(b"\xf1\0"), kind=ProtocolError, states=ONE, heals=False
    ),
    "an unknown opcode": Row(
        writes(b"\x85\0"), kind=ProtocolError, states=ONE, heals=False
    ),
    "a continuation of nothing": Row(
        writes(b"\x80\0"), kind=ProtocolError, states=ONE, heals=False
    ),
    "a fragmented ping": Row(
        writes(b"\x09\0"), kind=ProtocolError, states=ONE, heals=False
    ),
    "a ping of 126 bytes": Row(
        writes(b"\x89\x7e\0\x7e" + bytes(126)),
        kind=ProtocolError,
        states=ONE,
        heals=False,
    ),
    "endless fragments": Row(
        repeats(b"\x01\x7e\xff\xff" + bytes(65535)),
        kind=ProtocolError,
        states=ONE,
        heals=False,
    ),
    "endless finals": Row(
        repeats(framed(Transcript(text="x" * 5000, is_final=True))),
        kind=ProtocolError,
        states=ONE,
        heals=False,
    ),
    "endless pings": Row(repeats(b"\x89\x01?"), kind=DrainTimeout, heals=False),
    "a flood that ends": Row(floods, kind=None),
    "silence": Row(is_silent, kind=DrainTimeout, heals=False),
}

ROWS = [
    pytest.param(row, state, id=f"{name}-{state}")
    for name, row in TABLE.items()
    for state in row.states
]


@pytest.mark.parametrize(("row", "state"), ROWS)
def test_without_reconnect(row: Row, state: str) -> None:
    """Each fault is an error of its kind, in time; the text before it is kept."""
    with nothing_left():
        outcome = run(faulty(state, row.act), **row.limits)
    kind = row.unlike.get(state, row.kind)
    check(outcome, kind, code=row.code if kind is not None else 0)


@pytest.mark.parametrize(("row", "state"), ROWS)
def test_with_reconnect(row: Row, state: str) -> None:
    """What is worth a reconnect heals: every word is there, once."""
    kind = row.unlike.get(state, row.kind)
    if kind is not None and row.heals:
        kind = None
    with nothing_left():
        outcome = run(faulty(state, row.act), good, reconnect=AGAIN, **row.limits)
    check(outcome, kind)
    if kind is None and row.heals and row.kind is not None:
        assert outcome.t.stats.sessions == (1 if state in row.unlike else 2)
        assert outcome.future is not None
        assert outcome.future.result() == written(WORDS // 2)


@pytest.mark.parametrize(
    "name",
    [
        "a frame of 2^40 bytes",
        "endless fragments",
        "endless pings",
        "endless finals",
        "a flood that ends",
        "JSON 200,000 deep",
    ],
)
def test_memory(name: str) -> None:
    """None of those that send without end makes the client take memory without end.

    The limit is above that of one message, of unread events, and of text.
    """
    tracemalloc.start()
    try:
        run(faulty("audio", TABLE[name].act), **TABLE[name].limits)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def test_findings_and_counters() -> None:
    """What did not end the session is counted, or is a finding."""
    for name, expected in {
        "no JSON": ("malformed", 1),
        "invalid UTF-8": ("malformed", 1),
        "JSON 200,000 deep": ("malformed", 1),
        "a transcript without a text": ("malformed", 1),
    }.items():
        outcome = run(faulty("audio", TABLE[name].act))
        counter, value = expected
        assert getattr(outcome.t.stats, counter) == value, name
    outcome = run(faulty("audio", TABLE["a flood that ends"].act))
    assert outcome.t.stats.dropped_events > 2_500
    for name, state, code in (
        ("flush_done, unasked", "audio", "unasked-flush-done"),
        ("close 1000 without done", "close", "no-done"),
    ):
        outcome = run(faulty(state, TABLE[name].act))
        assert [finding.code for finding in outcome.t.findings] == [code]


class TestHandshake:
    """The connection that does not come about, first or later."""

    REFUSED: ClassVar = {
        400: ConnectError,
        401: AuthenticationError,
        402: QuotaError,
        403: AuthenticationError,
        404: ConnectError,
        429: RateLimitError,
        500: ConnectError,
        502: ConnectError,
        503: ConnectError,
    }

    @pytest.mark.parametrize("status", REFUSED)
    @pytest.mark.parametrize("body", [b'{"error": "no"}', b"no", b"", b"\xff"])
    def test_refused_at_first(self, status: int, body: bytes) -> None:
        """The first connection's refusal is the caller's to see, at once."""
        with nothing_left():
            outcome = run(lambda peer: peer.refuse(status, body), reconnect=AGAIN)
        check(outcome, self.REFUSED[status])
        assert getattr(outcome.error, "status_code", None) == status

    @pytest.mark.parametrize("status", REFUSED)
    def test_refused_later(self, status: int) -> None:
        """429 and 5xx are tried again, what a retry cannot better is the end."""
        with nothing_left():
            outcome = run(
                faulty("audio", resets),
                lambda peer: peer.refuse(status, b"no", "Retry-After: 0"),
                good,
                reconnect=AGAIN,
            )
        heals = status == 429 or status >= 500
        check(outcome, None if heals else self.REFUSED[status])

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgra",
            b"",
            b"HTTP/1.1 101 \xff\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"SSH-2.0\r\n",
        ],
        ids=["half", "none", "no ASCII", "another status", "another protocol"],
    )
    @pytest.mark.parametrize("first", [True, False])
    def test_half_a_handshake(self, answer: bytes, first: bool) -> None:
        """It ends by open_timeout at the latest; a later one is tried again."""

        def handler(peer: Connection) -> None:
            peer.read_request()
            peer.sock.sendall(answer)
            peer.until_gone()

        with nothing_left():
            if first:
                outcome = run(handler, **QUICK)
            else:
                # A status that is none of a refusal's is not worth another try.
                outcome = run(
                    faulty("audio", resets),
                    handler,
                    good,
                    reconnect=AGAIN,
                    open_timeout=0.5,
                )
        healed = not first and b"200" not in answer
        check(outcome, None if healed else ConnectError)

    @pytest.mark.parametrize("what", ["header", "headers", "body", "claimed body"])
    def test_an_answer_without_end(self, what: str) -> None:
        """Neither is its memory taken, nor is it read for ever."""

        def handler(peer: Connection) -> None:
            peer.read_request()
            block = {
                "header": b"x" * 4096,
                "headers": b"X: x\r\n" * 700,
                "body": b"x" * 4096,
                "claimed body": b"",
            }[what]
            start = b"HTTP/1.1 500 No\r\n"
            if "body" in what:
                start += b"Content-Length: %d\r\n\r\n" % (1 << 40)
            try:
                peer.sock.sendall(start)
                while block:
                    peer.sock.sendall(block)
                peer.until_gone()
            except OSError:
                return

        tracemalloc.start()
        try:
            outcome = run(handler, **QUICK)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert isinstance(outcome.error, ConnectError)
        assert outcome.seconds < PROMPT
        assert peak < 16 << 20

    @pytest.mark.parametrize("first", [True, False])
    def test_a_redirect_takes_no_key_along(self, first: bool) -> None:
        """Neither at first nor at a reconnect is another host told anything."""
        with Peer(good) as stranger:

            def handler(peer: Connection) -> None:
                peer.refuse(302, b"", f"Location: {stranger.url}/stt/websocket")

            if first:
                outcome = run(handler, reconnect=AGAIN)
            else:
                outcome = run(faulty("audio", resets), handler, reconnect=AGAIN)
        check(outcome, ConnectError)
        assert stranger.requests == []


def test_a_server_that_stops_reading() -> None:
    """A send that takes too long is a loss; a new connection heals it."""
    leave = threading.Event()

    def deaf(peer: Connection) -> None:
        peer.accept()
        assert leave.wait(10)

    def hears(peer: Connection) -> None:
        peer.accept()
        while (got := peer.read()) != (1, b"close"):
            assert got[0] == 2
            heard.append(len(got[1]))
        say(peer, [Done()])
        peer.send_close(1000)
        peer.until_gone()

    heard: list[int] = []
    audio = bytes(4 * 768_000 * 2)  # two seconds at 3 MB each: no buffer holds it
    with nothing_left(), Peer(deaf, hears) as peer:
        t = Transcriber(
            api_key=KEY,
            base_url=peer.url,
            encoding="pcm_s32le",
            sample_rate=768_000,
            chunk=0.02,
            reconnect=AGAIN,
            io_timeout=0.5,
        )
        t.on("reconnect", lambda plan: leave.set())
        t.feed(audio)
        t.close()
    assert t.stats.sessions == 2
    assert sum(heard) == len(audio), "all of it, from the first byte"


def test_wall_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the time of day, which may be set back in mid-call."""
    times = iter(range(10**9, 0, -86_400))
    monkeypatch.setattr(time, "time", lambda: float(next(times)))
    check(run(good), None)
