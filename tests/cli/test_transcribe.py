"""``cartesia-stt transcribe``, through the real threads and a real websocket."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cartesia_stt_sync import (
    AudioFormat,
    ClosedError,
    DrainTimeout,
    Reconnect,
    Transcriber,
)
from cartesia_stt_sync.cli import main
from cartesia_stt_sync.cli.display import Silent
from cartesia_stt_sync.cli.inputs import Input
from cartesia_stt_sync.cli.outputs import Output
from cartesia_stt_sync.cli.transcribe import stream
from cartesia_stt_sync.server import LocalServer

from .conftest import KEY, SCRIPT, Record, Terminal, on

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "cartesia_stt_sync", "transcribe")

RAW = ["--encoding", "pcm_s16le", "--sample-rate", "16000"]

Read = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("account")
def test_a_file(record: Record, capsys: Read) -> None:
    """The text is all that the standard output carries; what is sent is told beside."""
    assert main(["transcribe", str(record())]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello world.\n"
    assert "talk.wav: 0:00 of pcm_s16le, 16000 Hz, mono" in err


@pytest.mark.usefixtures("account")
def test_quiet(record: Record, capsys: Read) -> None:
    """With -q there is nothing beside."""
    assert main(["transcribe", "-q", str(record())]) == 0
    assert capsys.readouterr() == ("Hello world.\n", "")


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("rate", "width", "channels", "shape"),
    [
        (44100, 2, 2, "pcm_s16le, 44100 Hz, stereo"),
        (8000, 1, 1, "pcm_u8, 8000 Hz, mono"),
        (48000, 3, 4, "pcm_s24le, 48000 Hz, 4 channels"),
    ],
)
def test_any_shape(
    record: Record,
    capsys: Read,
    monkeypatch: pytest.MonkeyPatch,
    rate: int,
    width: int,
    channels: int,
    shape: str,
) -> None:
    """Any rate, width and channels go without a resampler being installed."""
    monkeypatch.setitem(sys.modules, "soxr", None)
    path = record(rate=rate, width=width, channels=channels)
    assert main(["transcribe", str(path)]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello world.\n"
    assert shape in err


@pytest.mark.usefixtures("account")
def test_cut_off(record: Record, capsys: Read) -> None:
    """A file that is not whole is transcribed as far as it goes, and that is said."""
    path = record(seconds=0.4)
    path.write_bytes(path.read_bytes()[:-3200])
    assert main(["transcribe", "--json", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "promises 0.10 s more than there are" in err
    found = json.loads(out)
    assert (found["duration"], found["findings"][-1]["code"]) == (0.3, "cut-off")


@pytest.mark.usefixtures("account")
def test_split(record: Record, capsys: Read) -> None:
    """Who said what: a line for each change of the channel, and captions of each."""
    path = str(record(channels=2))
    assert main(["transcribe", "-q", "--split", path]) == 0
    said = ["1: Hello", "2: Hello", "1: world.", "2: world."]
    assert capsys.readouterr().out.splitlines() == said
    assert main(["transcribe", "-q", "--split", "--json", path]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [word["channel"] for word in found["words"]] == [0, 1, 0, 1]
    assert [line["channel"] for line in found["lines"]] == [0, 1, 0, 1]
    assert found["lines"][1]["text"] == "Hello"
    assert found["stats"]["billed_seconds"] == pytest.approx(0.8)
    assert main(["transcribe", "-q", "--split", "-f", "vtt", path]) == 0
    assert "<v Channel 2>Hello" in capsys.readouterr().out
    assert main(["transcribe", "-q", "--split", "-f", "srt", path]) == 0
    assert "\n2: Hello\n" in capsys.readouterr().out
    assert main(["transcribe", "-q", "--split", "-f", "paragraphs", path]) == 0
    assert capsys.readouterr().out == "\n\n".join(said) + "\n"


@pytest.mark.usefixtures("account")
def test_split_of_one(record: Record, capsys: Read) -> None:
    """A file with one channel is transcribed as one, and says so; the others go on."""
    paths = [str(record("a.wav")), str(record("b.wav", channels=2))]
    assert main(["transcribe", "--split", *paths]) == 0
    out, err = capsys.readouterr()
    assert "a.wav: one channel only" in err
    assert "b.wav: one channel only" not in err
    assert out.splitlines()[:3] == ["Hello world.", "1: Hello", "2: Hello"]


@pytest.mark.usefixtures("account")
def test_json(record: Record, capsys: Read) -> None:
    """One object a file, on one line, with all that is known of it."""
    paths = [str(record("a.wav")), str(record("b.wav", 0.2))]
    assert main(["transcribe", "--json", *paths]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["file"], first["text"]) == (paths[0], "Hello world.")
    assert first["words"][0] == {"word": "Hello", "start": 0.0, "end": 0.1}
    assert first["duration"] == 0.4
    assert first["stats"]["sessions"] == 1
    assert (first["findings"], first["error"]) == ([], None)
    assert (second["text"], second["duration"]) == ("Hello", 0.2)


@pytest.mark.usefixtures("account")
def test_one_of_several_fails(record: Record, capsys: Read, tmp_path: Path) -> None:
    """The others are transcribed, line k is file k's, and the status tells."""
    strange = tmp_path / "song.mp3"
    strange.write_bytes(b"ID3\4" + bytes(100))
    files = [tmp_path / "none.wav", record(), strange, tmp_path]
    assert main(["transcribe", *map(str, files)]) == 5
    out, err = capsys.readouterr()
    assert out == "\nHello world.\n\n\n"
    assert f"cartesia-stt: {files[0]}: No such file or directory\n" in err
    assert f"cartesia-stt: {strange}: a WAV file, got MP3; convert it with" in err
    assert f"cartesia-stt: {tmp_path}: Is a directory\n" in err


@pytest.mark.usefixtures("account")
def test_raw(tmp_path: Path, record: Record, capsys: Read) -> None:
    """Raw samples are what the options say, and a WAV file is not raw."""
    raw = tmp_path / "call.raw"
    raw.write_bytes(b"\xff" * 3200)
    options = ["--encoding", "pcm_mulaw", "--sample-rate", "8000"]
    assert main(["transcribe", *options, str(raw)]) == 0
    out, err = capsys.readouterr()
    assert (out, "pcm_mulaw, 8000 Hz, mono" in err) == ("Hello world.\n", True)
    assert main(["transcribe", *options, str(record())]) == 5
    assert "got a WAV file; leave out --encoding" in capsys.readouterr().err


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("name", "data"),
    [("call.bin", bytes(100)), ("call.pcm", b"\xff" * 100), ("CALL.RAW", b"")],
)
def test_raw_without_options(
    tmp_path: Path, capsys: Read, name: str, data: bytes
) -> None:
    """What may be samples is told what such files need, as by batch."""
    path = tmp_path / name
    path.write_bytes(data)
    assert main(["transcribe", str(path)]) == 5
    err = capsys.readouterr().err
    assert err.startswith(f"cartesia-stt: {path}: a WAV file")
    assert err.endswith("without a header need --encoding and --sample-rate\n")


@pytest.mark.usefixtures("account")
def test_raw_of_nothing(tmp_path: Path, capsys: Read) -> None:
    """A file without a byte is an error, as it is without the options."""
    path = tmp_path / "empty.raw"
    path.touch()
    assert main(["transcribe", *RAW, str(path)]) == 5
    err = capsys.readouterr().err
    assert err == (
        f"cartesia-stt: {path}: samples without a header, got an empty file\n"
    )


@pytest.mark.usefixtures("account")
def test_standard_input(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A dash is the standard input, which may be no audio."""
    with open(record()) as file:
        monkeypatch.setattr("sys.stdin", file)
        assert main(["transcribe", "-"]) == 0
    assert capsys.readouterr().out == "Hello world.\n"
    empty = tmp_path / "empty"
    empty.touch()
    with open(empty) as file:
        monkeypatch.setattr("sys.stdin", file)
        assert main(["transcribe", "-"]) == 5
    assert "cartesia-stt: -: a WAV file, got an empty one" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="its pipes wait")
@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "command", [["transcribe", *RAW], ["transcribe"], ["batch"], ["check"]]
)
@pytest.mark.parametrize("size", [0, 300, 6400])
def test_input_that_does_not_wait(
    record: Record,
    command: list[str],
    size: int,
    capsys: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has come so far is not all, and is not taken for it."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with open(reader) as file, open(writer, "wb", buffering=0) as out:
        monkeypatch.setattr("sys.stdin", file)
        head = b"" if "--encoding" in command else record().read_bytes()[:44]
        out.write(head + bytes(size))
        assert main([*command, "-"]) == 5
    captured = capsys.readouterr()
    assert "got a non-blocking one" in captured.err
    if size == 6400 and command[0] == "transcribe":  # which has begun by then
        assert "Hello" in captured.out


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "-"], "can be read only once"),
        (["--encoding", "pcm_s16le", "x"], "--encoding and --sample-rate: both"),
        ([*RAW, "--channels", "0", "FILE"], "channels: a whole number from 1 to 64"),
        (["--channels", "2", "x"], "--encoding and --sample-rate: both"),
        (["--encoding", "mp3", "--sample-rate", "8000", "x"], "encoding: one of"),
        (["--base-url", "ftp://x", "FILE"], "base_url: a URL like"),
        (["--model", "", "FILE"], "model: a non-empty string"),
    ],
)
def test_usage(
    arguments: list[str], message: str, record: Record, capsys: Read
) -> None:
    """What makes no sense is said on one line before anything is sent."""
    path = str(record())
    assert main(["transcribe", *(path if a == "FILE" else a for a in arguments)]) == 2
    out, err = capsys.readouterr()
    assert (out, message in err.splitlines()[-1]) == ("", True)


def test_terminal_as_input(capsys: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody types audio."""
    monkeypatch.setattr("sys.stdin", Terminal())
    assert main(["transcribe", "-"]) == 2
    assert "arecord" in capsys.readouterr().err


def test_no_key(record: Record, capsys: Read) -> None:
    """Without a key a newcomer is told of both ways."""
    assert main(["transcribe", str(record())]) == 2
    err = capsys.readouterr().err
    assert "CARTESIA_API_KEY is not set" in err
    assert "--local" in err


@pytest.mark.usefixtures("account")
def test_wrong_key(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is refused is not tried for the next file, and never shown."""
    monkeypatch.setenv("CARTESIA_API_KEY", "sk_wrong_one")
    path = str(record())
    assert main(["transcribe", "--json", path, path]) == 3
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    error = json.loads(line)["error"]
    assert (error["type"], error["status_code"]) == ("AuthenticationError", 401)
    assert "sk_wrong_one" not in out + err


@pytest.mark.usefixtures("account")
def test_no_connection(record: Record, capsys: Read) -> None:
    """A service that is not there is told from a text that is not there."""
    with LocalServer(script=[]) as gone:
        url = gone.base_url
    path = str(record())
    assert main(["transcribe", "--base-url", url, path, path]) == 3
    out, err = capsys.readouterr()
    assert out == "\n\n"  # a network may come back, so the next is tried
    assert err.count("cannot connect") == 2


def test_session_error(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text up to the service's error is printed, and the error is told."""
    path = record(seconds=1.0)
    with LocalServer(script=SCRIPT, max_ahead=0.01) as strict:
        monkeypatch.setenv("CARTESIA_API_KEY", "any")
        code = main(["transcribe", "--base-url", strict.base_url, str(path)])
    assert code == 4
    assert "talk.wav: " in capsys.readouterr().err.splitlines()[-1]


def test_local(record: Record, capsys: Read) -> None:
    """With --local neither account nor network is needed."""
    assert main(["transcribe", "--local", str(record(seconds=0.1))]) == 0
    out, err = capsys.readouterr()
    assert out == "\n"  # silence
    assert "a server on this machine listens" in err


def test_local_is_not_installed(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing extra is named, with the command that installs it."""
    monkeypatch.setitem(sys.modules, "cartesia_stt_sync.server", None)
    assert main(["transcribe", "--local", str(record())]) == 2
    assert "pip install 'cartesia-stt-sync[local" in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_output_file(record: Record, capsys: Read, tmp_path: Path) -> None:
    """The file has the text, is like other new files, and nothing else is left."""
    place = tmp_path / "out" / "talk.txt"
    place.parent.mkdir()
    assert main(["transcribe", "-o", str(place), str(record())]) == 0
    assert capsys.readouterr().out == ""
    assert place.read_text() == "Hello world.\n"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(place.stat().st_mode) == 0o666 & ~umask
    assert list(place.parent.iterdir()) == [place]


def test_output_is_kept(record: Record, tmp_path: Path) -> None:
    """A run that comes to nothing leaves the file of the last one alone."""
    place = tmp_path / "talk.txt"
    place.write_text("old\n")
    assert main(["transcribe", "-o", str(place), str(record())]) == 2  # no key
    assert place.read_text() == "old\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["talk.txt", "talk.wav"]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("command", ["transcribe", "batch"])
@pytest.mark.parametrize("form", ["txt", "json", "srt"])
def test_nothing_came(
    record: Record,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    form: str,
) -> None:
    """An older file is worth more than the news that nothing came of any recording."""
    place, other = tmp_path / "talk.out", tmp_path / "new.out"
    place.write_text("old\n")
    arguments = [command, "-q", "-f", form, "-o", str(place)]
    assert main([*arguments, str(tmp_path / "none.wav")]) == 5
    monkeypatch.setenv("CARTESIA_API_KEY", "wrong")
    assert main([*arguments, str(record())]) == 3
    assert main([command, "-q", "-o", str(other), str(record())]) == 3
    assert place.read_text() == "old\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["talk.out", "talk.wav"]


@pytest.mark.usefixtures("account")
def test_something_came(record: Record, tmp_path: Path) -> None:
    """One recording's text is enough; the others have their empty lines."""
    place = tmp_path / "talk.txt"
    place.write_text("old\n")
    paths = [str(tmp_path / "none.wav"), str(record()), str(tmp_path / "no.wav")]
    assert main(["transcribe", "-q", "-o", str(place), *paths]) == 5
    assert place.read_text() == "\nHello world.\n\n"


@pytest.mark.skipif(sys.platform == "win32", reason="its names are limited otherwise")
@pytest.mark.usefixtures("account")
def test_long_name(record: Record, tmp_path: Path) -> None:
    """A name may be as long as the system allows; the draft's is not longer."""
    place = tmp_path / ("\u00e9" * 125 + ".txt")
    assert main(["transcribe", "-q", "-o", str(place), str(record())]) == 0
    assert place.read_text() == "Hello world.\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has one")
@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("command", ["transcribe", "batch"])
def test_disk_is_full(record: Record, capsys: Read, command: str) -> None:
    """The error names the file that cannot be written."""
    assert main([command, "-q", "-o", "/dev/full", str(record())]) == 5
    assert "/dev/full: No space left on device\n" in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_draft_goes_wrong(
    record: Record, capsys: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went wrong first is told, with the name that was typed."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "broken disk", ".draft")

    place = tmp_path / "talk.txt"
    monkeypatch.setattr(Path, "unlink", fail)
    assert main(["transcribe", "-q", "-o", str(place), str(tmp_path / "none.wav")]) == 5
    err = capsys.readouterr().err
    assert ("none.wav: No such file" in err, "broken disk" in err) == (True, False)
    for draft in tmp_path.glob(".*.part"):
        os.unlink(draft)
    monkeypatch.setattr(os, "replace", fail)
    assert main(["transcribe", "-q", "-o", str(place), str(record())]) == 5
    assert f"cartesia-stt: {place}: broken disk\n" in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_output_cannot_be_written(record: Record, capsys: Read, tmp_path: Path) -> None:
    """That is noticed before anything is sent."""
    (tmp_path / "file").touch()
    for place in (f"{tmp_path}/none/talk.txt", f"{tmp_path}/file/none/"):
        assert main(["transcribe", "-q", "-o", place, str(record())]) == 5
        assert str(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["transcribe", "-q", "-o", os.devnull, str(record())]) == 0
    assert not Path(os.devnull).is_file()  # it was not replaced


def speech(then: BaseException) -> Iterator[bytes]:
    """All of the script's audio, and what happens next."""
    yield bytes(3200) * 4
    raise then


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "broken disk")])
def test_cut_short(error: BaseException) -> None:
    """Ctrl-C, or a disk that fails, leaves the words of what was heard."""
    recording = Input("talk", AudioFormat("pcm_s16le", 16000), 1.0, speech(error))
    t, out = Transcriber(), io.StringIO()
    found = stream(t, recording, Silent(), Output(out, live=True))
    assert found is error
    assert (t.text, out.getvalue()) == ("Hello world.", "Hello world.")
    assert t.state == "CLOSED"


class Notes(Silent):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep it."""
        self.notes.append(message)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), DrainTimeout("too slow")])
def test_no_last_words(error: BaseException) -> None:
    """A second Ctrl-C, or a service that does not answer, hides not the first."""

    class Impatient(Transcriber):
        def close(self, wait: bool = True, timeout: float | None = None) -> None:
            raise error

    blocks = speech(KeyboardInterrupt())
    recording = Input("talk", AudioFormat("pcm_s16le", 16000), None, blocks)
    notes, output = Notes(), Output(io.StringIO(), live=True)
    t = Impatient()
    assert isinstance(stream(t, recording, notes, output), KeyboardInterrupt)
    first, second = notes.notes
    assert first == "stopped; waiting for the last words"
    assert second.startswith("the last words did not come: ")
    assert t.state == "CLOSED"


@pytest.mark.usefixtures("account")
def test_budget_is_spent() -> None:
    """A session that ends by itself is waited for: its last words come."""

    class Spent(Transcriber):
        def feed(self, audio: object, *, timeout: float | None = None) -> None:
            super().feed(audio)
            self.close(wait=False)
            super().feed(audio)

    blocks = iter([bytes(9600)])
    recording = Input("talk", AudioFormat("pcm_s16le", 16000), None, blocks)
    notes, out = Notes(), io.StringIO()
    t = Spent()
    error = stream(t, recording, notes, Output(out, live=True))
    assert isinstance(error, ClosedError)
    assert notes.notes == ["stopped; waiting for the last words"]
    assert out.getvalue() == "Hello world."


@pytest.mark.usefixtures("account")
def test_interrupted_while_connecting() -> None:
    """There is nothing to wait for where nothing was sent."""

    class Connecting(Transcriber):
        def open(self) -> None:
            raise KeyboardInterrupt

    recording = Input("talk", AudioFormat("pcm_s16le", 16000), None, iter(()))
    notes, output = Notes(), Output(io.StringIO(), live=True)
    error = stream(Connecting(), recording, notes, output)
    assert (type(error), notes.notes) == (KeyboardInterrupt, [])


def test_reconnect_is_told() -> None:
    """A connection that is lost and made anew is worth a line."""
    notes = Notes()
    with LocalServer(script=SCRIPT) as server:

        def blocks() -> Iterator[bytes]:
            yield bytes(3200)
            server.stop()
            while True:
                yield bytes(3200)

        t = Transcriber(
            base_url=server.base_url,
            api_key="any",
            max_buffer=0.5,
            reconnect=Reconnect(attempts=1, first_delay=0.01),
        )
        recording = Input("talk", AudioFormat("pcm_s16le", 16000), None, blocks())
        output = Output(io.StringIO(), live=True)
        assert isinstance(stream(t, recording, notes, output), OSError)
    (note,) = notes.notes
    assert note.startswith("the connection was lost; next try in 0.0 s")


@pytest.mark.usefixtures("account")
def test_finding(tmp_path: Path, capsys: Read) -> None:
    """What the library noticed is told beside the text, with its advice."""
    raw = tmp_path / "odd.raw"
    raw.write_bytes(bytes(3201))
    options = ["--encoding", "pcm_s16le", "--sample-rate", "16000"]
    assert main(["transcribe", *options, str(raw)]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello\n"
    assert "odd.raw: The audio ended 1 byte(s) into a sample" in err


class Gone(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.usefixtures("account")
def test_reader_has_gone() -> None:
    """Where nobody reads the text, the session ends early: it is billed."""
    endless = iter(lambda: bytes(3200), b"")
    recording = Input("talk", AudioFormat("pcm_s16le", 16000), None, endless)
    t = Transcriber(max_buffer=1.0)
    with pytest.raises(BrokenPipeError):
        stream(t, recording, Silent(), Output(Gone(), live=True))
    assert t.state == "CLOSED"


@pytest.mark.usefixtures("account")
def test_live_terminal(record: Record, terminal: Terminal) -> None:
    """Text shows provisionally, dimmed, then as final, and is printed at the end."""
    with on(terminal):
        assert main(["transcribe", str(record())]) == 0
    shown = terminal.getvalue()
    assert "\x1b[2mHello\x1b[0m" in shown  # dimmed
    assert "Hello\x1b[2m world." in shown  # the tail only
    assert "talk.wav" in shown
    assert "0:00 / 0:00" in shown
    assert shown.endswith("\x1b[2KHello world.\n")  # after the region is gone


@pytest.mark.usefixtures("account")
def test_terminal_without_rich(
    record: Record, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the text comes all the same, and the extra is named once."""
    monkeypatch.setitem(sys.modules, "rich", None)
    with on(terminal):
        assert main(["transcribe", str(record())]) == 0
    hint, text = terminal.getvalue().splitlines()
    assert "pip install 'cartesia-stt-sync[cli]'" in hint
    assert text == "Hello world."


def run(
    server: LocalServer, *arguments: str, **options: object
) -> subprocess.Popen[bytes]:
    """The command as a process of its own."""
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "CARTESIA_BASE_URL": server.base_url,
        "CARTESIA_API_KEY": KEY,
        "TERM": "xterm-256color",
        "COLUMNS": "30",
    }
    return subprocess.Popen([*COMMAND, *arguments], env=environment, **options)  # type: ignore[call-overload,no-any-return]  # its own options


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c(server: LocalServer, record: Record, number: signal.Signals) -> None:
    """A live pipe: text comes while audio does, and a Ctrl-C keeps what was said."""
    pipe = subprocess.PIPE
    with run(server, "-", stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        wav = bytearray(record().read_bytes())
        wav[40:44] = b"\xff" * 4  # as a recorder that still runs has it
        process.stdin.write(wav)
        process.stdin.flush()  # and no end: somebody is still speaking
        assert process.stdout.read(12) == b"Hello world."
        process.send_signal(number)
        assert process.stdout.read() == b"\n"
        assert b"cartesia-stt: -: interrupted\n" in process.stderr.read()
    assert process.returncode == 130


def test_broken_pipe(server: LocalServer, record: Record) -> None:
    """A reader that has seen enough gets no complaint."""
    path = str(record())
    pipe = subprocess.PIPE
    with run(server, "-q", path, path, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(5) == b"Hello"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_real_terminal(server: LocalServer, record: Record) -> None:
    """On a narrow terminal the region is wrapped, replaced and taken away."""
    import pty

    ours, theirs = pty.openpty()
    path = str(record("a-recording-with-a-long-name.wav"))
    with run(server, path, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b"".join(iter(reader(ours), b""))
    os.close(ours)
    assert process.returncode == 0
    assert shown.endswith(b"\x1b[2KHello world.\r\n")
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") == 1  # the cursor
    assert b"\xe2\x80\xa6" in shown  # the name is cut, not wrapped


def reader(terminal: int) -> Callable[[], bytes]:
    """A function that reads on; the end of a terminal is an error, not an end."""

    def read() -> bytes:
        try:
            return os.read(terminal, 65536)
        except OSError:
            return b""

    return read
