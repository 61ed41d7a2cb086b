"""``cartesia-stt serve``, until a signal ends it."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cartesia_stt_sync import Transcriber
from cartesia_stt_sync.cli import main

from ..conftest import GRACE

ROOT = Path(__file__).parents[2]

Read = pytest.CaptureFixture[str]


class Announced(io.StringIO):
    """An output that tells when all of the settings stand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.complete = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if "API_KEY=local" in self.getvalue():
            self.complete.set()
        return written


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it prints makes a program use it, and a signal ends it with status 0."""
    script = tmp_path / "script.json"
    script.write_text('[[0.1, "Hello"], [0.2, " world"]]', encoding="utf-8")
    out = Announced()
    monkeypatch.setattr("sys.stdout", out)
    heard = []

    def use() -> None:
        if out.complete.wait(GRACE):
            lines = out.getvalue().splitlines()
            settings = dict(line.split(" ", 1)[1].split("=", 1) for line in lines)
            with Transcriber(
                base_url=settings["CARTESIA_BASE_URL"],
                api_key=settings["CARTESIA_API_KEY"],
            ) as t:
                t.feed(bytes(9600))
            heard.append(t.text)
        os.kill(os.getpid(), number)

    user = threading.Thread(target=use)
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    user.start()
    assert main(["serve", "--port", "0", "--script", str(script)]) == 0
    user.join()
    assert heard == ["Hello world"]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("text", ["0.5 Hello", '[["x", 1]]', "{}1", "null", "7"])
def test_bad_script(text: str, tmp_path: Path, capsys: Read) -> None:
    """A script that is none is refused before the port is opened."""
    script = tmp_path / "script.json"
    script.write_text(text, encoding="utf-8")
    assert main(["serve", "--script", str(script)]) == 2
    assert "script: " in capsys.readouterr().err


def test_no_script(tmp_path: Path, capsys: Read) -> None:
    """A script that is not there is named; so is an engine nobody knows."""
    assert main(["serve", "--script", str(tmp_path / "none")]) == 5
    assert "none: No such file" in capsys.readouterr().err
    assert main(["serve", "--engine", "ears"]) == 2
    assert "engine: one of" in capsys.readouterr().err


def test_port_in_use(tmp_path: Path, capsys: Read) -> None:
    """A port that is taken is an error of one line, which says what to do."""
    script = tmp_path / "script.json"
    script.write_text("[]", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port, "--script", str(script)]) == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert f"127.0.0.1:{port}" in line


def test_process() -> None:
    """As a process, with the recogniser: nothing but the settings is printed."""
    with subprocess.Popen(
        [sys.executable, "-m", "cartesia_stt_sync", "serve", "--port", "0"],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "CARTESIA_BASE_URL=ws://127.0.0.1:" in process.stdout.readline()
        assert process.stdout.readline().endswith("CARTESIA_API_KEY=local\n")
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
        assert "Ctrl-C ends it" in process.stderr.read()
    assert process.returncode == 0
