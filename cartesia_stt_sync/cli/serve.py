"""``cartesia-stt serve``: the local server, until it is told to end.

Decides what is printed for whoever wants to use it, and how it is ended.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from cartesia_stt_sync import ConfigError

from . import exits
from .local import local_server

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Returns:
        The exit status.

    Raises:
        ConfigError: The script or an option is not one.
        OSError: The script cannot be read, or the port not opened.
    """
    script = None if options.script is None else _read_script(options.script)
    server = local_server(
        host=options.host, port=options.port, engine=options.engine, script=script
    )
    with _Stopped() as stopped, server:
        print(
            f"{server.engine_name} listens at {server.base_url}; Ctrl-C ends it. In "
            "another terminal:",
            file=sys.stderr,
        )
        setting = "set" if os.name == "nt" else "export"
        print(f"{setting} CARTESIA_BASE_URL={server.base_url}")
        print(f"{setting} CARTESIA_API_KEY=local", flush=True)
        stopped.wait()
    return exits.OK


class _Stopped:
    """Waits for a signal without looking every now and then.

    A thread that waits for a lock is woken by no signal on Windows, but one that
    reads from a socket is, by what the interpreter writes there when one comes.
    """

    def __enter__(self) -> _Stopped:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)  # the interpreter insists
        self._before = {
            number: signal.signal(number, lambda *_: None)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        self._fd_before = signal.set_wakeup_fd(self._writer.fileno())
        return self

    def wait(self) -> None:
        """Return when a signal has come, also one that came before this call."""
        self._reader.recv(1)

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()


def _read_script(path: str) -> Any:
    try:
        script = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as exc:
        raise _no_script(f"{path}: {exc}") from exc
    if script is None:  # it would be as if there were none
        raise _no_script(f"{path} with null")
    return script


def _no_script(got: str) -> ConfigError:
    return ConfigError(
        f'--script: JSON like [[0.5, "Hello"], [1.2, " world"]], got {got}'
    )
