"""A clock and a connection for tests: time moves, and messages come, when told to.

Nothing here sleeps. Waits for a thread are hand-offs on conditions, with a limit
only so that a broken test fails and does not hang.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial as bound
from typing import Any

from cartesia_stt_sync import Pool, Transcriber, TurnTranscriber
from cartesia_stt_sync._clock import Awaited, Clock
from cartesia_stt_sync._member import Member
from cartesia_stt_sync._pair import ThreadPair
from cartesia_stt_sync._sending import Stage
from cartesia_stt_sync._settings import Settings
from cartesia_stt_sync._transport import ServerClosed
from cartesia_stt_sync.errors import ConnectionLost
from cartesia_stt_sync.events import Done, Event, FlushDone, Transcript
from cartesia_stt_sync.wire import dump

LIMIT = 10.0
"""Seconds after which a hand-off that does not come fails the test."""


class FakeClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._watched: list[tuple[threading.Lock, list[Callable[[], None]]]] = []
        self._waiting: set[str] = set()
        self._arrived = threading.Condition()

    def now(self) -> float:
        return self._now

    def watch(self, lock: threading.Lock, *rings: Callable[[], None]) -> None:
        """Wake those who wait behind this lock whenever the time moves.

        Of several locks, in the order in which they are taken.
        """
        self._watched.append((lock, list(rings)))

    def wait(self, condition: Awaited, seconds: float | None) -> None:
        if seconds is not None and seconds <= 0:
            return
        name = threading.current_thread().name
        with self._arrived:
            self._waiting.add(name)
            self._arrived.notify_all()
        woken = condition.wait(LIMIT)
        with self._arrived:
            self._waiting.discard(name)
        assert woken, f"{name} was never woken"

    def advance(self, seconds: float) -> None:
        """Move the time; whoever it concerns wakes up."""
        with ExitStack() as locks:
            # Under the locks, so that nobody computes with the old time and then
            # waits from the new one.
            for lock, _ in self._watched:
                locks.enter_context(lock)
            locks.enter_context(self._arrived)
            # A nanosecond more, because a sum of tenths is not exact.
            self._now += seconds + 1e-9
            self._waiting.clear()
            for _, rings in self._watched:
                for ring in rings:
                    ring()

    def until_waiting(self, part_of_name: str) -> None:
        """Return once a thread of such a name waits for the time, or a change."""
        with self._arrived:
            found = self._arrived.wait_for(
                lambda: any(part_of_name in name for name in self._waiting), LIMIT
            )
        assert found, f"no {part_of_name} waits"


class FakeTransport:
    """A connection whose other end is the test.

    Args:
        request_id: What opening it returns.
        refuse: What opening it raises instead.
    """

    def __init__(
        self, request_id: str | None = "req-1", refuse: Exception | None = None
    ) -> None:
        self.request_id = request_id
        self.refuse = refuse
        self.sent: list[bytes | str] = []
        self.on_send: Callable[[bytes | str], None] = lambda data: None
        self.broken: Exception | None = None
        self.stuck = False
        self.opened = self.aborted = self.closed = False
        self._incoming: deque[bytes | ServerClosed | Exception] = deque()
        self._changed = threading.Condition()
        self._owed: list[bytes | str] = []
        # For who watches a descriptor: a byte lies in it while there is something to
        # read, and none has room while the server is stuck.
        self._near: socket.socket | None = None
        self._far: socket.socket | None = None

    def open(self) -> str | None:
        self.opened = True
        if self.refuse is not None:
            raise self.refuse
        return self.request_id

    def send(self, data: bytes | str) -> None:
        with self._changed:
            while self.stuck and not self.aborted:
                assert self._changed.wait(LIMIT)
            if self.aborted or self.broken is not None:
                raise self.broken or ConnectionLost("aborted")
            self.sent.append(data)
            self._changed.notify_all()
        self.on_send(data)

    def recv(self) -> bytes | ServerClosed:
        with self._changed:
            while not self._incoming and not self.aborted:
                assert self._changed.wait(3 * LIMIT), "nothing came"
            if not self._incoming:
                raise ConnectionLost("aborted")
            message = self._incoming.popleft()
        if isinstance(message, Exception):
            raise message
        return message

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        return reading, writing

    def fileno(self) -> int:
        with self._changed:
            if self.closed:
                return -1
            if self._near is None or self._far is None:
                self._near, self._far = socket.socketpair()
                self._near.setblocking(False)
                self._far.setblocking(False)
                self._signal()
            return self._near.fileno()

    def _signal(self) -> None:
        """Show on the descriptor how things stand."""
        if self._near is None or self._far is None:
            return
        if self.aborted:
            self._far.shutdown(socket.SHUT_RDWR)
        elif self._incoming:
            with suppress(BlockingIOError):  # there are hundreds, unread: it shows
                self._far.send(b"!")

    def begin(self, data: bytes | str) -> bool:
        with self._changed:
            if self.aborted or self.broken is not None:
                raise self.broken or ConnectionLost("aborted")
            if self.stuck:
                self._owed.append(data)
                self._fill()
                return False
        self.send(data)
        return True

    def _fill(self) -> None:
        """Leave no room to write, so that nobody is told that there is."""
        self.fileno()
        assert self._near is not None
        try:
            while True:
                self._near.send(bytes(65536))
        except BlockingIOError:
            return

    def unstick(self) -> None:
        """Let the server read again."""
        assert self._far is not None
        self.stuck = False
        try:
            while self._far.recv(65536):
                pass
        except BlockingIOError:
            pass
        with self._changed:
            self._changed.notify_all()

    def finish(self) -> None:
        with self._changed:
            while self.stuck and not self.aborted:
                assert self._changed.wait(LIMIT)
        self.flush()

    def flush(self) -> bool:
        with self._changed:
            if self.aborted:
                raise ConnectionLost("aborted")
            if self.stuck:
                return False
            owed, self._owed = self._owed, []
        for data in owed:
            self.send(data)
        return True

    def take(self) -> list[Any]:
        with self._changed:
            assert self._near is not None
            try:
                self._near.recv(65536)
            except BlockingIOError:
                pass
            taken: list[Any] = []
            while self._incoming:
                taken.append(self._incoming.popleft())
                if not isinstance(taken[-1], bytes):
                    return taken
            if self.aborted:
                taken.append(ConnectionLost("aborted"))
            return taken

    def abort(self) -> None:
        with self._changed:
            if not self.aborted:
                self.aborted = True
                self._signal()
            self._changed.notify_all()

    def close(self) -> None:
        self.abort()
        with self._changed:
            for end in (self._near, self._far):
                if end is not None:
                    end.close()
            self._near = self._far = None
        self.closed = True

    # The test's side

    def push(self, *messages: Event | bytes | ServerClosed | Exception) -> None:
        """Let the server say something, or the connection break."""
        with self._changed:
            for message in messages:
                self._incoming.append(
                    dump(message).encode() if isinstance(message, Event) else message
                )
            if not self.aborted:
                self._signal()
            self._changed.notify_all()

    def until_sent(self, count: int) -> list[bytes | str]:
        """Return what was sent once there are so many messages."""
        with self._changed:
            ready = self._changed.wait_for(lambda: len(self.sent) >= count, LIMIT)
            assert ready, f"{len(self.sent)} messages sent, expected {count}"
            return list(self.sent)

    def until_aborted(self) -> None:
        """Return once the connection was cut."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.aborted, LIMIT)

    def answer_close(self, *tail: Event) -> None:
        """From now on answer ``close`` with ``tail``, ``done`` and a close frame."""

        def reply(data: bytes | str) -> None:
            if data == "close":
                self.push(*tail, Done(), ServerClosed(1000, ""))

        self.on_send = reply

    @property
    def audio(self) -> bytes:
        """All audio sent."""
        return b"".join(data for data in self.sent if isinstance(data, bytes))

    @property
    def commands(self) -> list[str]:
        """All commands sent."""
        return [data for data in self.sent if isinstance(data, str)]


class Rig:
    """A transcriber on a fake clock, and its connections in order.

    Args:
        transports: What the transcriber connects to, one after the other.
        face: Which transcriber it is.
        options: The transcriber's own.
    """

    def __init__(
        self,
        *transports: FakeTransport,
        face: type[Transcriber] | type[TurnTranscriber] = Transcriber,
        **options: Any,
    ) -> None:
        self.clock = FakeClock()
        self.transports = list(transports) or [FakeTransport()]
        self._next = iter(self.transports)
        rig = self

        class Rigged(face):  # type: ignore[misc,valid-type]  # either of two
            _clock = rig.clock
            _jitter = staticmethod(lambda: 1.0)

            @staticmethod
            def _make_transport(settings: Settings) -> FakeTransport:
                return next(rig._next)

        self.t: Transcriber = Rigged(**{"api_key": "sk_test", **options})
        stream = self.t._stream
        self._drivers = [one.driver for one in stream.streams]
        bells = [d._bell.notify for d in self._drivers if isinstance(d, ThreadPair)]
        self.clock.watch(stream.lock, stream.changed.notify_all, *bells)
        for pool in {d._pool for d in self._drivers if isinstance(d, Member)}:
            pool._clock = self.clock
            self.clock.watch(pool._lock, bound(_ring, pool))

    @property
    def wire(self) -> FakeTransport:
        """The first connection."""
        return self.transports[0]

    def until_idle(self) -> None:
        """Return once the sender has nothing to do before time moves."""
        # Woken first: it may be waiting still for what has changed already.
        self.clock.advance(0)
        self.clock.until_waiting(self.sender)

    @property
    def sender(self) -> str:
        """Part of the name of the thread that sends."""
        return "-worker" if isinstance(self._drivers[0], Member) else "-sender"

    def until_retrying(self) -> None:
        """Return once a lost connection is to be made anew when time moves."""
        driver = self._drivers[0]
        if not isinstance(driver, Member):
            self.clock.until_waiting("-receiver")
            return
        changed = self.t._stream.changed

        def waits() -> bool:
            due = driver._by is not None and driver._by <= self.clock.now()
            return driver._stage is Stage.WAITING and not due

        with changed:
            assert changed.wait_for(waits, LIMIT)

    def play(self, seconds: float, step: float = 0.1) -> None:
        """Let time pass, in steps that the sender keeps up with."""
        for _ in range(round(seconds / step)):
            self.until_idle()
            self.clock.advance(step)
        self.until_idle()


def _ring(pool: Pool) -> None:
    """Wake who leads a pool, if somebody does. Requires the pool's lock."""
    if pool._engine is not None:
        pool._engine.bell.notify()


def final(text: str, **more: Any) -> Transcript:
    """A final delta."""
    return Transcript(text=text, is_final=True, **more)


def partial(text: str) -> Transcript:
    """A provisional tail."""
    return Transcript(text=text, is_final=False)


FLUSHED = FlushDone()
