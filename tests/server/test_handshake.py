"""Who is let in."""

from __future__ import annotations

from typing import Any

import pytest

from cartesia_stt_sync.endpoints import MANUAL
from cartesia_stt_sync.errors import ConfigError
from cartesia_stt_sync.server.handshake import Refusal, Request, Stream, check
from cartesia_stt_sync.wire import parse

HEADERS = {"authorization": "Bearer k", "cartesia-version": "2026-03-01"}
QUERY = {"model": ["ink-2"], "encoding": ["pcm_s16le"], "sample_rate": ["16000"]}


def ask(
    headers: dict[str, str] | None = None,
    only_key: str | None = None,
    **query: str | list[str] | None,
) -> Stream:
    """Check a good request with changes; ``None`` takes a parameter out."""
    values: dict[str, list[str]] = dict(QUERY)
    for name, value in query.items():
        if value is None:
            del values[name]
        else:
            values[name] = [value] if isinstance(value, str) else value
    request = Request(headers=HEADERS if headers is None else headers, query=values)
    return check(MANUAL, request, only_key)


def refusal(*args: Any, **kwargs: Any) -> Refusal:
    """How such a request is refused."""
    with pytest.raises(Refusal) as caught:
        ask(*args, **kwargs)
    return caught.value


def test_lets_a_good_request_in() -> None:
    """The agreement holds what was asked for."""
    assert ask(language="de") == Stream(
        model="ink-2", encoding="pcm_s16le", sample_rate=16000, language="de"
    )
    assert ask().language is None


@pytest.mark.parametrize(
    "credential",
    [
        {"authorization": "Bearer k"},
        {"authorization": "bearer  k "},
        {"x-api-key": "k"},
        {"authorization": "Basic abc", "x-api-key": "k"},
    ],
)
def test_takes_a_key_in_either_header(credential: dict[str, str]) -> None:
    """Authorization and X-API-Key are both good."""
    headers = {"cartesia-version": "2026-03-01"} | credential
    ask(headers, only_key="k")


@pytest.mark.parametrize("name", ["api_key", "access_token"])
def test_takes_a_browsers_key(name: str) -> None:
    """A browser can put neither the key nor the version in a header."""
    ask({}, only_key="k", **{name: "k", "cartesia_version": "2026-03-01"})


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic abc", "k"])
def test_needs_a_key(value: str) -> None:
    """No credential is 401."""
    headers = {"cartesia-version": "2026-03-01", "authorization": value}
    assert refusal(headers).status == 401


def test_refuses_a_wrong_key() -> None:
    """Another key than the named one is 401, and is not quoted."""
    headers = HEADERS | {"authorization": "Bearer sesame-\udcff"}
    refused = refusal(headers, only_key="k")
    assert refused.status == 401
    assert "sesame" not in str(refused)


@pytest.mark.parametrize("version", ["", "2026", "2026-13-01", "2026-3-01", "latest"])
def test_needs_a_version(version: str) -> None:
    """A missing or malformed version is 400."""
    refused = refusal(HEADERS | {"cartesia-version": version})
    assert (refused.status, "ersion" in refused.message) == (400, True)


@pytest.mark.parametrize("name", MANUAL.required)
@pytest.mark.parametrize("value", [None, ""])
def test_needs_the_required_parameters(name: str, value: str | None) -> None:
    """A missing or empty one is 400 and named."""
    refused = refusal(**{name: value})
    assert (refused.status, refused.title) == (400, "Missing parameter")
    assert refused.message.startswith(f"{name}:")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"samplerate": "16000"}, "'samplerate' is not a parameter"),
        ({"model": ["ink-2", "ink-2"]}, "model: given more than once"),
        ({"encoding": "mp3"}, "encoding: one of pcm_s16le, .*got 'mp3'"),
        ({"encoding": "pcm_u8"}, "encoding: one of"),
        ({"sample_rate": "16k"}, "sample_rate: a whole number"),
        ({"sample_rate": "-16000"}, "sample_rate: a whole number"),
        ({"sample_rate": "\u0661\u0666\u0660\u0660\u0660"}, "sample_rate: a whole"),
        ({"sample_rate": "9" * 5000}, "sample_rate: a whole number"),
        ({"sample_rate": "12"}, "sample_rate: a whole number"),
        ({"keyterm": ["a"] * 101}, "keyterm: at most 100"),
        ({"keyterm": ["a" * 1201]}, "keyterm: at most 1,200"),
        ({"language_hint": "en"}, "language_hint: for ink-preview only"),
        ({"min_volume": "0.1"}, "min_volume: for ink-whisper only"),
        ({"max_silence_duration_secs": "1"}, "for ink-whisper only"),
        ({"model": "ink-whisper", "min_volume": "loud"}, "min_volume: a number"),
        ({"model": "ink-whisper", "min_volume": "nan"}, "min_volume: a number"),
        ({"model": "ink-whisper", "min_volume": "-1"}, "min_volume: a number"),
    ],
)
def test_refuses_bad_parameters(query: dict[str, Any], message: str) -> None:
    """Each is 400, and the message says what would be right."""
    refused = refusal(**query)
    assert refused.status == 400
    with pytest.raises(Refusal, match=message):
        raise refused


def test_takes_the_optional_parameters() -> None:
    """Those of the model are taken, lists included."""
    ask(keyterm=["a b", "c"], language="en")
    ask(model="ink-preview", language_hint=["en", "de"])
    ask(model="ink-whisper-2025", min_volume="0.1", max_silence_duration_secs="2")


def test_a_refusal_reads_like_an_error_event() -> None:
    """Its event has every field that the service's bodies have."""
    event = Refusal(429, "Too many", "wait", error_code="x", retry_after=1).event("id")
    assert event == parse(
        b'{"type": "error", "title": "Too many", "message": "wait", '
        b'"status_code": 429, "error_code": "x", "request_id": "id"}'
    )


def test_nothing_shows_the_key() -> None:
    """A request in a log or a traceback does not show what it holds."""
    assert "Bearer" not in repr(Request(headers=HEADERS, query=QUERY))
    assert not isinstance(refusal({}), ConfigError)
