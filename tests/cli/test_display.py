"""What a person sees, without a session."""

from __future__ import annotations

import io
import re

import pytest

from cartesia_stt_sync import AudioFormat
from cartesia_stt_sync.cli.display import Lines, Live, Upload, clock, is_terminal
from cartesia_stt_sync.cli.inputs import Input
from cartesia_stt_sync.cli.say import printable

from .conftest import Terminal

SPEECH = AudioFormat("pcm_s16le", 16000)


def recording(duration: float | None = 25.0) -> Input:
    """A recording to be shown, of nothing."""
    return Input("a/talk[1].wav", SPEECH, duration, iter(()))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3600, "1:00:00")],
)
def test_clock(seconds: float, shown: str) -> None:
    """Audio time is shown as players do."""
    assert clock(seconds) == shown


def test_printable() -> None:
    """What came over the wire cannot command the terminal."""
    assert printable("na\u00efve \x1b]0;x\x07\r\nend") == "na\u00efve ?]0;x??\nend"
    assert printable("\x9b1m\x7f\u2028\u202e\ud83d") == "?1m????"


@pytest.mark.parametrize(
    "text",
    [
        "one\ttwo",
        "\u3053\u3053\u3000\u307e\u3067",
        "mi\u200cravad",
        "Tiens\u202f!\u00a0",
    ],
)
def test_printable_leaves_words(text: str) -> None:
    """The blanks and joiners of a language are part of its text."""
    assert printable(text) == text


def test_lines_of_progress() -> None:
    """Plain progress is a line each ten seconds of audio."""
    out = io.StringIO()
    lines = Lines(out, progress=True)
    lines.start(recording())
    for tenth in range(251):
        lines.progress(tenth / 10)
    lines.stop()
    assert out.getvalue().splitlines() == [
        "a/talk[1].wav: 0:25 of pcm_s16le, 16000 Hz, mono",
        "a/talk[1].wav: 0:10 of 0:25",
        "a/talk[1].wav: 0:20 of 0:25",
    ]


def test_lines_of_an_upload() -> None:
    """A file has bytes: a line for each tenth, or for each megabyte of a small one."""
    for size, shown in ((50_000_000, 10), (2_500_000, 2), (900_000, 0)):
        out = io.StringIO()
        lines = Lines(out, progress=True)
        lines.progress(1.0)  # nothing has begun
        lines.start(Upload("a/talk.mp3", size))
        for sent in range(0, size + 1, 50_000):
            lines.progress(sent)
        first, *rest = out.getvalue().splitlines()
        said = "900 kB" if size == 900_000 else f"{size / 1e6:.1f} MB"
        assert first == f"a/talk.mp3: {said}"
        assert len(rest) == shown
    lines.start(Upload("b", 20_000_000))
    lines.progress(2_000_000)
    assert out.getvalue().endswith("b: 20.0 MB\nb: 2.0 MB of 20.0 MB\n")


def test_live_upload(terminal: Terminal) -> None:
    """The bar has megabytes; what is said beside it does not move it."""
    live = Live(terminal)
    live.start(Upload("a/talk.mp3", 4_000_000))
    live.progress(3_000_000)
    live.text("", "sent; waiting for the text", 0.0)
    live.stop()
    shown = terminal.getvalue()
    assert "talk.mp3" in shown
    assert "3.0 MB / 4.0 MB" in shown[shown.index("waiting for the text") :]


def test_lines_of_unknown_length() -> None:
    """A live recording has no end to tell, and a stall does not repeat a line."""
    out = io.StringIO()
    lines = Lines(out, progress=True)
    lines.start(recording(None))
    for seconds in (9.9, 10.0, 10.0, 35.0, 39.9, 40.0):
        lines.progress(seconds)
    name = "a/talk[1].wav: "
    assert out.getvalue().splitlines() == [
        f"{name}pcm_s16le, 16000 Hz, mono",
        f"{name}0:10",
        f"{name}0:35",
        f"{name}0:40",
    ]


def test_lines_of_text() -> None:
    """Each state of the text is a line of its own."""
    out = io.StringIO()
    lines = Lines(out, progress=False, text=True)
    lines.start(recording())
    lines.text("", "Hel", 0.5)
    lines.text("Hello", "", 1.0)
    lines.text("Hello", " wor", 1.5)
    lines.text("Hello world", "", 12.0)
    assert out.getvalue().splitlines() == [
        "  0.5 s  provisional  Hel",
        "  1.0 s  final        Hello",
        "  1.5 s  provisional  wor",
        " 12.0 s  final        world",
    ]


def test_region(terminal: Terminal) -> None:
    """However long the text, no more than fits the screen is drawn, its end last."""
    live = Live(terminal)
    live.start(recording())
    text = ""
    for number in range(250):
        text += f" word{number}"
        live.text(text, " and", number / 30)
    terminal.seek(terminal.truncate(0))
    live.text(text + "\x1b[31m", " so on", 20.0)
    frame = terminal.getvalue()
    live.note("something [bold]odd[/bold]")
    live.stop()
    assert frame.count("\n") <= 9  # of ten lines
    assert "word249" in frame
    assert "\x1b[31m" not in frame
    assert "word50 " not in frame
    assert "0:20 / 0:25" in frame
    assert "something [bold]odd[/bold]" in terminal.getvalue()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", frame)
    assert max(map(len, plain.split("\n"))) <= 60


def test_region_begins_anew(terminal: Terminal) -> None:
    """A text that is shorter than the one before is another one, and is seen."""
    live = Live(terminal)
    live.start(recording(None))
    live.text(" word" * 500, "", 20.0)
    terminal.seek(terminal.truncate(0))
    live.text("Next.", "", 21.0)
    live.say("Done [1].")
    live.stop()
    assert "Next." in terminal.getvalue()
    assert "Done [1].\n" in terminal.getvalue()


def test_region_of_a_language_without_blanks(terminal: Terminal) -> None:
    """Text that has no blank to begin a line at is cut all the same."""
    live = Live(terminal)
    live.start(recording(None))
    live.text("\u8bed" * 5000, "", 20.0)
    terminal.seek(terminal.truncate(0))
    live.progress(21.0)
    assert terminal.getvalue().count("\u8bed") <= 60 * 9
    live.stop()
    live.progress(22.0)  # after the end: nothing to draw on
    live.stop()


def test_is_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dumb terminal cannot go back, so it gets lines."""
    monkeypatch.setenv("TERM", "xterm")
    assert is_terminal(Terminal())
    assert not is_terminal(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal(Terminal())
