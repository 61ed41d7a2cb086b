"""Files in place of samples."""

from __future__ import annotations

import base64

import pytest

from cartesia_stt_sync.checks.container import container_of, file_in_audio

# The first frame of an MP3 of 128 kbit/s at 44.1 kHz has 417 bytes.
MPEG = b"\xff\xfb\x90\x00" + bytes(413)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "WAV"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "WAV"),
        (b"FORM\0\0\0\x2eAIFFCOMM", "AIFF"),
        (b"RIFX\0\0\0\x2eWAVEfmt ", "big-endian WAV"),
        (b"OggS\0\2" + bytes(20), "Ogg"),
        (b"fLaC\0\0\0\x22", "FLAC"),
        (b"ID3\3\0\0\0\0\x1f\x76", "MP3"),
        (MPEG + MPEG, "MP3"),
        (b"\0\0\0\x20ftypM4A ", "MP4"),
        (b"\x1aE\xdf\xa3\x01\0", "WebM"),
        (b".snd\0\0\0\x18", "AU"),
        (b"caff\0\1\0\0desc", "CAF"),
        (b"#!AMR\n\x3c", "AMR"),
        (b"riff\x2e\x91\xcf\x11\xa5\xd6", "Wave64"),
        (base64.b64encode(bytes(range(256)) * 8), "text"),
        (b'{"audio": "' + b"UklGRiQAAABXQVZF" * 80, "text"),
    ],
)
def test_files(data: bytes, kind: str) -> None:
    """Each kind is told by its first bytes."""
    assert container_of(data) == kind
    assert file_in_audio(kind).code == "file-in-audio"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        bytes(4000),
        b"\xff" * 4000,  # a quiet line in mu-law
        b"\xff\xfb" * 2000,
        b"OggS" * 30,
        MPEG + b"\xff\xff\xff\xff",  # a frame that no other follows
        b"a" * 4000,  # a constant is no text
        b"short text",
        bytes(90 + n // 99 for n in range(2000)),  # a slow wave in mu-law
        bytes(64 + n * n % 17 for n in range(2000)),  # noise on one side of zero
    ],
)
def test_samples(data: bytes) -> None:
    """What only looks like a file is none."""
    assert container_of(data) is None


@pytest.mark.parametrize(
    ("kind", "advice"),
    [("WAV", "WavReader"), ("text", "b64decode"), ("Ogg", "ffmpeg")],
)
def test_advice(kind: str, advice: str) -> None:
    """It says how to come by the samples."""
    assert advice in file_in_audio(kind).advice
