"""One stream for each channel of the source, behind one lock, as if it were one stream.

Decides nothing about speech or bytes (`_channels` does). What a caller does to one is
done to all; what one of them fails of, ends the others. Callbacks run on as many
threads as there are streams, but one at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from ._channels import Splitter
from ._clock import Clock
from ._gate import Gate, uninterrupted
from ._handlers import Handlers
from ._session import State
from ._stream import Stream
from ._waiting import (
    EventIterator,
    JointFuture,
    UtteranceFuture,
    fresh,
    refuse_feeding_within,
    turn_taken,
    wait_for_room,
)
from .audio import AudioFormat
from .checks import partial_sample
from .errors import BufferFull, CartesiaSTTError, ClosedError
from .events import Closed

__all__ = ["Split"]


class _Ending:
    """Which streams have not ended yet; the first that fails ends the rest."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        # Held while a callback runs, so that no other does. Whoever waits for it is a
        # receiver, and holds nothing.
        self.turn = threading.Lock()
        self._ended: list[Closed] = []

    def ended(self, closed: Closed) -> Closed | None:
        """Note the end of one; return the end of all, once it is there."""
        self._ended.append(closed)
        failed = [one for one in self._ended if one.error is not None]
        if failed:
            for stream in self.streams:
                stream.close(False, None)  # its last words are still wanted
        if len(self._ended) < len(self.streams):
            return None
        return (failed or self._ended)[0]


class _Channel(Handlers):
    """The handlers of one stream: its own, and those that it shares with the others.

    Threads: `run` on the receivers of all streams, each of which waits for its turn.
    """

    def __init__(self, clock: Clock, shared: Handlers, ending: _Ending) -> None:
        super().__init__(clock)
        self._shared = shared
        self._ending = ending

    @property
    def kinds(self) -> Collection[str]:
        return {"close", *super().kinds, *self._shared.kinds}

    def run(self, kind: str, argument: object) -> float:
        slowest = super().run(kind, argument)
        with self._ending.turn:
            if isinstance(argument, Closed):
                argument = self._ending.ended(argument)
                if argument is None:
                    return slowest
            return max(slowest, self._shared.run(kind, argument))


class Split:
    """The streams of one transcriber, and the calls that concern all of them.

    Args:
        source: What is fed.
        handlers: Whom all of them tell.
        clock: The time.
        make: Makes the stream of a channel, behind a gate, with its handlers.

    Attributes:
        streams: One for each channel.
        lock: That of all of them; see `Gate`.
        changed: Likewise.
    """

    def __init__(
        self,
        source: AudioFormat,
        handlers: Handlers,
        clock: Clock,
        make: Callable[[int, Gate, Handlers], Stream],
    ) -> None:
        gate, ending = Gate(), _Ending()
        channels = range(source.channels)
        self._splitter = Splitter(source)
        self._gate = gate
        # Held here: the threads hold them weakly, as they do a single stream's.
        self._handlers = [_Channel(clock, handlers, ending) for _ in channels]
        self.streams = tuple(make(n, gate, self._handlers[n]) for n in channels)
        ending.streams += self.streams
        self.lock = gate.lock
        self.changed = gate.changed
        self._feeding: int | None = None  # the thread whose feed is under way

    @property
    def ended(self) -> bool:
        """Whether nothing more can come on any of them."""
        # No generator, in whose end an interrupt would be lost.
        return all(map(attrgetter("ended"), self.streams))

    @property
    def left_open(self) -> bool:
        """Whether nobody has closed one in this process."""
        return any(stream.left_open for stream in self.streams)

    @property
    def draining(self) -> bool:
        """Whether they have been closed, and one is not over."""
        return any(stream.draining for stream in self.streams)

    @property
    def inherited(self) -> bool:
        """Whether this is a forked child's copy."""
        return self.streams[0].inherited

    @property
    def error(self) -> CartesiaSTTError | None:
        """Why one has failed, if one did."""
        return next((s.error for s in self.streams if s.error is not None), None)

    @property
    def muted(self) -> bool:
        """Whether what is fed is replaced by silence."""
        return self.streams[0].muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        for stream in self.streams:
            stream.muted = muted

    def keep(self, handlers: Handlers) -> None:
        """Hold the handlers until the end."""
        for stream, own in zip(self.streams, self._handlers, strict=True):
            stream.keep(own)

    def attend(self) -> None:
        """Note that somebody iterates; see `Stream.attend`."""
        self._gate.attended = True

    def is_current_thread(self) -> bool:
        """Whether the caller is in a callback of this transcriber's."""
        return self._gate.is_current_thread()

    def refuse_fork(self) -> None:
        """Raise `ClosedError` in a forked child; see `Stream.refuse_fork`."""
        self.streams[0].refuse_fork()

    def now(self) -> float:
        """The time."""
        return self.streams[0].now()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for a change of any. Requires the lock."""
        self.streams[0].wait(seconds)

    # The callers' side; see `Transcriber`

    def open(self) -> None:
        """Connect all; if one is refused, none stays open."""
        with self._reasons():
            try:
                for stream in self.streams:
                    stream.open()
            except BaseException:
                self.abort()
                raise

    def feed(self, audio: Any, timeout: float | None) -> None:
        """Queue audio: all channels of it, or, where one has no room, none."""
        seconds = self._splitter.seconds(audio)
        if self.streams[0].core.session.state is State.NEW:
            self.open()
        me, mine = threading.get_ident(), False
        try:
            with self._reasons():
                with self.lock:
                    refuse_feeding_within(self._feeding)
                    waited = wait_for_room(
                        self, lambda: self._obstacle(seconds), timeout
                    )
                    mine = True  # noted first, for who is interrupted here
                    self._feeding = me
                parts = self._splitter.split(audio)
                failure: BaseException | None = None
                for stream, part in zip(self.streams, parts, strict=True):
                    try:
                        # There is room: nobody else has fed since.
                        stream.feed(part, None, waited=waited)
                    except BaseException as exc:
                        failure = failure or exc  # the channels must stay in step
                if failure is not None:
                    raise failure
        finally:
            with self.lock:
                if mine and self._feeding == me:
                    self._feeding = None
                    self.changed.notify_all()

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        """Where one was closed for another's failure, raise what that failed of."""
        try:
            yield
        except ClosedError:
            if self.error is None:
                raise
            raise fresh(self.error) from None

    def _obstacle(self, seconds: float) -> BufferFull | None:
        full = [stream.obstacle(seconds) for stream in self.streams]
        found = next((one for one in full if one is not None), None)
        return found or turn_taken(self._feeding)

    def finalize(self) -> JointFuture:
        """Queue a ``finalize`` for each."""
        if self.streams[0].core.session.state is State.NEW:
            self.open()
        with self._reasons():
            return JointFuture(self, [stream.finalize() for stream in self.streams])

    def config(self, changes: Mapping[str, object]) -> None:
        """Queue a change of the configuration of each."""
        if self.streams[0].core.session.state is State.NEW:
            self.open()
        with self._reasons():
            for stream in self.streams:
                stream.config(changes)

    def stuck(self, future: UtteranceFuture) -> str:
        """Say why a future has no answer yet; see `Core.stuck`."""
        assert isinstance(future, JointFuture)  # no other is made here
        for number, part in enumerate(future.parts):
            if not part.done():
                return f"channel {number + 1}, {self.streams[number].stuck(part)}"
        return "nothing: the answer is there by now"

    def close(self, wait: bool, timeout: float | None) -> None:
        """Drain and end all; raise what the first of them failed of."""
        deadline = None if timeout is None else self.now() + timeout
        with self.lock:
            core = self.streams[0].core
            if (partial := self._splitter.pending_bytes) and not self.ended:
                core.findings.note(partial_sample(partial))
        for stream in self.streams:
            stream.close(False, None)
        if not wait or self.is_current_thread():
            return
        failed: CartesiaSTTError | None = None
        for stream in self.streams:
            left = None if deadline is None else max(0.0, deadline - self.now())
            try:
                stream.await_end(left)
            except CartesiaSTTError as exc:
                failed = failed or exc
        if failed is not None:
            raise failed

    def abort(self) -> None:
        """End all now."""
        if not self.ended:
            uninterrupted(self._stop)
        for stream in self.streams:
            stream.abort()

    def _stop(self) -> None:
        for stream in self.streams:
            stream.stop()

    def events(self, keep: object) -> EventIterator:
        """Make an iterator of every event of all of them from here on."""
        iterator = EventIterator(self, keep)
        with self.lock:
            for stream in self.streams:
                stream.put_into(iterator)
        return iterator
