"""Bytes as choices.

Decides nothing but how a fuzzer's bytes are read as numbers and picks. Never runs
out: behind the end stand zeros, so every prefix of an input is an input, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Choices"]

T = TypeVar("T")


class Choices:
    """Reads bytes from the front.

    Args:
        data: What a fuzzer made up.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def byte(self) -> int:
        """The next byte; 0 behind the end."""
        value = self._data[self._at] if self.left else 0
        self._at = min(self._at + 1, len(self._data))
        return value

    def pick(self, options: Sequence[T]) -> T:
        """One of up to 256 options."""
        return options[self.byte() % len(options)]

    def rest(self) -> bytes:
        """All that is left."""
        rest, self._at = self._data[self._at :], len(self._data)
        return rest
