"""What one stream's messages mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartesia_stt_sync.endpoints import MANUAL, TURNS, Endpoint
from cartesia_stt_sync.events import Done, ErrorEvent
from cartesia_stt_sync.server.handshake import Stream
from cartesia_stt_sync.server.messages import Command
from cartesia_stt_sync.server.session import End, Job, Limits, Session
from cartesia_stt_sync.server.thresholds import Thresholds

TENTH = bytes(3200)


def session(
    limits: Limits = Limits(),
    model: str = "ink-2",
    encoding: str = "pcm_s16le",
    now: float = 0.0,
    endpoint: Endpoint = MANUAL,
) -> Session:
    """A session as it is after the upgrade."""
    stream = Stream(model=model, encoding=encoding, sample_rate=16000)
    return Session(
        stream, limits, request_id="id", language="en", now=now, endpoint=endpoint
    )


def jobs(session: Session) -> list[Job]:
    """All that waits to be done."""
    done = []
    while (job := session.next_job()) is not None:
        done.append(job)
    return done


def test_commands_keep_their_place() -> None:
    """Audio that waits is one job, up to a command."""
    s = session()
    for message in (b"aa", b"bb", "finalize", b"cc", "finalize", "close"):
        if isinstance(message, bytes):
            assert s.receive_audio(message, 0.0) is None
        else:
            assert s.receive_text(message) is None
    assert jobs(s) == [
        b"aabb",
        Command.FINALIZE,
        b"cc",
        Command.FINALIZE,
        Command.CLOSE,
    ]


def test_new_settings_keep_their_place() -> None:
    """They hold for the audio behind them; what changes nothing is no job."""
    s = session(endpoint=TURNS)
    s.receive_audio(b"aa", 0.0)
    for turn in ({"end_timeout_ms": 640}, {}):
        text = json.dumps({"type": "config", "turn": turn})
        assert s.receive_text(text) is None
    s.receive_audio(b"bb", 0.0)
    assert jobs(s) == [b"aa", Thresholds(end_timeout_ms=640), b"bb"]


def test_the_old_word_for_close() -> None:
    """``done`` closes as well."""
    s = session()
    s.receive_text("done")
    assert jobs(s) == [Command.CLOSE]


def test_nothing_counts_after_close() -> None:
    """What comes after ``close`` is ignored."""
    s = session(Limits(max_ahead=0.05))
    s.receive_text("close")
    assert s.receive_audio(TENTH, 0.0) is None
    assert s.receive_text("nonsense") is None
    assert jobs(s) == [Command.CLOSE]


@given(
    messages=st.lists(st.binary(max_size=9)),
    encoding=st.sampled_from(["pcm_mulaw", "pcm_s16le", "pcm_f32le"]),
)
def test_no_byte_is_lost(messages: list[bytes], encoding: str) -> None:
    """Jobs are whole samples and, together, all that came but half a sample."""
    s = session(encoding=encoding)
    for message in messages:
        s.receive_audio(message, 0.0)
    width = {"pcm_mulaw": 1, "pcm_s16le": 2, "pcm_f32le": 4}[encoding]
    together = b"".join(messages)
    whole = len(together) - len(together) % width
    assert b"".join(j for j in jobs(s) if isinstance(j, bytes)) == together[:whole]


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "finalize"}',
        "FINALIZE",
        "finalize ",
        "",
        "[]",
        "[" * 100_000,
        '{"type": 7}',
        '{"keyterms": []}',
    ],
)
def test_a_mistake_is_an_error_and_the_stream_goes_on(text: str) -> None:
    """Commands are bare words; anything else is told so."""
    s = session()
    error = s.receive_text(text)
    assert isinstance(error, ErrorEvent)
    assert (error.status_code, error.request_id) == (400, "id")
    assert "'finalize' or 'close'" in error.message
    assert len(error.message) < 300
    assert s.receive_text("finalize") is None
    assert jobs(s) == [Command.FINALIZE]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, None),
        ({"keyterms": [], "language_hints": ["en"]}, None),
        ({"new": 1}, "new: one of keyterms, language_hints"),
        ({"turn": {}}, "turn: one of keyterms, language_hints"),
        ({"keyterms": "Cartesia"}, "keyterms: a list of strings"),
        ({"keyterms": [1]}, "keyterms: a list of strings"),
        ({"keyterms": ["a"] * 101}, "keyterms: at most 100"),
        ({"keyterms": ["a" * 1201]}, "keyterms: at most 1,200"),
        ({"language_hints": None}, "language_hints: a list"),
        ({"language_hints": ["en"] * 7}, "language_hints: at most 6"),
    ],
)
def test_configuration(fields: dict[str, object], problem: str | None) -> None:
    """A good one gets no reply, a bad one an error."""
    error = session().receive_text(json.dumps({"type": "config"} | fields))
    if problem is None:
        assert error is None
    else:
        assert isinstance(error, ErrorEvent)
        assert error.message.startswith(problem)


def test_audio_at_real_time_never_overflows() -> None:
    """However long it lasts, with the most that may be ahead."""
    s = session()
    assert s.receive_audio(TENTH * 19, 0.0) is None
    for i in range(2000):
        assert s.receive_audio(TENTH, i / 10) is None
        s.next_job()


def test_a_burst_within_the_buffer_is_fine() -> None:
    """Exactly the limit is not beyond it, whatever tenths are in binary."""
    s = session()
    assert [s.receive_audio(TENTH, 0.0) for _ in range(20)] == [None] * 20


def test_an_overflow_ends_the_stream() -> None:
    """More than the buffer holds is an internal server error and 1011."""
    s = session()
    s.receive_audio(TENTH * 20, 5.0)
    end = s.receive_audio(TENTH, 5.0)
    assert end is not None
    assert end.code == 1011
    assert isinstance(end.event, ErrorEvent)
    assert (end.event.status_code, end.event.request_id) == (500, "id")
    assert "buffer overflowed" in end.event.message
    assert jobs(s) == []


def test_a_stall_earns_no_credit() -> None:
    """After a pause at most the same burst fits as ever."""
    s = session()
    s.receive_audio(TENTH, 0.0)
    assert s.receive_audio(TENTH * 20, 60.0) is None
    assert s.receive_audio(TENTH, 60.0) is not None


def test_time_that_goes_back_is_no_credit() -> None:
    """A clock that jumps back lets nothing leak."""
    s = session(now=10.0)
    s.receive_audio(TENTH * 20, 10.0)
    assert s.receive_audio(TENTH, 9.0) is not None


def test_no_limits() -> None:
    """Without limits nothing overflows and nothing is idle."""
    s = session(Limits(max_ahead=None, idle_timeout=None))
    assert s.receive_audio(TENTH * 1000, 0.0) is None
    assert s.idle_deadline is None


def test_only_audio_counts_against_idleness() -> None:
    """Text and empty messages do not keep a stream alive."""
    s = session(Limits(idle_timeout=180.0), now=100.0)
    assert s.idle_deadline == 280.0
    s.receive_text("finalize")
    s.receive_audio(b"", 150.0)
    assert s.idle_deadline == 280.0
    s.receive_audio(b"a", 160.0)
    assert s.idle_deadline == 340.0
    assert s.idle_end() == End(1000, "no audio for 180 seconds", patience=1.0)


def test_much_waiting_audio_stops_the_reader() -> None:
    """More than half a minute of audio, or very many commands, is full."""
    s = session(Limits(max_ahead=None))
    s.receive_audio(TENTH * 300, 0.0)
    assert not s.is_full
    s.receive_audio(TENTH, 0.0)
    assert s.is_full
    s.next_job()
    assert not s.is_full
    for _ in range(1000):
        s.receive_text("finalize")
    assert s.is_full


def test_a_clean_end() -> None:
    """``done`` says so on Manual; on Auto the close frame alone."""
    assert session().clean_end() == End(1000, event=Done(request_id="id"))
    assert session(endpoint=TURNS).clean_end() == End(1000)


def test_a_model_that_does_not_exist() -> None:
    """It is refused after the upgrade, as an event and a close."""
    assert session().begin() is None
    assert session(model="ink-3-2027-01-01").begin() is None
    end = session(model="whisper").begin()
    assert end is not None
    assert isinstance(end.event, ErrorEvent)
    assert (end.code, end.event.error_code) == (1008, "model_not_found")


def test_a_failure() -> None:
    """A broken engine is an internal server error and 1011."""
    end = session().failure()
    assert isinstance(end.event, ErrorEvent)
    assert (end.code, end.event.status_code) == (1011, 500)
