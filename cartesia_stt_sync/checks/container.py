"""Files in place of samples: what the first bytes give away.

Decides whether bytes are the beginning of a file, or text. Values in, a name out.
"""

from __future__ import annotations

from itertools import pairwise

from .finding import PAGE, Finding

__all__ = ["container_of", "cut_off", "file_in_audio"]


def file_in_audio(kind: str) -> Finding:
    """A file was fed as if it were samples."""
    if kind == "text":
        what = "The audio begins with text"
        advice = "Feed raw bytes: base64 wants base64.b64decode() first."
    elif kind == "WAV":
        what = "The audio begins with the header of a WAV file"
        advice = "Read it with WavReader, which gives the samples and their format."
    else:
        what = f"The audio is a file of the kind {kind}"
        advice = (
            "The realtime endpoints take raw samples: decode it first, say with ffmpeg "
            "-i FILE -f s16le -ac 1 -ar 16000 -"
        )
        taken = kind in ("MP3", "Ogg", "FLAC", "MP4", "WebM")
        advice += ", or give the file to transcribe_file()." if taken else "."
    return Finding(
        "file-in-audio",
        f"{what}, and the service takes it for sound.",
        advice,
        PAGE,
    )


def cut_off(missing: float) -> Finding:
    """A file ends before it should."""
    return Finding(
        "cut-off",
        f"The header of the file promises {missing:.2f} s more than there are.",
        "See that the file is whole: a copy may have been broken off, or a recorder "
        "ended before it had written all.",
    )


# With a zero byte in each: in G.711 the letters are loud and smooth, and sound, but a
# zero is at the other end of the scale.
_MAGIC = (
    (b"OggS\0", "Ogg"),
    (b"fLaC\0\0\0", "FLAC"),
    (b"fLaC\x80\0\0", "FLAC"),
    (b"ID3\2\0", "MP3"),
    (b"ID3\3\0", "MP3"),
    (b"ID3\4\0", "MP3"),
    (b"\x1aE\xdf\xa3", "WebM"),
    (b".snd\0\0", "AU"),
    (b"caff\0\1", "CAF"),
    (b"#!AMR\n", "AMR"),
    (b"#!AMR-WB\n", "AMR"),
    (b"riff\x2e\x91\xcf\x11", "Wave64"),
)

_BEGINNINGS = (
    *(b"RIFF", b"RIFX", b"RF64", b"FORM", b"\0\0", b"\xff"),
    *(magic for magic, _ in _MAGIC),
)
"""What all but text begins with, and few pieces of audio."""

_TEXT = frozenset(range(32, 127)) | {9, 10, 13}
_TEXT_ENOUGH = 1024
"""Bytes of text in a row that no sound has: it would stay on one side of zero."""


def container_of(data: bytes) -> str | None:
    """Name what a piece of audio begins with, if that is not samples.

    Args:
        data: The piece, from its beginning.

    Returns:
        ``"WAV"``, ``"MP3"``, ``"Ogg"``, ``"FLAC"``, ``"MP4"``, ``"WebM"``, ``"AIFF"``,
        ``"AU"``, ``"CAF"``, ``"AMR"``, ``"Wave64"``, ``"big-endian WAV"``, ``"text"``,
        or ``None``.
    """
    if not data.startswith(_BEGINNINGS):
        return "text" if _is_text(data[:_TEXT_ENOUGH]) else None
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "WAV"
    if data[:4] == b"RIFX" and data[8:12] == b"WAVE":
        return "big-endian WAV"
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if data[:2] == b"\0\0" and data[4:8] == b"ftyp":
        return "MP4"
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if _is_mpeg(data):
        return "MP3"
    return "text" if _is_text(data[:_TEXT_ENOUGH]) else None


def _is_text(head: bytes) -> bool:
    """Whether all of it is text, and no slow sound in G.711.

    There the codes of text are those of one sign. But text jumps: from one letter to
    the next, and between small letters and all others, which are far louder.
    """
    if len(head) < _TEXT_ENOUGH or not _TEXT.issuperset(head):
        return False
    mean = sum(head) / len(head)
    power = sum((byte - mean) ** 2 for byte in head)
    steps = sum((b - a) ** 2 for a, b in pairwise(head))
    small = sum(byte > 96 for byte in head) / len(head)
    return steps > power > 0 and 0.02 < small < 0.98


# MPEG-1 and -2 audio, layer III: kilobits a second by index, and samples a second.
_BITRATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000)}


def _is_mpeg(data: bytes) -> bool:
    """Whether two frames of MP3 follow each other.

    One frame's mark is not enough: in mu-law ``FF FB`` is a quiet place.
    """
    size = _mpeg_frame(data)
    return bool(size and _mpeg_frame(data[size : size + 4]))


def _mpeg_frame(data: bytes) -> int:
    """Bytes of the frame that begins here; 0: none does."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE6 != 0xE2:
        return 0
    version, bits, rate = data[1] >> 3 & 3, data[2] >> 4, data[2] >> 2 & 3
    if version not in _RATES or rate == 3 or bits in (0, 15):
        return 0
    samples = 144 if version == 3 else 72
    padding = data[2] >> 1 & 1
    return samples * 1000 * _BITRATES[version][bits] // _RATES[version][rate] + padding
