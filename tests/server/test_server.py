"""The server over a real loopback socket, against a stranger's client."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import websocket

from cartesia_stt_sync.endpoints import MANUAL
from cartesia_stt_sync.server import LocalServer

from .helpers import (
    HEADERS,
    QUERY,
    SECOND,
    TIMEOUT,
    Client,
    FakeEngine,
    get,
    shapes,
)

SCRIPT = [(0.5, "Hello"), (1.0, ", world."), (2.0, " Good bye.")]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A scripted server that takes audio as fast as it comes."""
    with LocalServer(script=SCRIPT, max_ahead=None) as server:
        yield server


@pytest.fixture
def caught(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of a test that expects something in it."""
    with caplog.at_level(logging.DEBUG, "cartesia_stt_sync.server"):
        yield caplog


# What is said


def test_a_session(server: LocalServer) -> None:
    """Interims, finals, flush_done behind them, done, 1000."""
    with Client(server) as client:
        client.audio(SECOND)
        client.text("finalize")
        client.audio(SECOND)
        client.text("close")
        events, code = client.rest()
    assert shapes(events) == [
        "(Hello)",
        "Hello",
        "(, world.)",
        ", world.",
        "flush_done",
        "( Good bye.)",
        " Good bye.",
        "done",
    ]
    assert code == 1000
    assert len({event["request_id"] for event in events}) == 1


def test_a_final_on_the_wire(server: LocalServer) -> None:
    """Every field of a transcript that the service documents is there."""
    with Client(server) as client:
        client.audio(SECOND)
        request_id = client.ws.headers["x-request-id"]
        client.event()
        assert client.event() == {
            "type": "transcript",
            "is_final": True,
            "text": "Hello",
            "request_id": request_id,
            "duration": 0.5,
            "language": "en",
            "words": [{"word": "Hello", "start": 0.0, "end": 0.5}],
        }


def test_finals_come_unprompted(server: LocalServer) -> None:
    """Nobody has to ask for them."""
    with Client(server) as client:
        client.audio(SECOND)
        assert shapes(client.event() for _ in range(4))[-1] == ", world."


def test_every_finalize_is_answered(server: LocalServer) -> None:
    """Also those with nothing to flush, one each."""
    with Client(server) as client:
        for _ in range(3):
            client.text("finalize")
        client.text("close")
        assert client.rest() == (
            [
                {"type": kind, "request_id": client.ws.headers["x-request-id"]}
                for kind in ("flush_done", "flush_done", "flush_done", "done")
            ],
            1000,
        )


@pytest.mark.parametrize(
    ("encoding", "width"),
    [
        ("pcm_s16le", 2),
        ("pcm_s32le", 4),
        ("pcm_f16le", 2),
        ("pcm_f32le", 4),
        ("pcm_mulaw", 1),
        ("pcm_alaw", 1),
    ],
)
def test_every_encoding(server: LocalServer, encoding: str, width: int) -> None:
    """A second is a second in each of them, at any rate."""
    query = QUERY | {"encoding": encoding, "sample_rate": 44100}
    with Client(server, query) as client:
        client.audio(bytes(44100 * width - 1))
        client.text("finalize")
        client.audio(bytes(1))
        client.text("close")
        assert shapes(client.rest()[0])[-3:] == ["flush_done", ", world.", "done"]


def test_a_command_as_json_is_an_error_and_the_stream_goes_on(
    server: LocalServer,
) -> None:
    """So is a good configuration that gets no reply."""
    with Client(server) as client:
        client.text('{"type": "finalize"}')
        error = client.event()
        assert (error["type"], error["status_code"]) == ("error", 400)
        client.text('{"type": "config", "keyterms": ["Cartesia"]}')
        client.text("done")
        assert shapes(client.rest()[0]) == ["done"]


def test_pings_are_answered(server: LocalServer) -> None:
    """Also while nothing is said."""
    with Client(server) as client:
        client.ws.ping("are you there")
        opcode, frame = client.ws.recv_data_frame(control_frame=True)
        assert (opcode, frame.data) == (
            websocket.ABNF.OPCODE_PONG,
            b"are you there",
        )


def test_the_language_asked_for(server: LocalServer) -> None:
    """The script is in whatever language the client says."""
    with Client(server, QUERY | {"language": "de"}) as client:
        client.audio(SECOND)
        assert client.event()["language"] == "de"


# Who is refused


def refused(server: LocalServer, **changes: object) -> tuple[int, dict[str, object]]:
    """Status and body of the refusal of a good request with changes."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        Client(server, QUERY | changes)
    return caught.value.status_code, json.loads(caught.value.resp_body or b"")


def test_a_refusal(server: LocalServer) -> None:
    """Its body is in the shape of an error event."""
    status, body = refused(server, encoding="mp3")
    assert status == 400
    assert body.pop("message", "").startswith("encoding: one of ")  # type: ignore[attr-defined]  # a string, as the assertion shows
    assert body.pop("request_id")
    assert body == {"type": "error", "title": "Invalid encoding", "status_code": 400}


def test_plain_requests(server: LocalServer) -> None:
    """The same address answers HTTP: a front page, and errors with a body."""
    status, headers, page = get(server, "/")
    assert (status, headers["content-type"][:10]) == (200, "text/plain")
    assert b"scripted" in page
    assert server.base_url.encode() in page
    assert headers["x-request-id"]
    for path, method, wanted in (
        ("/stt/nowhere", "GET", 404),
        ("/", "POST", 405),
        (MANUAL.path, "GET", 401),
    ):
        status, headers, body = get(server, path, method=method)
        fields = json.loads(body)
        assert (status, fields["status_code"], fields["type"]) == (
            wanted,
            wanted,
            "error",
        )
        assert headers["x-request-id"] == fields["request_id"]


def test_the_endpoint_wants_an_upgrade(server: LocalServer) -> None:
    """A plain request with everything else right is 400."""
    status, _, body = get(server, f"{MANUAL.path}?{urlencode(QUERY)}", HEADERS)
    assert (status, json.loads(body)["title"]) == (400, "Not a websocket")


def test_one_stream_too_many() -> None:
    """It is 429 until another ends, and the place is free at once then."""
    with LocalServer(script=SCRIPT, max_streams=1) as server:
        for _ in range(5):
            with Client(server) as client:
                status, body = refused(server)
                assert (status, body["error_code"]) == (429, "concurrency_limited")
                client.text("close")
                assert client.event()["type"] == "done"
                # Not even the close frame has been read by now.
        status, _, _ = get(
            server,
            f"{MANUAL.path}?{urlencode(QUERY)}",
            HEADERS
            | {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            },
        )
        assert status == 101


def test_when_to_try_again() -> None:
    """A 429 says after how long."""
    with LocalServer(script=SCRIPT, max_streams=1) as server, Client(server):
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            Client(server)
        assert (caught.value.resp_headers or {})["retry-after"] == "1"


def test_the_one_good_key() -> None:
    """With ``api_key`` no other key is let in."""
    with LocalServer(script=SCRIPT, api_key="a-key") as server:
        Client(server).__exit__(None, None, None)
    with LocalServer(script=SCRIPT, api_key="b-key") as server:
        assert refused(server)[0] == 401


def test_a_model_that_does_not_exist(server: LocalServer) -> None:
    """It is refused after the upgrade."""
    with Client(server, QUERY | {"model": "nova"}) as client:
        events, code = client.rest()
    assert [event["error_code"] for event in events] == ["model_not_found"]
    assert code == 1008


# How a stream ends


def test_too_much_too_fast() -> None:
    """The buffer overflows: an internal server error, then 1011."""
    with LocalServer(engine=FakeEngine(), max_ahead=1.0) as server:
        with Client(server) as client:
            client.audio(SECOND * 3)
            events, code = client.rest()
    assert [event["status_code"] for event in events] == [500]
    assert code == 1011


def test_a_flood_gets_its_error() -> None:
    """Also a client that never stops sending reads why it was dropped."""
    with LocalServer(script=SCRIPT, max_ahead=1.0) as server, Client(server) as client:
        for _ in range(20):
            client.audio(SECOND)
        events, code = client.rest()
    assert events[-1]["type"] == "error"
    assert code == 1011


def test_idle() -> None:
    """A stream without audio is ended, whatever else is sent on it."""
    with LocalServer(script=SCRIPT, idle_timeout=0.05) as server:
        with Client(server) as client:
            client.text("finalize")
            events, code = client.rest()
    assert (shapes(events), code) == (["flush_done"], 1000)


def test_a_message_too_big(server: LocalServer) -> None:
    """It is refused as the websocket standard has it, and the server lives on."""
    outcome = None
    with Client(server) as client, contextlib.suppress(ConnectionError):
        # The server may hang up while the most of it is still on its way.
        client.audio(bytes(5 << 20))
        outcome = client.rest()
    assert outcome in (None, ([], 1009))
    assert get(server, "/")[0] == 200


@pytest.mark.parametrize("call", ["open", "feed", "finalize"])
def test_an_engine_that_fails(call: str, caught: pytest.LogCaptureFixture) -> None:
    """The client hears of an internal error, the log of the cause."""
    with LocalServer(engine=FakeEngine(fails=call)) as server:
        with Client(server) as client:
            client.audio(SECOND)
            client.text("finalize")
            events, code = client.rest()
    assert [event["status_code"] for event in events] == [500]
    assert code == 1011
    assert f"the fake engine fails in {call}" in caught.text


def test_an_engine_that_fails_to_close(caught: pytest.LogCaptureFixture) -> None:
    """The client's end is clean all the same."""
    with LocalServer(engine=FakeEngine(fails="close")) as server:
        with Client(server) as client:
            client.text("close")
            assert client.rest()[1] == 1000
    assert "the fake engine fails in close" in caught.text


@pytest.mark.parametrize("call", ["open", "feed", "finalize"])
def test_a_client_that_vanishes(call: str) -> None:
    """Its listener is closed once the engine is done, never under its hands."""
    engine = FakeEngine(waits=call)
    with LocalServer(engine=engine, max_streams=1) as server:
        with Client(server) as client:
            client.audio(SECOND)
            client.text("finalize")
            assert engine.called.wait(TIMEOUT)
        assert not engine.closed.is_set()
        engine.go.set()
        assert engine.closed.wait(TIMEOUT)
    assert engine.most_at_once == 1


def test_a_client_that_closes_first(server: LocalServer) -> None:
    """Its close frame is answered, the tail is lost: as with the service."""
    with Client(server) as client:
        client.ws.send_close(1000)
        assert client.rest() == ([], 1000)


def test_audio_that_waits_is_heard_at_once() -> None:
    """An engine that has fallen behind gets all that waits in one piece."""
    engine = FakeEngine(waits="open")
    with LocalServer(engine=engine, max_ahead=None) as server:
        with Client(server) as client:
            assert engine.called.wait(TIMEOUT)
            for _ in range(40):  # more than the half minute that may wait
                client.audio(SECOND)
            client.text("close")
            engine.go.set()
            assert shapes(client.rest()[0]) == [f"{40 * 16000}", "done"]


def test_a_client_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dropped at its end, although it takes not even a goodbye."""
    with LocalServer(script=SCRIPT, idle_timeout=0.3, max_streams=1) as server:
        with Client(server, sockopt=[(1, 8, 4096)]) as client:
            client.ws.settimeout(TIMEOUT)
            with pytest.raises(ConnectionError):
                # Each is answered with an error that nobody reads, until the
                # server can neither send nor, therefore, read.
                while True:
                    client.text("x" * 1000)


# What stop() does


def test_stop_ends_streams() -> None:
    """Open streams get 1001."""
    server = LocalServer(script=SCRIPT).start()
    with Client(server) as client, Client(server) as other:
        server.stop()
        assert client.rest() == ([], 1001)
        assert other.rest() == ([], 1001)


def test_a_closed_port_is_closed() -> None:
    """After stop() nobody listens; start() listens again, on a new port."""
    server = LocalServer(script=SCRIPT)
    with server:
        first = server.base_url
    with pytest.raises(ConnectionError):
        websocket.create_connection(first, timeout=TIMEOUT)
    with server:
        assert get(server, "/")[0] == 200
