"""The picture that ``cartesia-stt check --plot`` draws: what is in it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cartesia_stt_sync.audio import encode
from cartesia_stt_sync.cli import exits, main
from cartesia_stt_sync.cli.examine import Declared, Report, examine
from cartesia_stt_sync.cli.plot import figure_of
from cartesia_stt_sync.cli.sketch import Sketch

from ..noises import as_s24, speech, tone
from ..speech import DATA, clips

Read = pytest.CaptureFixture[str]

CLIP = next(iter(clips()))
WAV = str(DATA / f"{CLIP}.wav")
S16 = Declared(encoding="pcm_s16le", sample_rate=16000)


def report_of(data: bytes, folder: Path, declared: Declared = S16) -> Report:
    """Examine some bytes."""
    path = folder / "call.raw"
    path.write_bytes(data)
    return examine(str(path), declared, drawn=True)


def panels(figure: Figure) -> tuple[Axes, Axes, Axes]:
    """Waveform (of the first channel), level and spectrogram."""
    wave, *_, level, spectrum, _ = figure.axes
    return wave, level, spectrum


def marks(axes: Axes) -> list[float]:
    """Where findings are marked."""
    lines = [line for line in axes.lines if line.get_gid() == "finding"]
    return [float(np.asarray(line.get_xdata())[0]) for line in lines]


def words(figure: Figure) -> str:
    """What is written below."""
    return "\n".join(text.get_text() for text in figure.texts)


def test_correct(tmp_path: Path) -> None:
    """Three panels on one axis of time, with nothing marked."""
    report = examine(WAV, Declared(), drawn=True)
    figure = figure_of(report)
    wave, level, spectrum = panels(figure)
    assert [axes.get_ylabel() for axes in (wave, level, spectrum)] == [
        "amplitude",
        "level, dBFS",
        "frequency, kHz",
    ]
    assert spectrum.get_xlabel() == "seconds"
    assert {axes.get_xlim() for axes in (wave, level, spectrum)} == {(0.0, 7.1)}
    assert spectrum.get_ylim() == (0.0, 8.0)
    assert [line.get_label() for line in level.lines][:2] == ["peak", "RMS"]
    assert marks(wave) == []
    assert "Nothing is wrong with the audio." in words(figure)
    title = figure.get_suptitle()
    assert title == f"{CLIP}.wav   pcm_s16le, 16000 Hz, mono, 7.1 s"


def test_marks(tmp_path: Path) -> None:
    """Each finding is a line in each panel, where it came to light, and is named."""
    clip = np.resize(speech(CLIP, 16000), 20 * 16000)
    frames = np.stack([np.clip(clip * 20, -1, 1), 0 * clip], 1).ravel()
    stereo = Declared(encoding="pcm_s16le", sample_rate=16000, channels=2)
    report = report_of(encode(frames, "pcm_s16le"), tmp_path, stereo)
    codes = [found.finding.code for found in report.found]
    assert codes == ["clipping", "dead-channel"]
    figure = figure_of(report)
    times = [found.at for found in report.found]
    for axes in panels(figure):
        assert marks(axes) == times
    numbers = [text.get_text() for text in panels(figure)[0].texts]
    assert numbers == ["1", "2"]
    said = words(figure)
    assert "1  clipping (after " in said
    assert "2  dead-channel (after " in said
    assert "as declared: pcm_s16le, 16000 Hz, stereo" in figure.get_suptitle()


def test_channels(tmp_path: Path) -> None:
    """Each channel has its waveform, all in one scale; many are drawn as one."""
    clip = speech(CLIP, 16000)[:32000]
    data = encode(np.stack([clip, clip / 4], 1).ravel(), "pcm_s16le")
    stereo = Declared(encoding="pcm_s16le", sample_rate=16000, channels=2)
    one, two, *rest = figure_of(report_of(data, tmp_path, stereo)).axes
    assert [axes.get_ylabel() for axes in (one, two)] == ["channel 1", "channel 2"]
    assert one.get_ylim() == two.get_ylim()
    heights = [
        axes.collections[0].get_datalim(axes.transData).height for axes in (one, two)
    ]
    assert heights[0] == pytest.approx(4 * heights[1], rel=0.01)
    assert rest[1].get_ylabel() == "mix, frequency, kHz"
    six = Declared(encoding="pcm_s16le", sample_rate=16000, channels=6)
    many = np.repeat(clip[:, None] / 9, 6, axis=1).astype(np.float32)
    many[:, 5] = clip
    data = encode(many.ravel(), "pcm_s16le")
    only, *rest = figure_of(report_of(data, tmp_path, six)).axes
    assert (only.get_ylabel(), len(rest)) == ("all channels", 3)
    height = only.collections[0].get_datalim(only.transData).height
    assert height == pytest.approx(heights[0], rel=0.01)


def test_two_at_one_place(tmp_path: Path) -> None:
    """They share a line, and one without a place has none."""
    figure = figure_of(report_of(bytes(3200), tmp_path))
    assert marks(panels(figure)[0]) == [0.1]
    assert "1  silent" in words(figure)
    assert "2  too-short:" in words(figure)


def test_guess(tmp_path: Path) -> None:
    """The title says that nobody declared it."""
    report = report_of(as_s24(speech(CLIP, 16000)), tmp_path, Declared())
    assert "as fits best: pcm_s24le" in figure_of(report).get_suptitle()


def test_swapped(tmp_path: Path) -> None:
    """And which byte stands first."""
    data = np.frombuffer(encode(speech(CLIP, 16000), "pcm_s16le"), "<i2").astype(">i2")
    report = report_of(data.tobytes(), tmp_path, Declared())
    assert "pcm_s16be" in figure_of(report).get_suptitle()


def test_a_tone_is_where_it_is(tmp_path: Path) -> None:
    """Its level and its frequency can be read from the axes."""
    report = report_of(encode(tone(16000, 3000, 0.5), "pcm_s16le"), tmp_path)
    _, level, spectrum = panels(figure_of(report))
    rms = np.asarray(level.lines[1].get_ydata())
    assert np.median(rms) == pytest.approx(-9.03, abs=0.1)
    image: Any = spectrum.images[0].get_array()
    row = int(image[:, image.shape[1] // 2].argmax())
    assert (row + 0.5) / image.shape[0] * 8 == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    ("seconds", "label", "last"),
    [(1, "seconds", 1.0), (300, "time, m:ss", 300.0), (4000, "time, h:mm:ss", 3600.0)],
)
def test_lengths(seconds: int, label: str, last: float, tmp_path: Path) -> None:
    """The axis of time is one to read, from a second to hours."""
    rate = 1000
    clip = np.resize(speech(CLIP, 8000)[::8], seconds * rate)
    declared = Declared(encoding="pcm_s16le", sample_rate=rate)
    figure = figure_of(report_of(encode(clip, "pcm_s16le"), tmp_path, declared))
    _, _, spectrum = panels(figure)
    assert spectrum.get_xlabel() == label
    ticks = [at for at in spectrum.get_xticks() if at <= seconds]
    assert 4 <= len(ticks) <= 14
    assert ticks[-1] == last


def test_a_day() -> None:
    """Beyond that the steps are hours, and become no crowd."""
    figure = Figure()
    axes = figure.subplots()
    from cartesia_stt_sync.cli.plot import _time_axis

    _time_axis(axes, 86400 * 3)
    assert len(axes.get_xticks()) <= 14


def test_file(tmp_path: Path, capsys: Read) -> None:
    """The command writes it, and leaves matplotlib's global state alone."""
    place = tmp_path / "a.png"
    assert main(["check", "--plot", str(place), WAV]) == exits.OK
    assert place.read_bytes().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules
    assert "Nothing is wrong" in capsys.readouterr().out


def test_no_such_kind(tmp_path: Path, capsys: Read) -> None:
    """An ending that is no picture's is refused before anything is read."""
    place = str(tmp_path / "a.doc")
    assert main(["check", "--plot", place, WAV]) == exits.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "--plot: a name that ends with " in err
    assert " png, " in err
    assert err.endswith(f"got {place}\n")
    assert main(["check", "--plot", str(tmp_path / "a.SVG"), WAV]) == exits.OK
    assert (tmp_path / "a.SVG").exists()


def test_nowhere(tmp_path: Path, capsys: Read) -> None:
    """A place that is none is a file that cannot be written."""
    assert main(["check", "--plot", str(tmp_path / "b" / "a.png"), WAV]) == exits.FILE
    assert "No such file or directory" in capsys.readouterr().err


def test_nothing_to_draw(tmp_path: Path, capsys: Read) -> None:
    """Of a file that has to be decoded there is no picture, but a report."""
    path = tmp_path / "a.mp3"
    path.write_bytes(b"ID3\3\0" + bytes(99))
    place = tmp_path / "a.png"
    assert main(["check", "--plot", str(place), str(path)]) == exits.OK
    assert "MP3 has to be decoded first" in capsys.readouterr().err
    assert not place.exists()


def test_not_installed(monkeypatch: pytest.MonkeyPatch, capsys: Read) -> None:
    """The extra is named, before a file is read."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["check", "--plot", "a.png", "none.wav"]) == exits.USAGE
    assert "pip install 'cartesia-stt-sync[plot]'" in capsys.readouterr().err


def test_not_needed() -> None:
    """Without --plot nobody imports it."""
    code = (
        "import sys; from cartesia_stt_sync.cli import main\n"
        f"main(['check', {WAV!r}]); assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


class TestSketch:
    """What is kept of audio."""

    @pytest.mark.parametrize("seconds", [0.1, 3.0, 60.0, 700.0])
    @pytest.mark.parametrize("piece", [777, 50_000])
    def test_columns(self, seconds: float, piece: int) -> None:
        """Never more than two thousand, which span all of it."""
        clip = np.resize(tone(1000, 100), (round(seconds * 1000), 1))
        sketch = Sketch(1000)
        for at in range(0, len(clip), piece):
            sketch.add(clip[at : at + piece])
        sketch.end()
        assert sketch.count <= 2048
        # The last column may be lost where two become one at the very end.
        span = sketch.count * sketch.column
        assert abs(span - seconds) <= 2 * sketch.column
        assert sketch.high[: sketch.count].max() == pytest.approx(0.285, abs=0.001)

    def test_a_click_stays(self) -> None:
        """However much is joined to one column, its peak is there."""
        clip = np.zeros((200_000, 1), np.float32)
        clip[123_456] = 0.9
        sketch = Sketch(1000)
        sketch.add(clip)
        sketch.end()
        at = int(sketch.high[: sketch.count].argmax()) * sketch.column
        assert at == pytest.approx(123.456, abs=sketch.column)
        assert sketch.high.max() == pytest.approx(0.9)

    def test_nothing(self) -> None:
        """Of no audio there are no columns."""
        sketch = Sketch(8000)
        sketch.end()
        assert sketch.count == 0


def test_not_over_the_recording(tmp_path: Path, capsys: Read) -> None:
    """A picture never takes the place of what it is drawn of, nor by another name."""
    recording, link = tmp_path / "call.raw", tmp_path / "call.png"
    recording.write_bytes(bytes(6400))
    link.symlink_to(recording)
    for plot in (recording, link):
        assert main(["check", "--plot", str(plot), str(recording)]) == exits.USAGE
        assert "would be overwritten" in capsys.readouterr().err
    assert recording.read_bytes() == bytes(6400)
