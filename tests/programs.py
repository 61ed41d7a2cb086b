"""Programs in a process of their own, for what a process may do around the threads.

Runs code, reads what it prints, and hands off on the lines. Decides nothing about
what is right; uses nothing of the library, which only the programs do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path
from types import TracebackType

from .pooled import as_program

ROOT = Path(__file__).parent.parent

LIMIT = 30.0
"""Seconds after which a program that does not end is killed, and fails its test."""


class Program:
    """A running Python program, killed if it outlives its ``with`` block.

    Args:
        code: What to run; warnings are shown.
        url: Where its transcribers go.
        file: Put the code there and run that, for a program that starts itself
            again, as ``multiprocessing`` does.
        module: Run this module in place of the code, with ``arguments``.
        arguments: What the program finds in ``sys.argv``.
        environment: Further variables of its environment.
    """

    def __init__(
        self,
        code: str = "",
        url: str = "ws://127.0.0.1:1",
        *,
        file: Path | None = None,
        module: str | None = None,
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        code = as_program(textwrap.dedent(code))
        what = ["-c", code]
        if module is not None:
            what = ["-m", module]
        elif file is not None:
            file.write_text(code)
            what = [str(file)]
        # A file and not a pipe: nobody reads it while the program runs.
        self._errors = tempfile.TemporaryFile("w+")  # closed by exit
        self._process = subprocess.Popen(
            [sys.executable, "-W", "always", *what, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "CARTESIA_API_KEY": "sk_test",
                "CARTESIA_BASE_URL": url,
                **(environment or {}),
            },
        )
        self._shown = ""
        self._limit = threading.Timer(LIMIT, self._process.kill)
        self._limit.start()

    def until(self, line: str) -> None:
        """Return once it has printed this line."""
        assert self._process.stdout is not None
        for shown in self._process.stdout:
            self._shown += shown
            if shown.strip() == line:
                return
        raise AssertionError(f"{line!r} not printed: {self._shown!r}, {self.errors()}")

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self._process.stdout is not None
        shown = self._process.stdout.readline()
        self._shown += shown
        assert shown, f"nothing printed: {self.errors()}"
        return shown.strip()

    def errors(self) -> str:
        """What it has written to its standard error so far."""
        self._errors.seek(0)
        return self._errors.read()

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def interrupt(self) -> None:
        """Send it a SIGINT, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """Send it a SIGTERM, as a service manager does."""
        self._process.send_signal(signal.SIGTERM)

    def finish(self) -> tuple[int, str, str]:
        """Return its exit code, and what it printed on both streams, at its end."""
        out, _ = self._process.communicate()
        self._shown += out
        return self._process.returncode, self._shown, self.errors()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()  # nothing, where it has ended
        self._process.communicate()
        self._limit.cancel()
        self._limit.join()
        self._errors.close()


def python(
    code: str, url: str = "ws://127.0.0.1:1", *, interrupt_at: str | None = None
) -> tuple[int, str, str]:
    """Run code in a process of its own, which has a local server as its account.

    Args:
        code: The program; warnings are shown, and errors too.
        url: Where its transcribers go.
        interrupt_at: Send it a SIGINT when it has printed this line.

    Returns:
        Its exit code, and what it printed on both streams.
    """
    with Program(code, url) as program:
        if interrupt_at is not None:
            program.until(interrupt_at)
            program.interrupt()
        return program.finish()
