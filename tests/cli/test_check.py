"""``cartesia-stt check``: what is said of a file, and with which exit status."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cartesia_stt_sync import AudioFormat, Declaration
from cartesia_stt_sync.audio import encode
from cartesia_stt_sync.cli import exits, main
from cartesia_stt_sync.cli.examine import Declared, examine
from cartesia_stt_sync.cli.measure import Ballot, Meter, decibels

from ..noises import as_s16be, as_s24, interleaved, speech
from ..speech import DATA, clips, samples
from .conftest import Record

Read = pytest.CaptureFixture[str]

CLIP = next(iter(clips()))
VOICE = speech(CLIP, 16000)
WAV = str(DATA / f"{CLIP}.wav")

Save = Callable[..., str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """A function that writes a file and returns its path."""

    def write(data: bytes, name: str = "call.raw") -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


def run(*arguments: str) -> int:
    """Check; every path ends here, with a status."""
    return main(["check", *arguments])


class TestWav:
    """A file that says what it is."""

    def test_correct(self, capsys: Read) -> None:
        """Its format, its level, how to play it, how to send it."""
        assert run(WAV) == exits.OK
        out = capsys.readouterr().out
        assert "a file of the kind WAV; 227,244 bytes" in out
        assert "pcm_s16le, 16000 Hz, mono: 7.1 s, as its header says" in out
        assert "peak -7.5 dBFS, RMS -24.4 dBFS, 1% of it silence" in out
        assert f"ffplay {WAV}" in out
        assert "Nothing is wrong with the audio." in out
        assert f"WavReader({WAV!r})" in out

    def test_cut_off(self, save: Save, capsys: Read) -> None:
        """A file that is not whole is no correct one, however good its beginning."""
        assert run(save(Path(WAV).read_bytes()[:-32000], "a.wav")) == exits.FOUND
        assert "promises 1.00 s more than there are" in capsys.readouterr().out

    def test_in_disguise(self, save: Save, capsys: Read) -> None:
        """A header that says what the samples are not, and what they are."""
        head = Path(WAV).read_bytes()[:44]
        assert run(save(head + as_s16be(VOICE), "a.wav")) == exits.FOUND
        out = capsys.readouterr().out
        assert "sound as pcm_s16be" in out
        assert "1))  # once the bytes of each sample are swapped" in out
        assert "The sample rate is not in the bytes" not in out

    def test_declared_as_raw(self, capsys: Read) -> None:
        """Whoever feeds the file as it is feeds a header."""
        assert run("--encoding", "pcm_s16le", WAV) == exits.FOUND
        out = capsys.readouterr().out
        assert "begins with the header of a WAV file" in out
        assert "16000 Hz (a guess), mono: 7.1 s, as you declare it" in out

    def test_its_own_header(self, capsys: Read) -> None:
        """A rate that is given does not replace the header's, and that is said."""
        assert run("--sample-rate", "8000", "--channels", "2", WAV) == exits.OK
        out = capsys.readouterr().out
        assert "pcm_s16le, 16000 Hz, mono: 7.1 s, as its header says" in out
        assert "neither\n                 --sample-rate nor --channels" in out

    def test_kinds(self, record: Record, capsys: Read) -> None:
        """Other widths, rates and numbers of channels; here of digital silence."""
        assert run(str(record(rate=8000, width=3, channels=2))) == exits.FOUND
        out = capsys.readouterr().out
        assert "pcm_s24le, 8000 Hz, stereo: 0.4 s" in out
        assert "level          digital silence" in out
        assert "All 0.4 s of audio so far are digital silence." in out

    def test_broken(self, save: Save, capsys: Read) -> None:
        """A header that cannot be read."""
        assert run(save(b"RIFF\4\0\0\0WAVE", "a.wav")) == exits.FILE
        assert "got the end of the file" in capsys.readouterr().err


class TestRaw:
    """Bytes that say nothing."""

    @pytest.mark.parametrize(
        ("data", "name", "arguments"),
        [
            (encode(VOICE, "pcm_mulaw"), "pcm_mulaw", 'encoding="pcm_mulaw"'),
            (encode(VOICE, "pcm_f32le"), "pcm_f32le", 'encoding="pcm_f32le"'),
            (as_s24(VOICE), "pcm_s24le", 'AudioFormat("pcm_s24le", 16000, 1)'),
            (as_s16be(VOICE), "pcm_s16be", 'AudioFormat("pcm_s16le", 16000, 1)'),
            (
                interleaved(VOICE, np.roll(VOICE, 9999)),
                "pcm_s16le, two channels interleaved",
                'AudioFormat("pcm_s16le", 16000, 2)',
            ),
        ],
    )
    def test_what_it_is(
        self, data: bytes, name: str, arguments: str, save: Save, capsys: Read
    ) -> None:
        """The way that fits best is found, and nothing is wrong but a byte order."""
        path = save(data)
        assert run(path) == (exits.FOUND if name == "pcm_s16be" else exits.OK)
        out = capsys.readouterr().out
        assert ("byte-order" in out) == (name == "pcm_s16be")
        assert "as fits its bytes best" in out
        fits = out[out.index("What fits") :].splitlines()
        assert fits[1].startswith(f"    {name}  (")
        assert f"Transcriber({fits[2]}".count(arguments) == 1
        assert "The sample rate is not in the bytes" in out
        rates = [line.split()[4] for line in fits if "-sample_rate" in line]
        assert rates == ["8000", "16000", "24000", "44100", "48000"]
        play = next(line for line in out.splitlines() if "play it" in line)
        assert play.split()[2:4] == ["ffplay", "-f"]
        assert play.endswith(path)

    def test_declared_wrongly(self, save: Save, capsys: Read) -> None:
        """What is heard in it as it was declared, and when."""
        path = save(as_s24(VOICE))
        assert run("--encoding=pcm_s16le", "--sample-rate=8000", path) == exits.FOUND
        out = capsys.readouterr().out
        assert "pcm_s16le, 8000 Hz, mono: 0:21, as you declare it" in out
        assert "wrong-encoding  (after " in out
        assert "    https://docs.cartesia.ai/" in out
        assert "pcm_s24le  (best in 5 of 5 pieces" in out

    @pytest.mark.parametrize(
        ("declared", "actual"),
        [("pcm_mulaw", "pcm_alaw"), ("pcm_alaw", "pcm_mulaw")],
    )
    def test_the_other_law(
        self, declared: str, actual: str, save: Save, capsys: Read
    ) -> None:
        """The wrong law is rough and no noise; over all blocks it shows."""
        path = save(encode(np.concatenate([VOICE, VOICE]), actual))
        assert run("--encoding", declared, path) == exits.FOUND
        assert f"and sound as {actual}." in capsys.readouterr().out
        assert run("--encoding", actual, path) == exits.OK

    def test_level_of_nonsense(self, save: Save, capsys: Read) -> None:
        """How loud bytes are says nothing where they are read as what they are not."""
        path = save(encode(VOICE * np.float32(0.02), "pcm_s16le"))
        assert run("--encoding=pcm_f32le", "--sample-rate=16000", "--json", path) == 6
        found = json.loads(capsys.readouterr().out)["findings"]
        assert [one["code"] for one in found] == ["wrong-encoding"]
        run("--encoding=pcm_f32le", "--sample-rate=16000", path)
        assert "level          says nothing while" in capsys.readouterr().out

    @pytest.mark.parametrize(("shift", "level"), [(8, "-56"), (16, "-104")])
    def test_low_bytes(self, shift: int, level: str, save: Save, capsys: Read) -> None:
        """Fewer bits in the lower bytes of 32 are found, and the shift is named."""
        data = np.frombuffer(encode(VOICE, "pcm_s32le"), "<i4") >> shift
        for declared in ([], ["--encoding=pcm_s32le", "--sample-rate=16000"]):
            assert run(*declared, save(data)) == exits.FOUND
            out = capsys.readouterr().out
            assert f"loudest sample so far is at {level} dB" in out
            assert f"array << {shift}" in out
            assert "pcm_s32le, 16000 Hz" in out
        assert run("--encoding=pcm_s16le", save(data)) == exits.FOUND
        assert "sound as pcm_s32le." in capsys.readouterr().out

    def test_declared_rightly(self, save: Save, capsys: Read) -> None:
        """A rate that is given is no guess, and G.711 is telephone's by default."""
        path = save(encode(VOICE, "pcm_alaw"))
        assert run("--sample-rate", "16000", path) == exits.OK
        assert "pcm_alaw, 16000 Hz, mono: 7.1 s" in capsys.readouterr().out
        assert run("--encoding", "pcm_alaw", path) == exits.OK
        assert "pcm_alaw, 8000 Hz (a guess), mono: 0:14" in capsys.readouterr().out

    def test_late_sound(self, save: Save) -> None:
        """Minutes of silence before the first word do not hide what it is."""
        path = save(bytes(16000 * 3 * 60) + as_s24(VOICE))
        report = examine(path, Declared(), drawn=False)
        assert report.format == AudioFormat("pcm_s24le", 16000)
        assert report.meter.silence > 0.8

    def test_noise(self, save: Save, capsys: Read) -> None:
        """What is noise in every reading is perhaps compressed."""
        path = save(np.random.default_rng(0).bytes(200_000))
        assert run(path) == exits.FOUND
        out = capsys.readouterr().out
        assert "by default; nothing fits its bytes" in out
        assert "no-sound" in out
        assert "What fits" not in out

    def test_half_floats(self, save: Save, capsys: Read) -> None:
        """There is no line that plays them."""
        assert run(save(encode(VOICE, "pcm_f16le"))) == exits.OK
        assert "no player knows half floats" in capsys.readouterr().out

    @pytest.mark.parametrize("size", [1, 10, 15999])
    def test_tiny(self, size: int, save: Save, capsys: Read) -> None:
        """A few bytes are too few, and half a frame is no crash."""
        assert run(save(encode(VOICE, "pcm_s16le")[32001 : 32001 + size])) == 6
        assert "too little to judge" in capsys.readouterr().out

    def test_a_name_with_a_dash(
        self, save: Save, capsys: Read, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is no option, here or for ffplay."""
        path = Path(save(encode(VOICE, "pcm_s16le"), "-c.raw"))
        monkeypatch.chdir(path.parent)
        assert run("--", path.name) == exits.OK
        assert "sample_rate 16000 ./-c.raw" in capsys.readouterr().out


class TestFiles:
    """What has to be decoded first, or cannot be read."""

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"ID3\3\0\0\0\0\x1f\x76" + bytes(99), "MP3"),
            (b"OggS\0\2" + bytes(99), "Ogg"),
            (b"fLaC\0\0\0\x22" + bytes(99), "FLAC"),
            (b"\0\0\0\x20ftypM4A " + bytes(99), "MP4"),
        ],
    )
    def test_compressed(self, data: bytes, kind: str, save: Save, capsys: Read) -> None:
        """What the service takes as it is is no mistake, unless it is declared."""
        path = save(data, "-x")
        assert run(path) == exits.OK
        out = capsys.readouterr().out
        assert f"a file of the kind {kind};" in out
        assert "cartesia-stt batch" in out
        assert "Nothing is wrong" not in out  # nobody has listened
        assert f"ffplay {path}" in out
        assert run("--encoding", "pcm_s16le", path) == exits.FOUND
        assert "file-in-audio" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("data", "kind", "advice"),
        [
            (b"#!AMR\n" + bytes(99), "AMR", "ffmpeg"),
            (b'{\n"error": "no audio"\n}\n', "text", "b64decode"),
        ],
    )
    def test_others(
        self, data: bytes, kind: str, advice: str, save: Save, capsys: Read
    ) -> None:
        """Each is named, with what to do."""
        path = save(data, "-x")
        assert run(path) == exits.FOUND
        out = capsys.readouterr().out
        assert kind in out
        assert advice in out
        assert (f"ffplay {path}" in out) == (kind != "text")

    def test_unreadable(self, save: Save, tmp_path: Path, capsys: Read) -> None:
        """An empty file, a folder, none at all: a line each, and the rest goes on."""
        empty = save(b"", "empty.raw")
        assert run(empty, str(tmp_path), str(tmp_path / "none"), WAV) == exits.FILE
        out, err = capsys.readouterr()
        assert [line.rpartition(": ")[2] for line in err.splitlines()] == [
            "a file with audio, got an empty one",
            "Is a directory",
            "No such file or directory",
        ]
        assert "Nothing is wrong" in out

    def test_several(self, save: Save, capsys: Read) -> None:
        """A file that cannot be read counts before a finding."""
        found = save(b"#!AMR\n" + bytes(99), "a.amr")
        assert run(WAV, found) == exits.FOUND
        assert run(save(b"", "b"), found) == exits.FILE
        capsys.readouterr()

    @pytest.mark.parametrize(
        ("arguments", "part"),
        [
            (("--encoding", "mp3", WAV), "encoding: one of pcm_s16le"),
            (("--sample-rate", "5", WAV), "sample_rate"),
            (("--channels", "0", WAV), "channels"),
            (("--plot", "a.png", WAV, WAV), "--plot: draws one file, got 2"),
            (("-", "-"), "can be read only once"),
        ],
    )
    def test_usage(self, arguments: tuple[str, ...], part: str, capsys: Read) -> None:
        """What cannot be done is said before anything is."""
        assert run(*arguments) == exits.USAGE
        assert part in capsys.readouterr().err


class TestStandardInput:
    """``-``"""

    class Pipe(io.BytesIO):
        """A pipe: it cannot go back."""

        name = 0

        def seekable(self) -> bool:
            return False

    def pipe(self, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this be the standard input."""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(self.Pipe(data)))

    def test_wav(self, monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
        """A WAV, whose size nobody knows."""
        self.pipe(Path(WAV).read_bytes(), monkeypatch)
        assert run("-") == exits.OK
        out = capsys.readouterr().out
        assert "a file of the kind WAV\n" in out
        assert "ffplay -\n" in out
        assert "WavReader(sys.stdin.buffer)" in out

    def test_raw(self, monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
        """Samples, whose kind is found though they pass only once."""
        self.pipe(as_s24(VOICE), monkeypatch)
        assert run("-") == exits.OK
        assert "pcm_s24le, 16000 Hz (a guess), mono: 7.1 s" in capsys.readouterr().out

    def test_terminal(self, monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
        """Nobody types audio."""
        self.pipe(b"", monkeypatch)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        assert run("-") == exits.USAGE
        assert "got a terminal" in capsys.readouterr().err


def test_json(save: Save, capsys: Read) -> None:
    """A line for each file, the broken one too; nothing else is printed."""
    mp3 = save(b"ID3\3\0" + bytes(99), "a.mp3")
    assert run("--json", WAV, mp3, save(b"", "b"), save(as_s24(VOICE))) == exits.FILE
    wav, file, broken, raw = map(json.loads, capsys.readouterr().out.splitlines())
    assert wav["read_as"] == {
        "encoding": "pcm_s16le",
        "sample_rate": 16000,
        "channels": 1,
        "swapped": False,
        "source": "header",
        "rate_known": True,
    }
    assert (wav["kind"], wav["bytes"], wav["duration"]) == ("WAV", 227244, 7.1)
    assert (wav["peak_dbfs"], wav["rms_dbfs"]) == (-7.49, -24.41)
    assert (wav["findings"], wav["error"]) == ([], None)
    assert file["read_as"] is None
    assert file["findings"] == []
    assert "compressed" in file["note"]
    assert broken == {
        "file": broken["file"],
        "error": "a file with audio, got an empty one",
    }
    assert raw["read_as"]["source"] == "guess"
    assert raw["read_as"]["rate_known"] is False
    assert raw["fits"][0]["encoding"] == "pcm_s24le"
    assert raw["fits"][0]["arguments"].startswith("source=AudioFormat(")
    assert all(found.keys() == wav.keys() for found in (file, raw))


def test_constant_memory(save: Save) -> None:
    """Three minutes take no more than one."""
    peaks = []
    for seconds in (60, 180):
        path = save(np.resize(np.frombuffer(samples(CLIP), "<i2"), seconds * 16000))
        tracemalloc.start()
        report = examine(path, Declared(encoding="pcm_s16le"), drawn=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.meter.seconds == pytest.approx(seconds)
    assert peaks[1] < 1.2 * peaks[0] < 60e6


class TestMeasure:
    """The figures themselves."""

    def test_meter(self) -> None:
        """A full sine is 3 dB under its peak; half of it is silence."""
        wave = np.sin(np.arange(16000) / 10).astype(np.float32)
        meter = Meter()
        for part in (wave, 0 * wave, wave[:0]):
            meter.add(part[:, None], 16000)
        assert (meter.seconds, meter.silence) == (2.0, 0.5)
        assert decibels(meter.peak) == pytest.approx(0, abs=0.01)
        assert decibels(meter.rms) == pytest.approx(-6.02, abs=0.02)

    def test_no_numbers(self) -> None:
        """Floats that are none are no level, and no warning."""
        meter = Meter()
        meter.add(np.full((800, 1), np.nan, np.float32), 16000)
        assert (meter.peak, meter.rms) == (0.0, 0.0)
        assert decibels(0.0) is None
        assert (Meter().rms, Meter().silence) == (0.0, 0.0)

    def test_ballot(self) -> None:
        """Pieces vote, up to a dozen; in what is silent there is no vote."""
        ballot = Ballot()
        for _ in range(20):
            ballot.add(bytes(65_520) + as_s24(VOICE)[:65_520])
        best = ballot.end()[0]
        assert (best.way.encoding, best.votes, best.of) == ("pcm_s24le", 12, 12)
        assert isinstance(best.way, Declaration)
        assert Ballot().end() == []
