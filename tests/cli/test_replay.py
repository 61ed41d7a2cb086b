"""``cartesia-stt replay``: shown, and sent once more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from cartesia_stt_sync import Transcriber, TurnTranscriber
from cartesia_stt_sync.cli import exits, main
from cartesia_stt_sync.cli.exits import FileError
from cartesia_stt_sync.cli.recording import find, load
from cartesia_stt_sync.server import LocalServer

from .conftest import KEY

WIDTH = 2


def written(folder: Path, lines: list[dict[str, Any]], audio: bytes = b"") -> Path:
    """A recording of these lines, at 1,000 Hz."""
    begin = {"t": 0.0, "event": "begin", "url": "wss://x/y?model=m&sample_rate=1000"}
    path = folder / "r.jsonl"
    all_lines = [{"t": 0.5, **line} for line in [begin, *lines]]
    path.write_text("".join(json.dumps(line) + "\n" for line in all_lines))
    head = b"WAVEfmt \x10\0\0\0\1\0\1\0\xe8\3\0\0\xd0\7\0\0\2\0\x10\0data"
    size = len(audio).to_bytes(4, "little")
    path.with_suffix(".wav").write_bytes(b"RIFF\xff\xff\xff\xff" + head + size + audio)
    return path


def sent(audio: bytes, at: int) -> dict[str, Any]:
    """A line for audio."""
    return {"event": "sent", "audio": len(audio), "at": at}


def record(server: LocalServer, folder: Path) -> None:
    """A session of half a second, with a finalize in the middle."""
    with Transcriber(
        base_url=server.base_url,
        api_key=KEY,
        record=folder,
        language="de",
        keyterms=["Acme", "two words"],
    ) as t:
        t.feed(b"\1\2" * 4800)
        t.finalize().result(5)
        t.feed(b"\3\4" * 3200)


@pytest.mark.usefixtures("account")
def test_shown_and_sent_again(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same audio and commands bring the same text."""
    record(server, tmp_path)
    assert main(["replay", str(tmp_path)]) == exits.OK
    out = capsys.readouterr().out
    assert "text:     Hello world." in out
    assert "now:      Hello world." in out
    assert "->  finalize" in out
    assert "x audio" in out
    assert '<-  {"type": "flush_done"' in out
    assert "play it:  ffplay " in out
    assert KEY not in out


def test_what_is_asked_for_again(server: LocalServer, tmp_path: Path) -> None:
    """Every parameter of the recorded session, and all of its audio."""
    record(server, tmp_path)
    recording = load(find(str(tmp_path))[0])
    options = recording.options()
    assert options == {
        "model": "ink-2",
        "language": "de",
        "encoding": "pcm_s16le",
        "sample_rate": 16000,
        "keyterms": ("Acme", "two words"),
    }
    Transcriber(api_key=KEY, **options)
    steps = recording.steps()
    assert [step for step in steps if isinstance(step, str)] == ["finalize", "close"]
    before = b"".join(
        s for s in steps[: steps.index("finalize")] if isinstance(s, bytes)
    )
    assert before == b"\1\2" * 4800
    audio = b"".join(step for step in steps if isinstance(step, bytes))
    assert audio == b"\1\2" * 4800 + b"\3\4" * 3200


def record_turns(server: LocalServer, folder: Path) -> None:
    """A session of turns, whose thresholds change on the way."""
    with TurnTranscriber(
        base_url=server.base_url,
        api_key=KEY,
        record=folder,
        keyterms=["Acme"],
        turn_start_threshold=0.6,
        turn_end_timeout_ms=800,
    ) as t:
        t.feed(b"\1\2" * 4800)
        t.config(keyterms=["Elinor"], turn_end_threshold=0.3)
        t.feed(b"\1\2" * 4800)


@pytest.mark.usefixtures("account")
def test_turns(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A session of the Auto endpoint is shown and sent again as one."""
    record_turns(server, tmp_path)
    assert main(["replay", str(tmp_path)]) == exits.OK
    out = capsys.readouterr().out
    assert "text:     Hello world.\n" in out
    assert "now:      Hello world.\n" in out


@pytest.mark.usefixtures("account")
def test_config_is_sent_again(server: LocalServer, tmp_path: Path) -> None:
    """With the turns' options, and what a ``config`` changed, at its place."""
    record_turns(server, tmp_path / "turns")
    recording = load(find(str(tmp_path / "turns"))[0])
    options = recording.options()
    assert options == {
        "model": "ink-2",
        "encoding": "pcm_s16le",
        "sample_rate": 16000,
        "keyterms": ("Acme",),
        "turn_start_threshold": 0.6,
        "turn_end_timeout_ms": 800,
    }
    steps = recording.steps()
    changed = {"keyterms": ["Elinor"], "turn_end_threshold": 0.3}
    at = steps.index(changed)
    audio = b"".join(step for step in steps[:at] if isinstance(step, bytes))
    assert audio == b"\1\2" * 4800
    assert steps[-1] == "close"
    with Transcriber(
        base_url=server.base_url, api_key=KEY, record=tmp_path / "again"
    ) as t:
        t.config(language_hints=["en"])
    again = tmp_path / "again"
    assert main(["replay", str(again)]) == exits.OK
    assert {"language_hints": ["en"]} in load(find(str(again))[0]).steps()


@pytest.mark.parametrize(
    ("path", "kind", "options"),
    [
        ("/stt/websocket", Transcriber, {"language": None, "min_volume": 0.1}),
        ("/x/stt/turns/websocket", TurnTranscriber, {"turn_end_threshold": 0.3}),
    ],
)
def test_what_the_other_takes(
    path: str, kind: type, options: dict[str, Any], tmp_path: Path
) -> None:
    """Each is asked with its own arguments; the rest goes along as it stands."""
    recording = load(written(tmp_path, []))
    query = "model=m&min_volume=0.1&turn_end_threshold=0.3"
    found = attrs.evolve(recording, lines=({"url": f"wss://x{path}?{query}"},))
    names = {"min_volume": "0.1", "turn_end_threshold": "0.3"}
    extra = {name: value for name, value in names.items() if name not in options}
    assert found.options() == {"model": "m", "extra_query": extra, **options}
    kind(api_key=KEY, **found.options())


@pytest.mark.usefixtures("account")
def test_config_reaches_the_service(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service gets it, not only the list of steps."""
    record_turns(server, tmp_path)
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        TurnTranscriber, "config", lambda _, **changes: asked.append(changes)
    )
    assert main(["replay", str(tmp_path)]) == exits.OK
    assert asked == [{"keyterms": ["Elinor"], "turn_end_threshold": 0.3}]


def test_show_sends_nothing(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an account, too."""
    record(server, tmp_path)
    assert main(["replay", "--show", str(tmp_path)]) == exits.OK
    assert "now:" not in capsys.readouterr().out


def test_show_a_config(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has changed is there to be read, as an error is."""
    with Transcriber(base_url=server.base_url, api_key=KEY, record=tmp_path) as t:
        t.config(keyterms=["Elinor"])
    main(["replay", "--show", str(tmp_path)])
    assert 'config: changes {"keyterms": ["Elinor"]}' in capsys.readouterr().out


def test_local(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a server of its own; two tones are no words."""
    record(server, tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    assert main(["replay", "--local", str(path)]) == exits.OK
    assert "now:      " in capsys.readouterr().out


def test_the_latest_of_several(
    server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of many says which one it is."""
    for _ in range(2):
        record(server, tmp_path)
    main(["replay", "--show", str(tmp_path)])
    assert capsys.readouterr().out.splitlines()[0].endswith(".jsonl, the latest of 2")


class TestSteps:
    """What is sent again, after a session that was connected more than once."""

    a, b, c = b"a" * 200, b"b" * 200, b"c" * 200  # 0.1 s each

    def test_each_once(self, tmp_path: Path) -> None:
        """Audio that a reconnect sent again stands where it was sent last."""
        path = written(
            tmp_path,
            [
                sent(self.a, 0),
                sent(self.b, 200),
                {"event": "reconnect", "replay_seconds": 0.1},
                {"event": "connected"},
                sent(self.b, 400),
                sent(self.c, 600),
                {"event": "sent", "text": "close"},
            ],
            self.a + self.b + self.b + self.c,
        )
        assert load(path).steps() == [self.a, self.b, self.c, "close"]

    def test_several_tries(self, tmp_path: Path) -> None:
        """Each says what will be sent again; but that is taken back once a loss."""
        again = {"event": "reconnect", "replay_seconds": 0.1}
        path = written(
            tmp_path,
            [
                {"event": "connected"},
                sent(self.a, 0),
                sent(self.b, 200),
                again,
                {"event": "refused"},
                again,
                {"event": "connected"},
                sent(self.b, 400),
                again,
                {"event": "connected"},
                sent(self.b, 600),
                sent(self.c, 800),
            ],
            self.a + self.b * 3 + self.c,
        )
        assert load(path).steps() == [self.a, self.b, self.c]

    def test_what_was_left_out(self, tmp_path: Path) -> None:
        """Quiet that was to be sent again, and was late, was sent once all the same."""
        path = written(
            tmp_path,
            [
                {"event": "connected"},
                sent(self.a, 0),
                sent(self.b, 200),
                {"event": "reconnect", "replay_seconds": 0.15},
                {"event": "connected"},
                sent(self.b, 400),
                {"event": "skipped", "seconds": 0.05},
                sent(self.c, 600),
                {"event": "reconnect", "replay_seconds": 0.1},
                {"event": "connected"},
                {"event": "skipped", "seconds": 0.2},  # with what came meanwhile
            ],
            self.a + self.b + self.b + self.c,
        )
        steps = load(path).steps()
        assert b"".join(step for step in steps if isinstance(step, bytes)) == (
            self.a + self.b + self.c
        )

    def test_never_sent_again(self, tmp_path: Path) -> None:
        """What a reconnect took back and could not send again is not lost with it."""
        a, b, c = self.a, self.b, self.c
        finalize = {"event": "sent", "text": "finalize"}
        path = written(
            tmp_path,
            [
                {"event": "connected"},
                sent(a, 0),
                sent(b, 200),
                finalize,
                sent(c, 400),
                {"event": "reconnect", "replay_seconds": 0.3},
                {"event": "connected"},
                sent(a, 600),
                sent(b, 800),
                {"event": "reconnect", "replay_seconds": 0.1},
                {"event": "refused"},
            ],
            a + b + c + a + b,
        )
        assert load(path).steps() == [a, b, "finalize", c]

    def test_left_out_behind_a_config(self, tmp_path: Path) -> None:
        """A config hides no quiet; and what it left out stands before what it sent."""
        config = {"event": "sent", "text": '{"type": "config", "keyterms": ["x"]}'}
        path = written(
            tmp_path,
            [
                {"event": "connected"},
                sent(self.a, 0),
                config,
                sent(self.b, 200),
                {"event": "reconnect", "replay_seconds": 0.2},
                {"event": "connected"},
                config,  # it was quicker than the line behind it
                {"event": "skipped", "seconds": 0.15},
                sent(self.b[100:], 400),
                sent(self.c, 500),
            ],
            self.a + self.b + self.b[100:] + self.c,
        )
        assert load(path).steps() == [
            *(self.a, self.b[:100], {"keyterms": ["x"]}, self.b[100:], self.c)
        ]

    def test_half_a_chunk(self, tmp_path: Path) -> None:
        """The replay may begin inside of one."""
        path = written(
            tmp_path,
            [
                sent(self.a, 0),
                {"event": "reconnect", "replay_seconds": 0.05},
                {"event": "connected"},
                sent(self.a[100:], 200),
            ],
            self.a + self.a[100:],
        )
        assert load(path).steps() == [self.a[:100], self.a[100:]]

    def test_commands_and_silence(self, tmp_path: Path) -> None:
        """An unanswered finalize is sent again, too; silence put in is not."""
        filler = bytes(200)
        answered = {"event": "received", "text": '{"type": "flush_done"}'}
        finalize = {"event": "sent", "text": "finalize"}
        path = written(
            tmp_path,
            [
                sent(self.a, 0),
                finalize,
                answered,
                sent(self.b, 200),
                finalize,
                {"event": "silence"},
                sent(filler, 400),
                {"event": "sent", "text": "close"},
                {"event": "reconnect", "replay_seconds": 0.1},
                {"event": "connected"},
                sent(self.b, 600),
                finalize,
                answered,
                {"event": "sent", "text": "close"},
            ],
            self.a + self.b + filler + self.b,
        )
        assert load(path).steps() == [
            self.a,
            "finalize",
            self.b,
            "finalize",
            "close",
        ]

    def test_config(self, tmp_path: Path) -> None:
        """One that a reconnect sent again counts once; what is unknown is left out."""
        config = {
            "event": "sent",
            "text": '{"type": "config", "turn": {"later": 1}, "keyterms": ["x"]}',
        }
        path = written(
            tmp_path,
            [
                sent(self.a, 0),
                config,
                sent(self.b, 200),
                {"event": "sent", "text": '{"type": "close"}'},
                {"event": "reconnect", "replay_seconds": 0.1},
                {"event": "connected"},
                config,
                sent(self.b, 400),
                {"event": "sent", "text": '{"type": "close"}'},
            ],
            self.a + self.b + self.b,
        )
        keyterms = {"keyterms": ["x"]}
        assert load(path).steps()[2:] == [keyterms, self.b, "close"]


def test_text_of_what_is_no_text(tmp_path: Path) -> None:
    """A session survives an event that is broken; so does its recording."""
    events = (
        '{"type": "transcript", "is_final": true}',
        '{"type": "transcript", "is_final": true, "text": "Hello"}',
        '{"type": "turn.end", "transcript": null}',
    )
    path = written(tmp_path, [{"event": "received", "text": one} for one in events])
    assert load(path).text() == "Hello"


def test_shown_in_rows(tmp_path: Path) -> None:
    """Audio in a row is one line, and silence that the library put in another."""
    a, filler = b"a" * 200, bytes(200)
    path = written(
        tmp_path,
        [
            sent(a, 0),
            sent(a, 200),
            {"event": "silence"},
            sent(filler, 400),
            {"event": "silence"},
            sent(filler, 600),
            sent(a, 800),
            {"event": "sent", "text": "finalize"},
        ],
        a + a + filler + filler + a,
    )
    assert [line[11:] for line in load(path).shown()][1:] == [
        "->  2 x audio, 0.20 s",
        "->  2 x silence, 0.20 s",
        "->  1 x audio, 0.10 s",
        "->  finalize",
    ]


def test_shown_live(tmp_path: Path) -> None:
    """What is fed and sent in turn, chunk by chunk, is two lines."""
    feed = {"event": "feed", "seconds": 0.1, "muted": False}
    lines = [one for n in range(3) for one in (feed, sent(b"a" * 200, 200 * n))]
    path = written(tmp_path, [*lines, feed | {"muted": True}], b"a" * 600)
    assert [line[11:] for line in load(path).shown()][1:] == [
        "    3 x feed, 0.30 s",
        "->  3 x audio, 0.30 s",
        "    1 x feed, muted, 0.10 s",
    ]


class TestFiles:
    """Folders and files that are none, or not whole."""

    def test_nothing_there(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An empty folder says what was expected."""
        assert main(["replay", str(tmp_path)]) == exits.FILE
        assert "there is no recording here" in capsys.readouterr().err

    @pytest.mark.parametrize("text", ["", "no json", "[1]", '{"event": "sent"}'])
    def test_another_file(self, text: str, tmp_path: Path) -> None:
        """So does a file of another kind."""
        path = tmp_path / "x.jsonl"
        path.write_text(text)
        with pytest.raises(FileError, match="not a recording"):
            load(path)

    def test_no_wav(self, tmp_path: Path) -> None:
        """Lines beside which there is no audio of theirs."""
        path = written(tmp_path, [])
        path.with_suffix(".wav").write_bytes(b"RIFFnothing")
        with pytest.raises(FileError, match=r"r\.wav") as caught:
            load(path)
        assert str(caught.value).count("r.wav") == 1

    @pytest.mark.parametrize("line", ["5", "[]", "null", '{"event": "sent"}'])
    def test_a_line_of_something_else(
        self, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A line that is no event is named, wherever it stands."""
        path = written(tmp_path, [sent(b"ab", 0)], b"ab")
        path.write_text(path.read_text() + line + "\n")
        assert main(["replay", "--show", str(path)]) == exits.FILE
        err = capsys.readouterr().err
        assert "r.jsonl: an object with t and event on each line" in err
        assert "on line 3; not a recording" in err

    def test_cut_short(self, tmp_path: Path) -> None:
        """A process that was killed left half a line: the rest is shown."""
        path = written(tmp_path, [{"event": "received", "text": "{"}, sent(b"ab", 0)])
        path.write_text(path.read_text() + '{"t": 1.0, "eve')
        recording = load(path)
        assert len(recording.lines) == 3
        assert recording.text() == ""
        assert list(recording.shown())[-1] == "    0.500  ->  1 x audio, 0.00 s"
