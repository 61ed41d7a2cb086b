"""The Auto endpoint's transcriber, on a fake clock and a fake connection."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from cartesia_stt_sync import (
    ClosedError,
    ConfigError,
    ConnectionLost,
    DrainTimeout,
    ErrorEvent,
    Language,
    Reconnect,
    ServerError,
    Turn,
    TurnTranscriber,
)
from cartesia_stt_sync._transport import ServerClosed
from cartesia_stt_sync.endpoints import TURNS
from cartesia_stt_sync.errors import ProtocolError
from cartesia_stt_sync.events import (
    Connected,
    Event,
    TurnEagerEnd,
    TurnEnd,
    TurnResume,
    TurnStart,
    TurnUpdate,
)

from .fakes import FakeTransport, Rig

CLOSE = '{"type": "close"}'
SECOND = bytes(32000)


class TurnRig(Rig):
    """A rig with a transcriber of the Auto endpoint."""

    t: Any


def rig_of(*transports: FakeTransport, **options: Any) -> TurnRig:
    """Make one."""
    return TurnRig(*transports, face=TurnTranscriber, **options)


def answer_close(wire: FakeTransport, *tail: Event, code: int = 1000) -> None:
    """Answer the close as this endpoint does: what is left, and a close frame."""

    def reply(data: bytes | str) -> None:
        if data == CLOSE:
            wire.push(*tail, ServerClosed(code, ""))

    wire.on_send = reply


class TestTurns:
    """What comes in."""

    def test_turns(self) -> None:
        """Each turn is given once, and the end of the session ends the iteration."""
        rig = rig_of()
        answer_close(rig.wire, TurnEnd(transcript=" two"))
        with rig.t as t:
            rig.wire.push(Connected(request_id="r"), TurnStart())
            rig.wire.push(TurnUpdate(transcript="on"), TurnEnd(transcript="one"))
        assert [(turn.number, turn.text) for turn in t.turns()] == [
            (1, "one"),
            (2, " two"),
        ]
        assert list(t.turns()) == list(t.turns())
        assert (t.text, t.partial, t.turn) == ("one two", "", None)
        assert t.transcript.text == "one two"
        assert (t.state, t.findings) == ("CLOSED", ())

    def test_callbacks(self) -> None:
        """Each moment of a turn has a callback of its own, in order."""
        told: list[tuple[str, str, bool]] = []

        def note(kind: str) -> Any:
            return lambda turn: told.append((kind, turn.text, turn.perhaps_over))

        rig = rig_of(
            on_turn=note("turn"),
            on_update=note("update"),
            on_eager_end=note("eager_end"),
            on_resume=note("resume"),
            on_event=lambda event: told.append((event.type, "", False)),
        )
        rig.t.on("turn.resume", lambda event: told.append(("!", "", False)))
        answer_close(rig.wire)
        with rig.t:
            rig.wire.push(
                TurnStart(),
                TurnEagerEnd(transcript="a"),
                TurnResume(),
                TurnEnd(transcript="a b"),
            )
        assert told == [
            ("update", "", False),
            ("turn.start", "", False),
            ("eager_end", "a", True),
            ("turn.eager_end", "", False),
            ("!", "", False),
            ("resume", "a", False),
            ("turn.resume", "", False),
            ("turn", "a b", False),
            ("turn.end", "", False),
        ]

    def test_the_turn_that_goes_on(self) -> None:
        """Its text so far can be looked at; each update replaces it."""
        rig = rig_of()
        seen = threading.Event()
        rig.t.on("turn.resume", lambda event: seen.set())
        rig.t.open()
        languages = (Language("de", 0.7),)
        rig.wire.push(TurnUpdate(transcript="a", languages=languages))
        rig.wire.push(TurnUpdate(transcript="a b"), TurnResume())
        assert seen.wait(10)
        assert rig.t.turn == Turn(number=1, text="a b", languages=languages)
        assert (rig.t.partial, rig.t.text) == ("a b", "")
        rig.t.abort()

    def test_error_after_the_last_turn(self) -> None:
        """The turns that came are given before the session's error is raised."""
        rig = rig_of(reconnect=None)
        rig.t.open()
        rig.wire.push(TurnEnd(transcript="kept"), ErrorEvent(message="broken"))
        turns = rig.t.turns()
        assert next(turns).text == "kept"
        with pytest.raises(ServerError, match="broken"):
            next(turns)
        assert rig.t.text == "kept"


class TestEnd:
    """How the session ends."""

    @pytest.mark.parametrize("code", [1000, 1005])
    def test_the_close_frame_is_the_end(self, code: int) -> None:
        """Nobody waits for a done, and none is missed."""
        rig = rig_of()
        answer_close(rig.wire, code=code)
        rig.t.feed(SECOND[:3200])
        rig.t.close()
        assert rig.wire.commands == [CLOSE]
        assert (rig.t.state, rig.t.findings) == ("CLOSED", ())

    def test_an_open_turn_is_ended(self) -> None:
        """A turn that goes on at a clean end keeps its text."""
        told: list[Turn] = []
        rig = rig_of(on_turn=told.append)
        answer_close(rig.wire, TurnUpdate(transcript="so far"))
        with rig.t as t:
            pass
        assert t.text == "so far"
        assert told == list(t.turns()) == [Turn(number=1, text="so far", ended=True)]

    def test_another_code_is_a_loss(self) -> None:
        """An end with an error's code is no clean one."""
        rig = rig_of(reconnect=None)
        answer_close(rig.wire, code=1011)
        rig.t.open()
        with pytest.raises(ConnectionLost, match="1011"):
            rig.t.close()

    def test_early(self) -> None:
        """A close frame that nobody asked for is an error, 1000 or not."""
        rig = rig_of()
        rig.t.open()
        rig.wire.push(ServerClosed(1000, "idle"))
        with pytest.raises(ConnectionLost, match="idle"):
            next(rig.t.turns())

    def test_a_server_that_says_nothing(self) -> None:
        """The wait for the end has a limit, and the error names it."""
        rig = rig_of(close_timeout=2.0)
        rig.t.open()
        rig.t.close(wait=False)
        rig.wire.until_sent(1)
        rig.until_idle()
        rig.clock.advance(2.1)
        with pytest.raises(DrainTimeout, match="no end within close_timeout=2 s"):
            rig.t.close()

    def test_no_finalize(self) -> None:
        """The service finds the ends; there is nothing to call."""
        assert not hasattr(TurnTranscriber, "finalize")
        assert not hasattr(TurnTranscriber, "finals")


class TestReconnect:
    """A lost connection in the middle of a turn."""

    def test_the_turn_comes_again(self) -> None:
        """Its audio is sent again, and what came of it before is not kept."""
        first, second = FakeTransport(), FakeTransport()
        rig = rig_of(first, second, max_buffer=None, silence_after=None)
        answer_close(second, TurnEnd(transcript=" two"))
        connected = threading.Event()
        rig.t.on("turn.resume", lambda event: connected.set())
        rig.t.feed(b"\1\0" * 16000)
        rig.play(1.0)
        first.push(TurnEnd(transcript="one"), TurnUpdate(transcript=" t"))
        first.push(TurnResume())
        assert connected.wait(10)
        connected.clear()
        first.push(ConnectionLost("reset"))
        rig.until_retrying()
        rig.clock.advance(0.25)
        second.until_sent(1)  # time shall not pass before it stands
        rig.play(1.2)
        second.until_sent(10)
        rig.t.close()
        # All of the last second: the service may not have heard it yet.
        assert second.audio == b"\1\0" * 16000
        assert [turn.text for turn in rig.t.turns()] == ["one", " two"]

    @pytest.mark.parametrize(
        ("most", "heard_then"), [(0.0, " seven"), (0.2, "five six seven")]
    )
    def test_one_too_long_to_come_again(self, most: float, heard_then: str) -> None:
        """Its words are kept, and those that are heard twice stand once."""
        first, second = FakeTransport(), FakeTransport()
        rig = rig_of(
            first,
            second,
            reconnect=Reconnect(max_replay=most),
            max_buffer=None,
            silence_after=None,
        )
        answer_close(second, TurnStart(), TurnEnd(transcript=heard_then))
        heard = threading.Event()
        rig.t.on("turn.update", lambda event: heard.set())
        rig.t.feed(b"\1\0" * 16000)
        rig.play(1.0)
        first.push(TurnStart(), TurnUpdate(transcript="one two three four five six"))
        assert heard.wait(10)
        first.push(ConnectionLost("reset"))
        rig.until_retrying()
        assert rig.t.partial.endswith("six")
        rig.t.feed(b"\2\0" * 1600)
        rig.clock.advance(0.25)
        second.until_sent(1)  # time shall not pass before it stands
        rig.play(0.5)
        rig.t.close()
        assert [turn.text for turn in rig.t.turns()] == [
            "one two three four five six",
            " seven",
        ]

    def test_an_ended_turn_is_answered(self) -> None:
        """Audio more than a second before the end of a turn is not sent again."""
        first, second = FakeTransport(), FakeTransport()
        rig = rig_of(first, second, max_buffer=None, silence_after=None)
        answer_close(second)
        ended = threading.Event()
        rig.t.on("turn.end", lambda event: ended.set())
        rig.t.feed(b"\1\0" * 48000)
        rig.play(3.0)
        first.push(TurnEnd(transcript="one"))
        assert ended.wait(10)
        first.push(ConnectionLost("reset"))
        rig.until_retrying()
        rig.clock.advance(0.25)
        second.until_sent(1)  # time shall not pass before it stands
        rig.play(1.0)
        rig.t.close()
        assert len(second.audio) == 32000
        assert rig.t.stats.replayed_seconds == 1.0


def test_turns_without_end() -> None:
    """What a new turn lets stand is text that is kept, and counts as that."""
    rig = rig_of()
    rig.t.open()
    for _ in range(10):
        rig.wire.push(TurnUpdate(transcript="x" * 1_000_000), TurnStart())
    with pytest.raises(ProtocolError, match="bytes of final transcripts"):
        list(rig.t.turns())


def test_events_drop_the_oldest_updates_first() -> None:
    """The next one has all that they say; a turn's end has not."""
    rig = rig_of()
    slow = rig.t.events()
    slow.limit = 3
    rig.t.open()
    events = [TurnEnd(transcript="one"), *map(said, ("t", "tw", "two"))]
    rig.wire.push(*events, TurnEnd(transcript="two"))
    answer_close(rig.wire)
    rig.t.close()
    texts = [getattr(event, "transcript", None) for event in slow]
    assert texts == ["one", "two", "two"]
    assert rig.t.stats.dropped_events == 2


def said(text: str) -> TurnUpdate:
    """A turn that has come so far."""
    return TurnUpdate(transcript=text)


class TestConfig:
    """Changes in mid-session."""

    def test_in_its_place(self) -> None:
        """It is sent behind the audio fed before it, as the endpoint spells it."""
        rig = rig_of()
        answer_close(rig.wire)
        rig.t.feed(SECOND[:3200])
        rig.t.config(
            keyterms=["Cartesia"], turn_end_threshold=0.1, turn_end_timeout_ms=2000
        )
        rig.t.feed(SECOND[:3200])
        rig.play(0.3)
        rig.t.close()
        kinds = ["audio" if isinstance(m, bytes) else "text" for m in rig.wire.sent]
        assert kinds[:3] == ["audio", "text", "audio"]
        assert json.loads(rig.wire.commands[0]) == {
            "type": "config",
            "turn": {"end_threshold": 0.1, "end_timeout_ms": 2000},
            "keyterms": ["Cartesia"],
        }

    def test_thresholds_that_stay(self) -> None:
        """What changes must fit what the session has, and not the defaults."""
        rig = rig_of(
            turn_start_threshold=0.9,
            turn_eager_end_threshold=0.6,
            turn_end_threshold=0.3,
        )
        rig.t.open()
        rig.t.config(turn_end_threshold=0.45)
        with pytest.raises(ConfigError, match="each smaller"):
            rig.t.config(turn_eager_end_threshold=0.4)
        rig.t.config(turn_eager_end_threshold=0.5)
        rig.until_idle()
        assert [json.loads(text)["turn"] for text in rig.wire.commands] == [
            {"end_threshold": 0.45},
            {"eager_end_threshold": 0.5},
        ]
        rig.t.abort()

    def test_again_after_a_reconnect(self) -> None:
        """A new connection is told what all changes before came to, first of all."""
        first, second = FakeTransport(), FakeTransport()
        rig = rig_of(first, second)
        answer_close(second)
        rig.t.config(turn_end_threshold=0.1, keyterms=["a"])
        rig.t.config(turn_start_threshold=0.9, keyterms=[])
        first.until_sent(2)
        rig.t.feed(SECOND[:3200])
        first.until_sent(3)
        first.push(ConnectionLost("reset"))
        rig.until_retrying()
        rig.clock.advance(0.25)
        second.until_sent(1)
        rig.play(0.2)
        rig.t.close()
        assert isinstance(second.sent[0], str)
        assert json.loads(second.sent[0]) == {
            "type": "config",
            "turn": {"end_threshold": 0.1, "start_threshold": 0.9},
            "keyterms": [],
        }
        assert second.commands[1:] == [CLOSE]

    def test_refused_by_the_service(self) -> None:
        """The service's error is told and found, and the session goes on."""
        errors: list[Exception] = []
        rig = rig_of(on_error=errors.append)
        answer_close(rig.wire, TurnEnd(transcript="still here"))
        rig.t.config(keyterms=["a"])
        rig.wire.until_sent(1)
        rig.wire.push(ErrorEvent(message="keyterms: no", status_code=400))
        rig.t.close()
        assert rig.t.text == "still here"
        assert ["keyterms: no" in str(error) for error in errors] == [True]
        assert [finding.code for finding in rig.t.findings] == ["config-refused"]

    def test_an_error_that_was_the_end(self) -> None:
        """Where the server closes behind it, the error is why the session failed."""
        rig = rig_of()
        rig.t.config(keyterms=["a"])
        rig.wire.until_sent(1)
        rig.wire.push(ErrorEvent(message="model gone", status_code=404))
        rig.wire.push(ServerClosed(1008, "bye"))
        with pytest.raises(ServerError, match="model gone"):
            next(rig.t.turns())

    def test_an_error_without_a_config_is_the_end(self) -> None:
        """Nothing was asked for that the error could be about."""
        rig = rig_of()
        rig.t.open()
        rig.wire.push(ErrorEvent(message="bad request", status_code=400))
        with pytest.raises(ServerError, match="bad request"):
            next(rig.t.turns())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "config: at least one argument, got none"),
            ({"keyterms": "ab"}, "keyterms: a list of strings, got 'ab'"),
            ({"language_hints": ["en"] * 7}, "language_hints: at most 6, got 7"),
            ({"turn_end_threshold": 0.7}, "turn_end_threshold: from 0.05 to 0.5"),
            (
                {"turn_eager_end_threshold": 0.3, "turn_end_threshold": 0.4},
                "each smaller than the one before it, got 0.8, 0.3, 0.4",
            ),
        ],
    )
    def test_refused_here(self, options: dict[str, Any], message: str) -> None:
        """A rule that the service documents is checked before anything is sent."""
        rig = rig_of()
        with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
            rig.t.config(**options)
        assert rig.t.state == "NEW"

    def test_after_close(self) -> None:
        """There is nothing left to change."""
        rig = rig_of()
        answer_close(rig.wire)
        rig.t.open()
        rig.t.close()
        with pytest.raises(ClosedError):
            rig.t.config(keyterms=[])


class TestConstructor:
    """What it asks for."""

    def test_url(self) -> None:
        """The path and the parameters are the endpoint's; no language is sent."""
        rig = rig_of(
            keyterms=["a b"], turn_start_threshold=0.9, turn_end_timeout_ms=640
        )
        transport = TurnTranscriber._make_transport
        settings: list[Any] = []

        class Seen(TurnTranscriber):
            @staticmethod
            def _make_transport(given: Any) -> Any:
                settings.append(given)
                return transport(given)

        t = Seen(
            api_key="k",
            base_url="ws://127.0.0.1:9",
            keyterms=["a b"],
            turn_start_threshold=0.9,
            turn_end_timeout_ms=640,
            reconnect=None,
        )
        with pytest.raises(Exception, match="127.0.0.1"):
            t.open()
        [given] = settings
        assert given.endpoint is TURNS
        assert given.account.url(given.endpoint, given.query) == (
            "ws://127.0.0.1:9/stt/turns/websocket?model=ink-2&encoding=pcm_s16le&"
            "sample_rate=16000&keyterm=a%20b&turn_start_threshold=0.9&"
            "turn_end_timeout_ms=640"
        )
        assert rig.t.state == "NEW"

    @pytest.mark.parametrize(
        ("name", "bad"),
        [
            ("turn_start_threshold", 0.4),
            ("turn_start_threshold", True),
            ("turn_eager_end_threshold", 0.7),
            ("turn_end_threshold", 0.0),
            ("turn_end_threshold", "low"),
            ("turn_end_timeout_ms", 639),
            ("turn_end_timeout_ms", 12000),
            ("turn_end_timeout_ms", 5600.5),
        ],
    )
    def test_ranges(self, name: str, bad: object) -> None:
        """What lies outside what the service documents is named, with its range."""
        with pytest.raises(ConfigError, match=f"^{name}: from .* to .*, got "):
            TurnTranscriber(api_key="k", **{name: bad})  # type: ignore[arg-type]  # that is the test

    def test_an_argument_that_is_none(self) -> None:
        """A word that nobody knows is refused as any function does."""
        with pytest.raises(TypeError, match="finalise"):
            TurnTranscriber(api_key="k", finalise=True)  # type: ignore[call-arg]  # that is the test

    def test_no_key_in_a_traceback(self) -> None:
        """An error's frames hold no key, whichever argument was wrong."""
        with pytest.raises(ConfigError) as caught:
            TurnTranscriber(api_key="sk_secret", sample_rate=-1)
        frame = caught.tb
        while frame is not None:
            if "cartesia_stt_sync" in frame.tb_frame.f_code.co_filename:
                assert "sk_secret" not in repr(frame.tb_frame.f_locals)
            frame = frame.tb_next  # type: ignore[assignment]  # the last has none


@pytest.mark.parametrize(
    "options",
    [{"channels": "split"}, {"endpointer": object()}, {"language": "en"}],
)
def test_what_only_a_transcriber_takes(options: dict[str, Any]) -> None:
    """It is refused by name, and not found out in mid-call."""
    with pytest.raises(TypeError, match=f"no argument '{next(iter(options))}'"):
        TurnTranscriber(api_key="k", **options)
