"""The public face of the Auto endpoint: the service says when a turn ends.

Decides what its arguments are called and default to; `_arguments` has those that
all transcribers share, the stream does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from . import endpoints
from ._arguments import Common, settings_of
from ._face import Face
from ._news import AUTO_TYPES
from ._waiting import iterate_all
from .endpoints import TurnThresholds
from .events import Event, Transcript
from .turns import Turn, Turns

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TurnTranscriber"]


class TurnTranscriber(Face):
    """Speech in, turns out, over Cartesia's Auto endpoint, for code that blocks.

    For a conversation: nobody calls ``finalize``, the service hears by itself when
    the speaker has finished. Audio goes in as with a `Transcriber`::

        def feed_microphone(t):
            try:
                for block in microphone:
                    t.feed(block)
            finally:
                t.close(wait=False)  # else the turns never end

        with TurnTranscriber(sample_rate=16000) as t:
            threading.Thread(target=feed_microphone, args=(t,)).start()
            for turn in t.turns():
                answer(turn.text)

    The constructor checks its arguments and does no I/O. One transcriber serves
    one session.

    Endpoint:
        model: ``"ink-2"``, or any other the service knows.
        encoding: What goes over the wire; as for a `Transcriber`.
        sample_rate: In Hz (16000).
        keyterms: Words to listen for: at most 100, with 1,200 characters.
        language_hints: Base codes, for ``ink-preview``; at most 6.
        turn_start_threshold: Certainty of speech, from 0.5 to 0.9, from which a turn
            begins; ``None`` leaves this and the next three to the service (0.8).
        turn_eager_end_threshold: Certainty, from 0.3 to 0.6, below which it is
            perhaps over (0.4).
        turn_end_threshold: Certainty, from 0.05 to 0.5, below which it is over (0.2).
        turn_end_timeout_ms: Milliseconds of silence, from 640 to 11200, after which
            it is over in any case (5600).
        extra_query: Further query parameters, for what this version does not know.

    Callbacks; each gets one argument and runs on the receiver's thread, one at a
    time, in order; see `on`:
        on_turn: Each `Turn` that is over.
        on_update: The `Turn` that goes on: when it begins, without text yet, and
            whenever its text grows.
        on_eager_end: The `Turn` that is perhaps over: prepare the answer.
        on_resume: The `Turn` that was not over after all: throw it away. So does a
            ``reconnect``, behind which the turn is heard once more.
        on_event: Every event.
        on_error: The session's error, and whatever a callback raises; not what
            `open` raises.

    Account, ``source``, pacing, timeouts, connection, cost and diagnosis:
        Those of a `Transcriber`, with the same defaults. There is no ``language``,
        ``channels``, ``endpointer``, ``min_volume`` or ``max_silence_duration_secs``.

    Raises:
        ConfigError: An argument breaks a rule; the message names it, the rule and
            what came.

    Threads: any may call any method; each says what is special about it.
    """

    _types = AUTO_TYPES

    def __init__(
        self,
        *,
        # endpoint
        model: str = "ink-2",
        encoding: str = "pcm_s16le",
        sample_rate: int = 16000,
        keyterms: Sequence[str] = (),
        language_hints: Sequence[str] = (),
        turn_start_threshold: float | None = None,
        turn_eager_end_threshold: float | None = None,
        turn_end_threshold: float | None = None,
        turn_end_timeout_ms: int | None = None,
        extra_query: Mapping[str, object] = {},  # never changed
        # account
        api_key: str | None = None,
        access_token: str | None = None,
        # callbacks
        on_turn: Callable[[Turn], object] | None = None,
        on_update: Callable[[Turn], object] | None = None,
        on_eager_end: Callable[[Turn], object] | None = None,
        on_resume: Callable[[Turn], object] | None = None,
        on_event: Callable[[Event], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        **options: Unpack[Common],
    ) -> None:
        try:
            secret = endpoints.find_credential(api_key, access_token)
        finally:
            # So that no error's traceback has a key among this frame's locals.
            api_key = access_token = None
        for name in options.keys() - Common.__annotations__.keys():
            raise TypeError(
                f"TurnTranscriber() takes no argument {name!r}: the Auto endpoint "
                "detects turns and languages by itself, and takes one channel"
            )
        thresholds = TurnThresholds(
            start_threshold=turn_start_threshold,
            eager_end_threshold=turn_eager_end_threshold,
            end_threshold=turn_end_threshold,
            end_timeout_ms=turn_end_timeout_ms,
        )
        query = endpoints.turns_query(
            model=model,
            encoding=encoding,
            sample_rate=sample_rate,
            keyterms=keyterms,
            language_hints=language_hints,
            thresholds=thresholds,
            extra_query=extra_query,
        )
        settings = settings_of(
            endpoints.TURNS,
            query,
            secret,
            encoding=encoding,
            sample_rate=sample_rate,
            **options,
        )
        self._thresholds = thresholds  # as they will be once all configs are sent
        super().__init__(
            settings,
            turn=on_turn,
            update=on_update,
            eager_end=on_eager_end,
            resume=on_resume,
            event=on_event,
            error=on_error,
        )

    def turns(self) -> Iterator[Turn]:
        """Iterate over the turns that are over, from the session's first on.

        However late it is called and however many iterate, each sees all.

        Raises:
            CartesiaSTTError: While iterating, after the last turn that came: what
                the session ended with.
            WouldDeadlock: Iterated in a callback, to which turns come anyway.

        Threads: any; one iterator is for one thread.
        """
        stream = self._stream
        return iterate_all(stream, [self._turns.ended], self)

    def config(
        self,
        *,
        keyterms: Sequence[str] | None = None,
        language_hints: Sequence[str] | None = None,
        turn_start_threshold: float | None = None,
        turn_eager_end_threshold: float | None = None,
        turn_end_threshold: float | None = None,
        turn_end_timeout_ms: int | None = None,
    ) -> None:
        """Change what the service listens for, from the audio fed next on.

        Args:
            keyterms: Words to listen for, in place of those before; ``[]`` for
                none. ``None`` (default), here and below, leaves it as it is.
            language_hints: Likewise.
            turn_start_threshold: As in the constructor, and so are the rest.
            turn_eager_end_threshold: See there.
            turn_end_threshold: See there.
            turn_end_timeout_ms: See there.

        Raises:
            ConfigError: They break a rule. What the service has against them is a
                finding and an ``error``; the session goes on.
            ClosedError: After `close` or `abort`.
            CartesiaSTTError: What the session ended with.

        Threads: any.
        """
        given = {
            "start_threshold": turn_start_threshold,
            "eager_end_threshold": turn_eager_end_threshold,
            "end_threshold": turn_end_threshold,
            "end_timeout_ms": turn_end_timeout_ms,
        }
        thresholds = self._thresholds.changed(**given)
        changes = endpoints.changes(
            keyterms=keyterms,
            language_hints=language_hints,
            turn={
                name: value
                for name, value in thresholds.given().items()
                if given[name] is not None
            },
        )
        self._stream.config(changes)
        self._thresholds = thresholds

    @property
    def _turns(self) -> Turns:
        return self._stream.streams[0].core.speech.turns

    @property
    def turn(self) -> Turn | None:
        """The turn that goes on, with its text so far; ``None`` between turns."""
        stream = self._stream
        with stream.lock:
            return self._turns.current

    @property
    def text(self) -> str:
        """The texts of all turns that are over, joined as they came."""
        stream = self._stream
        with stream.lock:
            return self._turns.text

    @property
    def partial(self) -> str:
        """The text so far of the turn that goes on; each update replaces it."""
        stream = self._stream
        with stream.lock:
            return self._turns.partial

    @property
    def transcript(self) -> Transcript:
        """Everything that is over so far as one `Transcript`; it has no words."""
        stream = self._stream
        with stream.lock:
            return self._turns.whole()
