"""The Auto endpoint over a real loopback socket, against strangers' clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import cartesia
import pytest
import websocket

from cartesia_stt_sync.endpoints import MANUAL, TURNS, Endpoint
from cartesia_stt_sync.server import Fault, LocalServer
from cartesia_stt_sync.server.engine import Script
from tests import speech

from .helpers import QUERY, SECOND, Client, FakeEngine, get, shapes
from .stranger import Stranger

ASKED = {name: value for name, value in QUERY.items() if name != "language"}
CLOSE = TURNS.close

SCRIPT: Script = [
    (0.5, "Hello", "update"),
    (1.0, ", world", "eager_end"),
    (1.5, "."),
    (2.0, " Good bye."),
]
TOLD = [
    "connected",
    "turn.start",
    "turn.update Hello",
    "turn.update Hello, world",
    "turn.eager_end Hello, world",
    "turn.resume",
    "turn.update Hello, world.",
    "turn.end Hello, world.",
    "turn.start",
    "turn.update  Good bye.",
    "turn.end  Good bye.",
]
"""What two seconds of audio bring."""

CLOSED = ["close 1000", "FIN"]


def serve(*faults: Fault | None, **options: Any) -> LocalServer:
    """A scripted server that takes audio as fast as it comes."""
    return LocalServer(script=SCRIPT, faults=faults, **{"max_ahead": None} | options)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A scripted server without faults."""
    with serve() as server:
        yield server


def client(server: LocalServer, **changes: object) -> Client:
    """A websocket client on a stream of turns."""
    return Client(server, ASKED | changes, TURNS)


def stranger(server: LocalServer) -> Stranger:
    """A bare socket on one."""
    return Stranger(server, query=ASKED, endpoint=TURNS)


# What is said


def test_a_session(server: LocalServer) -> None:
    """Connected, turns, and after ``close`` the close frame, without a ``done``."""
    with stranger(server) as other:
        other.say(SECOND, SECOND, CLOSE)
        assert other.story() == TOLD + CLOSED


def test_turns_on_the_wire(server: LocalServer) -> None:
    """Every field that the service documents is there, and no other."""
    with client(server) as c:
        c.audio(SECOND * 2)
        request_id = c.ws.headers["x-request-id"]
        events = [c.event() for _ in TOLD]
    common = {
        "request_id": request_id,
        "languages": [{"language": "en", "confidence": 1.0}],
    }
    first, second = (common | {"turn_id": f"{request_id}-{n}"} for n in (1, 2))
    assert events[0] == {"type": "connected", "request_id": request_id}
    assert events[1] == {"type": "turn.start"} | first
    assert events[2] == {"type": "turn.update", "transcript": "Hello"} | first
    assert events[4] == {"type": "turn.eager_end", "transcript": "Hello, world"} | first
    assert events[5] == {"type": "turn.resume"} | first
    assert events[7] == {"type": "turn.end", "transcript": "Hello, world."} | first
    assert events[-1] == {"type": "turn.end", "transcript": " Good bye."} | second


def test_connected_comes_before_any_audio(server: LocalServer) -> None:
    """Nobody has to send anything for it."""
    with client(server) as c:
        assert c.event()["type"] == "connected"


def test_close_ends_an_open_turn(server: LocalServer) -> None:
    """With the text that was said by then."""
    with stranger(server) as other:
        other.say(SECOND[:16000], CLOSE)
        told = ["connected", "turn.start", "turn.update Hello", "turn.end Hello"]
        assert other.story() == told + CLOSED


@pytest.mark.parametrize(
    "text", ["close", "finalize", "done", '{"type": "finalize"}', "x"]
)
def test_what_is_no_command(server: LocalServer, text: str) -> None:
    """It is told what would be one, and the stream goes on."""
    with client(server) as c:
        assert c.event()["type"] == "connected"
        c.text(text)
        error = c.event()
        assert (error["type"], error["status_code"]) == ("error", 400)
        assert error["message"].startswith('expected {"type": "close"} or ')
        c.audio(SECOND * 2)
        c.text(CLOSE)
        events, code = c.rest()
    assert (shapes(events), code) == (TOLD[1:], 1000)


def test_autos_close_is_a_mistake_on_manual(server: LocalServer) -> None:
    """There it is a bare word."""
    with Client(server) as c:
        c.text(CLOSE)
        assert c.event()["message"].startswith("expected 'finalize' or 'close'")
        c.text("close")
        assert shapes(c.rest()[0]) == ["done"]


def test_configuration(server: LocalServer) -> None:
    """A good one gets no reply, a bad one an error, and the stream goes on."""
    with client(server) as c:
        assert c.event()["type"] == "connected"
        c.text(TURNS.config({"turn": {"end_threshold": 0.1}, "keyterms": ["a"]}))
        c.text(TURNS.config({"turn": {"eager_end_threshold": 0.9}}))
        error = c.event()
        assert error["title"] == "Invalid configuration"
        assert error["message"].startswith("turn.eager_end_threshold: a number from")
        c.text(CLOSE)
        assert c.rest() == ([], 1000)


def test_pauses_over_the_socket() -> None:
    """The settings of the handshake hold, and those of a configuration after them."""
    query = {"turn_eager_end_threshold": 0.6, "turn_end_threshold": 0.5}
    with LocalServer(engine="recogniser", max_ahead=None) as server:
        with client(server, **query, turn_end_timeout_ms="11200.0") as c:
            spoken = speech.samples(min(speech.clips(), key=_length))
            c.audio(spoken + SECOND)
            c.text(TURNS.config({"turn": {"end_threshold": 0.05}}))
            c.audio(spoken + SECOND)
            c.text(CLOSE)
            kinds = [event["type"] for event in c.rest()[0]]
    turn = ["turn.start", "turn.update", "turn.eager_end", "turn.end"]
    # The second one ends with the stream: its pause was not long enough.
    assert kinds == ["connected", *turn, *turn]


def _length(name: str) -> int:
    return len(speech.samples(name))


# Who is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"turn_start_threshold": 0.95}, "turn_start_threshold: a number from 0.5"),
        ({"turn_eager_end_threshold": 0.2}, "turn_eager_end_threshold: a number"),
        ({"turn_end_threshold": "low"}, "turn_end_threshold: .*got 'low'"),
        ({"turn_end_threshold": "nan"}, "turn_end_threshold: .*got 'nan'"),
        ({"turn_end_timeout_ms": 639}, "turn_end_timeout_ms: .*640 to 11200"),
        ({"turn_end_threshold": 0.45}, "turn_end_threshold: each above the next"),
        ({"turn_pause": 1}, "'turn_pause' is not a parameter of /stt/turns"),
        ({"language": "en"}, "'language' is not a parameter of /stt/turns"),
        ({"min_volume": 0.1}, "'min_volume' is not"),
        ({"language_hint": "en"}, "language_hint: for ink-preview only"),
        ({"sample_rate": 12}, "sample_rate: a whole number"),
    ],
)
def test_refuses_bad_parameters(
    server: LocalServer, changes: dict[str, object], message: str
) -> None:
    """Each is 400, before any upgrade, and says what would be right."""
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        client(server, **changes)
    assert caught.value.status_code == 400
    body = json.loads(caught.value.resp_body or b"")
    with pytest.raises(ValueError, match=message):
        raise ValueError(body["message"])


def test_manual_takes_no_turns(server: LocalServer) -> None:
    """There the parameters of turns are unknown."""
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        Client(server, QUERY | {"turn_end_threshold": 0.2})


def test_a_model_that_does_not_exist(server: LocalServer) -> None:
    """It is refused after the upgrade, and was never connected."""
    with client(server, model="nova") as c:
        events, code = c.rest()
    assert [event["type"] for event in events] == ["error"]
    assert code == 1008


def test_streams_are_counted_together() -> None:
    """One of each is two."""
    with serve(max_streams=2) as server, Client(server), client(server) as c:
        for endpoint, query in ((TURNS, ASKED), (MANUAL, QUERY)):
            with pytest.raises(websocket.WebSocketBadStatusException, match="429"):
                Client(server, query, endpoint)
        c.text(CLOSE)
        assert c.rest()[1] == 1000
        client(server).__exit__(None, None, None)


def test_the_front_page(server: LocalServer) -> None:
    """It has both endpoints."""
    page = get(server, "/")[2].decode()
    for endpoint, name in ((MANUAL, "Manual"), (TURNS, "Auto")):
        assert f"{server.base_url}{endpoint.path} ({name})\n" in page


# How a stream ends


def test_too_much_too_fast() -> None:
    """The buffer overflows as on Manual."""
    with LocalServer(engine=FakeEngine(), max_ahead=1.0) as server:
        with client(server) as c:
            c.audio(SECOND * 3)
            events, code = c.rest()
    assert (shapes(events)[-1], code) == ("error", 1011)


def test_idle() -> None:
    """A stream without audio is ended, whatever else is sent on it."""
    with serve(idle_timeout=0.05) as server, client(server) as c:
        c.text(TURNS.config({"keyterms": []}))
        events, code = c.rest()
    assert (shapes(events), code) == (["connected"], 1000)


def test_stop() -> None:
    """An open stream gets 1001."""
    server = serve().start()
    with client(server) as c:
        assert c.event()["type"] == "connected"
        server.stop()
        assert c.rest() == ([], 1001)


@pytest.mark.parametrize("call", ["open", "feed", "finalize"])
def test_an_engine_that_fails(call: str) -> None:
    """The client hears of an internal error."""
    with LocalServer(engine=FakeEngine(fails=call)) as server, client(server) as c:
        c.audio(SECOND)
        c.text(CLOSE)
        events, code = c.rest()
    assert (shapes(events), code) == (["connected", "error"], 1011)


def test_an_engine_that_speaks_only_when_asked() -> None:
    """What it says to ``close`` is a turn."""
    with LocalServer(engine=FakeEngine()) as server, stranger(server) as other:
        other.say(SECOND, CLOSE)
        assert other.story() == [
            "connected",
            "turn.start",
            "turn.update 16000",
            "turn.end 16000",
            *CLOSED,
        ]


# What goes wrong on purpose

BEFORE: dict[float | str, int] = {0.0: 1, 1.0: 5, "close": 11, "done": 11}
"""How much is told before each moment."""


@pytest.mark.parametrize("at", BEFORE)
@pytest.mark.parametrize(
    ("make", "tells", "goes_on"),
    [
        (Fault.reset, ["RST"], False),
        (Fault.vanish, ["FIN"], False),
        (lambda at: Fault.close(1012, at=at), ["close 1012", "FIN"], False),
        (Fault.half_frame, ["FIN in a frame"], False),
        (Fault.done, ["done", *CLOSED], False),
        (
            Fault.error,
            ["error", "close 1011 internal server error", "FIN"],
            False,
        ),
        (Fault.flush_done, ["flush_done"], True),
        (Fault.garbage, ["this is no JSON"], True),
        (
            lambda at: Fault.flood(3, at=at),
            ["turn.update a flood of text"] * 3,
            True,
        ),
        (lambda at: Fault.slow(0.01, at=at), [], True),
    ],
)
def test_faults(
    make: Callable[..., Fault], tells: list[str], goes_on: bool, at: float | str
) -> None:
    """Served well up to its moment, then it is there, then all goes on or nothing."""
    with serve(make(at=at)) as server, stranger(server) as other:
        other.say(SECOND, SECOND, CLOSE)
        rest = TOLD[BEFORE[at] :] + CLOSED if goes_on else []
        assert other.story() == TOLD[: BEFORE[at]] + tells + rest


def test_no_finalize_no_fault_at_it(server: LocalServer) -> None:
    """The moment does not come, not even by a message that would like to be one."""
    with serve(Fault.reset(at="finalize")) as server, stranger(server) as other:
        other.say("finalize", '{"type": "finalize"}', SECOND, SECOND, CLOSE)
        told = [text for text in other.story() if text != "error"]
        assert told == TOLD + CLOSED


# Strangers and real speech


def test_the_official_client(server: LocalServer) -> None:
    """The service's own SDK reads every event as what it is."""
    sdk = cartesia.Cartesia(api_key="any", base_url=server.http_url)
    with (
        sdk,
        sdk.stt.auto_finalize.websocket(
            model="ink-2",
            encoding="pcm_s16le",
            sample_rate=16000,
            keyterm=["Cartesia Sonic"],
            turn_end_timeout_ms=6000,
        ) as connection,
    ):
        connection.send_raw(SECOND)
        connection.send({"type": "config", "turn": {"start_threshold": 0.7}})
        connection.send_raw(SECOND)
        connection.send({"type": "close"})
        events: list[Any] = list(connection)  # a union, which mypy cannot narrow
    assert [event.type for event in events] == [told.split()[0] for told in TOLD]
    ends = [event.transcript for event in events if event.type == "turn.end"]
    assert ends == ["Hello, world.", " Good bye."]
    assert all(type(event).__name__.startswith("STTAuto") for event in events)


def hear(server: LocalServer, endpoint: Endpoint, audio: bytes) -> list[dict[str, Any]]:
    """All that is told of real speech, sent in pieces of no particular size."""
    query = ASKED if endpoint is TURNS else QUERY
    with Client(server, query, endpoint) as c:
        for at in range(0, len(audio), 77_777):
            c.audio(audio[at : at + 77_777])
        c.text(endpoint.close)
        return c.rest()[0]


def test_real_speech() -> None:
    """Turns joined are what Manual's finals are, byte for byte."""
    short = sorted(speech.clips(), key=_length)[:3]
    # The first pause is too short to end a turn.
    gaps = (0.63, 1.5, 1.5)
    audio = b"".join(
        speech.samples(name) + bytes(round(gap * 16000) * 2)
        for name, gap in zip(short, gaps, strict=True)
    )
    with LocalServer(engine="recogniser", max_ahead=None) as server:
        deltas = hear(server, MANUAL, audio)
        events = hear(server, TURNS, audio)
    finals = "".join(event["text"] for event in deltas if event.get("is_final"))
    turns = [event["transcript"] for event in events if event["type"] == "turn.end"]
    assert "".join(turns) == finals
    kinds = [event["type"] for event in events]
    assert (len(turns), kinds.count("turn.start"), kinds[-1]) == (2, 2, "turn.end")
    assert "turn.resume" in kinds
    said = " ".join(speech.clips()[name] for name in short)
    assert speech.word_errors(said, finals) <= 0.2 * len(speech.words(said))
