"""What ``cartesia-stt transcribe`` writes, in which format and where."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import attrs
import pytest
import srt as srt_parser  # type: ignore[import-untyped]  # it has no types
import webvtt as webvtt_parser

from cartesia_stt_sync import ConnectionLost, Transcriber, Transcript, Word
from cartesia_stt_sync.cli import main
from cartesia_stt_sync.cli.options import make_parser
from cartesia_stt_sync.cli.outputs import Folder, Output, open_output
from cartesia_stt_sync.cli.result import Result
from cartesia_stt_sync.server import Fault, LocalServer

from .conftest import SCRIPT, Record, Terminal, on

Read = pytest.CaptureFixture[str]

SRT = "1\n00:00:00,000 --> 00:00:01,000\nHello world.\n"
VTT = "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello world.\n"


@pytest.mark.usefixtures("account")
def test_srt(record: Record, capsys: Read) -> None:
    """A parser of others reads the captions; nothing else is on the standard output."""
    assert main(["transcribe", "-f", "srt", str(record())]) == 0
    out, err = capsys.readouterr()
    assert out == SRT
    assert [item.content for item in srt_parser.parse(out)] == ["Hello world."]
    assert "talk.wav: 0:00 of pcm_s16le" in err


@pytest.mark.usefixtures("account")
def test_vtt(record: Record, tmp_path: Path) -> None:
    """So does one of WebVTT, from a file."""
    place = tmp_path / "talk.vtt"
    assert (
        main(["transcribe", "-q", "--format=vtt", "-o", str(place), str(record())]) == 0
    )
    assert place.read_text() == VTT
    (caption,) = webvtt_parser.read(str(place)).captions
    assert (caption.text, caption.end) == ("Hello world.", "00:00:01.000")


@pytest.mark.usefixtures("account")
def test_json(record: Record, capsys: Read) -> None:
    """-f json is --json, and --json is as it was."""
    path = str(record())
    found = []
    for form in (["-f", "json"], ["--json"]):
        assert main(["transcribe", "-q", *form, path]) == 0
        found.append(json.loads(capsys.readouterr().out))
    first, second = found
    assert list(first) == [
        *("file", "text", "language", "duration"),
        *("words", "stats", "findings", "error"),
    ]
    assert first["words"] == second["words"]
    assert [word.keys() for word in first["words"]] == [{"word", "start", "end"}] * 2


def test_paragraphs() -> None:
    """Paragraphs, and recordings, are set apart by blank lines."""
    words = (Word("One.", 0.0, 1.0), Word("Two.", 9.0, 9.5))
    told = Transcript(text="One. Two.", is_final=True, words=words)
    written = io.StringIO()
    output = Output(written, form="paragraphs", live=True)
    for name in ("a", "b"):
        output.delta(told.text)  # not live: where it breaks is known at the end
        output.end(Result(name=name, transcript=told, deltas=(told,)))
    assert written.getvalue() == "One.\n\nTwo.\n\nOne.\n\nTwo.\n"


@pytest.mark.usefixtures("account")
def test_two_formats(record: Record, capsys: Read) -> None:
    """Only one can be asked for."""
    with pytest.raises(SystemExit) as caught:
        main(["transcribe", "--json", "-f", "srt", str(record())])
    assert caught.value.code == 2
    assert "not allowed with argument --json" in capsys.readouterr().err


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("form", "end"),
    [(form, form) for form in ("txt", "srt", "vtt", "json")] + [("paragraphs", "txt")],
)
def test_folder(
    record: Record, tmp_path: Path, capsys: Read, form: str, end: str
) -> None:
    """Into a folder goes a file for each recording, and nothing else."""
    place = tmp_path / "out"
    place.mkdir()
    paths = [str(record("a.b.wav")), str(record("c.wav", 0.2))]
    assert main(["transcribe", "-q", "-f", form, "-o", str(place), *paths]) == 0
    assert sorted(p.name for p in place.iterdir()) == [f"a.b.{end}", f"c.{end}"]
    one, two = sorted(place.iterdir())
    assert ("Hello world." in one.read_text(), "world" in two.read_text()) == (
        True,
        False,
    )
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("account")
def test_a_place_that_is_none(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names what was typed, and no draft beside it."""
    place = tmp_path / "none" / "x.txt"
    assert main(["transcribe", "-q", "-o", str(place), str(record())]) == 5
    err = capsys.readouterr().err
    assert f"{place}: No such file" in err
    assert ".part" not in err


@pytest.mark.usefixtures("account")
def test_new_folder(record: Record, tmp_path: Path) -> None:
    """A folder that is not there is made, where the name can be only a folder's."""
    place = tmp_path / "new" / "er"
    paths = [str(record("a.wav")), str(record("b.wav", 0.2))]
    assert main(["transcribe", "-q", "-f", "srt", "-o", f"{place}/", *paths]) == 0
    assert sorted(p.name for p in place.iterdir()) == ["a.srt", "b.srt"]
    twice = [paths[0], str(tmp_path / "sub" / "a.wav")]
    assert main(["transcribe", "-q", "-o", f"{tmp_path}/none/", *twice]) == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("account")
def test_standard_input_into_a_folder(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a name of its own."""
    place = tmp_path / "out"
    place.mkdir()
    with open(record()) as file:
        monkeypatch.setattr("sys.stdin", file)
        assert main(["transcribe", "-q", "-f", "srt", "-o", str(place), "-"]) == 0
    assert (place / "stdin.srt").read_text() == SRT


@pytest.mark.usefixtures("account")
def test_folder_keeps(record: Record, tmp_path: Path) -> None:
    """A recording of which nothing came leaves the file of an earlier run."""
    place = tmp_path / "out"
    place.mkdir()
    for name in ("talk", "none"):
        (place / f"{name}.srt").write_text("old")
    paths = [str(tmp_path / "none.wav"), str(record())]
    assert main(["transcribe", "-q", "-f", "srt", "-o", str(place), *paths]) == 5
    assert (place / "none.srt").read_text() == "old"
    assert (place / "talk.srt").read_text() == SRT


def test_what_came_is_kept(tmp_path: Path) -> None:
    """A recording that was cut short becomes captions as far as it came.

    But under another name, or somebody would take them for all of it.
    """
    (tmp_path / "talk.srt").write_text("old, and whole")
    text = Transcript(text="Hello", is_final=True, words=(Word("Hello", 0.0, 0.5),))
    result = Result(
        name="a/talk.wav",
        transcript=text,
        deltas=(text,),
        error=ConnectionLost("gone"),
    )
    Folder(str(tmp_path), form="srt").end(result)
    assert "Hello\n" in (tmp_path / "talk.partial.srt").read_text()
    assert (tmp_path / "talk.srt").read_text() == "old, and whole"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-f", "srt", "A", "B"], "srt holds one recording, got 2; -o DIR"),
        (["-f", "vtt", "-o", "DIR/x.vtt", "A", "B"], "vtt holds one recording, got 2"),
        (["-o", "DIR", "A", "sub/A"], "two files would both become"),
        (["-o", "A", "A"], "talk.wav would be overwritten"),
        (["-o", "DIR", "-f", "txt", "A", "talk.txt"], "two files would both become"),
        (["-o", "DIR", "talk.txt"], "talk.txt would be overwritten"),
        (["-o", "link", "A"], "talk.wav would be overwritten"),
    ],
)
def test_usage(
    arguments: list[str], message: str, record: Record, tmp_path: Path, capsys: Read
) -> None:
    """What would lose a recording, or is no valid file, is said before all else."""
    names = {"A": record(), "B": record("b.wav"), "DIR": tmp_path}
    (tmp_path / "talk.txt").write_bytes(b"samples")
    (tmp_path / "link").symlink_to(names["A"])
    places = [
        argument
        if argument.startswith("-") or argument in ("srt", "vtt", "txt")
        else str(names.get(argument, tmp_path / argument.removeprefix("DIR/")))
        for argument in arguments
    ]
    if "sub/A" in arguments:
        places[-1] = str(tmp_path / "sub" / "talk.wav")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert main(["transcribe", *places]) == 2
    out, err = capsys.readouterr()
    assert (out, message in err) == ("", True)
    assert before == {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}


@pytest.mark.skipif(sys.platform != "linux", reason="root may write anywhere else")
@pytest.mark.usefixtures("account")
def test_folder_cannot_be_written(record: Record, capsys: Read) -> None:
    """That is noticed before anything is sent."""
    assert main(["transcribe", "-o", "/proc", str(record())]) == 5
    assert "talk.wav" not in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_live_terminal(record: Record, terminal: Terminal) -> None:
    """The text shows while it comes, and the captions are printed when it is whole."""
    with on(terminal):
        assert main(["transcribe", "-f", "srt", str(record())]) == 0
    shown = terminal.getvalue()
    assert "\x1b[2mHello\x1b[0m" in shown  # provisional
    assert "Hello\x1b[2m world." in shown
    assert shown.endswith(f"\x1b[2K{SRT}")  # after the region is gone


def test_error_of_the_session(
    record: Record, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before the session's error becomes captions, and the error is told."""
    monkeypatch.setenv("CARTESIA_API_KEY", "any")
    fault = Fault.error(at=0.35)
    with LocalServer(script=SCRIPT, faults=[fault]) as server:
        arguments = ["transcribe", "--base-url", server.base_url, "-f", "srt"]
        assert main([*arguments, str(record(seconds=1.0))]) == 4
    out, err = capsys.readouterr()
    assert [item.content for item in srt_parser.parse(out)] == ["Hello world."]
    assert "talk.wav: " in err.splitlines()[-1]


def test_no_times() -> None:
    """Text that came without any times is spread over the recording, not lost."""
    stats = attrs.evolve(Transcriber(api_key="any").stats, fed_seconds=2.0)
    bare = Transcript(text="One two. Three", is_final=True)
    result = Result(name="talk", transcript=bare, deltas=(bare,), stats=stats)
    written = io.StringIO()
    Output(written, form="srt", live=True).end(result)
    (item,) = srt_parser.parse(written.getvalue())
    assert (item.content, item.end.total_seconds()) == ("One two. Three", 2.0)
    # Without a session, and where a time is told of no text.
    odd = Transcript(text=" ", is_final=True, duration=1.0)
    (caption,) = Result(name="talk", transcript=bare, deltas=(odd, bare)).captions()
    assert (str(caption), caption.start) == ("One two. Three", 0.0)
    assert Result(name="talk").captions() == ()


def test_no_times_of_channels() -> None:
    """It stays known who said what also where no times are."""
    stats = attrs.evolve(Transcriber(api_key="any").stats, fed_seconds=4.0)
    deltas = tuple(
        Transcript(text=text, is_final=True, channel=n % 2)
        for n, text in enumerate(("Hello there.", "", "How are you?", "Well."))
    )
    whole = Transcript(text="Hello there.\nHow are you?\nWell.", is_final=True)
    result = Result(name="call", transcript=whole, deltas=deltas, stats=stats)
    written = io.StringIO()
    Output(written, form="srt", live=False).end(result)
    found = [
        (i.content, i.start.total_seconds())
        for i in srt_parser.parse(written.getvalue())
    ]
    assert found == [
        ("1: Hello there.", 0.0),
        ("1: How are you?", pytest.approx(4 * 12 / 29, abs=0.001)),
        ("2: Well.", pytest.approx(4 * 24 / 29, abs=0.001)),
    ]
    assert [line["text"] for line in result.as_dict()["lines"]][::2] == [
        "Hello there.",
        "How are you?",
    ]


def test_times_of_deltas() -> None:
    """Without words each delta's own duration counts."""
    deltas = tuple(
        Transcript(text=text, is_final=True, duration=seconds)
        for text, seconds in (("One.", 1.0), ("", 8.0), (" Two.", 1.0))
    )
    whole = Transcript(text="One. Two.", is_final=True, duration=10.0)
    written = io.StringIO()
    result = Result(name="talk", transcript=whole, deltas=deltas)
    Output(written, form="srt", live=False).end(result)
    _, two = srt_parser.parse(written.getvalue())
    assert two.start.total_seconds() > 9.0


def test_half_a_character(tmp_path: Path) -> None:
    """Half a surrogate pair does not cost the text that was paid for."""
    odd = Transcript(text="So \ud83d it is", is_final=True)
    place = tmp_path / "talk.txt"
    with open_output(str(place)) as output:
        output.end(Result(name="talk", transcript=odd))
    assert place.read_text(encoding="utf-8") == "So ? it is\n"


ODD = [(0.1, "He\x1b[31mllo"), (0.3, " wor\u009b1mld.\t")]


@pytest.mark.parametrize("command", ["transcribe", "batch"])
@pytest.mark.parametrize("form", ["txt", "paragraphs", "srt", "vtt", "json"])
def test_control_characters(
    record: Record,
    capsys: Read,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    form: str,
) -> None:
    """The standard output has none of a server's; a file has the text as it came."""
    monkeypatch.setenv("CARTESIA_API_KEY", "any")
    place = tmp_path / "talk.txt"
    path = str(record(channels=2))
    with LocalServer(script=ODD) as server:
        arguments = [command, "-q", "--base-url", server.base_url, "-f", form, path]
        assert main(arguments) == 0
        assert main([*arguments, "-o", str(place)]) == 0
        if command == "transcribe":
            assert main([*arguments, "--split"]) == 0
    out = capsys.readouterr().out
    assert {char for char in out if not char.isprintable()} <= {"\n", "\t"}
    assert "[31mllo" in out
    if form == "txt":
        assert place.read_text(encoding="utf-8") == f"{ODD[0][1]}{ODD[1][1]}\n"


def test_control_characters_on_a_terminal(
    record: Record, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does what the live display leaves behind."""
    monkeypatch.setenv("CARTESIA_API_KEY", "any")
    with LocalServer(script=ODD) as server, on(terminal):
        assert main(["transcribe", "--base-url", server.base_url, str(record())]) == 0
    shown = terminal.getvalue()
    assert shown.endswith("\x1b[2KHe?[31mllo wor?1mld.\t\n")
    assert "\x1b[31m" not in shown
    assert "\x9b" not in shown


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["a", "--json", "b"], ["a", "b"]),
        (["--json", "a", "b"], ["a", "b"]),
        (["a", "b", "--json"], ["a", "b"]),
        (["a", "-f", "json", "b", "-q", "-"], ["a", "b", "-"]),
        (["-q", "-", "--json", "a"], ["-", "a"]),
        (["--json", "--", "-a"], ["-a"]),
        (["--json", "-1"], ["-1"]),
        (["a", "--json", "--", "-1", "-q"], ["a", "-1", "-q"]),
        (["a", "--json", "b", "--debug", "c", "-o", "-", "d"], ["a", "b", "c", "d"]),
        (["a", "--json", "b", "--", "-c", "--", "d"], ["a", "b", "-c", "--", "d"]),
    ],
)
def test_options_anywhere(arguments: list[str], files: list[str]) -> None:
    """Options stand before, between and behind the files, whose order stays."""
    options = make_parser().parse_args(["transcribe", *arguments])
    assert (options.files, options.format) == (files, "json")


def test_no_options_behind_two_dashes() -> None:
    """Behind ``--`` everything is a file, whatever it looks like."""
    options = make_parser().parse_args(["transcribe", "--", "a", "--json"])
    assert (options.files, options.format) == (["a", "--json"], "txt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--nope", "b"], "unrecognized arguments: --nope"),
        (["a", "-q", "-1"], "unrecognized arguments: -1"),
        (["--json"], "the following arguments are required: FILE"),
        (["a", "-f", "doc"], "invalid choice: 'doc'"),
    ],
)
def test_odd_options(arguments: list[str], message: str, capsys: Read) -> None:
    """What is unknown is still refused, by name."""
    with pytest.raises(SystemExit) as caught:
        main(["transcribe", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_replay_takes_one(capsys: Read) -> None:
    """A command that takes one place refuses a second one."""
    with pytest.raises(SystemExit):
        main(["replay", "a", "--show", "b"])
    assert "unrecognized arguments: b" in capsys.readouterr().err
