"""Whose turn it is, of many connections; with pairs of sockets for them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from cartesia_stt_sync import _watch
from cartesia_stt_sync._watch import Watch, WatchBell

from .fakes import LIMIT


class Line:
    """A connection that reads bytes, and its reader.

    Attributes:
        heard: What its reader got, each time.
        room: What its reader says of what it has room for.
    """

    def __init__(self, turns: list[Line]) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.heard: list[Sequence[Any]] = []
        self.room = True
        self._turns = turns

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        return reading, writing

    def fileno(self) -> int:
        return self.near.fileno()

    def take(self) -> list[bytes]:
        try:
            return [self.near.recv(100)]
        except BlockingIOError:
            return []

    def take_in(self, taken: Sequence[Any]) -> bool:
        self._turns.append(self)
        self.heard.append(taken)
        return self.room


class Rig:
    """A watch, and connections of its.

    Attributes:
        turns: Whose reader got something, in order.
    """

    def __init__(self, count: int) -> None:
        self.watch = Watch()
        self.turns: list[Line] = []
        self.lines = [Line(self.turns) for _ in range(count)]
        for line in self.lines:
            self.watch.watch(line, line)  # type: ignore[arg-type]  # all it needs of them
        self.watch.select(LIMIT if count else 0)
        self.watch.read()

    def close(self) -> None:
        self.watch.close()
        for line in self.lines:
            line.near.close()
            line.far.close()


@pytest.fixture
def make() -> Iterator[Any]:
    """Make rigs, that are closed again."""
    rigs: list[Rig] = []

    def make(count: int) -> Rig:
        rigs.append(Rig(count))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


def test_a_few_at_a_time(make: Any) -> None:
    """Of many that are ready each has its turn once, and sending comes in between."""
    rig = make(_watch._AT_ONCE + 3)
    for line in rig.lines:
        line.far.send(b"x")
    assert rig.watch.select(LIMIT)
    rig.watch.read()
    assert len(rig.turns) == _watch._AT_ONCE
    assert rig.watch.behind
    rig.watch.read()
    assert not rig.watch.behind
    assert sorted(map(id, rig.turns)) == sorted(map(id, rig.lines))
    assert all(line.heard == [[b"x"]] for line in rig.lines)
    assert not rig.watch.select(0)


def test_all_are_read_before_any_is_told(make: Any) -> None:
    """The same step for all, and then the next; one that fails in it is one."""
    rig = make(3)
    steps: list[str] = []

    def noted(step: str, how: Callable[..., Any]) -> Callable[..., Any]:
        def note(*args: Any) -> Any:
            steps.append(step)
            return how(*args)

        return note

    for line in rig.lines:
        line.far.send(b"x")
        line.take = noted("read", line.take)
        line.take_in = noted("told", line.take_in)

    def fails() -> None:
        steps.append("read")
        raise ZeroDivisionError("a bug")

    rig.lines[1].take = fails
    rig.watch.select(LIMIT)
    rig.watch.read()
    assert steps == ["read"] * 3 + ["told"] * 3
    (failure,) = rig.lines[1].heard[0]
    assert isinstance(failure, ZeroDivisionError)
    assert rig.lines[0].heard == rig.lines[2].heard == [[b"x"]]
    # It is not watched any more.
    rig.lines[1].far.send(b"y")
    assert not rig.watch.select(0)


def test_a_reader_without_room(make: Any) -> None:
    """It is not read from until it has some; what lies there comes then, in order."""
    rig = make(1)
    (line,) = rig.lines
    line.room = False
    line.far.send(b"a")
    rig.watch.select(LIMIT)
    rig.watch.read()
    line.far.send(b"b")
    assert not rig.watch.select(0)
    line.room = True
    rig.watch.resume(line)
    assert rig.watch.select(LIMIT)
    rig.watch.read()
    assert line.heard == [[b"a"], [b"b"]]
    line.far.send(b"c")
    assert rig.watch.select(LIMIT)


def test_a_selector_that_fails(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader hears of it, though it cannot be let go of either."""
    rig = make(2)

    def fails(*args: object) -> Any:
        raise OSError("no memory")

    for name in ("modify", "unregister"):
        monkeypatch.setattr(rig.watch._selector, name, fails)
    line = rig.lines[0]
    line.flush = lambda: False
    rig.watch.flush(line)
    assert rig.watch.select(LIMIT)
    rig.watch.read()
    assert str(line.heard[0][0]) == "no memory"
    monkeypatch.undo()
    rig.lines[1].far.send(b"x")
    assert rig.watch.select(LIMIT)
    rig.watch.read()
    assert rig.lines[1].heard == [[b"x"]]


def test_the_longest_wait(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long is asked for, it is what each system can."""
    waited: list[float | None] = []
    rig = make(0)
    rig.watch._coarse = False

    def select(seconds: float | None) -> list[Any]:
        waited.append(seconds)
        return []

    monkeypatch.setattr(rig.watch._selector, "select", select)
    rig.watch.select(1e12)
    rig.watch.select(None)
    assert waited == [_watch._LONGEST, None]


@pytest.mark.parametrize("most", [0, _watch._FD_SETSIZE])
def test_the_time(make: Any, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Is waited for, by whatever can; and no longer than until something is ready."""
    monkeypatch.setattr(_watch, "_FD_SETSIZE", most)
    rig = make(1)
    began = time.monotonic()
    assert not rig.watch.select(0.02)
    assert time.monotonic() - began >= 0.02
    rig.lines[0].far.send(b"x")
    assert rig.watch.select(LIMIT)
    rig.watch.read()
    assert rig.lines[0].heard == [[b"x"]]


class TestBell:
    """It rings for who waits, and for nobody else."""

    def test_rings(self, make: Any) -> None:
        """From another thread, as soon as there is a wait that would hear it."""
        rig = make(0)
        lock = threading.Lock()
        bell = WatchBell(lock, rig.watch)

        def ring() -> None:
            until = time.monotonic() + LIMIT
            while time.monotonic() < until:
                with lock:
                    if bell._waited_for:
                        bell.notify()
                        return

        other = threading.Thread(target=ring)
        other.start()
        with lock:
            assert bell.wait(LIMIT)
            assert not bell._waited_for
        other.join(LIMIT)
        rig.watch.read()
        assert not rig.watch.select(0)

    def test_nobody_waits(self, make: Any) -> None:
        """Then it costs nothing: no byte is sent."""
        rig = make(0)
        lock = threading.Lock()
        bell = WatchBell(lock, rig.watch)
        with lock:
            bell.notify()
            assert not bell.wait(0.001)
        assert not rig.watch.select(0)

    def test_one_that_fails_holds_the_lock(self, make: Any) -> None:
        """As its caller expects, who lets go of it."""
        rig = make(0)
        lock = threading.Lock()
        bell = WatchBell(lock, rig.watch)

        def fails(seconds: float | None) -> bool:
            raise OSError("a bug")

        rig.watch.select = fails
        with pytest.raises(OSError, match="a bug"), lock:
            bell.wait(1.0)
        assert not lock.locked()
        assert not bell._waited_for


class Secured(Line):
    """One by TLS, which has to read before it writes, or the other way round.

    Attributes:
        read_first: Whether it does.
        write_first: Likewise.
        owes: Whether it will find that it has to write first.
        flushes: How often it was to send the rest of a message.
    """

    read_first = write_first = owes = False
    flushes = 0

    def waits_for(self, reading: bool, writing: bool) -> tuple[bool, bool]:
        read_first = writing and self.read_first
        write_first = reading and self.write_first
        return (
            read_first or (reading and not write_first),
            write_first or (writing and not read_first),
        )

    def take(self) -> list[bytes]:
        self.write_first = self.owes
        self.owes = False  # with room it has written, and reads
        if self.write_first:
            return []
        taken = super().take()
        self.read_first = self.read_first and not taken
        return taken

    def flush(self) -> bool:
        self.flushes += 1
        return not self.read_first

    def flushed(self, transport: object, error: object) -> None:
        self.heard.append(["flushed"])


@pytest.fixture
def secured() -> Iterator[tuple[_watch.Watch, Secured]]:
    """A watch, and one connection by TLS."""
    watch, line = Watch(), Secured([])
    watch.watch(line, line)  # type: ignore[arg-type]  # all it needs of them
    watch.select(LIMIT)
    watch.read()
    yield watch, line
    watch.close()
    line.near.close()
    line.far.close()


def test_writing_that_has_to_read_first(secured: tuple[Watch, Secured]) -> None:
    """Room to write is not waited for, which is there; and it goes on once it can."""
    watch, line = secured
    line.read_first = True
    watch.flush(line)  # type: ignore[arg-type]  # all it needs
    assert watch.select(LIMIT)
    watch.read()
    assert line.flushes >= 1
    assert not watch.select(0.01), "it would be asked again and again"
    line.far.send(b"x")
    assert watch.select(LIMIT)
    watch.read()
    assert line.heard == [["flushed"], [b"x"]]
    assert not watch.select(0)


def test_reading_that_has_to_write_first(secured: tuple[Watch, Secured]) -> None:
    """It is woken by room to write, and reads on as usual."""
    watch, line = secured
    line.owes = True
    line.far.send(b"x")
    for _ in range(2):  # first there is something to read, and then room to write
        assert watch.select(LIMIT)
        watch.read()
    assert line.heard == [[b"x"]]
    assert not watch.select(0)
