"""What every transcriber of this library can do, whatever its endpoint.

Decides nothing: checks that the caller's process is the right one, and passes
on to the stream. Holds the stream, which does not hold it back, so that a
transcriber that is forgotten can be noticed.
"""

from __future__ import annotations

import _thread
import warnings
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from types import TracebackType
from typing import Any, TypeVar, overload

from . import _validate as check
from ._clock import Clock
from ._handlers import Handlers
from ._settings import Settings, build
from ._snapshots import figures_of, state_of
from ._split import Split
from ._stats import Stats
from ._stream import Stream
from ._transport import Transport
from .checks import Finding
from .errors import ClosedError, ConfigError, DrainTimeout
from .events import Event

__all__ = ["Face"]

FaceT = TypeVar("FaceT", bound="Face")
HandlerT = TypeVar("HandlerT", bound=Callable[[Any], object])


class Face:
    """The calls that all transcribers share."""

    _types: Collection[str] = ()  # that handlers may be of

    # Tests put a clock, a connection and a die of their own in these places.
    _clock = Clock()

    @staticmethod
    def _jitter() -> float:
        import random  # only a connection that is lost needs it

        return random.random()

    _make_transport: Callable[[Settings], Transport] = staticmethod(
        Settings.make_transport
    )

    def __init__(
        self, settings: Settings, **callbacks: Callable[[Any], object] | None
    ) -> None:
        self._handlers = Handlers(self._clock, self._types)
        for kind, handler in callbacks.items():
            if handler is not None:
                self._handlers.add(kind, handler)
        make = type(self)._make_transport  # not bound: threads must not hold self
        self.__stream = build(
            settings,
            handlers=self._handlers,
            make_transport=lambda: make(settings),
            clock=self._clock,
            jitter=self._jitter,
        )

    @property
    def _stream(self) -> Stream | Split:
        """The stream, unless this is a forked child's copy of it."""
        self.__stream.refuse_fork()
        return self.__stream

    def __repr__(self) -> str:
        stream: Stream | Split | None = self.__dict__.get("_Face__stream")
        state = "unmade" if stream is None else state_of(stream.streams)
        return f"<{type(self).__name__} {state}>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "a transcriber cannot be copied, pickled or sent to another process: its "
            "threads and its connection stay here; make a new one there"
        )

    # Life

    def open(self) -> None:
        """Connect and start the threads; nothing if that is done already.

        Raises:
            ConnectError: Refused or unreachable; `AuthenticationError`,
                `QuotaError` and `RateLimitError` say more.
            ClosedError: The session has ended.

        Threads: any; blocks for ``open_timeout`` at most. ``with`` and the first
        `feed`, ``finalize`` or ``config`` call it.
        """
        self._stream.open()

    def close(self, wait: bool = True, timeout: float | None = None) -> None:
        """Drain and end: the rest of the audio at pace, then every event, then done.

        Idempotent.

        Args:
            wait: Whether to return only when that is over; ``False`` lets it go
                on in the background.
            timeout: Seconds to wait at most; ``None`` is no limit but those of
                the buffer and ``close_timeout``.

        Raises:
            DrainTimeout: It took longer than ``timeout``, or the service did not
                answer within ``close_timeout``. The text so far is kept.
            ConfigError: ``timeout`` is no length of time; nothing is closed.
            CartesiaSTTError: What else the session ended with, each time.

        Threads: any; in a callback it never waits.
        """
        timeout = check.patience("timeout", timeout)
        stream = self._stream
        stream.keep(self._handlers)  # also where nobody waits for the end
        stream.close(wait, timeout)

    def abort(self) -> None:
        """End now; audio that waits and text that has not come are lost.

        Whoever waits gets `ClosedError`; iterators end. The text so far is kept.

        Threads: any; in a callback it does not wait for the callback to end.
        """
        self._stream.abort()

    def __enter__(self: FaceT) -> FaceT:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.__stream.inherited:
            return  # by a fork: there is nothing here to end, and exc is the child's
        # Somebody else has closed it, which is why the call in this block failed: to
        # abort would lose the last words that they wait for.
        closed = isinstance(exc, ClosedError) and self.__stream.draining
        if isinstance(exc, DrainTimeout) and self.__stream.draining:
            return  # of a close() in this block: it goes on in the background
        if kind is None or closed:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # Absent where the constructor raised, as above.
        stream: Stream | Split | None = self.__dict__.get("_Face__stream")
        if stream is None or not stream.left_open:
            return
        stream.keep(self._handlers)
        # On a thread of its own: the garbage collector runs anywhere, perhaps
        # while this very thread holds the stream's lock. And a bare one:
        # Thread.start() takes locks that this thread may hold as well.
        try:
            _thread.start_new_thread(stream.close, (False, None))
        except RuntimeError:  # the interpreter ends, and with it all threads
            return
        # Last, for where warnings are errors it raises.
        warnings.warn(
            f"{self!r} was never closed; use 'with', or call close(). It is drained "
            "in the background",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )

    # Audio

    def feed(self, audio: Any, *, timeout: float | None = None) -> None:
        """Queue audio to be sent in real time.

        Blocks while the buffer has no room (``max_buffer`` seconds); one piece
        longer than the buffer is taken when it is empty.

        Args:
            audio: Bytes-like in the format of ``source`` (or of the wire), or an
                array of shape ``(frames,)`` or ``(frames, channels)``: integers
                over their whole range or floats from -1 to 1. It is copied. A
                partial sample is kept for the next call.
            timeout: Seconds to wait for room; ``None`` is no limit.

        Raises:
            BufferFull: No room in time, or, where it must not wait, another thread in
                the middle of a feed; nothing of this call was taken.
            ConfigError: Not audio, or no length of time.
            ClosedError: After `close` or `abort`.
            CartesiaSTTError: What the session ended with.

        Threads: any; of several feeding at once each piece stays whole. In a
        callback it never blocks: `BufferFull` comes at once.
        """
        if timeout is not None:
            timeout = check.patience("timeout", timeout)
        self._stream.feed(audio, timeout)

    def mute(self) -> None:
        """Replace what is fed from now on by silence of the same length.

        Threads: any.
        """
        self._stream.muted = True

    def unmute(self) -> None:
        """Undo `mute`.

        Threads: any.
        """
        self._stream.muted = False

    @property
    def muted(self) -> bool:
        """Whether what is fed is replaced by silence."""
        return self._stream.muted

    # Events

    def events(self) -> Iterator[Event]:
        """Iterate over every event from this call on; ends with the session.

        Holds 1,000 events or 16 MiB of them for a slow reader, then drops the oldest
        provisional transcripts first; ``stats.dropped_events`` counts them.

        Raises:
            CartesiaSTTError: While iterating, after the last event: what the
                session ended with.
            WouldDeadlock: Iterated in a callback.

        Threads: any; one iterator is for one thread.
        """
        return self._stream.events(self)

    @overload
    def on(self: FaceT, type: str, handler: Callable[[Any], object]) -> FaceT: ...

    @overload
    def on(self, type: str) -> Callable[[HandlerT], HandlerT]: ...

    def on(self, type: str, handler: Callable[[Any], object] | None = None) -> Any:
        """Add a handler; ``@t.on("final")`` works as a decorator.

        Args:
            type: For each endpoint: ``event`` (every event), ``error`` (an
                exception: the session's, or a callback's own), ``reconnect`` (a
                `Reconnecting`), ``finding`` (a `Finding`), ``close`` (a `Closed`;
                nothing comes after it). For a `Transcriber`: ``final`` and
                ``partial`` (a `Transcript`), ``transcript`` (both), ``flush_done``,
                ``done``. For a `TurnTranscriber`: ``turn``, ``update``,
                ``eager_end`` and ``resume`` (a `Turn`), ``turn.start``,
                ``turn.update``, ``turn.eager_end``, ``turn.resume``, ``turn.end``,
                ``connected``. And any type that the service has to come.
            handler: Called with one argument on the receiver's thread (in a `Pool`, on
                one of its threads), one at a time, in order. While it runs nothing is
                received. One that raises is logged, told to those of ``error``, and
                the rest go on.

        Returns:
            This transcriber; or, without ``handler``, a decorator.

        Raises:
            ConfigError: Nothing that can be called, or async.

        Threads: any, at any time.
        """
        self._stream  # noqa: B018  # for its check
        if handler is not None:
            self._handlers.add(type, handler)
            return self

        def decorate(function: HandlerT) -> HandlerT:
            self._handlers.add(type, function)
            return function

        return decorate

    # Snapshots: they survive every error

    @property
    def state(self) -> str:
        """``NEW``, ``CONNECTING``, ``OPEN``, ``DRAINING`` or ``CLOSED``."""
        return state_of(self._stream.streams)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was noticed so far; each kind once."""
        streams = self._stream.streams
        return tuple(chain.from_iterable(s.core.findings.all for s in streams))

    @property
    def stats(self) -> Stats:
        """The figures so far."""
        stream = self._stream
        with stream.lock:
            return figures_of(stream.streams, self._handlers.errors)

    def source_time(self, seconds: float) -> float:
        """Map the service's seconds to seconds of what was fed.

        Where silence was put in, the service counts more seconds than the caller
        fed. The words of every `Transcript` are mapped already; this is for the
        times in fields this library does not know.

        Raises:
            ConfigError: Each channel has a session, and so seconds, of its own.

        Threads: any.
        """
        stream = self._stream
        if len(stream.streams) > 1:
            raise ConfigError(
                'source_time: with channels="split" each channel has seconds of its '
                "own; the words of a transcript are in those of what was fed already"
            )
        with stream.lock:
            return stream.streams[0].core.outbox.timeline.source_time(seconds)
