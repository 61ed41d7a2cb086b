"""The bytes of one connection, in both ways to wait for them."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from cartesia_stt_sync._pipe import DirectPipe, Pipe, PolledPipe, pipe

from .fakes import LIMIT

KINDS: dict[str, Callable[[socket.socket], Pipe]] = {
    "direct": DirectPipe,
    "polled": PolledPipe,
    "without poll": PolledPipe,
}


class Counted(socket.socket):
    """A socket that counts how often it is read."""

    calls = 0

    def recv(self, *args: int) -> bytes:
        self.calls += 1
        return super().recv(*args)


@pytest.fixture(params=sorted(KINDS))
def ends(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Pipe, socket.socket]]:
    """A pipe, and its other end."""
    near, far = socket.socketpair()
    if request.param == "without poll":  # as on Windows, and under eventlet
        monkeypatch.delattr(select, "poll")
    with near, far:
        far.settimeout(LIMIT)
        yield KINDS[request.param](near), far


def test_reading(ends: tuple[Pipe, socket.socket]) -> None:
    """What there is, and no more than is asked for."""
    end, far = ends
    assert end.read_now(10) is None
    far.sendall(b"hello")
    assert end.read_now(2) == b"he"
    assert end.read() == b"llo"
    assert not end.more()
    far.close()
    assert end.read_now(10) == b""
    assert end.read() == b""


@pytest.mark.parametrize("size", [478, 479, 480, 4097, 60_000])
def test_reading_much(ends: tuple[Pipe, socket.socket], size: int) -> None:
    """All that has come, in one call."""
    end, far = ends
    data = bytes(range(256)) * 256
    far.sendall(data[:size])
    assert end.read() == data[:size]


def test_reading_what_is_longer() -> None:
    """One call for each, once it is known that they are."""
    near, far = socket.socketpair()
    with Counted(near.family, near.type, fileno=near.detach()) as counted, far:
        end = DirectPipe(counted)
        calls = []
        for _ in range(4):
            far.sendall(b"x" * 1000)
            counted.calls = 0
            assert end.read() == b"x" * 1000
            calls.append(counted.calls)
        assert calls == [2, 2, 1, 1]


def test_reading_before_a_reset() -> None:
    """What had come counts, however long it is; the reset comes with the next call."""
    reset = ConnectionResetError("reset")
    says: list[bytes | Exception] = [b"e" * 479, reset, b""]  # told once

    class Reset(Green):
        def recv(self, *args: int) -> bytes:
            said = says.pop(0)
            if isinstance(said, Exception):
                raise said
            assert len(said) == args[0], "the test is for reads that are full"
            return said

    near, far = socket.socketpair()
    with near, far:
        end = DirectPipe(Reset(near))  # type: ignore[arg-type]  # all it needs
        assert end.read() == b"e" * 479
        with pytest.raises(ConnectionResetError):
            end.read()


def test_reading_waits(ends: tuple[Pipe, socket.socket]) -> None:
    """Until something comes, or the socket is shut down."""
    end, far = ends
    came: list[bytes] = []
    first = threading.Event()

    def read() -> None:
        came.append(end.read())
        first.set()
        came.append(end.read())

    thread = threading.Thread(target=read)
    thread.start()
    far.sendall(b"x")
    assert first.wait(LIMIT)
    end.sock.shutdown(socket.SHUT_RDWR)
    thread.join(LIMIT)
    assert came == [b"x", b""]


def test_writing(ends: tuple[Pipe, socket.socket]) -> None:
    """What there is room for, at once; and room can be waited for."""
    end, far = ends
    data, sent = bytes(range(256)) * 1024, 0
    while some := end.write_now(memoryview(data)):
        sent += some
    assert sent > 0
    end.wait_to_write(0.001)  # in vain
    assert end.write_now(data) == 0
    left = sent
    while left:
        left -= len(far.recv(left))
    end.wait_to_write(None)
    assert end.write_now(b"more") == 4
    assert far.recv(10) == b"more"


def test_a_broken_one(ends: tuple[Pipe, socket.socket]) -> None:
    """Is an `OSError`, whatever was to be done."""
    end, far = ends
    far.close()
    with pytest.raises(OSError, match="roken pipe|reset"):
        while True:
            end.write_now(b"x")


def test_which_is_for_whom() -> None:
    """Only a socket of the system's own can wait in its calls."""
    near, far = socket.socketpair()
    with near, far:
        assert isinstance(pipe(near), DirectPipe)
        assert near.gettimeout() is None
        assert isinstance(pipe(Green(near)), PolledPipe)  # type: ignore[arg-type]  # as gevent's
        assert near.gettimeout() == 0


class Green:
    """A socket that holds one of the system's, and is none."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def __getattr__(self, name: str) -> object:
        return getattr(self.sock, name)


class Crossed(Green):
    """What TLS may say when its peer wants something first."""

    says: Exception | None = None

    def recv(self, most: int) -> bytes:
        if self.says is not None:
            says, self.says = self.says, None
            raise says
        return self.sock.recv(most)

    def send(self, data: bytes) -> int:
        if self.says is not None:
            says, self.says = self.says, None
            raise says
        return self.sock.send(data)


def test_reading_that_has_to_write_first() -> None:
    """It waits for room, and reads again."""
    near, far = socket.socketpair()
    with near, far:
        crossed = Crossed(near)
        end = PolledPipe(crossed)  # type: ignore[arg-type]  # as TLS
        crossed.says = ssl.SSLWantWriteError()
        assert end.read_now(1) is None
        far.sendall(b"x")
        assert end.read() == b"x"


@pytest.mark.parametrize("seconds", [None, 0.01])
def test_writing_that_has_to_read_first(seconds: float | None) -> None:
    """It looks again soon: another thread may read what it waits for."""
    near, far = socket.socketpair()
    with near, far:
        crossed = Crossed(near)
        end = PolledPipe(crossed)  # type: ignore[arg-type]  # as TLS
        crossed.says = ssl.SSLWantReadError()
        assert end.write_now(b"x") == 0
        end.wait_to_write(seconds)  # though nothing ever comes
        assert end.write_now(b"x") == 1


def test_what_is_waited_for(ends: tuple[Pipe, socket.socket]) -> None:
    """What is to be done, where nothing has to be done before it."""
    end, _ = ends
    for wanted in ((True, True), (True, False), (False, True), (False, False)):
        assert end.waits_for(*wanted) == wanted


def test_what_is_waited_for_instead() -> None:
    """Where TLS has to do the other first, that; until it has done it."""
    near, far = socket.socketpair()
    with near, far:
        crossed = Crossed(near)
        end = PolledPipe(crossed)  # type: ignore[arg-type]  # as TLS
        crossed.says = ssl.SSLWantReadError()
        assert end.write_now(b"x") == 0
        assert end.waits_for(False, True) == (True, False)
        assert end.waits_for(True, True) == (True, False)
        assert end.waits_for(True, False) == (True, False)
        assert end.write_now(b"x") == 1
        assert end.waits_for(True, True) == (True, True)
        crossed.says = ssl.SSLWantWriteError()
        assert end.read_now(1) is None
        assert end.waits_for(True, False) == (False, True)
        assert end.waits_for(True, True) == (False, True)
        far.sendall(b"x")
        assert end.read_now(1) == b"x"
        assert end.waits_for(True, False) == (True, False)
