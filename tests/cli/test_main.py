"""The command line itself: its help, its end, its log."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cartesia_stt_sync import (
    AuthenticationError,
    ConfigError,
    ConnectionLost,
    DrainTimeout,
    __version__,
)
from cartesia_stt_sync.cli import demo, exits, main
from cartesia_stt_sync.server import LocalServer

from .conftest import SCRIPT, Record

ROOT = Path(__file__).parents[2]

Read = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "command", ["demo", "transcribe", "batch", "listen", "serve", "check"]
)
def test_help(command: str, capsys: Read) -> None:
    """Each subcommand stands in the general help, and explains itself."""
    for arguments in (["--help"], [command, "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert f"cartesia-stt {command}" in capsys.readouterr().out


def test_exit_status_is_documented(capsys: Read) -> None:
    """The help names every status there is."""
    with pytest.raises(SystemExit):
        main(["transcribe", "--help"])
    text = capsys.readouterr().out
    for name in ("OK", "INTERNAL", "USAGE", "CONNECT", "SESSION", "FILE"):
        assert f"\n  {getattr(exits, name):<4} " in text
    assert "\n  130  " in text
    assert "\n  141  " in text
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert f"\n  {exits.FOUND}    something was found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (AuthenticationError("x"), 3),
        (ConnectionLost("x"), 4),  # an OSError as well
        (DrainTimeout("x"), 4),  # so is this
        (FileNotFoundError(2, "x"), 5),
        (exits.FileError("x"), 5),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(32, "x"), 141),
        (KeyError("x"), 1),
    ],
)
def test_exit_status(error: BaseException, code: int) -> None:
    """Each kind of error has its status."""
    assert exits.code_of(error) == code


def test_reason() -> None:
    """A reason is words on one line, never nothing."""
    assert exits.reason_of(KeyboardInterrupt()) == "interrupted"
    assert exits.reason_of(ConfigError("a\n  b")) == "a b"
    assert exits.reason_of(EOFError()) == "EOFError"


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the demo do nothing but raise."""

    def run(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(demo, "run", run)


def test_bug(monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
    """A bug is one line too, and --debug shows where it is."""
    raising(monkeypatch, KeyError("x"))
    assert main(["demo"]) == 1
    err = capsys.readouterr().err
    assert err == "cartesia-stt: a bug: KeyError: 'x'; --debug shows where\n"
    assert main(["demo", "--debug"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):\n")
    assert shown.endswith(f"\nKeyError: 'x'\n{err}")


@pytest.mark.parametrize("error", [ConfigError("x\x1b[1m"), FileNotFoundError(2, "x")])
def test_debug(error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
    """The status is the same; what is shown beside cannot command the terminal."""
    raising(monkeypatch, error)
    assert main(["demo", "--debug"]) == main(["demo"]) == exits.code_of(error)
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "\x1b" not in err


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
    """Ctrl-C outside a session is no traceback either."""
    raising(monkeypatch, KeyboardInterrupt())
    assert main(["demo", "--debug"]) == 130
    assert capsys.readouterr().err == "cartesia-stt: interrupted\n"


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_closed_streams(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """What is not needed need not be there: all is as ever."""
    monkeypatch.setenv("CARTESIA_API_KEY", "any")
    path, place = str(record()), tmp_path / "talk.txt"
    with LocalServer(script=SCRIPT) as server:
        monkeypatch.setattr(sys, stream, None)
        for command in ("transcribe", "batch"):
            arguments = [command, "--base-url", server.base_url, "-o", str(place)]
            assert main([*arguments, path]) == 0
            assert place.read_text() == "Hello world.\n"
            place.unlink()
    assert getattr(sys, stream) is None


@pytest.mark.parametrize(
    "command",
    [
        ["transcribe", "FILE"],
        ["batch", "FILE"],
        ["check", "FILE"],
        ["replay", "FILE"],
        ["listen"],
        ["demo"],
    ],
)
def test_no_standard_output(
    command: list[str], record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be for nothing is not begun."""
    path = str(record())
    monkeypatch.setattr(sys, "stdout", None)
    assert main([path if word == "FILE" else word for word in command]) == 2
    err = capsys.readouterr().err
    assert err.startswith("cartesia-stt: the standard output is closed")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["transcribe", "batch", "check"])
def test_no_standard_input(
    command: str, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is missed where it is asked for."""
    monkeypatch.setattr(sys, "stdin", None)
    assert main([command, "-"]) == 2
    err = capsys.readouterr().err
    assert err == "cartesia-stt: FILE: - is the standard input, and it is closed\n"


def test_no_keys(capsys: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is where keys come from there."""
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["listen", "--push-to-talk"]) == 2
    assert "--push-to-talk: keys are read from" in capsys.readouterr().err


def test_no_standard_error(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be said there is not said on the standard output."""
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["check", str(record())]) == 6
    assert main(["transcribe", "none.wav"]) == 5
    assert "cartesia-stt: " not in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["nothing"])
    assert caught.value.code == 2
    assert sys.stderr is None


@pytest.mark.skipif(sys.platform == "win32", reason="its shell closes none")
@pytest.mark.parametrize(
    ("closing", "code", "out"),
    [("2>&-", 6, b"what it is"), ("<&-", 6, b"what it is"), (">&-", 2, b"")],
)
def test_closed_by_a_shell(closing: str, code: int, out: bytes, record: Record) -> None:
    """This is how they come to be closed."""
    command = [sys.executable, "-W", "error", "-m", "cartesia_stt_sync", "check"]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closing}', "sh", *command, str(record())],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, out in done.stdout) == (code, True), done.stderr
    assert b"bug" not in done.stderr


def test_log(monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
    """The server's warnings are lines; a session's are findings, told elsewhere."""

    def run(_: argparse.Namespace) -> int:
        logging.getLogger("cartesia_stt_sync").warning("a finding")
        logging.getLogger("cartesia_stt_sync.server").warning("fell\nback")
        logging.getLogger("cartesia_stt_sync.server").debug("detail\x1b[1m")
        return 0

    monkeypatch.setattr(demo, "run", run)
    log = logging.getLogger("cartesia_stt_sync")
    monkeypatch.setattr(log, "propagate", False)
    before = list(log.handlers), log.level
    assert main(["demo"]) == 0
    assert capsys.readouterr().err == "cartesia-stt: fell\nback\n"
    assert main(["demo", "--debug"]) == 0
    err = capsys.readouterr().err
    assert "a finding" in err
    assert "detail?[1m" in err
    assert (list(log.handlers), log.level) == before


def test_module() -> None:
    """``python -m cartesia_stt_sync`` is the command, and starts without NumPy."""
    code = (
        "import sys; sys.argv[1:] = ['--version']; import runpy\n"
        "try: runpy.run_module('cartesia_stt_sync', run_name='__main__')\n"
        "finally: print(sorted({'numpy', 'rich', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{__version__}\n[]\n"
