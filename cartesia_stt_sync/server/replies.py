"""What an endpoint says to what is heard: deltas on Manual, turns on Auto.

Decides which events come of a listener's pieces, of speech and of pauses. Knows how
much audio there was and no other time; touches no clock, socket or thread. The
server calls it off its own loop, one call at a time, as it does the listener.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ..endpoints import Endpoint
from ..events import (
    Connected,
    Event,
    FlushDone,
    Language,
    Transcript,
    TurnEagerEnd,
    TurnEnd,
    TurnResume,
    TurnStart,
    TurnUpdate,
)
from .engine import HearsVoice, Listener, Piece
from .handshake import Stream
from .messages import Command
from .thresholds import Thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Replies", "replies_of"]

_LOOK = 0.05
"""Seconds of audio from one look at speech and pause to the next."""


class Replies(Protocol):
    """What one stream is told.

    Attributes:
        request_id: What stands in each event.
    """

    request_id: str

    def greeting(self) -> list[Event]:
        """Say what comes first, before any audio."""

    def hear(self, listener: Listener, samples: NDArray[np.float32]) -> list[Event]:
        """Have audio heard."""

    def obey(self, listener: Listener, order: Command | Thresholds) -> list[Event]:
        """Carry out a command, or change the settings, behind the audio so far."""

    def provisional(self, text: str) -> Event:
        """Word a provisional text, for a fault that makes texts up."""


def replies_of(
    endpoint: Endpoint, stream: Stream, *, request_id: str, language: str
) -> Replies:
    """What the endpoint says on a stream.

    Args:
        endpoint: Which one.
        stream: What was agreed on.
        request_id: What stands in each event.
        language: The language its text is said to be in.
    """
    if endpoint.finalize is None:
        return _Turns(stream, request_id, language)
    return _Deltas(request_id, language)


class _Deltas:
    """Each piece as it comes, and the client says where an utterance ends."""

    def __init__(self, request_id: str, language: str) -> None:
        self.request_id = request_id
        self._language = language

    def greeting(self) -> list[Event]:
        return []

    def hear(self, listener: Listener, samples: NDArray[np.float32]) -> list[Event]:
        return [self._transcript(piece) for piece in listener.feed(samples)]

    def obey(self, listener: Listener, order: Command | Thresholds) -> list[Event]:
        events: list[Event] = [self._transcript(p) for p in listener.finalize()]
        if order is Command.FINALIZE:
            events.append(FlushDone(request_id=self.request_id))
        return events

    def provisional(self, text: str) -> Event:
        return self._transcript(Piece(text=text, is_final=False, start=0.0, end=0.1))

    def _transcript(self, piece: Piece) -> Transcript:
        return Transcript(
            text=piece.text,
            is_final=piece.is_final,
            duration=round(piece.end - piece.start, 3),
            language=self._language,
            words=piece.words or None,
            request_id=self.request_id,
        )


class _State(enum.Enum):
    SILENT = "silent"  # between turns
    SPEAKING = "speaking"  # in one
    WAITING = "waiting"  # in one that is perhaps over


class _Turns:
    """Turns, whose ends are found by the pauses, unless the engine tells them.

    A turn's text is its finals, joined. An interim only says that there is speech,
    for what was said of a turn must not be taken back: in 13 of 40 segments of real
    speech the final had other words than two interims in a row had agreed on.
    """

    def __init__(self, stream: Stream, request_id: str, language: str) -> None:
        self._rate = stream.sample_rate
        self._every = max(round(_LOOK * stream.sample_rate), 1)
        self._thresholds = stream.turn
        self.request_id = request_id
        self._languages = (Language(language, 1.0),)
        self._samples = 0
        self._state = _State.SILENT
        self._turn = 0  # the number of the latest turn, from 1
        self._text = ""  # its text so far
        self._interim = 0.0  # seconds of the latest piece, if it is one
        self._piece_end = 0.0  # of the latest piece, in seconds
        self._is_told = False  # by the engine, where turns end

    def greeting(self) -> list[Event]:
        return [Connected(request_id=self.request_id)]

    def hear(self, listener: Listener, samples: NDArray[np.float32]) -> list[Event]:
        events: list[Event] = []
        while len(samples):
            # However the audio is cut into messages, the looks are at the same
            # samples of the stream.
            left = self._every - self._samples % self._every
            self._samples += len(samples[:left])
            events += self._take(listener, listener.feed(samples[:left]))
            samples = samples[left:]
            if self._samples % self._every == 0:
                events += self._look(listener)
        return events

    def obey(self, listener: Listener, order: Command | Thresholds) -> list[Event]:
        if isinstance(order, Thresholds):
            self._thresholds = order
            return []
        return [*self._take(listener, listener.finalize()), *self._end()]

    def provisional(self, text: str) -> Event:
        return TurnUpdate(transcript=text, **self._common())

    def _take(self, listener: Listener, pieces: Iterable[Piece]) -> list[Event]:
        events: list[Event] = []
        for piece in pieces:
            if not piece.text and piece.turn is None:
                continue
            if not piece.is_final and isinstance(listener, HearsVoice):
                continue  # the voice itself says when there is enough of it
            self._interim = 0.0 if piece.is_final else piece.end - piece.start
            self._piece_end = piece.end
            self._is_told = self._is_told or piece.turn is not None
            events += self._speak()
            if piece.is_final:
                events += self._add(piece)
        return events

    def _add(self, piece: Piece) -> list[Event]:
        events: list[Event] = []
        self._text += piece.text
        if piece.text:
            events.append(TurnUpdate(transcript=self._text, **self._common()))
        if piece.turn == "eager_end":
            events += self._wait()
        elif piece.turn == "end":
            events += self._end()
        return events

    def _look(self, listener: Listener) -> list[Event]:
        """See whether a turn has begun, or is over, perhaps."""
        unsaid, pause = self._voice(listener)
        events: list[Event] = []
        if unsaid >= self._thresholds.start:
            events += self._speak()
        if self._state is _State.SILENT or self._is_told:
            return events
        is_over = pause >= self._thresholds.end
        if is_over or (
            pause >= self._thresholds.eager_end and self._state is _State.SPEAKING
        ):
            # Not where all was said: it would cut off the beginning of what is next.
            if unsaid:
                events += self._take(listener, listener.finalize())
                self._interim = 0.0
            if is_over:
                events += self._end()
            elif self._text:
                events += self._wait()
        return events

    def _voice(self, listener: Listener) -> tuple[float, float]:
        """What `HearsVoice` says; of a listener that does not, after its pieces."""
        if isinstance(listener, HearsVoice):
            return listener.voice()
        return self._interim, self._samples / self._rate - self._piece_end

    def _speak(self) -> list[Event]:
        before, self._state = self._state, _State.SPEAKING
        if before is _State.WAITING:
            return [TurnResume(**self._common())]
        if before is _State.SPEAKING:
            return []
        self._turn += 1
        self._text = ""
        return [TurnStart(**self._common())]

    def _wait(self) -> list[Event]:
        if self._state is not _State.SPEAKING:
            return []
        self._state = _State.WAITING
        return [TurnEagerEnd(transcript=self._text, **self._common())]

    def _end(self) -> list[Event]:
        if self._state is _State.SILENT:
            return []
        self._state = _State.SILENT
        return [TurnEnd(transcript=self._text, **self._common())]

    def _common(self) -> dict[str, Any]:
        return {
            "turn_id": f"{self.request_id}-{self._turn}",
            "languages": self._languages,
            "request_id": self.request_id,
        }
