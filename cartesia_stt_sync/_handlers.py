"""Callbacks: who is called for what.

Decides the order of calls and what becomes of a callback's own error. Holds no
lock while one runs; knows nothing of sockets or of speech.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from ._clock import Clock
from ._news import AUTO_TYPES, MANUAL_TYPES
from .errors import ConfigError

__all__ = ["Handlers"]

_log = logging.getLogger("cartesia_stt_sync")

Handler = Callable[[Any], object]


def _is_async(handler: Any) -> bool:
    """Whether a call only makes what has to be awaited."""
    while isinstance(handler, partial):
        handler = handler.func
    ways = handler, type(handler).__call__  # which of a function is no coroutine
    is_async = inspect.iscoroutinefunction, inspect.isasyncgenfunction
    return any(test(way) for test in is_async for way in ways)


class Handlers:
    """A transcriber's callbacks, by the type of what they take.

    Args:
        clock: The time.
        known: The types that there are today. The service may have more to come.

    Threads: `add` from any thread; `run` on the receiver only.
    """

    __slots__ = ("__weakref__", "_by_type", "_clock", "_known", "errors")

    def __init__(self, clock: Clock, known: Collection[str] = ()) -> None:
        self._clock = clock
        self._known = known
        # Lists that only grow, by calls that are atomic, so this needs no lock; a
        # run under way works on a copy.
        self._by_type: dict[str, list[Handler]] = {}
        self.errors = 0

    def add(self, kind: object, handler: object) -> None:
        """Add a handler to the end of its type's.

        Raises:
            ConfigError: Not a type's name, nothing that can be called, or async.
        """
        if not isinstance(kind, str) or not kind:
            raise ConfigError(
                f"type: the name of an event, such as 'final', got {kind!r}"
            )
        if not callable(handler):
            raise ConfigError(
                f"handler for {kind!r}: something that can be called with one "
                f"argument, got {handler!r}"
            )
        if _is_async(handler):
            raise ConfigError(
                f"handler for {kind!r}: a plain function, got one that is async, which "
                "nobody would await"
            )
        if self._known and kind not in self._known:
            self._doubt(kind)
        self._by_type.setdefault(kind, []).append(handler)

    def _doubt(self, kind: str) -> None:
        """Log that a handler will perhaps never be called: nobody would notice else."""
        from difflib import get_close_matches  # late, for few need it

        if kind in MANUAL_TYPES | AUTO_TYPES:
            _log.warning("on(%r): the other endpoint has such events, not this", kind)
            return
        plain = kind.lower().replace("_", ".")
        spelt = {name.replace("_", "."): name for name in self._known}
        for near in get_close_matches(plain, spelt, n=1, cutoff=0.8):
            _log.warning(
                "on(%r): there is no such event today; did you mean %r?",
                *(kind, spelt[near]),
            )

    @property
    def kinds(self) -> Collection[str]:
        """The types that there is a handler of."""
        return self._by_type

    def run(self, kind: str, argument: object) -> float:
        """Call the handlers of a type, in the order in which they were added.

        One that raises is logged with its traceback and told to those of
        ``error``; the rest are called all the same.

        Returns:
            Seconds that the slowest took.
        """
        slowest, ended = 0.0, self._clock.now()
        for handler in tuple(self._by_type.get(kind, ())):
            began = ended
            try:
                handler(argument)
            except Exception as exc:
                self.errors += 1
                _log.exception("a callback for %r raised", kind)
                if kind != "error":  # else one that always raises never ends
                    self.run("error", exc)
            ended = self._clock.now()
            if ended - began > slowest:
                slowest = ended - began
        return slowest
