"""Each example, run as a user runs it: as a process, against the local server."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nbformat
import pytest
from nbclient import NotebookClient

from cartesia_stt_sync.server import Listener, LocalServer, ScriptedEngine

from .speech import DATA, clips, word_errors, words

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SCRIPT = [(0.1, "Hello"), (0.3, " world.")]
LIMIT = 30.0
"""Seconds after which a test has failed; none of them waits for it."""

SOUNDDEVICE = '''
"""A microphone in a quiet room; its user presses Ctrl-C after half a second."""
import os, time
class PortAudioError(Exception): pass
def check_input_settings(**options): pass
class RawInputStream:
    def __init__(self, *, samplerate, channels, dtype, blocksize):
        assert (samplerate, channels, dtype, blocksize) == (16000, 1, "int16", 1600)
        if "NO_MICROPHONE" in os.environ: raise PortAudioError("no device")
        self.reads = 0
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def read(self, frames):
        self.reads += 1
        if self.reads > 5 and "ENDLESS" not in os.environ: raise KeyboardInterrupt
        time.sleep(frames / 16000)  # as sound does
        return bytes(2 * frames), self.reads == 1
'''


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A server that says "Hello world." within 0.3 s."""
    with LocalServer(script=SCRIPT) as server:
        yield server


class Talker(ScriptedEngine):
    """Says a word each 0.2 s for two minutes, and tells when a stream has ended."""

    def __init__(self) -> None:
        super().__init__([(number / 5, " word") for number in range(1, 600)])
        self.ended = threading.Event()

    def open(self, sample_rate: int) -> Listener:
        listener = super().open(sample_rate)

        class Watched:
            feed, finalize = listener.feed, listener.finalize
            close = self.ended.set

        return Watched()


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A WAV file of 0.4 s, as a telephone makes it."""
    return record(tmp_path / "talk.wav", 0.4)


def record(path: Path, seconds: float) -> Path:
    """Make a WAV file of silence: what is said is in the script."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(round(seconds * 8000) * 2))
    return path


def environment(server: LocalServer, *paths: Path, **more: str) -> dict[str, str]:
    """What ``cartesia-stt serve`` tells its user to set, and where the package is."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT))),
        "CARTESIA_BASE_URL": server.base_url,
        "CARTESIA_API_KEY": "local",
        **more,
    }


def run(
    name: str, *arguments: Path | str, env: dict[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_shape(path: Path, server: LocalServer) -> None:
    """Each is short, says how it is run, and stands in the list of examples."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert f"``{path.name}``" in (EXAMPLES / "README.rst").read_text(encoding="utf-8")
    done = run(path.name, "--help", env=environment(server))
    summary = text[3:].splitlines()[0]
    assert summary in done.stdout + done.stderr
    assert f"python {path.name}" in done.stdout + done.stderr


def test_script(server: LocalServer, talk: Path) -> None:
    """File in, text out."""
    done = run("script.py", talk, env=environment(server))
    assert (done.stdout, done.stderr) == ("Hello world.\n", "")


def test_script_with_speech() -> None:
    """The same with a human voice and the recogniser."""
    name = "sense_and_sensibility_01_austen_64kb-0880"
    with LocalServer() as server:
        done = run("script.py", DATA / f"{name}.wav", env=environment(server))
    said = clips()[name]
    assert word_errors(said, done.stdout) <= 0.2 * len(words(said)), done


def test_batch(server: LocalServer, talk: Path, tmp_path: Path) -> None:
    """Each file gets its text; one that fails is named, and what is there stays."""
    files = [tmp_path / f"{name}.wav" for name in ("a", "b", "broken")]
    for file in files[:2]:
        file.write_bytes(talk.read_bytes())
    files[1].with_suffix(".txt").write_text("mine")
    done = run("batch.py", *files, env=environment(server))
    assert done.returncode == 1, done
    assert "broken.wav: " in done.stdout
    assert done.stdout.count("done") == 2
    assert files[0].with_suffix(".txt").read_text() == "Hello world."
    assert files[1].with_suffix(".txt").read_text() == "mine"


def test_callbacks(server: LocalServer, talk: Path) -> None:
    """Each event is shown by its own callback, the end last."""
    done = run("callbacks.py", talk, env=environment(server))
    assert done.stdout.splitlines() == [
        "  ... Hello",
        "final 'Hello', 0.1 s",
        "  ...  world.",
        "final ' world.', 0.2 s",
        "end   clean",
    ]


def test_microphone(server: LocalServer, tmp_path: Path) -> None:
    """What the microphone hears is printed as text; Ctrl-C waits for the last word."""
    (tmp_path / "sounddevice.py").write_text(SOUNDDEVICE)
    done = run("microphone.py", env=environment(server, tmp_path))
    assert (done.returncode, done.stdout) == (0, "Hello world.\n")
    assert "(some audio was lost)" in done.stderr


@pytest.mark.parametrize("name", ["microphone.py", "push_to_talk.py"])
@pytest.mark.parametrize(
    "module", [SOUNDDEVICE, "raise ImportError('x')", "raise OSError('PortAudio')"]
)
def test_no_microphone(
    name: str, module: str, server: LocalServer, tmp_path: Path
) -> None:
    """Without a microphone, or what reads it, the example says so and ends with 2."""
    broken = module.replace("def check_input_settings(**options): pass", "")
    (tmp_path / "sounddevice.py").write_text(broken)
    done = run(name, env=environment(server, tmp_path, NO_MICROPHONE="1"))
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match("no (microphone|sounddevice)", done.stderr)
    assert "Traceback" not in done.stderr


def test_push_to_talk(server: LocalServer, tmp_path: Path) -> None:
    """Each Enter is an utterance of its own, in one session."""
    path = record(tmp_path / "word.wav", 0.2)
    done = run("push_to_talk.py", path, env=environment(server), stdin="\n\n")
    lines = [line.removeprefix("Enter to talk. ") for line in done.stdout.splitlines()]
    assert lines == ["Hello", "world.", ""]
    assert done.stderr == ""


def test_push_to_talk_into_a_microphone(server: LocalServer, tmp_path: Path) -> None:
    """The second Enter ends the utterance, and its text is there."""
    (tmp_path / "sounddevice.py").write_text(SOUNDDEVICE)
    env = environment(server, tmp_path, ENDLESS="1", PYTHONUNBUFFERED="1")
    with process("push_to_talk.py", env=env, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n")
        child.stdin.flush()
        until(child.stdout, "Listening")
        child.stdin.write("\n")
        child.stdin.flush()
        # How much was heard in between is the machine's business.
        assert until(child.stdout, "Enter to talk. ").endswith("\nEnter to talk. ")
        child.stdin.close()
        assert child.wait(LIMIT) == 0


def until(stream: IO[str], mark: str) -> str:
    """Read up to a mark; a prompt has no line's end to wait for."""
    text = ""
    while mark not in text:
        char = stream.read(1)
        assert char, f"ended without {mark!r}: {text!r}"
        text += char
    return text


@contextmanager
def process(
    name: str, *arguments: str, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """An example that runs until it is told to end."""
    child = subprocess.Popen(
        [sys.executable, EXAMPLES / name, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def website(server: LocalServer, name: str, *arguments: str) -> Iterator[str]:
    """An example that serves HTTP, as ``host:port``."""
    env = environment(server, PYTHONUNBUFFERED="1", NO_COLOR="1")
    with process(name, *arguments, env=env) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if match := re.search(r"http://(127\.0\.0\.1:[1-9]\d*)", line):
                yield match[1]
                return
        raise AssertionError(f"{name} did not start")


WEBSITES = [
    ("flask_app.py", "--port", "0"),
    ("django_app.py", "runserver", "--noreload", "127.0.0.1:0"),
]


def upload(host: str, data: bytes) -> http.client.HTTPConnection:
    """Send a file as a browser's form does."""
    body = (
        b'--END\r\nContent-Disposition: form-data; name="file"; filename="talk.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n" + data + b"\r\n--END--\r\n"
    )
    connection = http.client.HTTPConnection(host, timeout=LIMIT)
    kind = "multipart/form-data; boundary=END"
    connection.request("POST", "/transcribe", body, {"Content-Type": kind})
    return connection


@pytest.mark.parametrize("command", WEBSITES, ids=lambda c: c[0])
def test_website(command: tuple[str, ...], server: LocalServer, talk: Path) -> None:
    """Text streams back, and one who sends no sound is told so."""
    with website(server, *command) as host:
        page = http.client.HTTPConnection(host, timeout=LIMIT)
        page.request("GET", "/")
        assert b"<form" in page.getresponse().read()
        page.close()

        bad = upload(host, b"no sound")
        answer = bad.getresponse()
        assert answer.status == 400
        assert b"begins with RIFF" in answer.read()
        bad.close()

        whole = upload(host, talk.read_bytes())
        answer = whole.getresponse()
        assert answer.status == 200
        assert answer.read() == b"Hello world."
        whole.close()


@pytest.mark.parametrize("command", WEBSITES, ids=lambda c: c[0])
def test_website_is_left(command: tuple[str, ...], tmp_path: Path) -> None:
    """Text comes while audio is sent; a client that has enough ends the session."""
    talker, path = Talker(), record(tmp_path / "long.wav", 120.0)
    with LocalServer(engine=talker) as server, website(server, *command) as host:
        long = upload(host, path.read_bytes())
        answer = long.getresponse()
        assert answer.read(5) == b" word"
        assert not talker.ended.is_set()
        answer.close()
        long.close()
        assert talker.ended.wait(LIMIT)


def test_notebook(
    server: LocalServer, talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real kernel runs every cell; the text appears in the one that iterates."""
    for name, value in environment(server, AUDIO=str(talk)).items():
        monkeypatch.setenv(name, value)
    source = (EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8")
    notebook: Any = nbformat.reads(source, as_version=4)  # type: ignore[no-untyped-call]  # its own
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=LIMIT, kernel_name="python3").execute()
    live, rest = (
        "".join(output.get("text", "") for output in notebook.cells[number].outputs)
        for number in (5, 7)
    )
    assert live == "Hello world."
    assert " 0.00  Hello\n" in rest
    assert "0.4 s sent, 0.0 s of silence" in rest
