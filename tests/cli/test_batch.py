"""``cartesia-stt batch``, through a real socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import srt as srt_parser  # type: ignore[import-untyped]  # it has no types

from cartesia_stt_sync import Transcript
from cartesia_stt_sync.cli import main
from cartesia_stt_sync.server import Fault, LocalServer

from ..programs import Program
from .conftest import KEY, SCRIPT, Record, Terminal, on

ROOT = Path(__file__).parents[2]

Read = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("account")
def test_a_file(record: Record, capsys: Read) -> None:
    """The text is all that the standard output carries; what is sent is told beside."""
    path = str(record())
    assert main(["batch", path]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("Hello world.\n", f"{path}: 13 kB\n")


@pytest.mark.usefixtures("account")
def test_quiet(record: Record, capsys: Read) -> None:
    """With -q there is nothing beside."""
    assert main(["batch", "-q", str(record())]) == 0
    assert capsys.readouterr() == ("Hello world.\n", "")


@pytest.mark.usefixtures("account")
def test_json(record: Record, capsys: Read) -> None:
    """One object a file; words if they are asked for; its length is the service's."""
    path = str(record())
    assert main(["batch", "--json", path]) == 0
    assert main(["batch", "-f", "json", "--words", path]) == 0
    bare, timed = map(json.loads, capsys.readouterr().out.splitlines())
    assert (bare["file"], bare["text"]) == (path, "Hello world.")
    assert (bare["duration"], bare["stats"], bare["error"]) == (0.4, None, None)
    assert bare.get("words") is None
    assert [word["word"] for word in timed["words"]] == ["Hello", "world."]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_captions(record: Record, tmp_path: Path, form: str) -> None:
    """They ask for the words' times by themselves, and go into a folder each."""
    paths = [str(record(name)) for name in ("a.wav", "b.wav")]
    folder = tmp_path / "subs"
    folder.mkdir()
    assert main(["batch", "-q", "-f", form, "-o", str(folder), *paths]) == 0
    for name in ("a", "b"):
        assert "Hello world." in (folder / f"{name}.{form}").read_text()


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("known", [True, False])
def test_captions_without_times(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Where the service sends none they are a guess, over the WAV file's own length."""
    said = Transcript(text="One two three four five six. " * 8, is_final=True)
    monkeypatch.setattr(
        "cartesia_stt_sync.cli.batch.transcribe_file", lambda *_, **__: said
    )
    path = record(seconds=60.0)
    if not known:
        path.write_bytes(b"ID3 no WAV file")
    assert main(["batch", "-f", "srt", str(path)]) == 0
    out, err = capsys.readouterr()
    *_, last = srt_parser.parse(out)
    seconds = 60.0 if known else len(said.text) / 15
    assert last.end.total_seconds() == pytest.approx(seconds, abs=1.0)
    assert err == (
        f"{path}: the service sent no times, so those of the captions are estimated\n"
    )
    assert main(["batch", str(path)]) == 0
    assert capsys.readouterr().err == ""
    with open(path) as file:
        monkeypatch.setattr("sys.stdin", file)
        assert main(["batch", "-f", "vtt", "-"]) == 0
    assert "-: the service sent no times" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="it has no named pipes")
@pytest.mark.usefixtures("account")
def test_a_pipe_is_read_once(
    tmp_path: Path, record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes into it a second time, to say how long it was."""
    said = Transcript(text="Hello.", is_final=True)
    monkeypatch.setattr(
        "cartesia_stt_sync.cli.batch.transcribe_file", lambda *_, **__: said
    )
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert main(["batch", "-f", "srt", str(pipe)]) == 0
    assert "Hello." in capsys.readouterr().out


@pytest.mark.usefixtures("account")
def test_one_of_several_fails(record: Record, capsys: Read, tmp_path: Path) -> None:
    """The others are transcribed, line k is file k's, and the status tells."""
    (tmp_path / "empty.wav").touch()
    (tmp_path / "call.pcm").write_bytes(bytes(100))
    bad = [tmp_path / name for name in ("none.wav", "empty.wav", "call.pcm", ".")]
    files = [*bad[:2], record(), *bad[2:]]
    assert main(["batch", *map(str, files)]) == 5
    out, err = capsys.readouterr()
    assert out == "\n\nHello world.\n\n\n"
    assert f"cartesia-stt: {bad[0]}: No such file or directory\n" in err
    assert f"{bad[1]}: a recording, got nothing: 'empty.wav' is empty\n" in err
    assert "'call.pcm' has no header" in err
    assert "pass --encoding and --sample-rate\n" in err
    assert f"cartesia-stt: {bad[3]}: Is a directory\n" in err


@pytest.mark.usefixtures("account")
def test_raw(tmp_path: Path, record: Record, capsys: Read) -> None:
    """Raw samples are what the options say, and a WAV file is not raw."""
    raw = tmp_path / "call.raw"
    raw.write_bytes(b"\xff" * 3200)
    options = ["--encoding", "pcm_mulaw", "--sample-rate", "8000"]
    assert main(["batch", "-q", *options, str(raw)]) == 0
    assert capsys.readouterr().out == "Hello world.\n"
    assert main(["batch", "-q", *options, str(record())]) == 5
    assert "leave out --encoding and --sample-rate" in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_standard_input(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash is the standard input."""
    with open(record()) as file:
        monkeypatch.setattr("sys.stdin", file)
        assert main(["batch", "-q", "-"]) == 0
    assert capsys.readouterr() == ("Hello world.\n", "")


def test_a_pipe(record: Record) -> None:
    """And a real pipe, of which nobody knows the length."""
    with LocalServer(script=SCRIPT) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "cartesia_stt_sync", "batch", "-"],
            input=record().read_bytes(),
            capture_output=True,
            cwd=ROOT,
            env={"CARTESIA_API_KEY": KEY, "CARTESIA_BASE_URL": server.base_url},
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, b"Hello world.\n"), done.stderr
    assert done.stderr == b"-: 13 kB\n"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "-"], "can be read only once"),
        (["--encoding", "pcm_s16le", "FILE"], "encoding, sample_rate: both"),
        (["--encoding", "mp3", "--sample-rate", "8000", "FILE"], "encoding: one of"),
        (["--base-url", "ftp://x", "FILE"], "base_url: a URL like"),
        (["--model", "", "FILE"], "model: a non-empty string"),
        (["-f", "srt", "FILE", "FILE"], "srt holds one recording"),
    ],
)
def test_usage(
    arguments: list[str], message: str, record: Record, capsys: Read
) -> None:
    """What makes no sense is said on one line before anything is sent."""
    path = str(record())
    assert main(["batch", *(path if a == "FILE" else a for a in arguments)]) == 2
    out, err = capsys.readouterr()
    assert (out, message in err.splitlines()[-1]) == ("", True)


@pytest.mark.usefixtures("account")
def test_wrong_key(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is refused is not tried for the next file, and never shown."""
    monkeypatch.setenv("CARTESIA_API_KEY", "sk_wrong_one")
    path = str(record())
    assert main(["batch", "--json", path, path]) == 3
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert json.loads(line)["error"]["type"] == "AuthenticationError"
    assert "sk_wrong_one" not in out + err


@pytest.mark.usefixtures("account")
def test_wrong_model(record: Record, capsys: Read) -> None:
    """What the service says is told, and is the session's fault."""
    assert main(["batch", "-q", "--model", "ink-2", str(record())]) == 4
    err = capsys.readouterr().err
    assert "refused the request (404): model: /stt takes ink-whisper" in err


def test_local(record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an account there is a server of its own."""
    monkeypatch.setattr(
        "cartesia_stt_sync.cli.transcribe.local_server",
        lambda: LocalServer(script=SCRIPT),
    )
    assert main(["batch", "--local", str(record())]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello world.\n"
    assert "a server on this machine listens, with scripted" in err


@pytest.mark.usefixtures("account")
def test_on_a_terminal(record: Record, terminal: Terminal) -> None:
    """The bar comes and goes; the text stays."""
    with on(terminal):
        assert main(["batch", str(record())]) == 0
    shown = terminal.getvalue()
    assert "13 kB / 13 kB" in shown
    assert "sent; waiting for the text" in shown
    assert shown.endswith("Hello world.\n")


def test_sent_again(
    record: Record, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second try begins a new bar."""
    faults = [Fault.refuse(429, retry_after=0)]
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with LocalServer(script=SCRIPT, faults=faults) as server, on(terminal):
        monkeypatch.setenv("CARTESIA_API_KEY", KEY)
        assert main(["batch", "--base-url", server.base_url, str(record())]) == 0
    assert terminal.getvalue().endswith("Hello world.\n")


def test_interrupted(record: Record) -> None:
    """Ctrl-C ends it, with the status of it, and the next file is not begun."""
    path = str(record())
    with LocalServer(script=SCRIPT, faults=[Fault.stop_answering()]) as server:
        with Program(
            f"""
            import sys
            from cartesia_stt_sync.cli import batch, main

            def show(name, size):
                print("begun", flush=True)
                return kept(name, size)

            kept, batch.Upload = batch.Upload, show
            sys.exit(main(["batch", {path!r}, {path!r}]))
            """,
            server.base_url,
        ) as program:
            program.until("begun")
            program.interrupt()
            code, out, err = program.finish()
    assert code == 130, err
    assert out.count("begun") == 1
    assert f"cartesia-stt: {path}: interrupted" in err
