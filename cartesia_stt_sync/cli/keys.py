"""The keys of push-to-talk.

Decides how single keys are read from a terminal. A terminal tells that a key was
pressed, never that it was let go: so a key begins, and the next one ends.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

__all__ = ["Keys"]

_PRESSES = b" \r\n"
_END = b"\x04"  # Ctrl-D, where the terminal gives single keys


class Keys:
    """Calls for each press of Enter or the space bar, in a ``with`` block.

    What is no terminal is read likewise: a line is a press, and its end the end. On
    Windows lines are all there is.

    Args:
        stream: The standard input.
        pressed: Called for each press.
        ended: Called once, at Ctrl-D or the end.

    Threads: one of its own, on which it calls.
    """

    def __init__(
        self,
        stream: TextIO,
        pressed: Callable[[], object],
        ended: Callable[[], object],
    ) -> None:
        # Read below Python's buffers: a thread that waits in them is an error at exit.
        self._fd = stream.fileno()
        self._pressed, self._ended = pressed, ended
        self._before: list[Any] | None = None
        # A daemon, since on Windows nothing wakes it.
        self._thread = threading.Thread(
            target=self._read, name="cartesia-stt-keys", daemon=True
        )
        self._wake = self._woken = -1

    def __enter__(self) -> Keys:
        if sys.platform != "win32":  # pragma: no branch  # Linux is tested
            import termios
            import tty

            self._woken, self._wake = os.pipe()
            if os.isatty(self._fd):
                self._before = termios.tcgetattr(self._fd)
                tty.setcbreak(self._fd)  # Ctrl-C stays what it is
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if sys.platform != "win32":  # pragma: no branch  # Linux is tested
            import termios

            os.close(self._wake)
            self._thread.join()
            os.close(self._woken)
            if self._before is not None:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        while True:
            if sys.platform != "win32":  # pragma: no branch  # Linux is tested
                ready, _, _ = select.select([self._fd, self._woken], [], [])
                if self._woken in ready:
                    return
            keys = os.read(self._fd, 64)
            for key in keys:
                if key in _PRESSES:
                    self._pressed()
            if not keys or _END in keys:
                self._ended()
                return
