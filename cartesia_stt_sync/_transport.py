"""One websocket connection, for one thread that reads and others that write.

`send`, `finish` and `recv` wait; `begin`, `flush` and `take` never do, for who must
not, or waits for many connections at once.

`_dial` makes it, with websocket-client's handshake; the frames on it are our own.
Decides nothing about speech. No foreign exception leaves here: `ConnectError`
before the connection stands, `ConnectionLost` and `ProtocolError` after.

Why websocket-client's own ``recv`` and ``close`` are not used: its ``close()`` waits
for a lock that a blocked ``recv()`` holds, and its reader believes any frame length.
How the socket itself is read, written and waited for, `_pipe` decides.

Waking: `abort` shuts the socket down, which ends every wait on it at once, plain
and TLS, reading and writing. What had arrived by then can still be read.

The thread that reads never waits to write: a pong or a close frame that does not
go at once is left to the sender, or undone. Else a server that does not read could
keep its own error from being read.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Protocol

import attrs

from ._dial import Dialer, shut_down
from ._frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    build,
    close_payload,
    read_close,
)
from ._keys import mask_key
from ._pipe import Pipe, pipe
from ._value import Value
from .errors import ConnectionLost, ProtocolError

__all__ = ["ServerClosed", "Taken", "Transport", "WebsocketTransport", "too_slow"]

_TAKE = 8192
"""Bytes that `take` asks for: behind a flood of tiny frames others wait so long."""


_FLOOD, _BREATH = 100, 0.1
"""Frames in one read that are no message, and the seconds to let others at work then:
as long as it took to read them, at most that.

Whoever reads a flood of pings as fast as it comes leaves the other threads of the
process half of the interpreter at best; and the peer is to wait, too.
"""

_PONGS = 4
"""Pongs that are sent in a row, lest one who sends be held up by a flood of pings."""


@attrs.frozen(eq=False, repr=False)
class ServerClosed(Value):
    """The server's close frame."""

    code: int
    reason: str


Taken = bytes | ServerClosed | ConnectionLost | ProtocolError
"""A message, or how the connection ended."""


class Transport(Protocol):
    """What drivers need of a connection. Tests put a fake in its place."""

    def open(self) -> str | None:
        """Connect; return the server's request id, if it names one."""

    def send(self, data: bytes | str) -> None:
        """Send one message: audio as bytes, a command as text."""

    def recv(self) -> bytes | ServerClosed:
        """Wait for the next message, or the server's close frame."""

    def fileno(self) -> int:
        """What to watch, for `take` and `flush`; -1: it is closed."""

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """What to watch it for, to `take` or `flush` more; see `Pipe.waits_for`."""

    def begin(self, data: bytes | str) -> bool:
        """Send one message as far as it goes; true: whole, false: see `flush`."""

    def flush(self) -> bool:
        """Send more of what `begin` has left; true: that was the rest of it."""

    def finish(self) -> None:
        """Send all of what `begin` has left, waiting."""

    def take(self) -> list[Taken]:
        """What has come by now, in order; where it is the last, the end as well."""

    def abort(self) -> None:
        """Wake whoever is blocked in here; from any thread, at any time."""

    def close(self) -> None:
        """Release the socket; only the thread that reads may."""


class WebsocketTransport:
    """The real `Transport`.

    Args:
        dialer: Makes the connection.
        io_timeout: Seconds that sending one message may take; ``None``: no limit.
        max_message: Bytes above which an incoming message is refused.

    Threads: `recv`, `take` and `close` from one thread; all else from any.
    """

    def __init__(
        self, dialer: Dialer, *, io_timeout: float | None, max_message: int
    ) -> None:
        self._dialer = dialer
        self._io_timeout = io_timeout
        self._reader = FrameReader(max_message)
        self._pipe: Pipe | None = None
        # Held while one message goes out, so that frames never mix; guards _owed.
        self._write = threading.Lock()
        self._owed = b""  # the rest of a frame that the reader could not finish
        # The latest ping without an answer; the only one that needs one (RFC 6455,
        # 5.5.3). A list, because what is done to it is atomic.
        self._pings: list[bytes] = []
        # Held while the descriptor is shut down or closed, so that a late abort
        # cannot hit a stranger's descriptor that got the same number.
        self._life = threading.Lock()
        self._aborted = False
        self._passed_over = 0  # frames that the reader has just found to be no message

    def open(self) -> str | None:
        """Connect.

        Returns:
            The server's request id, if it names one.

        Raises:
            ConnectError: Refused, unreachable, not trusted, too slow or aborted.
        """
        sock, request_id, first = self._dialer.dial()
        self._reader.feed(first)
        if self._io_timeout is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            # A peer that vanishes is found by what it does not acknowledge, long
            # before the buffers are full.
            milliseconds = max(1, min(int(self._io_timeout * 1000), 2**31 - 1))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        with self._life:
            self._pipe = pipe(sock)
            if self._aborted:
                shut_down(sock)
        return request_id

    def send(self, data: bytes | str) -> None:
        """Send one message, whole.

        Raises:
            ConnectionLost: The peer is gone, or took longer than ``io_timeout``:
                part of a frame may be out then, so the connection is of no more
                use.
        """
        if not self.begin(data):
            self.finish()

    def finish(self) -> None:
        """Send the rest of what `begin` could not; see `send`."""
        with self._write:
            owed, self._owed = self._owed, b""
            self._write_all(owed)
        self._answer_ping()  # one may have come while the lock was held

    def recv(self) -> bytes | ServerClosed:
        """Wait for the next message; pings are answered on the way.

        Returns:
            A message's payload, or the server's close frame, already echoed.

        Raises:
            ConnectionLost: The connection ended without a close frame.
            ProtocolError: The peer broke the protocol or the size limit.
        """
        reader = self._reader
        while True:
            if reader.holds_some:
                began = time.monotonic()
                if (message := self._next()) is not None:
                    return message
                if self._passed_over > _FLOOD:
                    time.sleep(min(time.monotonic() - began, _BREATH))
            if (whole := reader.whole(self._read())) is not None:
                return whole

    def _next(self) -> bytes | ServerClosed | None:
        """The next message of what was read; ``None``: more is needed."""
        message: bytes | ServerClosed | None = None
        self._passed_over = 0
        while message is None and (frame := self._reader.next()) is not None:
            self._passed_over += 1
            if frame.opcode == PING:
                self._pings[:] = [frame.payload]
            elif frame.opcode == CLOSE:
                message = ServerClosed(*read_close(frame.payload))
            elif frame.opcode != PONG:
                message = frame.payload
        if message is None and self._passed_over > _FLOOD and self._aborted:
            # Megabytes of it may have arrived; and whoever ended it waits.
            raise ConnectionLost("cut off in a flood of frames that say nothing")
        if self._pings:  # once for all of a flood
            self._answer_ping()
        if isinstance(message, ServerClosed):
            self._try_to_send(CLOSE, close_payload(_echo(message.code)))
        return message

    # The same without any wait

    def fileno(self) -> int:
        """The socket's descriptor; -1 before `open` and after `close`."""
        pipe = self._pipe
        return -1 if pipe is None else pipe.sock.fileno()

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        """What to watch it for; see `Pipe`."""
        pipe = self._pipe
        return (reading, writing) if pipe is None else pipe.waits_for(reading, writing)

    def begin(self, data: bytes | str) -> bool:
        """Send one message, as far as that goes at once.

        Returns:
            Whether all of it is out. If not, who can wait calls `finish`; others
            call `flush` until it is, when the socket can be written to, and also when
            it could be read from: TLS may want that first.

        Raises:
            ConnectionLost: The peer is gone.
        """
        if isinstance(data, str):
            frame = build(TEXT, data.encode(), mask_key())
        else:
            frame = build(BINARY, data, mask_key())
        return self._write_more(frame)

    def flush(self) -> bool:
        """Send more of what is left over from `begin`; see there."""
        return self._write_more(b"")

    def take(self) -> list[Taken]:
        """What has come by now. Bounded: call again while there is more to read.

        Returns:
            The messages, in order. Where the connection has ended, that is the last:
            the server's close frame, `ConnectionLost`, or `ProtocolError`.
        """
        taken: list[Taken] = []
        try:
            pipe = self._pipe or self._standing("receive")
            if self._reader.holds_some and not self._take_read(taken):
                return taken  # it came with the handshake
            while data := self._read_now(_TAKE):
                if (whole := self._reader.whole(data)) is not None:
                    taken.append(whole)
                elif not self._take_read(taken):
                    break
                if not pipe.more():  # else the socket shows it
                    break
        except (ConnectionLost, ProtocolError) as exc:
            taken.append(exc)
        return taken

    def _take_read(self, taken: list[Taken]) -> bool:
        """Take what has been read; tell whether there may be more to read."""
        while (message := self._next()) is not None:
            taken.append(message)
            if isinstance(message, ServerClosed):
                return False
        return True

    # Ending

    def abort(self) -> None:
        """Wake every thread blocked here; their calls raise `ConnectionLost`."""
        self._dialer.abort()
        with self._life:
            self._aborted = True
            if self._pipe is not None:
                shut_down(self._pipe.sock)

    def close(self) -> None:
        """Release the socket, once no thread writes any more."""
        self.abort()
        with self._write, self._life:
            if self._pipe is not None:
                self._pipe.sock.close()
                self._pipe = None

    def _answer_ping(self) -> None:
        """Send the pong that is due, unless another thread is writing.

        That one looks for it after its frame; and this one has noted it before it
        tried the lock. So one of the two finds it, but for the last of a flood.
        """
        for _ in range(_PONGS):
            if not (self._pings and self._try_to_send(PONG)):
                return

    def _try_to_send(self, opcode: int, payload: bytes | None = None) -> bool:
        """Send a control frame if that can be done without waiting.

        Args:
            opcode: What it is.
            payload: Its bytes; ``None``: those of the latest ping.

        Returns:
            Whether it is out, or its rest is owed and goes before the next message.
        """
        if not self._write.acquire(blocking=False):
            return False
        try:
            if self._pipe is None or self._owed:
                return False
            if payload is None:
                if not self._pings:
                    return False
                payload = self._pings.pop()
            self._owed = build(opcode, payload, mask_key())
            self._owed = self._owed[self._pipe.write_now(self._owed) :]
        except OSError:
            # The peer is gone; but what it said before is still to be read, and
            # reading will find its end.
            self._owed = b""
        finally:
            self._write.release()
        return True

    def _write_all(self, data: bytes | memoryview) -> None:
        """Write, waiting where needed. Requires the write lock."""
        limit = self._io_timeout
        deadline = None if limit is None else time.monotonic() + limit
        while data:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                assert limit is not None
                raise too_slow(limit)
            self._standing("send").wait_to_write(left)
            data = self._write_some(data)

    def _write_some(self, data: bytes | memoryview) -> bytes | memoryview:
        """Write what goes at once; return the rest. Requires the write lock."""
        pipe = self._pipe or self._standing("send")
        try:
            while data and (sent := pipe.write_now(data)):
                data = memoryview(data)[sent:] if sent < len(data) else b""
        except OSError as exc:
            raise _lost("sending", exc) from None
        return data

    def _write_more(self, frame: bytes) -> bool:
        """Write what is owed and a frame, as far as it goes."""
        with self._write:
            if self._owed:
                frame, self._owed = self._owed + frame, b""
            if rest := self._write_some(frame):
                self._owed = bytes(rest)
                return False
        if self._pings:  # one may have come while the lock was held
            self._answer_ping()
        return True

    def _read(self) -> bytes:
        """Wait until something has come."""
        pipe = self._pipe or self._standing("receive")
        try:
            data = pipe.read()
        except OSError as exc:
            raise _lost("receiving", exc) from None
        if not data:
            raise _ended()
        return data

    def _read_now(self, most: int) -> bytes | None:
        """What has come, at most so many bytes; ``None``: nothing yet."""
        try:
            data = self._standing("receive").read_now(most)
        except OSError as exc:
            raise _lost("receiving", exc) from None
        if data is not None and not data:
            raise _ended()
        return data

    def _standing(self, doing: str) -> Pipe:
        pipe = self._pipe
        if pipe is None:
            raise ConnectionLost(f"cannot {doing}: the connection is closed")
        return pipe


def too_slow(io_timeout: float) -> ConnectionLost:
    """What a send ends in that took longer than that."""
    return ConnectionLost(
        f"sending took longer than io_timeout={io_timeout:g} s: the server does not "
        "read"
    )


def _echo(code: int) -> int:
    """The code to answer a close frame with (RFC 6455, 5.5.1 and 7.4.1)."""
    return code if 1000 <= code < 5000 and code not in (1005, 1006, 1015) else 1000


def _lost(doing: str, exc: OSError) -> ConnectionLost:
    return ConnectionLost(f"the connection broke while {doing}: {exc}")


def _ended() -> ConnectionLost:
    return ConnectionLost("the server ended the connection without a word")
