"""Promises that hold for any bytes: the corpus, and what Hypothesis makes up.

The checks are in ``fuzz``, where atheris runs them for longer; these runs are short,
the same each time, and need no atheris.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync._core import Core
from cartesia_stt_sync._frames import FrameReader
from cartesia_stt_sync._outbox import Outbox, Wait
from cartesia_stt_sync._pacing import Filler, Schedule
from cartesia_stt_sync._queue import Kind, Send
from cartesia_stt_sync._unanswered import Unanswered
from cartesia_stt_sync.events import Event, Malformed, Transcript
from cartesia_stt_sync.transcript import Assembler
from cartesia_stt_sync.wav import WavReader
from cartesia_stt_sync.wire import parse
from fuzz import run
from fuzz.choices import Choices
from fuzz.session import OPERATIONS, SETTINGS
from fuzz.targets import (
    TARGETS,
    check_frames,
    check_parse,
    check_refusal,
    check_session,
    check_wav,
)

CORPUS = Path(run.__file__).parent / "corpus"
SEEDS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


def some(examples: int) -> settings:
    """The same so many examples in every run."""
    return settings(
        max_examples=examples, derandomize=True, deadline=None, database=None
    )


# The corpus


@pytest.mark.parametrize(
    "seed", SEEDS, ids=[f"{path.parent.name}/{path.name}" for path in SEEDS]
)
def test_corpus(seed: Path) -> None:
    """What was picked by hand, found, or broken once keeps every promise."""
    TARGETS[seed.parent.name](seed.read_bytes())


def test_corpus_is_small_and_complete() -> None:
    """Every target has seeds, no folder is forgotten, and it stays light."""
    assert {path.parent.name for path in SEEDS} == set(TARGETS) == set(run.TARGETS)
    assert len(SEEDS) < 150
    assert sum(path.stat().st_size for path in SEEDS) < 300_000


# Made up


@pytest.mark.parametrize("name", list(TARGETS))
def test_any_bytes(name: str) -> None:
    """No bytes whatever break a promise."""

    @some(300)
    @given(st.binary(max_size=300))
    def check(data: bytes) -> None:
        TARGETS[name](data)

    check()


NAMES = (
    "text is_final duration language words request_id message title error status_code "
    "code error_code doc_url extra data transcript"
).split()
TYPES = ["transcript", "flush_done", "done", "error", "malformed", "close", ""]

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=9)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["word", "start", "end", "x"]), inner)
    ),
    max_leaves=6,
)
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | VALUES},
    optional=dict.fromkeys(NAMES, VALUES),
)
TRANSCRIPTS = st.fixed_dictionaries(
    {
        "type": st.just("transcript"),
        "text": st.text(max_size=9),
        "is_final": st.booleans(),
        "words": st.lists(
            st.fixed_dictionaries(
                {"word": st.text(max_size=3), "start": LEAVES, "end": st.floats()}
            ),
            max_size=2,
        ),
    },
    optional={"duration": VALUES, "language": VALUES, "x": VALUES},
)


@some(500)
@given(MESSAGES | TRANSCRIPTS)
def test_messages(message: dict[str, Any]) -> None:
    """Fields of any shape under the names that are known break nothing."""
    data = json.dumps(message).encode()
    check_parse(data)
    check_refusal(b"429\n7\n\n" + data)


DATES = st.sampled_from(
    ["Mon, 23 Nov 2026 12:00:30 GMT", "Mon, 23 Nov 2026 12:00:00 -0000", "", "7"]
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from("0129 :-+,GMa\u0667\xff")), max_size=4
)
LONGER = st.sampled_from(["", "9" * 20, "0" * 400])


@some(200)
@given(DATES, CHANGES, LONGER, DATES)
def test_dates(wait: str, changes: list[tuple[int, str]], more: str, date: str) -> None:
    """No date and no number of seconds in a refusal breaks anything."""
    for place, sign in changes:
        wait = wait[:place] + sign + more + wait[place + 1 :]
    for first, second in ((wait, date), (date, wait)):
        check_refusal(f"503\n{first}\n{second}\n".encode("latin-1", "ignore"))


def frame(opcode: int, fin: bool, size: int, claimed: int | None) -> bytes:
    """A frame, which may lie about its size."""
    said = size if claimed is None else claimed
    head = bytes([opcode | fin << 7])
    if said < 126:
        head += bytes([said])
    elif said < 1 << 16:
        head += b"\x7e" + struct.pack("!H", said)
    else:
        head += b"\x7f" + struct.pack("!Q", said)
    return head + bytes(size)


FRAMES = st.builds(
    frame,
    st.sampled_from([0, 0, 1, 1, 2, 8, 9, 10, 3, 0x41]),
    st.booleans(),
    st.sampled_from([0, 1, 2, 60, 124, 125, 126, 500, 999, 1000]),
    st.sampled_from([None] * 9 + [0, 125, 1000, 1001, 1 << 16, 1 << 62, (1 << 64) - 1]),
)


@some(500)
@given(st.binary(min_size=4, max_size=4), st.lists(FRAMES, max_size=5))
def test_frames(head: bytes, frames: list[bytes]) -> None:
    """Frames in any order and any cuts become messages, or are refused, alike."""
    check_frames(head + b"".join(frames))


WAVS = [path.read_bytes() for path in SEEDS if path.parent.name == "wav"]
SIZES = st.sampled_from([0, 1, 15, 16, 64, 0x7FFEFFFF, 0x7FFF0000, 0xFFFFFFFF])


@some(500)
@given(
    st.sampled_from(WAVS),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3),
    st.lists(st.tuples(st.sampled_from([4, 16, 40, 48]), SIZES), max_size=2),
    st.integers(0, 200),
)
def test_wav_headers(
    data: bytes, bytes_: list[tuple[int, int]], sizes: list[tuple[int, int]], cut: int
) -> None:
    """Real headers with a few wrong bytes or sizes are read or refused."""
    changed = bytearray(data)
    for place, value in bytes_:
        if place < len(changed):
            changed[place] = value
    for place, size in sizes:
        if place + 4 <= len(changed):
            struct.pack_into("<I", changed, place, size)
    check_wav(bytes(changed[: len(changed) - cut] if cut < 40 else changed))


CODES = {op.__name__: code for code, op in enumerate(OPERATIONS)}
STORIES = st.lists(
    st.builds(
        lambda name, a, b: bytes([CODES[name], a, b]),
        st.sampled_from([op.__name__ for op in OPERATIONS]),
        st.integers(0, 255),
        st.integers(0, 255),
    ),
    max_size=60,
)


@some(600)
@given(st.binary(min_size=SETTINGS, max_size=SETTINGS), STORIES)
def test_sessions(head: bytes, story: list[bytes]) -> None:
    """Whatever happens, answers, text, order, pacing and states are right."""
    check_session(head + b"".join(story))


# That they can fail


def over_length(data: bytes | str) -> Event:
    """A `parse` that quotes too much."""
    event = parse(data)
    return (
        event
        if not isinstance(event, Malformed)
        else Malformed(reason="", data="x" * 201)
    )


def feed_greedily(self: FrameReader, data: bytes) -> None:
    """A reader that takes each read for a whole message's."""
    self._buffer = bytearray(data) if len(self._buffer) > 1 else self._buffer + data


def strip(self: Assembler, transcript: Transcript, message: bytes = b"") -> None:
    """An assembler that strips."""
    if transcript.is_final:
        self.deltas.append(Transcript(text=transcript.text.strip(), is_final=True))


def forget(self: Unanswered, sent: object) -> None:
    """A log of what is unanswered that is empty."""


def early(self: Schedule, now: float, seconds: float) -> float:
    """A schedule that never waits."""
    self.due = now
    return now


def no_answer(self: Core, error: object) -> None:
    """An end that leaves futures behind."""


def hush(self: Filler, now: float) -> None:
    """Silence that is not counted."""
    self._next = now + self._chunk


def finalize_first(self: Outbox, now: float, early: float = 0.0) -> Send | Wait:
    """An outbox whose finalize overtakes the audio."""
    first = self._queue.runs[0]
    if first.command is not None and first.command.kind is Kind.FINALIZE:
        self._queue.take_command()
        self._queue.runs[0].pieces[:0] = first.pieces
        self._queue.runs[0].size += first.size
        self._note_command(first.command)
        return first.command
    return ORIGINAL_POLL(self, now)


def two_at_a_time(self: WavReader, size: int) -> bytes:
    """A WAV reader that believes a header, and asks for all of it at once."""
    part: bytes = self._file.read(max(size, 1 << 20))[:size]
    self._position += len(part)
    return part


ORIGINAL_POLL = Outbox.poll


@pytest.mark.parametrize(
    ("owner", "name", "broken", "seed"),
    [
        (
            sys.modules[check_parse.__module__],
            "parse",
            over_length,
            "parse/no-type.json",
        ),
        (FrameReader, "feed", feed_greedily, "frames/longest"),
        (WavReader, "_read", two_at_a_time, "wav/format-1-16.wav"),
        (Assembler, "add", strip, "session/reconnect-unplaced"),
        (Unanswered, "add", forget, "session/reconnect"),
        (Schedule, "advance", early, "session/overflow"),
        (Core, "_answer_rest", no_answer, "session/abort"),
        (Filler, "silence_sent", hush, "session/silence"),
        (Outbox, "poll", finalize_first, "session/plain"),
    ],
)
def test_a_broken_promise_is_seen(
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    broken: Callable[..., object],
    seed: str,
) -> None:
    """Each check fails where what it guards is broken."""
    target, _, file = seed.partition("/")
    data = CORPUS.joinpath(target, file).read_bytes()
    TARGETS[target](data)
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(AssertionError):
        TARGETS[target](data)


# The tools


def test_choices_end_in_zeros() -> None:
    """Behind the end of an input stands a zero, however often it is asked for."""
    choices = Choices(b"\x07ab")
    assert (choices.pick("xyz"), choices.left) == ("y", 2)
    assert choices.rest() == b"ab"
    assert (choices.byte(), choices.pick("xyz"), choices.left) == (0, "x", 0)


def test_steps_tell_inputs_apart() -> None:
    """What an input reaches in the library is what the corpus is chosen by."""
    done, error = (
        run.steps(check_parse, data)
        for data in (b'{"type":"done"}', b'{"type":"error","message":"m"}')
    )
    assert done - error
    assert error - done
    assert run.steps(check_parse, b'{"type":"done"}') == done


def test_without_atheris(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner says what it needs."""
    monkeypatch.setitem(sys.modules, "atheris", None)
    monkeypatch.setattr(sys, "argv", ["run", "parse"])
    with pytest.raises(SystemExit, match="atheris is not installed"):
        run.main()
