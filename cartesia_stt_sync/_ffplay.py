"""The line that plays raw samples, for who wants to hear what they are.

Decides how ffplay is called. Never runs it.
"""

from __future__ import annotations

import shlex

__all__ = ["ffplay"]

_KINDS = {
    "pcm_u8": "u8",
    "pcm_s16le": "s16le",
    "pcm_s24le": "s24le",
    "pcm_s32le": "s32le",
    "pcm_f32le": "f32le",
    "pcm_f64le": "f64le",
    "pcm_alaw": "alaw",
    "pcm_mulaw": "mulaw",
}
"""What ffplay calls raw samples; it has no name for half floats."""


def ffplay(
    encoding: str, rate: int, channels: int, path: str, *, swapped: bool = False
) -> str | None:
    """Write the command.

    Args:
        encoding: The samples'.
        rate: Frames a second, in Hz.
        channels: Samples a frame.
        path: The file's, or ``-``.
        swapped: Whether the high byte of each sample stands first.

    Returns:
        A line for a shell, or ``None`` where ffplay cannot play such samples.
    """
    kind = _KINDS.get(encoding)
    if kind is None:
        return None
    if swapped:
        kind = kind.removesuffix("le") + "be"
    # The options of its raw demuxer, whose one channel is the default of every
    # version; -ac went with version 7, and -ch_layout came with 5.1.
    layout = {1: "", 2: " -ch_layout stereo"}.get(channels, f" -ch_layout {channels}c")
    return f"ffplay -f {kind} -sample_rate {rate}{layout} {_quoted(path)}"


def _quoted(path: str) -> str:
    """A path as one word, of which no part is an option or a protocol."""
    odd = path.startswith("-") or (":" in path and not path.startswith("/"))
    return shlex.quote(f"./{path}" if odd and path != "-" else path)
