"""Processes, processors and limits: the server on one, the client on the other.

Decides where things run; what they do stands in `server` and `workload`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from .wire import CHUNK_BYTES

__all__ = ["BenchError", "Server", "processors", "run_client"]

_ROOT = Path(__file__).parent.parent
_FILES = 20_000
_STACK = 512 * 1024
"""Bytes of a thread's stack where there are hundreds, so that they all start."""

_MANY = 200


class BenchError(Exception):
    """A process of the benchmark failed; the text is what it wrote."""


def processors() -> tuple[int, int]:
    """The server's processor and the client's; the same one where there is no other."""
    if not hasattr(os, "sched_getaffinity"):  # pragma: no cover  # macOS, Windows
        return 0, 0
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pin(processor: int) -> Callable[[], None] | None:
    """What a new process does to run on one processor only, where it can."""
    if not hasattr(os, "sched_setaffinity"):  # pragma: no cover  # macOS, Windows
        return None
    return lambda: os.sched_setaffinity(0, {processor})


def raise_limits(streams: int) -> None:
    """Allow this process and its children so many streams."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    if streams >= _MANY:
        threading.stack_size(_STACK)


def environment(authority: str | None = None) -> dict[str, str]:
    """A process's environment: ours is found, and no proxy or key of the caller's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY") and not name.startswith("CARTESIA_")
    }
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    kept["PYTHONPATH"] = path
    if authority is not None:
        kept["SSL_CERT_FILE"] = authority
    return kept


class Server:
    """The fast server, for as long as the ``with`` block runs.

    Args:
        tls: Whether to serve TLS too, with a certificate of this run's own.

    Attributes:
        ports: By scheme, ``ws`` and ``wss``.
        authority: A file with all authorities of the public Internet, and ours: what
            clients load by default is as long as everywhere.
    """

    def __init__(self, *, tls: bool = True) -> None:
        self._tls = tls
        self.authority: str | None = None

    def __enter__(self) -> Server:
        self._folder = tempfile.TemporaryDirectory()
        certificate = self._certify(Path(self._folder.name)) if self._tls else ""
        raise_limits(0)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", certificate, str(CHUNK_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            preexec_fn=pin(processors()[0]),
        )
        self.ports: dict[str, int] = self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._folder.cleanup()

    def reset(self) -> None:
        """Forget what came."""
        self._ask("reset")

    def report(self) -> dict[str, Any]:
        """What came since the last reset; see `server.Service.report`."""
        return self._ask("report")

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("the server has ended; is the extra [bench] installed?")
        result: dict[str, Any] = json.loads(line)
        return result

    def _certify(self, folder: Path) -> str:
        import certifi
        import trustme

        authority = trustme.CA()
        known = Path(certifi.where()).read_bytes()
        self.authority = str(folder / "authorities.pem")
        Path(self.authority).write_bytes(known + authority.cert_pem.bytes())
        certificate = folder / "server.pem"
        leaf = authority.issue_cert("127.0.0.1", "localhost")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(certificate))
        return str(certificate)


def run_client(job: dict[str, Any], server: Server, *, limit: float) -> dict[str, Any]:
    """Run one client in a process of its own; see `workload`.

    Args:
        job: What to do.
        server: Whom with.
        limit: Seconds that it may take.

    Raises:
        BenchError: It failed, or took longer.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.workload", json.dumps(job)],
            capture_output=True,
            text=True,
            timeout=limit,
            env=environment(server.authority),
            preexec_fn=pin(processors()[1]),
        )
    except subprocess.TimeoutExpired as exc:
        said = (exc.stderr or b"").decode() if isinstance(exc.stderr, bytes) else ""
        raise BenchError(f"{job}: no end within {limit:g} s\n{said}") from None
    if done.returncode:
        raise BenchError(f"{job}: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
