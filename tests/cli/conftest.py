"""Fixtures of the command's tests: a server that says what it is told, a recording."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from cartesia_stt_sync.server import LocalServer

KEY = "sk_that_nobody_must_see"

SCRIPT = [(0.1, "Hello"), (0.3, " world.")]

Record = Callable[..., Path]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A server that says "Hello world." within 0.3 s."""
    with LocalServer(script=SCRIPT, api_key=KEY) as server:
        yield server


@pytest.fixture
def account(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server and its key, as the environment names them."""
    monkeypatch.setenv("CARTESIA_BASE_URL", server.base_url)
    monkeypatch.setenv("CARTESIA_API_KEY", KEY)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A function that makes a WAV file: silence, for what is said is in the script."""

    def make(
        name: str = "talk.wav",
        seconds: float = 0.4,
        *,
        rate: int = 16000,
        width: int = 2,
        channels: int = 1,
    ) -> Path:
        path = tmp_path / name
        with wave.open(str(path), "wb") as file:
            file.setparams((channels, width, rate, 0, "NONE", ""))
            file.writeframes(bytes(round(seconds * rate) * width * channels))
        return path

    return make


class Terminal(io.StringIO):
    """A terminal as far as a program can tell."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns and 10 lines; see `on`."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "10")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


@contextmanager
def on(terminal: Terminal) -> Iterator[None]:
    """Let both outputs go to a terminal, as a person has it.

    Not done by the fixture: pytest sets both anew before it calls the test.
    """
    with redirect_stdout(terminal), redirect_stderr(terminal):
        yield
