"""``cartesia-stt demo``: real speech, the real recogniser, in real time."""

from __future__ import annotations

import re
import sys

import pytest

from cartesia_stt_sync.cli import demo, main
from cartesia_stt_sync.cli.display import Lines, Live

from ..speech import clips
from .conftest import Terminal, on

Read = pytest.CaptureFixture[str]


def test_demo(capsys: Read) -> None:
    """Its words come live, are measured, and the way on is shown."""
    assert main(["demo"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    provisional = re.findall(r"^ +[0-9.]+ s  provisional  \S", out, re.MULTILINE)
    assert provisional  # how many depends on the machine
    (rate,) = re.findall(r"Word errors +\d+ of 22 \(([0-9.]+)%\)", out)
    assert float(rate) <= 20
    (latency,) = re.findall(r"Finalize to text +([0-9.]+) s", out)
    assert 0 <= float(latency) < 5
    assert "export CARTESIA_API_KEY=" in out


def test_the_clip_is_a_known_one() -> None:
    """What the demo says was said is what the clip's own source says."""
    said = (demo.DATA / f"{demo.CLIP}.txt").read_text(encoding="utf-8").strip()
    assert said in clips().values()


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("and mister john", "And Mr. John,", 0),
        ("and mister john", "", 3),
        ("and mister john", "and john", 1),
        ("and mister john", "and then mister jane", 2),
        ("don't", "Don't!", 0),
    ],
)
def test_errors_between(said: str, heard: str, errors: int) -> None:
    """Words are counted, not commas."""
    assert demo.errors_between(said, heard) == errors


def test_display(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal shows it in place if it can, and else is told how it could."""
    with on(terminal):
        assert isinstance(demo.choose_display(), Live)
        monkeypatch.setitem(sys.modules, "rich", None)
        assert isinstance(demo.choose_display(), Lines)
    assert "pip install 'cartesia-stt-sync[cli]'" in terminal.getvalue()


def test_not_installed(capsys: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its extra the demo says which it is."""
    monkeypatch.setitem(sys.modules, "cartesia_stt_sync.server", None)
    assert main(["demo"]) == 2
    assert "pip install 'cartesia-stt-sync[local,cli]'" in capsys.readouterr().err
