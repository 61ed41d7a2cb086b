"""What goes wrong on purpose, as a stranger on a bare socket sees it."""

from __future__ import annotations

import itertools
import json
import logging
import os
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

from cartesia_stt_sync import Transcriber
from cartesia_stt_sync.endpoints import MANUAL
from cartesia_stt_sync.errors import ConfigError
from cartesia_stt_sync.server import Fault, Listener, LocalServer, Piece, ScriptedEngine
from cartesia_stt_sync.server.acts import act_of, opening_of
from cartesia_stt_sync.server.handshake import Stream
from cartesia_stt_sync.server.replies import replies_of
from cartesia_stt_sync.server.rules import HANDSHAKE, STREAM

from .helpers import QUERY, SECOND, TIMEOUT, FakeEngine, get
from .stranger import PING, TEXT, Stranger

PROMPT = 2.0
"""Seconds in which a server has stopped, whatever it is doing."""

SCRIPT = [(0.25, "A"), (0.5, "B"), (1.0, "C")]
SAYS = (SECOND, "finalize", "close")
WELL = ["(A)", "A", "(B)", "B", "(C)", "C", "Z", "flush_done", "Z", "done"]
"""What comes of it, without a fault, before the close frame."""

BEFORE: dict[float | str, int] = {0.0: 0, 0.5: 4, "finalize": 6, "close": 8, "done": 9}
"""How much of that comes before each moment."""

ENDED = ["close 1000", "FIN"]

REPLIES = replies_of(
    MANUAL,
    Stream(model="ink-2", encoding="pcm_s16le", sample_rate=16000),
    request_id="id",
    language="en",
)


class Engine(ScriptedEngine):
    """A script, and a ``Z`` for each command."""

    def open(self, sample_rate: int) -> Listener:
        listener = super().open(sample_rate)
        heard = Piece(text="Z", is_final=True, start=0.0, end=0.0)
        listener.finalize = lambda: [heard]  # type: ignore[method-assign]  # by a test
        return listener


def serve(*faults: Fault | None, **options: Any) -> LocalServer:
    """A server with these faults."""
    return LocalServer(engine=Engine(SCRIPT), faults=faults, **options)


@contextmanager
def until_struck(fault: Fault) -> Iterator[None]:
    """Leave the block only when the server says that the fault has come."""
    struck = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if repr(fault) in record.getMessage():
                struck.set()

    log, handler = logging.getLogger("cartesia_stt_sync.server"), Heard()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
        assert struck.wait(TIMEOUT), f"{fault} has not come"
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def well(server: LocalServer) -> None:
    """See that the next connection is served well; by then others had their turn."""
    with Stranger(server) as other:
        other.say(*SAYS)
        assert other.story() == WELL + ENDED


# In a stream: what comes on the wire, in each of its moments


@attrs.frozen
class Row:
    """A fault and what comes of it.

    Attributes:
        make: Makes it, given ``at``.
        tells: What comes in its moment.
        goes_on: Whether the stream goes on after it.
    """

    make: Callable[..., Fault]
    tells: list[str]
    goes_on: bool = False


ROWS = {
    "reset": Row(Fault.reset, ["RST"]),
    "vanish": Row(Fault.vanish, ["FIN"]),
    **{
        f"close {code}": Row(
            lambda at, code=code: Fault.close(code, at=at), [f"close {code}", "FIN"]
        )
        for code in (1000, 1001, 1011, 1012, 1013, 4000, 0)
    },
    "close, why": Row(
        lambda at: Fault.close(1012, "ä" * 61, at=at), [f"close 1012 {'ä' * 61}", "FIN"]
    ),
    "close, no code": Row(lambda at: Fault.close(None, at=at), ["close", "FIN"]),
    "half a frame": Row(Fault.half_frame, ["FIN in a frame"]),
    "done": Row(Fault.done, ["done", *ENDED]),
    "error": Row(Fault.error, ["error", "close 1011 internal server error", "FIN"]),
    "flush_done": Row(Fault.flush_done, ["flush_done"], goes_on=True),
    "garbage": Row(Fault.garbage, ["this is no JSON"], goes_on=True),
    "invalid UTF-8": Row(
        Fault.invalid_utf8, ['{"type": "transcript", "text": "\ufffd\ufffd"}'], True
    ),
    "deep JSON": Row(
        lambda at: Fault.deep_json(at=at), ["[" * 200_000 + "]" * 200_000], True
    ),
    "flood": Row(
        lambda at: Fault.flood(3, at=at), ["(a flood of text)"] * 3, goes_on=True
    ),
    "slow": Row(lambda at: Fault.slow(0.01, at=at), [], goes_on=True),
    "slow by nothing": Row(lambda at: Fault.slow(0, at=at), [], goes_on=True),
}


@pytest.mark.parametrize("at", BEFORE)
@pytest.mark.parametrize("name", ROWS)
def test_on_the_wire(name: str, at: float | str) -> None:
    """Served well up to its moment, then it is there, then all goes on or nothing."""
    row = ROWS[name]
    with serve(row.make(at=at)) as server, Stranger(server) as client:
        client.say(*SAYS)
        rest = WELL[BEFORE[at] :] + ENDED if row.goes_on else []
        assert client.story() == WELL[: BEFORE[at]] + row.tells + rest


@pytest.mark.parametrize("size", [2, 999, 16000])
def test_its_moment_is_a_sample(size: int) -> None:
    """However the audio is cut into messages, what comes before it is the same."""
    for at in (0.125, 0.124, 0.5, 0.4999):
        with serve(Fault.vanish(at=at), max_ahead=None) as server:
            with Stranger(server) as client:
                audio = SECOND[: 16000 + 2]
                for start in range(0, len(audio), size):
                    client.say(audio[start : start + size])
                said = {0.124: 0, 0.125: 1, 0.4999: 3, 0.5: 4}[at]
                assert client.story() == [*WELL[:said], "FIN"]


def test_a_moment_that_does_not_come() -> None:
    """Nothing is wrong with a stream that ends before."""
    for at in (1.5, 1e9):
        with serve(Fault.reset(at=at)) as server, Stranger(server) as client:
            client.say(*SAYS)
            assert client.story() == WELL + ENDED


def test_only_the_first_finalize() -> None:
    """A fault comes once on its connection."""
    with serve(Fault.garbage(at="finalize")) as server, Stranger(server) as client:
        client.say("finalize", "finalize", "close")
        assert client.story().count("this is no JSON") == 1


def test_shapes_of_errors() -> None:
    """The three shapes have the fields that the service gives them."""
    current = {
        "type": "error",
        "title": "Payment Required",
        "message": "no",
        "status_code": 402,
        "error_code": "quota_exceeded",
    }
    older = {"type": "error", "message": "Payment Required: no", "code": 402}
    oldest = {"type": "error", "error": "no"}
    expected = {"current": current, "older": older, "oldest": oldest}
    for shape, fields in expected.items():
        fault = Fault.error(
            shape, status=402, message="no", error_code="quota_exceeded"
        )
        with serve(fault) as server, Stranger(server) as client:
            event = json.loads(client.frame()[2])
        assert event.pop("request_id")
        assert event == fields
    assert b'"Error"' in bytes(act_of(Fault.error(status=599), REPLIES).payload)  # type: ignore[union-attr]  # an Act


def test_half_a_frame() -> None:
    """Its head is whole, and half of the text is there."""
    with serve(Fault.half_frame()) as server, Stranger(server) as client:
        data = client.rest()
    assert data[0] == 0x81
    assert data[1] < 126
    assert abs((len(data) - 2) - data[1] / 2) <= 1


# Silence


def test_stop_answering() -> None:
    """All that is sent is taken, but not even a ping is answered."""
    fault = Fault.stop_answering(at=0.5)
    with serve(fault) as server, Stranger(server) as client:
        with until_struck(fault):
            client.say(SECOND)
        client.say(*[SECOND] * 500, "finalize")
        client.send(PING, b"?")
        client.say("close")
        client.send(8, b"\x03\xe8")
        well(server)
        server.stop()
        assert client.story()[:4] == WELL[:4]
        assert client.story()[-1] in ("FIN", "RST")
        assert len(client.story()) == 1


def test_stop_answering_ends_with_the_client() -> None:
    """When the client leaves, the server lets go."""
    engine, fault = FakeEngine(), Fault.stop_answering(at=0.1)
    with LocalServer(engine=engine, faults=[fault]) as server:
        with Stranger(server) as client, until_struck(fault):
            client.say(SECOND)
        assert engine.closed.wait(TIMEOUT)


def test_stop_reading() -> None:
    """Nothing more is taken, once what the system holds is full."""
    fault = Fault.stop_reading(at=0.5)
    with serve(fault) as server, Stranger(server) as client:
        with until_struck(fault):
            client.say(SECOND)
        client.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            for _ in range(3000):  # 96 MB
                client.send(2, SECOND)
        well(server)
        server.stop()
        client.sock.settimeout(TIMEOUT)
        assert client.story() == [*WELL[:4], "RST"]


def test_slow() -> None:
    """Each answer is late by as much, and not by more for those before it."""
    late = 0.3
    with serve(Fault.slow(late)) as server, Stranger(server) as client:
        began = time.monotonic()
        client.say(*["finalize"] * 10, "nonsense")
        client.frame()
        first = time.monotonic() - began
        for _ in range(20):
            client.frame()
        last = time.monotonic() - began
        client.say("close")
        assert client.story() == ["Z", "done", *ENDED]
        closed = time.monotonic() - began
    assert late <= first <= last < 3 * late
    assert closed >= last + late


# Without end


def test_huge_frame() -> None:
    """A frame of 2**40 bytes is announced; of it some come, then nothing."""
    fault = Fault.huge_frame()
    with serve(fault) as server, Stranger(server) as client:
        data = client.body(1010)
        assert data[:10] == b"\x81\x7f" + (2**40).to_bytes(8, "big")
        well(server)
        server.stop()
        assert client.rest() == b""


def test_endless_fragments() -> None:
    """A text message begins, and none of its frames is the last."""
    with serve(Fault.endless_fragments()) as server, Stranger(server) as client:
        assert client.frame() == (False, TEXT, b"{")
        for _ in range(100):
            fin, opcode, data = client.frame()
            assert (fin, opcode, len(data)) == (False, 0, 65536)


def test_endless_pings() -> None:
    """Pings, and no answer to anything."""
    with serve(Fault.endless_pings()) as server, Stranger(server) as client:
        client.say(*SAYS)
        assert {client.frame() for _ in range(50_000)} == {(True, PING, b"?")}


@pytest.mark.parametrize(
    "make",
    [Fault.endless_fragments, Fault.endless_pings, Fault.huge_frame, Fault.flood],
)
def test_a_client_that_leaves_ends_it(make: Callable[..., Fault]) -> None:
    """The server lets go as soon as nobody is there."""
    engine, fault = FakeEngine(), make(at=0.1)
    with LocalServer(engine=engine, faults=[fault]) as server:
        with Stranger(server) as client:
            client.say(SECOND)
            client.body(1000)
        assert engine.closed.wait(TIMEOUT)


@pytest.mark.parametrize(
    "make", [Fault.endless_fragments, Fault.endless_pings, Fault.flood]
)
def test_a_client_that_does_not_read(make: Callable[..., Fault]) -> None:
    """What it does not take is not made: memory stays bounded, others are served."""
    fault = make()
    with serve(fault) as server:
        tracemalloc.start()
        try:
            with until_struck(fault):
                client = Stranger(server, receive_buffer=4096)
            with client:
                for _ in range(10):
                    well(server)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4 << 20


def test_flood() -> None:
    """A hundred thousand provisional texts, and the stream goes on."""
    with serve(Fault.flood()) as server, Stranger(server) as client:
        client.say(*SAYS)
        story = client.story()
    assert story == ["(a flood of text)"] * 100_000 + WELL + ENDED


# In the handshake


def test_refuse() -> None:
    """The status, and a body in the service's shape, as plain text or as JSON."""
    faults = [
        Fault.refuse(503),
        Fault.refuse(402, body="no money", retry_after=3),
        Fault.refuse(599, body={"error": ["ä"]}, retry_after="Fri, 31 Dec 1999"),
        Fault.refuse(200, body=""),
        Fault.refuse(204),
    ]
    answers = []
    with serve(*faults) as server:
        for _ in faults:
            with Stranger(server, upgrade=False) as client:
                status, headers = client.head()
                body = client.body(int(headers.get("content-length", 0)))
                answers.append((status, headers, body))
    statuses = [status for status, _, _ in answers]
    assert statuses == [503, 402, 599, 200, 204]
    _, headers, body = answers[0]
    fields = json.loads(body)
    assert fields.pop("request_id") == headers["x-request-id"]
    assert fields.pop("message")
    assert fields == {
        "type": "error",
        "title": "Service Unavailable",
        "status_code": 503,
    }
    assert "retry-after" not in headers
    _, headers, body = answers[1]
    assert (body, headers["retry-after"]) == (b"no money", "3")
    assert headers["content-type"].startswith("text/plain")
    _, headers, body = answers[2]
    assert (json.loads(body), headers["retry-after"]) == (
        {"error": ["ä"]},
        "Fri, 31 Dec 1999",
    )
    assert headers["content-type"].startswith("application/json")
    assert answers[3][2] == answers[4][2] == b""


def test_redirect() -> None:
    """The client is sent elsewhere, and not one byte of the address is changed."""
    url = "wss://elsewhere.example:1/a b?c=%20#ä"
    with serve(Fault.redirect(url)) as server:
        with Stranger(server, upgrade=False) as client:
            status, headers = client.head()
    assert (status, headers["location"]) == (302, url)


def test_slow_handshake() -> None:
    """The answer comes late; then all is well."""
    with serve(Fault.slow_handshake(0.2)) as server:
        began = time.monotonic()
        with Stranger(server) as client:
            assert time.monotonic() - began >= 0.2
            client.say(*SAYS)
            assert client.story() == WELL + ENDED


def test_a_slow_handshake_does_not_count_twice() -> None:
    """While it waits another may take its place: then it is one too many."""
    fault = Fault.slow_handshake(0.3)
    with serve(fault, max_streams=1) as server:
        with until_struck(fault):
            client = Stranger(server, upgrade=False)
        with client, Stranger(server):
            assert client.head()[0] == 429


@pytest.mark.parametrize(
    ("fault", "comes"),
    [
        (Fault.no_handshake(), b""),
        (Fault.slow_handshake(60), b""),
        (Fault.half_handshake(), b"HTTP/1.1 101 Switching Protocols\r\nUpgr"),
    ],
)
def test_no_whole_handshake(fault: Fault, comes: bytes) -> None:
    """As much comes as shall, and nothing more up to the server's end."""
    with serve(fault) as server:
        with until_struck(fault):
            client = Stranger(server, upgrade=False)
        with client:
            client.say(*SAYS)
            well(server)
            server.stop()
            assert client.rest() == comes


def test_reset_handshake() -> None:
    """A reset is all that comes."""
    with serve(Fault.reset_handshake()) as server:
        with Stranger(server, upgrade=False) as client:
            with pytest.raises(ConnectionResetError):
                client.head()


@pytest.mark.parametrize(
    "fault", [Fault.no_handshake(), Fault.half_handshake(), Fault.slow_handshake(0.05)]
)
def test_a_client_that_leaves_in_the_handshake(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """The server hangs up, and has nothing to complain of."""
    with serve(fault, Fault.slow_handshake(0.1)) as server:
        with until_struck(fault):
            client = Stranger(server, upgrade=False)
        with client:
            client.sock.shutdown(socket.SHUT_WR)
            client.rest()
        Stranger(server).sock.close()  # by now the time of the first is over, too
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


# Which connection gets which


def outcomes(server: LocalServer, count: int) -> list[int]:
    """The statuses that so many connections get."""
    statuses = []
    for _ in range(count):
        with Stranger(server, upgrade=False) as client:
            statuses.append(client.head()[0])
    return statuses


def test_in_order() -> None:
    """Each connection gets the next one; None, and past the end, is served well."""
    faults = [Fault.refuse(503), None, Fault.refuse(401)]
    with serve(*faults) as server:
        assert outcomes(server, 5) == [503, 101, 401, 101, 101]


def test_without_end() -> None:
    """An iterator is asked for one at a time."""
    asked: list[int] = []

    def faults() -> Iterator[Fault]:
        for status in itertools.count(500):
            asked.append(status)
            yield Fault.refuse(status)

    with LocalServer(script=SCRIPT, faults=faults()) as server:
        assert asked == []
        assert outcomes(server, 3) == asked == [500, 501, 502]
    with LocalServer(
        script=SCRIPT, faults=itertools.repeat(Fault.refuse(503))
    ) as server:
        assert outcomes(server, 5) == [503] * 5


def test_over_stop_and_start() -> None:
    """A server that comes back goes on where it was."""
    server = serve(Fault.refuse(503), Fault.refuse(504))
    with server:
        assert outcomes(server, 1) == [503]
    with server:
        assert outcomes(server, 2) == [504, 101]


def test_only_who_would_be_served_takes_one() -> None:
    """A plain request, a bad one and one too many leave the fault for the next."""
    with serve(None, Fault.refuse(503), max_streams=1) as server:
        assert get(server, "/")[0] == 200
        bad = QUERY | {"encoding": "mp3"}
        with Stranger(server, upgrade=False, query=bad) as client:
            assert client.head()[0] == 400
        with Stranger(server) as client:
            assert outcomes(server, 1) == [429]
            client.say("close")
            assert client.story()[-2:] == ENDED
        assert outcomes(server, 1) == [503]


def test_an_iterator_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Its connection is refused, the log says why, and the others are served."""
    with LocalServer(script=SCRIPT, faults=iter(["reset"])) as server:  # type: ignore[arg-type]  # wrong on purpose
        assert outcomes(server, 2) == [500, 101]
    assert "each a Fault or None, got 'reset'" in caplog.text


def test_a_seized_stream_takes_no_place() -> None:
    """A client that comes back at once finds room."""
    for fault in (Fault.vanish(), Fault.stop_answering(), Fault.stop_reading()):
        with serve(fault, max_streams=1) as server:
            with until_struck(fault):
                client = Stranger(server)
            with client:
                well(server)


# What may be asked for

WRONG: Any = Fault  # of no type, for it to be called with the wrong ones
SERVER: Any = LocalServer


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: WRONG.reset(at=-1), "at: seconds of at least 0, or one of finalize, "),
        (lambda: WRONG.reset(at=float("nan")), "at: .* got nan"),
        (lambda: WRONG.reset(at=True), "at: .* got True"),
        (lambda: WRONG.reset(at="open"), "at: .* got 'open'"),
        (lambda: WRONG.reset(at=None), "at: "),
        (lambda: WRONG.reset(at=10**400), "at: "),
        (lambda: WRONG.refuse(101), "status: a whole number from 200 to 599, got 101"),
        (lambda: WRONG.refuse("503"), "status: "),
        (lambda: WRONG.refuse(503, body=7), "body: a string, a mapping .* got 7"),
        (lambda: WRONG.refuse(503, body={"a": object()}), "body: "),
        (lambda: WRONG.refuse(503, retry_after=-1), "retry_after: "),
        (lambda: WRONG.refuse(503, retry_after="a\r\nb: c"), "retry_after: "),
        (lambda: WRONG.redirect(""), "url: a non-empty printable string, got ''"),
        (lambda: WRONG.redirect("http://a\r\nb: c"), "url: "),
        (lambda: WRONG.slow_handshake(-1), "seconds: seconds of at least 0, got -1"),
        (lambda: WRONG.slow("1"), "seconds: "),
        (lambda: WRONG.close(65536), "code: a whole number from 0 to 65535"),
        (lambda: WRONG.close(1000, 7), "reason: a string of at most 123 bytes, got 7"),
        (lambda: WRONG.close(1000, "ä" * 62), "reason: "),
        (lambda: WRONG.close(1000, "\ud800"), "reason: "),
        (lambda: WRONG.close(None, "why"), "reason: none without a code"),
        (lambda: WRONG.error("newest"), "shape: one of current, older, oldest"),
        (lambda: WRONG.error([]), "shape: "),
        (lambda: WRONG.error(status=1), "status: "),
        (lambda: WRONG.error(message=""), "message: "),
        (lambda: WRONG.error(error_code=""), "error_code: "),
        (lambda: WRONG.deep_json(0), "depth: a whole number from 1 to "),
        (lambda: WRONG.flood(0), "events: a whole number from 1 to "),
        (lambda: WRONG(kind="rest"), "kind: one of refuse, .* got 'rest'"),
        (lambda: WRONG(kind="close", at=0), "options: "),
        (lambda: WRONG(kind="no_handshake", at=0), "at: no_handshake has no such"),
        (lambda: SERVER(script=[], faults=7), "faults: an iterable of Fault"),
        (lambda: SERVER(script=[], faults=Fault.reset()), "faults: an iterable"),
        (lambda: SERVER(script=[], faults="reset"), "faults: .* got 'r'"),
        (lambda: SERVER(script=[], faults=[None, 7]), "faults: .* got 7"),
    ],
)
def test_refuses_bad_arguments(make: Callable[[], object], problem: str) -> None:
    """The message names the argument, the rule and what came."""
    with pytest.raises(ConfigError, match=f"^{problem}"):
        make()


def test_a_value() -> None:
    """Faults are equal if they do the same, show how they were made, and stay so."""
    body = {"a": [1]}
    fault = Fault.refuse(503, body=body)
    body["a"].append(2)
    assert fault == Fault.refuse(503, body={"a": [1]}) != Fault.refuse(503)
    assert repr(fault) == "Fault.refuse(status=503, body={'a': [1]}, retry_after=None)"
    assert repr(Fault.close(1012, "why", at="done")) == (
        "Fault.close(code=1012, reason='why', at='done')"
    )
    assert hash(Fault.reset(at=1)) == hash(Fault.reset(at=1.0))
    assert eval(repr(fault)) == fault
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        fault.at = 1.0  # type: ignore[misc]  # wrong on purpose


EVERY: dict[str, Fault] = {
    "refuse": Fault.refuse(503),
    "redirect": Fault.redirect("ws://127.0.0.1:1"),
    "slow_handshake": Fault.slow_handshake(60),
    "close": Fault.close(1012),
    "slow": Fault.slow(60),
} | {
    kind: getattr(Fault, kind)()
    for kind in (HANDSHAKE | STREAM)
    if kind not in ("refuse", "redirect", "slow_handshake", "close", "slow")
}


@pytest.mark.parametrize("kind", HANDSHAKE | STREAM)
def test_every_kind_is_made_and_done(kind: str) -> None:
    """Each has a method with a docstring, and something that it does."""
    fault = EVERY[kind]
    assert fault.kind == kind
    assert getattr(Fault, kind).__doc__
    assert fault.at == (None if kind in HANDSHAKE else 0.0)
    if fault.in_handshake:
        opening_of(fault, "id")
    else:
        act_of(fault, REPLIES)


# The server's end


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("kind", HANDSHAKE | STREAM)
def test_stop_is_prompt(kind: str, reads: bool) -> None:
    """Whatever goes on, and whether or not the client reads, stop() does not wait."""
    fault = EVERY[kind]
    server = serve(fault).start()
    try:
        with until_struck(fault):
            client = Stranger(server, upgrade=False, receive_buffer=4096)
        reader = threading.Thread(target=client.rest)
        with client:
            client.say(*SAYS)
            if reads:
                reader.start()
            began = time.monotonic()
            server.stop()
            seconds = time.monotonic() - began
            if reads:
                reader.join(TIMEOUT)
        assert seconds < PROMPT
    finally:
        server.stop()


# Over TLS


@pytest.mark.parametrize(
    ("make", "tells"),
    [
        (Fault.half_frame, ["FIN in a frame"]),
        (Fault.garbage, ["this is no JSON", *WELL[4:], *ENDED]),
        (Fault.close, ["close 1012", "FIN"]),
    ],
)
def test_tls(
    make: Callable[..., Fault],
    tells: list[str],
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """It is the same in a wss stream."""
    ours, theirs = contexts
    fault = make(1012, at=0.5) if make == Fault.close else make(at=0.5)
    with serve(fault, ssl_context=ours) as server:
        with Stranger(server, context=theirs) as client:
            client.say(*SAYS)
            assert client.story() == WELL[:4] + tells


@pytest.mark.skipif(os.name == "nt", reason="a socket is no file there, to be dup'd")
@pytest.mark.parametrize(("make", "end"), [(Fault.vanish, "FIN"), (Fault.reset, "RST")])
def test_tls_says_no_goodbye(
    make: Callable[..., Fault],
    end: str,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """The connection below ends without one byte more of TLS."""
    ours, theirs = contexts
    with serve(make(at=0.5), ssl_context=ours) as server:
        with Stranger(server, context=theirs) as client:
            client.say(SECOND)
            for _ in range(4):
                client.frame()
            assert client.end_below() == end


@pytest.mark.parametrize("kind", STREAM)
def test_stop_is_prompt_over_tls(
    kind: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """Nor does a client behind TLS that reads nothing keep the server."""
    ours, theirs = contexts
    fault = EVERY[kind]
    with serve(fault, ssl_context=ours) as server:
        with until_struck(fault):
            client = Stranger(server, context=theirs, receive_buffer=4096)
        with client:
            client.say(*SAYS)
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < PROMPT


# As a user writes it


def test_a_program_that_reconnects() -> None:
    """The connection is reset in the middle; the program loses nothing."""
    with LocalServer(
        script=[(0.5, "Hello"), (1.0, " world")], faults=[Fault.reset(at=0.3)]
    ) as server:
        with Transcriber(base_url=server.base_url, api_key="any") as t:
            t.feed(bytes(32000))
    assert t.text == "Hello world"
    assert t.stats.sessions == 2
