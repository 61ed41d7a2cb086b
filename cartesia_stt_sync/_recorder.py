"""The flight recorder: what a session sent and heard, kept in two files.

Decides what is written down and how. One file has the exact bytes of all audio
sent, as a WAV; the other a line of JSON for each thing that went out, came in, or
was asked for. Nothing that it does, or fails to do, changes the session. Never
writes a credential.

Each line and each piece of audio goes to the system at once, so that a process that
is killed leaves all but the sizes in the WAV's header, and readers know such files.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from attrs import asdict

from ._clock import Clock
from ._handlers import Handlers
from ._transport import ServerClosed, Taken, Transport
from ._version import __version__
from .audio import AudioFormat
from .endpoints import without
from .errors import CartesiaSTTError, ConfigError
from .events import Closed

__all__ = ["Recorder", "RecordingTransport"]

_log = logging.getLogger("cartesia_stt_sync")

_numbers = itertools.count(1)

_UNKNOWN = 0xFFFFFFFF
"""The size of what is not at its end yet, as streamed WAV files have it."""

_TAGS = {
    "pcm_s16le": 1,
    "pcm_s32le": 1,
    "pcm_f16le": 3,
    "pcm_f32le": 3,
    "pcm_alaw": 6,
    "pcm_mulaw": 7,
}


class Recorder:
    """Writes one session down.

    Args:
        folder: Where; made if it is not there.
        wire: What is sent.
        about: What stands in the first line: where to, and how.
        secret: Gives the credential, to be taken out of everything.
        clock: The time.

    Attributes:
        broken: Called once, with the reason, when nothing more can be written.

    Threads: any; its own lock is a leaf, held for one write.
    """

    def __init__(
        self,
        folder: str,
        wire: AudioFormat,
        about: Mapping[str, object],
        *,
        secret: Callable[[], str],
        clock: Clock,
    ) -> None:
        from pathlib import Path  # few record, so most need not import it

        self._folder = Path(folder)
        self._wire = wire
        self._about = about
        self._secret = secret
        self._clock = clock
        self.broken: Callable[[str], None] = _log.warning

        self._lock = threading.Lock()  # guards all below
        self._lines: BinaryIO | None = None
        self._audio: BinaryIO | None = None
        self._name: str | None = None  # of both files; chosen at the first line
        self._size = 0  # bytes of audio
        self._began = 0.0
        self._off = self._over = False

    def begin(self) -> None:
        """Make the files, if they are not there yet.

        Raises:
            ConfigError: They cannot be made.
        """
        with self._lock:
            if self._name is not None or self._off:
                return
            try:
                self._make()
            except OSError as exc:
                self._off = True
                raise ConfigError(
                    f"record: a folder to write to, got {str(self._folder)!r}: "
                    f"{exc.strerror or exc}"
                ) from None

    def note(self, event: str, **fields: object) -> None:
        """Write a line."""
        self._write(lambda: self._line(event, fields))

    def sent(self, data: bytes) -> None:
        """Write audio, and a line that says where it stands."""

        def write() -> None:
            self._line("sent", {"audio": len(data), "at": self._size})
            assert self._audio is not None
            self._audio.write(data)
            self._size += len(data)

        self._write(write)

    def rest(self) -> None:
        """Let go of the files; whatever else comes opens them again."""
        with self._lock:
            self._let_go()

    def end(self) -> None:
        """Let go of the files for good: what comes late opens them for itself only."""
        with self._lock:
            self._over = True
            self._let_go()

    def listen(self, handlers: Handlers) -> None:
        """Write down what handlers are told of the session itself, up to its end."""
        handlers.add("reconnect", lambda plan: self.note("reconnect", **asdict(plan)))
        handlers.add("finding", lambda found: self.note("finding", **asdict(found)))
        handlers.add("error", lambda error: self.note("error", **_told(error)))
        handlers.add("close", self._closed)

    def _closed(self, end: Closed) -> None:
        self.note("end", error=None if end.error is None else _told(end.error))
        self.end()

    def _write(self, write: Callable[[], None]) -> None:
        failure: OSError | None = None
        with self._lock:
            if self._off or self._name is None:
                return
            try:
                self._reopen()
                write()
                if self._over:
                    self._let_go()
            except OSError as exc:
                self._off, failure = True, exc
                self._let_go()
        if failure is not None:
            self.broken(failure.strerror or str(failure))

    # All below require the lock.

    def _make(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        started = self._clock.stamp()
        name = f"{started}-{os.getpid()}-{next(_numbers)}"
        self._lines = self._open(f"{name}.jsonl", "xb")
        self._audio = self._open(f"{name}.wav", "xb")
        self._name = name
        self._began = self._clock.now()
        self._audio.write(_header(self._wire, None))
        about = {
            "library": __version__,
            "started": started,
            "monotonic": self._began,
            "encoding": self._wire.encoding,
            "sample_rate": self._wire.sample_rate,
            "audio": f"{name}.wav",
            "play": f"ffplay {name}.wav",
            "play_raw": _play_raw(self._wire, name),
            **self._about,
        }
        self._line("begin", about)

    def _open(self, name: str, mode: str) -> BinaryIO:
        # For this user's eyes only: it is what somebody said.
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self._folder / name, mode, buffering=0, opener=opener)  # type: ignore[return-value]  # raw, as asked for

    def _reopen(self) -> None:
        if self._lines is None:
            self._lines = self._open(f"{self._name}.jsonl", "ab")
        if self._audio is None:
            self._audio = self._open(f"{self._name}.wav", "r+b")
            self._audio.seek(0, os.SEEK_END)

    def _let_go(self) -> None:
        if self._audio is not None:
            with self._audio as audio:
                try:
                    audio.seek(0)
                    audio.write(_header(self._wire, self._size))
                except OSError as exc:
                    _log.warning("a recording's header is not up to date: %s", exc)
        if self._lines is not None:
            self._lines.close()
        self._lines = self._audio = None

    def _line(self, event: str, fields: Mapping[str, object]) -> None:
        at = round(self._clock.now() - self._began, 6)
        kept = {name: self._without_key(value) for name, value in fields.items()}
        line = json.dumps({"t": at, "event": event, **kept})
        assert self._lines is not None
        self._lines.write(line.encode() + b"\n")

    def received(self, text: str) -> None:
        """Write down a message, as it came but for the key, however that is spelt."""
        if "\\" in text:
            with suppress(ValueError, RecursionError):  # else it is no JSON
                plain = json.dumps(json.loads(text), ensure_ascii=False)
                if self._without_key(plain) != plain:
                    text = plain
        self.note("received", text=text)

    def _without_key(self, value: object) -> object:
        """What JSON takes of a value, with the credential taken out of its texts."""
        if value is None or isinstance(value, (int, float)):
            return value
        if isinstance(value, Mapping):
            clean = self._without_key
            return {str(clean(name)): clean(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._without_key(each) for each in value]
        text = str.__str__(value) if isinstance(value, str) else str(value)
        return without(self._secret(), text)


class RecordingTransport:
    """A `Transport` that has all that passes through it written down.

    Args:
        inner: The connection itself.
        recorder: Who writes.
    """

    def __init__(self, inner: Transport, recorder: Recorder) -> None:
        self._inner = inner
        self._recorder = recorder

    def open(self) -> str | None:
        """Connect; see `Transport`. The first makes the files."""
        self._recorder.begin()
        self._recorder.note("connecting")
        try:
            request_id = self._inner.open()
        except CartesiaSTTError as exc:
            self._recorder.note("refused", error=_told(exc))
            raise
        self._recorder.note("connected", request_id=request_id)
        return request_id

    def send(self, data: bytes | str) -> None:
        """Send one message. It is noted first, for its answer may be quick."""
        with self._outgoing(data):
            self._inner.send(data)

    def recv(self) -> bytes | ServerClosed:
        """Wait for the next message."""
        try:
            message = self._inner.recv()
        except CartesiaSTTError as exc:
            self._came(exc)
            raise
        self._came(message)
        return message

    def fileno(self) -> int:
        """What to watch."""
        return self._inner.fileno()

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """What to watch it for."""
        return self._inner.waits_for(reading, writing)

    def begin(self, data: bytes | str) -> bool:
        """Send one message as far as it goes; noted first, as a whole one."""
        with self._outgoing(data):
            return self._inner.begin(data)

    def flush(self) -> bool:
        """Send more of what is left."""
        return self._inner.flush()

    def take(self) -> list[Taken]:
        """What has come by now."""
        taken = self._inner.take()
        for one in taken:
            self._came(one)
        return taken

    def finish(self) -> None:
        """Send all of what is left, waiting."""
        with self._noting_failure():
            self._inner.finish()

    @contextmanager
    def _outgoing(self, data: bytes | str) -> Iterator[None]:
        if isinstance(data, str):
            self._recorder.note("sent", text=data)
        else:
            self._recorder.sent(data)
        with self._noting_failure():
            yield

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except CartesiaSTTError as exc:
            self._recorder.note("not sent", error=_told(exc))
            raise

    def _came(self, one: bytes | ServerClosed | CartesiaSTTError) -> None:
        if isinstance(one, CartesiaSTTError):
            self._recorder.note("lost", error=_told(one))
        elif isinstance(one, ServerClosed):
            self._recorder.note("server closed", code=one.code, reason=one.reason)
        else:
            self._recorder.received(one.decode("utf-8", "backslashreplace"))

    def abort(self) -> None:
        """Wake whoever is blocked."""
        self._inner.abort()

    def close(self) -> None:
        """Release the socket, and the files until more is to be written."""
        self._inner.close()
        self._recorder.rest()


def _told(error: Exception) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": str(error)}


def _header(wire: AudioFormat, size: int | None) -> bytes:
    """A WAV header; ``None`` is a size that is not known yet."""
    width, tag = wire.frame_bytes, _TAGS[wire.encoding]
    layout = struct.pack(
        "<HHIIHHH",
        tag,
        1,
        wire.sample_rate,
        wire.sample_rate * width,
        width,
        8 * width,
        0,
    )
    frames = _UNKNOWN if size is None else min(size // width, _UNKNOWN)
    body = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout
    body += b"fact" + struct.pack("<II", 4, frames) + b"data"
    most = _UNKNOWN - len(body) - 4
    known = size is not None and size <= most
    whole = len(body) + 4 + (size or 0) if known else _UNKNOWN
    data = (size or 0) if known else _UNKNOWN
    return b"RIFF" + struct.pack("<I", whole) + body + struct.pack("<I", data)


def _play_raw(wire: AudioFormat, name: str) -> str:
    """The line that plays the samples without a look at the header."""
    line = wire.ffplay("-")
    if line is None:
        return "no player knows half floats; cartesia-stt replay sends them again"
    return f"tail -c +{len(_header(wire, None)) + 1} {name}.wav | {line}"
