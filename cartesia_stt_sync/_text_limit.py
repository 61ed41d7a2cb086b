"""How much text a server may make the client keep.

Decides when it is more than anybody can have said. Pure.
"""

from __future__ import annotations

__all__ = ["TextLimit"]

_MOST = 8 << 20
_MOST_A_SECOND = 16 << 10
"""Bytes of final text that are kept, and as many more for each second of audio.

Nobody speaks so fast: these guard the memory against a server gone wrong.
"""


class TextLimit:
    """The final text of one session, as it came over the wire."""

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, size: int) -> bool:
        """Count a message of final text.

        Args:
            size: Its bytes.

        Returns:
            Whether it may be too much by now: then ask `problem`.
        """
        self._bytes += size
        return self._bytes > _MOST

    def problem(self, audio: float) -> str | None:
        """Say what is wrong with it, if it is too much.

        Args:
            audio: Seconds of audio sent so far.
        """
        most = _MOST + round(audio * _MOST_A_SECOND)
        if self._bytes <= most:
            return None
        return (
            f"the server sent more than {most:,} bytes of final transcripts for "
            f"{audio:.1f} s of audio; the text so far is kept"
        )
