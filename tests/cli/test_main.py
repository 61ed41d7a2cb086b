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
    with pytest.raises(KeyError):
        main(["demo", "--debug"])


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
    """Ctrl-C outside a session is no traceback either."""
    raising(monkeypatch, KeyboardInterrupt())
    assert main(["demo", "--debug"]) == 130
    assert capsys.readouterr().err == "cartesia-stt: interrupted\n"


def test_log(monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
    """The server's warnings are lines; a session's are findings, told elsewhere."""

    def run(_: argparse.Namespace) -> int:
        logging.getLogger("cartesia_stt_sync").warning("a finding")
        logging.getLogger("cartesia_stt_sync.server").warning("fell\nback")
        logging.getLogger("cartesia_stt_sync.server").debug("detail")
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
    assert "detail" in err
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
