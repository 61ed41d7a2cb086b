"""Messages of the service as values."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync.events import (
    Closed,
    Connected,
    Done,
    ErrorEvent,
    Event,
    FlushDone,
    Malformed,
    Reconnecting,
    Transcript,
    TurnEagerEnd,
    TurnEnd,
    TurnResume,
    TurnStart,
    TurnUpdate,
    Unknown,
    Word,
)
from cartesia_stt_sync.wire import dump, parse

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=8,
)
WORDS = st.builds(Word, TEXT, NUMBERS, NUMBERS)
OPTIONAL_TEXT = st.none() | TEXT
EXTRA = st.dictionaries(
    TEXT.map(lambda name: f"x-{name}"),
    JSON.filter(lambda value: "nan" not in repr(value)),  # it is not equal to itself
    max_size=3,
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Transcript,
        text=TEXT,
        is_final=st.booleans(),
        duration=st.none() | NUMBERS,
        language=OPTIONAL_TEXT,
        words=st.none() | st.lists(WORDS, max_size=3).map(tuple),
        request_id=OPTIONAL_TEXT,
        extra=EXTRA,
    ),
    st.builds(FlushDone, request_id=OPTIONAL_TEXT, extra=EXTRA),
    st.builds(Done, request_id=OPTIONAL_TEXT, extra=EXTRA),
    st.builds(
        ErrorEvent,
        message=TEXT.filter(bool),
        title=OPTIONAL_TEXT,
        status_code=st.none() | st.integers(),
        error_code=OPTIONAL_TEXT,
        doc_url=OPTIONAL_TEXT,
        request_id=OPTIONAL_TEXT,
        extra=EXTRA,
    ),
    st.builds(
        Unknown,
        type=TEXT.filter(
            lambda kind: kind not in ("transcript", "flush_done", "done", "error")
        ),
        request_id=OPTIONAL_TEXT,
        extra=EXTRA,
    ),
)


def read(**fields: Any) -> Event:
    """Parse a message of these fields."""
    return parse(json.dumps(fields))


def malformed(data: bytes | str) -> Malformed:
    """Parse what is no event."""
    event = parse(data)
    assert isinstance(event, Malformed)
    return event


class TestTranscript:
    """Of the one message that matters most."""

    def test_whole(self) -> None:
        """Every documented field has its attribute."""
        event = read(
            type="transcript",
            text=" Hello, world",
            is_final=True,
            duration=1.5,
            language="en",
            words=[{"word": "Hello,", "start": 0.25, "end": 1}],
            request_id="r-1",
        )
        assert event == Transcript(
            text=" Hello, world",
            is_final=True,
            duration=1.5,
            language="en",
            words=(Word("Hello,", 0.25, 1.0),),
            request_id="r-1",
        )
        assert str(event) == " Hello, world"
        assert event.extra == {}

    def test_least(self) -> None:
        """Text and is_final are enough."""
        event = read(type="transcript", text="", is_final=False)
        assert event == Transcript(text="", is_final=False)

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"text": "a"},
            {"is_final": True},
            {"text": None, "is_final": True},
            {"text": 5, "is_final": True},
            {"text": ["a"], "is_final": True},
            {"text": "a", "is_final": None},
            {"text": "a", "is_final": 1},
            {"text": "a", "is_final": "true"},
        ],
    )
    def test_without_its_core_it_is_none(self, fields: dict[str, Any]) -> None:
        """A transcript without a text or is_final of the right kind is Malformed."""
        event = read(type="transcript", **fields)
        assert isinstance(event, Malformed)
        missing = "text" if not isinstance(fields.get("text"), str) else "is_final"
        assert event.reason == f"a transcript without {missing}"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("duration", "1.5"),
            ("duration", True),
            ("duration", [1]),
            ("duration", 10**400),
            ("duration", math.inf),
            ("language", 7),
            ("language", ["en"]),
            ("request_id", 5),
            ("words", "Hello"),
            ("words", {"word": "a"}),
            ("words", [1]),
            ("words", ["Hello"]),
            ("words", [{"word": "a", "start": 0}]),
            ("words", [{"word": 1, "start": 0, "end": 1}]),
            ("words", [{"word": "a", "start": "0", "end": 1}]),
            ("words", [{"word": "a", "start": None, "end": 1}]),
            ("words", [{"word": "a", "start": 0, "end": 10**400}]),
            ("words", [{"word": "a", "start": 0, "end": 1}, None]),
        ],
    )
    def test_optional_of_the_wrong_kind(self, name: str, value: object) -> None:
        """An optional field of the wrong kind is None, and kept in extra."""
        event = read(type="transcript", text="a", is_final=True, **{name: value})
        assert isinstance(event, Transcript)
        assert getattr(event, name) is None
        assert event.extra == {name: value}

    def test_nan_is_no_duration(self) -> None:
        """NaN, which JSON does not have but Python reads, is no number here."""
        event = parse('{"type":"transcript","text":"a","is_final":true,"duration":NaN}')
        assert isinstance(event, Transcript)
        assert event.duration is None
        assert math.isnan(event.extra["duration"])

    @pytest.mark.parametrize("name", ["duration", "language", "words", "request_id"])
    def test_null_says_nothing(self, name: str) -> None:
        """A null is as if the field were not there."""
        event = read(type="transcript", text="a", is_final=True, **{name: None})
        assert event == Transcript(text="a", is_final=True)

    def test_no_words(self) -> None:
        """An empty list of words is one, and not the lack of one."""
        event = read(type="transcript", text="", is_final=True, words=[])
        assert isinstance(event, Transcript)
        assert event.words == ()

    def test_fields_of_words_nobody_knows(self) -> None:
        """A word with more to say is still a word."""
        word = {"word": "a", "start": 0, "end": 1, "confidence": 0.5}
        event = read(type="transcript", text="a", is_final=True, words=[word])
        assert isinstance(event, Transcript)
        assert event.words == (Word("a", 0.0, 1.0),)

    def test_integers_are_numbers(self) -> None:
        """A duration written without a point is a float all the same."""
        event = read(type="transcript", text="", is_final=True, duration=2)
        assert isinstance(event, Transcript)
        assert event.duration == 2.0
        assert isinstance(event.duration, float)


class TestErrors:
    """Of the three shapes that errors come in."""

    def test_current(self) -> None:
        """Title, message, status and code each have a field."""
        event = read(
            type="error",
            title="Quota exceeded",
            message="No credits are left.",
            status_code=402,
            error_code="quota_exceeded",
            doc_url="https://example.org/q",
            request_id="r-1",
        )
        assert event == ErrorEvent(
            message="No credits are left.",
            title="Quota exceeded",
            status_code=402,
            error_code="quota_exceeded",
            doc_url="https://example.org/q",
            request_id="r-1",
        )

    def test_older(self) -> None:
        """The older shape has the status as code."""
        event = read(type="error", message="Bad: worse", code=400, request_id="r")
        assert event == ErrorEvent(
            message="Bad: worse", status_code=400, request_id="r"
        )

    def test_oldest(self) -> None:
        """The oldest shape has the text as error."""
        event = read(type="error", error="no such model", request_id="r")
        assert event == ErrorEvent(message="no such model", request_id="r")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"message": "m", "error": "e", "title": "t"}, "m"),
            ({"message": "", "error": "e", "title": "t"}, "e"),
            ({"message": None, "title": "t"}, "t"),
            ({"message": {"a": 1}, "error": 5, "title": "t"}, "t"),
            ({}, "the service gave no reason"),
        ],
    )
    def test_text(self, fields: dict[str, Any], message: str) -> None:
        """The text is the message, else the error, else the title."""
        event = read(type="error", **fields)
        assert isinstance(event, ErrorEvent)
        assert event.message == message

    def test_status_before_code(self) -> None:
        """status_code wins over code, which is then kept in extra."""
        event = read(type="error", message="m", status_code=429, code=500)
        assert isinstance(event, ErrorEvent)
        assert event.status_code == 429
        assert event.extra == {"code": 500}

    def test_code_that_is_a_word(self) -> None:
        """A code that is no number is no status, and is kept."""
        event = read(type="error", message="m", code="bad", status_code=True)
        assert isinstance(event, ErrorEvent)
        assert event.status_code is None
        assert event.extra == {"code": "bad", "status_code": True}

    def test_null_code(self) -> None:
        """The service sends a null error_code where there is none."""
        event = read(type="error", message="m", error_code=None)
        assert event == ErrorEvent(message="m")


class TestOthers:
    """Of all other messages."""

    @pytest.mark.parametrize("kind", [FlushDone, Done])
    def test_answers(self, kind: type[FlushDone | Done]) -> None:
        """flush_done and done may name the request, and more."""
        assert read(type=kind.type) == kind()
        event = read(type=kind.type, request_id="r", reason="x")
        assert event == kind(request_id="r", extra={"reason": "x"})

    def test_unknown_type(self) -> None:
        """A type of tomorrow passes through whole."""
        event = read(type="turn.pause", request_id="r", turn_id=3)
        assert event == Unknown(type="turn.pause", request_id="r", extra={"turn_id": 3})

    @pytest.mark.parametrize("kind", ["malformed", "final", "event", "close", ""])
    def test_names_of_ours(self, kind: str) -> None:
        """A type that only this library gives is unknown when the service sends it."""
        assert read(type=kind) == Unknown(type=kind)

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            ("", "not JSON (JSONDecodeError)"),
            ("finalize", "not JSON (JSONDecodeError)"),
            ('{"type": "done"', "not JSON (JSONDecodeError)"),
            ('{"type": "done"} x', "not JSON (JSONDecodeError)"),
            ("[]", "not a JSON object"),
            ('"done"', "not a JSON object"),
            ("null", "not a JSON object"),
            ("{}", "no type"),
            ('{"type": null}', "no type"),
            ('{"type": 5}', "no type"),
            ('{"type": ["done"]}', "no type"),
            (b"\xff\xfe", "not JSON (UnicodeDecodeError)"),
            (b'{"type": "d\xff"}', "not JSON (UnicodeDecodeError)"),
        ],
    )
    def test_malformed(self, data: bytes | str, reason: str) -> None:
        """What is no event says why, and is quoted."""
        event = malformed(data)
        assert event.reason == reason
        shown = (
            data if isinstance(data, str) else data.decode(errors="backslashreplace")
        )
        assert event.data == shown

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
    def test_other_encodings(self, encoding: str) -> None:
        """A text message is UTF-8, whatever else json would understand."""
        assert isinstance(parse('{"type": "done"}'.encode(encoding)), Malformed)

    def test_half_a_surrogate_pair_in_utf8(self) -> None:
        """Bytes that no UTF-8 has are refused, or their text could not be printed."""
        data = b'{"type":"transcript","is_final":true,"text":"\xed\xa0\x80"}'
        assert isinstance(parse(data), Malformed)

    def test_deep(self) -> None:
        """JSON 200,000 levels deep breaks no stack."""
        deep = "[" * 200_000 + "]" * 200_000
        assert malformed(deep).reason == "not JSON (RecursionError)"
        assert malformed(f'{{"type":"done","x":{deep}}}'.encode()).data

    def test_integer_of_too_many_digits(self) -> None:
        """An integer that Python refuses to read is no reason to crash."""
        assert isinstance(read(type="done"), Done)
        event = parse('{"type": "done", "x": ' + "9" * 100_000 + "}")
        assert isinstance(event, (Malformed, Done))  # 3.10.0 to 3.10.6 have no limit

    def test_duplicates(self) -> None:
        """Of a field that comes twice the last counts, as in most of the world."""
        event = parse(
            '{"type":"error","type":"done","request_id":"a","request_id":"b"}'
        )
        assert event == Done(request_id="b")

    @pytest.mark.parametrize("size", [199, 200, 201, 1_000_000])
    def test_quotes_are_short(self, size: int) -> None:
        """No more than 200 characters of a broken message are kept."""
        assert malformed("x" * size).data == "x" * min(size, 200)
        assert malformed(b"x" * size).data == "x" * min(size, 200)
        assert malformed("é".encode() * size).data == "é" * min(size, 200)
        assert len(malformed(b"\xff" * size).data) == 200


class TestAnything:
    """Whatever comes, parse returns an event."""

    @settings(deadline=None, max_examples=150)
    @given(st.binary(max_size=60) | st.text(max_size=60))
    def test_bytes(self, data: bytes | str) -> None:
        """Noise is an event too."""
        assert isinstance(parse(data), Event)

    @settings(deadline=None, max_examples=150)
    @given(JSON)
    def test_json(self, value: object) -> None:
        """So is any JSON, with NaN and Infinity in it."""
        assert isinstance(parse(json.dumps(value)), Event)

    @settings(deadline=None, max_examples=150)
    @given(
        st.sampled_from(["transcript", "flush_done", "done", "error", "new"]),
        st.dictionaries(
            st.sampled_from(
                "text is_final duration language words request_id message title "
                "status_code code error error_code doc_url extra".split()
            ),
            JSON | st.lists(st.fixed_dictionaries({"word": JSON, "start": JSON})),
        ),
    )
    def test_any_kind_of_any_field(self, kind: str, fields: dict[str, Any]) -> None:
        """Known types with fields of any kind never raise and never lie."""
        event = read(type=kind, **fields)
        assert isinstance(event, Event)
        if isinstance(event, Transcript):
            assert type(event.text) is str
            assert type(event.is_final) is bool
            assert event.duration is None or math.isfinite(event.duration)
            assert event.language is None or type(event.language) is str
        if isinstance(event, ErrorEvent):
            assert type(event.message) is str
            assert event.status_code is None or type(event.status_code) is int
        if not isinstance(event, Malformed):
            assert event.request_id is None or type(event.request_id) is str

    @settings(deadline=None, max_examples=150)
    @given(EVENTS)
    def test_round_trip(self, event: Event) -> None:
        """What dump writes, parse reads, and nothing is lost."""
        assert parse(dump(event)) == event
        assert parse(dump(event).encode()) == event


def test_dump_as_the_service() -> None:
    """Optional fields that are not known are not sent; extra ones are."""
    event = Transcript(text="a", is_final=True, extra={"turn": 1, "none": None})
    assert json.loads(dump(event)) == {
        "type": "transcript",
        "text": "a",
        "is_final": True,
        "turn": 1,
        "none": None,
    }


def test_events_are_values() -> None:
    """Events are frozen, equal by value, and can stand in a set."""
    a, b = (Transcript(text="a", is_final=True, extra={"x": []}) for _ in "ab")
    assert a == b
    assert len({a, b, Done(), FlushDone(), Closed(), Unknown(type="x")}) == 5
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        a.text = "b"  # type: ignore[misc]  # that is the test


SPOKEN = [TurnUpdate, TurnEagerEnd, TurnEnd]


@pytest.mark.parametrize(
    "kind", [Connected, Done, FlushDone, TurnStart, TurnResume, *SPOKEN]
)
def test_events_that_add_nothing(kind: type[Event]) -> None:
    """A class that has its parent's attributes alone is as much of a value."""
    text: dict[str, Any] = {"transcript": "a"} if kind in SPOKEN else {}
    event = kind(request_id="r", **text)
    assert event == kind(request_id="r", **text) != kind(request_id="s", **text)
    assert hash(event) == hash(kind(request_id="r", **text))
    assert event != Transcript(text="a", is_final=True, request_id="r")
    assert repr(event).startswith(f"{kind.__name__}(")
    assert attrs.evolve(event, request_id="s") == kind(request_id="s", **text)
    assert pickle.loads(pickle.dumps(event)) == copy.copy(event) == event
    assert not hasattr(event, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.request_id = "s"  # type: ignore[misc]  # that is the test
    with pytest.raises(TypeError):
        kind(unknown=1)  # type: ignore[call-arg]  # that is the test


def test_what_is_not_from_the_wire() -> None:
    """Closed and Reconnecting are told to handlers only, and are no events."""
    assert not isinstance(Closed(), Event)
    told = Reconnecting(attempt=1, delay=0.5, replay_seconds=2.0)
    assert not isinstance(told, Event)
    assert (Closed().code, Closed().reason, Closed().error) == (None, "", None)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ('{"type":"error","message":5,"error":"x"}', "message", "x"),
        ('{"type":"error","message":"m","status_code":"x","code":5}', "status_code", 5),
    ],
)
def test_dump_prefers_what_was_understood(text: str, name: str, value: object) -> None:
    """A field of the wrong shape, kept in extra, does not take its place."""
    again = parse(dump(parse(text)))
    assert getattr(again, name) == value


def test_dump_of_deep_fields() -> None:
    """What parses in a field nobody knows can be written again."""
    event = parse('{"type":"x","a":' + "[" * 600 + "]" * 600 + "}")
    assert parse(dump(event)) == event
