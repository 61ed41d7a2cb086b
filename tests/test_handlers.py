"""Who is called for what."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from cartesia_stt_sync._clock import Clock
from cartesia_stt_sync._handlers import Handlers
from cartesia_stt_sync._news import AUTO_TYPES, MANUAL_TYPES
from cartesia_stt_sync.errors import ConfigError


class Hand(Clock):
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time


def handlers() -> Handlers:
    """A transcriber's callbacks, none yet."""
    return Handlers(Hand())


def boom(argument: object) -> None:
    """A callback that always raises."""
    raise ZeroDivisionError(f"on {argument}")


def test_order() -> None:
    """Handlers of a type are called in the order in which they were added."""
    made, calls = handlers(), list[object]()
    for name in "abc":
        made.add("final", lambda got, name=name: calls.append((name, got)))
    made.add("partial", calls.append)
    made.run("final", 5)
    assert calls == [("a", 5), ("b", 5), ("c", 5)]


def test_none() -> None:
    """A type without handlers is nobody's business."""
    assert handlers().run("final", 5) == 0.0


def test_kinds() -> None:
    """Whether anybody listens can be asked."""
    made = handlers()
    made.add("final", print)
    assert list(made.kinds) == ["final"]


def test_twice() -> None:
    """A handler added twice is called twice."""
    made, calls = handlers(), list[object]()
    made.add("final", calls.append)
    made.add("final", calls.append)
    made.run("final", 1)
    assert calls == [1, 1]


@pytest.mark.parametrize("kind", ["", None, 5, b"final"])
def test_bad_type(kind: object) -> None:
    """A type is the name of one."""
    with pytest.raises(
        ConfigError, match="type: the name of an event, such as 'final'"
    ):
        handlers().add(kind, print)


@pytest.mark.parametrize("handler", [None, "print", 5])
def test_bad_handler(handler: object) -> None:
    """A handler can be called."""
    with pytest.raises(ConfigError) as caught:
        handlers().add("final", handler)
    assert str(caught.value) == (
        "handler for 'final': something that can be called with one argument, "
        f"got {handler!r}"
    )


def test_one_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback, told to those of error, and the rest go on."""
    made, calls, errors = handlers(), list[object](), list[Any]()
    made.add("final", boom)
    made.add("final", calls.append)
    made.add("error", errors.append)
    made.run("final", 5)
    assert calls == [5]
    assert [str(error) for error in errors] == ["on 5"]
    assert made.errors == 1
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("cartesia_stt_sync", logging.ERROR)
    assert record.getMessage() == "a callback for 'final' raised"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_an_error_handler_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It is not told of itself, or that would never end; the others of error are."""
    made, errors = handlers(), list[Any]()
    made.add("error", boom)
    made.add("error", errors.append)
    made.add("final", boom)
    made.run("final", 5)
    assert [str(error) for error in errors] == ["on 5"]
    assert made.errors == 2
    assert len(caplog.records) == 2


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_error(kind: type[BaseException]) -> None:
    """What asks the whole program to end is not swallowed."""
    made = handlers()

    def stop(_: object) -> None:
        raise kind

    made.add("final", stop)
    with pytest.raises(kind):
        made.run("final", 5)
    assert made.errors == 0


def test_added_while_running() -> None:
    """A handler that a handler adds is called from the next time on."""
    made, calls = handlers(), list[str]()

    def first(_: object) -> None:
        calls.append("first")
        made.add("final", lambda _: calls.append("second"))

    made.add("final", first)
    made.run("final", 1)
    assert calls == ["first"]
    made.run("final", 2)
    assert calls == ["first", "first", "second"]


def test_slowest() -> None:
    """What is returned is how long the slowest took, one that raised included."""
    clock = Hand()
    made = Handlers(clock)

    def take(seconds: float, *, fail: bool = False) -> Any:
        def handler(_: object) -> None:
            clock.time += seconds
            if fail:
                raise ValueError

        return handler

    made.add("final", take(0.25))
    made.add("final", take(2.0, fail=True))
    made.add("final", take(1.0))
    assert made.run("final", 1) == 2.0


def test_async() -> None:
    """One that nobody would await is refused, and not called for nothing."""

    async def heard(event: object) -> None:
        """Never run."""

    class Hearer:
        async def __call__(self, event: object) -> None:
            """Never run."""

        async def hear(self, event: object) -> None:
            """Never run."""

        async def each(self, event: object) -> AsyncIterator[object]:
            yield event

    class Other(Hearer):
        """One that inherits it."""

    hearer = Other()
    for one in (
        heard,
        hearer,
        hearer.hear,
        hearer.each,
        partial(heard),
        partial(hearer),
    ):
        with pytest.raises(ConfigError, match="handler for 'final': a plain function"):
            handlers().add("final", one)
    handlers().add("final", Hearer)  # makes one, and that is no coroutine


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("finall", "did you mean 'final'?"),
        ("Final", "did you mean 'final'?"),
        ("flush.done", "did you mean 'flush_done'?"),
        ("turn", "the other endpoint has such events"),
        ("final", None),
        ("something.new", None),
    ],
)
def test_a_type_that_is_not_known(
    kind: str, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be to come, so it is taken; a slip of the pen is told."""
    made = Handlers(Hand(), MANUAL_TYPES)
    made.add(kind, print)
    assert kind in made.kinds
    assert said in caplog.text if said else not caplog.text


def test_a_turn_that_is_misspelt(caplog: pytest.LogCaptureFixture) -> None:
    """A dot and an underscore are easily taken for each other."""
    Handlers(Hand(), AUTO_TYPES).add("turn_end", print)
    assert "did you mean 'turn.end'?" in caplog.text
