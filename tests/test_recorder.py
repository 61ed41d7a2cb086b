"""The flight recorder: every byte and every message, and never a key."""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from cartesia_stt_sync import (
    AudioFormat,
    ConfigError,
    ConnectError,
    ConnectionLost,
    Transcriber,
    WavReader,
)
from cartesia_stt_sync._clock import Clock
from cartesia_stt_sync._recorder import Recorder
from cartesia_stt_sync._transport import ServerClosed

from .fakes import FLUSHED, LIMIT, FakeTransport, Rig, final

KEY = "sk_car_0123456789abcdef"
ENCODINGS = {
    "pcm_s16le": "s16le",
    "pcm_s32le": "s32le",
    "pcm_f16le": None,
    "pcm_f32le": "f32le",
    "pcm_mulaw": "mulaw",
    "pcm_alaw": "alaw",
}


def lines(folder: Path) -> list[dict[str, Any]]:
    """All that was written down."""
    (path,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(folder: Path) -> list[str]:
    """What happened, by name."""
    return [line["event"] for line in lines(folder)]


def wav(folder: Path) -> tuple[AudioFormat, bytes]:
    """The audio, as any reader of WAV files gets it."""
    (path,) = folder.glob("*.wav")
    with WavReader(str(path)) as reader:
        return reader.format, b"".join(reader)


def recorder(folder: Path, encoding: str = "pcm_s16le", key: str = KEY) -> Recorder:
    """One that has begun."""
    made = Recorder(
        str(folder),
        AudioFormat(encoding, 8000),
        {"url": "wss://x"},
        secret=lambda: key,
        clock=Clock(),
    )
    made.begin()
    return made


class TestSession:
    """What a whole session leaves in the folder."""

    def test_in_and_out(self, tmp_path: Path) -> None:
        """Calls, audio, commands, messages and the end, in their order."""
        rig = Rig(record=tmp_path, api_key=KEY)
        rig.wire.answer_close(final("tail"))
        audio = bytes(range(250)) * 32
        rig.t.open()
        rig.until_idle()
        rig.t.feed(audio)
        future = rig.t.finalize()
        rig.play(0.3)
        rig.wire.push(final("Hello"), FLUSHED)
        assert future.result(LIMIT) == "Hello"
        rig.t.close()
        assert wav(tmp_path) == (AudioFormat("pcm_s16le", 16000), rig.wire.audio)
        assert rig.wire.audio == audio
        assert events(tmp_path) == [
            "begin",
            "connecting",
            "connected",
            "feed",
            "sent",
            "finalize",
            *["sent"] * 3,
            *["received"] * 2,
            "close",
            "sent",
            *["received"] * 2,
            "server closed",
            "end",
        ]
        told = lines(tmp_path)
        assert [line["t"] for line in told] == sorted(line["t"] for line in told)
        assert told[0]["url"].startswith("wss://api.cartesia.ai/stt/websocket?model=")
        sent = [line for line in told if line["event"] == "sent"]
        assert [line.get("at") for line in sent] == [0, 3200, 6400, None, None]
        assert [line.get("text") for line in sent[3:]] == ["finalize", "close"]
        heard = [line["text"] for line in told if line["event"] == "received"]
        assert json.loads(heard[0])["text"] == "Hello"
        assert told[-1]["error"] is None

    def test_a_loss_and_what_follows(self, tmp_path: Path) -> None:
        """A reconnect, what is sent again, silence and findings are there, too."""
        wires = [FakeTransport(), FakeTransport(refuse=ConnectError("busy"))]
        wires.append(FakeTransport())
        rig = Rig(*wires, record=str(tmp_path))
        wires[2].answer_close()
        rig.t.feed(b"\1\2" * 1600)
        wires[0].until_sent(1)
        wires[0].push(ConnectionLost("gone"))
        rig.until_retrying()
        rig.clock.advance(0.25)
        rig.until_retrying()
        rig.clock.advance(0.5)
        wires[2].until_sent(1)
        rig.play(1.0)
        wires[2].push(FLUSHED)
        rig.t.close()
        told = events(tmp_path)
        assert told.count("connected") == 2
        for event in ("lost", "refused", "reconnect", "silence", "finding"):
            assert event in told, event
        again = next(line for line in lines(tmp_path) if line["event"] == "reconnect")
        assert again["replay_seconds"] == 0.1
        sent = wires[0].audio + wires[2].audio
        assert wav(tmp_path)[1] == sent

    def test_a_refused_session(self, tmp_path: Path) -> None:
        """The reason is kept, and no file is left open."""
        rig = Rig(FakeTransport(refuse=ConnectError("no")), record=tmp_path)
        with pytest.raises(ConnectError):
            rig.t.open()
        assert events(tmp_path) == ["begin", "connecting", "refused"]
        assert wav(tmp_path)[1] == b""

    def test_a_send_that_fails(self, tmp_path: Path) -> None:
        """It is told apart from one that went."""
        rig = Rig(record=tmp_path, reconnect=None)
        rig.wire.broken = ConnectionLost("pipe")
        rig.t.feed(b"\1\2" * 1600)
        rig.wire.until_aborted()
        with pytest.raises(ConnectionLost):
            rig.t.close()
        told = events(tmp_path)
        assert told[told.index("sent") + 1] in ("not sent", "close")
        assert "not sent" in told
        assert told[-1] in ("end", "close")
        assert "error" in told

    def test_several_in_one_folder(self, tmp_path: Path) -> None:
        """Each session has files of its own, for this user's eyes only."""
        for _ in range(3):
            rig = Rig(record=tmp_path / "a" / "b")
            rig.wire.answer_close()
            with rig.t:
                pass
        files = sorted((tmp_path / "a" / "b").iterdir())
        assert len(files) == 6
        if os.name == "posix":
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}

    def test_none_is_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without record= no file is written anywhere."""
        monkeypatch.chdir(tmp_path)
        rig = Rig()
        rig.wire.answer_close()
        with rig.t:
            rig.t.feed(b"")
        assert not list(tmp_path.iterdir())


class TestKey:
    """No credential is written down."""

    def test_echoed_by_the_server(self, tmp_path: Path) -> None:
        """Not even where the server says it, in a message, a reason or an error."""
        rig = Rig(
            FakeTransport(request_id=KEY),
            record=tmp_path,
            api_key=KEY,
            reconnect=None,
        )
        rig.t.open()
        rig.wire.push(final(f"key {KEY}"), ServerClosed(1008, KEY))
        with pytest.raises(ConnectionLost):
            list(rig.t.finals())
        rig.t.abort()
        (path,) = tmp_path.glob("*.jsonl")
        text = path.read_text()
        assert text.count("***") >= 3
        assert KEY not in text

    def test_spelt_otherwise(self, tmp_path: Path) -> None:
        """JSON has many ways to; what has none of it stays as it came."""
        made = recorder(tmp_path)
        made.begin()
        other = KEY.replace(KEY[0], f"\\u{ord(KEY[0]):04x}")
        said = [f'{{"a": ["{other}"]}}', '{"a": "\\u0041"}', "\\ no JSON"]
        for text in said:
            made.received(text)
        made.end()
        texts = [line["text"] for line in lines(tmp_path) if "text" in line]
        assert texts == ['{"a": ["***"]}', *said[1:]]

    def test_texts_of_all_kinds(self, tmp_path: Path) -> None:
        """It is taken out of names, too; and a text of another type stays one."""

        class Spoken(str, Enum):
            EN = "en"

        made = recorder(tmp_path)
        made.begin()
        made.note("x", a={KEY: [KEY, 1, None]}, b=Spoken.EN, c=ValueError(KEY))
        made.end()
        line = lines(tmp_path)[-1]
        assert (line["a"], line["b"], line["c"]) == (
            {"***": ["***", 1, None]},
            "en",
            "***",
        )

    @pytest.mark.parametrize("key", ["local", "x", "e"])
    def test_a_word(self, key: str, tmp_path: Path) -> None:
        """That of a server of one's own may be said; the recording stays one."""
        rig = Rig(record=tmp_path, api_key=key)
        rig.wire.answer_close()
        with rig.t:
            rig.t.feed(b"")
            rig.wire.push(final("The local news, extra."))
            assert str(next(rig.t.finals())) == "The local news, extra."
        received = [line for line in lines(tmp_path) if line["event"] == "received"]
        assert "The local news, extra." in received[0]["text"]


class TestFiles:
    """Files that players and readers take."""

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_every_encoding(self, encoding: str, tmp_path: Path) -> None:
        """A WAV that says what its samples are, whole and cut short."""
        made = recorder(tmp_path, encoding)
        width = AudioFormat(encoding, 8000).frame_bytes
        data = bytes(range(1, 1 + 8 * width))
        made.sent(data)
        assert wav(tmp_path) == (AudioFormat(encoding, 8000), data), "still open"
        made.end()
        assert wav(tmp_path) == (AudioFormat(encoding, 8000), data)
        (path,) = tmp_path.glob("*.wav")
        raw = path.read_bytes()
        assert struct.unpack_from("<I", raw, 4) == (len(raw) - 8,)
        about = lines(tmp_path)[0]
        assert about["play"] == f"ffplay {path.name}"
        name = ENCODINGS[encoding]
        if name is None:
            assert "half floats" in about["play_raw"]
        else:
            skip, _, rest = about["play_raw"].removeprefix("tail -c +").partition(" ")
            assert raw[int(skip) - 1 :] == data
            assert rest == f"{path.name} | ffplay -f {name} -sample_rate 8000 -"

    def test_goes_on_after_a_rest(self, tmp_path: Path) -> None:
        """Between two connections nothing is open, and nothing is lost."""
        made = recorder(tmp_path)
        made.sent(b"ab")
        made.rest()
        made.sent(b"cd")
        made.end()
        made.note("late")
        made.end()
        assert wav(tmp_path)[1] == b"abcd"
        assert events(tmp_path) == ["begin", "sent", "sent", "late"]

    def test_two_threads(self, tmp_path: Path) -> None:
        """Lines stay whole, and each says where its audio stands."""
        made = recorder(tmp_path)

        def write(byte: int) -> None:
            for _ in range(200):
                made.sent(bytes([byte]) * 20)
                made.note("received", text="x" * 100)

        threads = [threading.Thread(target=write, args=[n]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        made.end()
        told = lines(tmp_path)
        assert len(told) == 1 + 4 * 400
        audio = wav(tmp_path)[1]
        assert len(audio) == 4 * 200 * 20
        for line in told:
            if line["event"] == "sent":
                assert len(set(audio[line["at"] : line["at"] + 20])) == 1

    def test_bad_utf8(self, tmp_path: Path) -> None:
        """A message that is no text is kept readable."""
        rig = Rig(record=tmp_path)
        rig.t.open()
        rig.wire.push(b"\xff\xfe")
        rig.wire.answer_close()
        rig.t.close()
        heard = [li["text"] for li in lines(tmp_path) if li["event"] == "received"]
        assert heard[0] == "\\xff\\xfe"


class TestTrouble:
    """A recorder that fails harms nobody."""

    def test_no_folder(self, tmp_path: Path) -> None:
        """What cannot be written to is told when the session opens."""
        (tmp_path / "file").write_text("")
        rig = Rig(record=tmp_path / "file" / "below")
        with pytest.raises(ConfigError, match="record: a folder to write to"):
            rig.t.open()
        assert rig.t.state == "CLOSED"

    @pytest.mark.parametrize("wrong", [7, b"bytes", "", "a\0b", True])
    def test_wrong_argument(self, wrong: Any) -> None:
        """The constructor says so, and touches no disk."""
        with pytest.raises(ConfigError, match="record: a folder's path or None"):
            Transcriber(api_key=KEY, record=wrong)

    @pytest.mark.parametrize("which", ["_lines", "_audio"])
    def test_a_full_disk(
        self, which: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The session goes on; a finding says that its recording does not."""
        made: list[Recorder] = []
        rig = Rig(record=tmp_path)
        for cell in _recorders(rig.t):
            made.append(cell)
        rig.t.open()
        rig.wire.answer_close(final("heard"))
        full = _Full(getattr(made[0], which))
        setattr(made[0], which, full)
        rig.t.feed(b"\1\2" * 1600)
        rig.wire.until_sent(1)
        rig.t.close()
        assert rig.t.text == "heard"
        (found,) = rig.t.findings
        assert found.code == "recording-stopped"
        assert "No space left" in found.message
        assert full.inner.closed


class _Full:
    """A file on a disk that has no room."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *exc: object) -> None:
        self.inner.close()


def _recorders(t: Transcriber) -> list[Recorder]:
    """The recorder of a transcriber, by way of its journal."""
    (stream,) = t._stream.streams
    journal: Callable[..., None] = stream.journal
    owner = getattr(journal, "__self__", None)
    assert isinstance(owner, Recorder)
    return [owner]
