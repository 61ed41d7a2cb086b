"""What one stream's messages mean: which work they ask for, which answer it gets.

Decides in which order audio and commands are worked off, when the buffer has
overflowed, when the stream has been idle too long, and how it ends. Sans-I/O:
messages and the time come in as values, jobs and events go out. Never touches a
socket, a clock, a thread or an engine, nor what is said to what was heard
(`replies`).
"""

from __future__ import annotations

import collections

import attrs

from ..audio import ENCODINGS
from ..endpoints import MANUAL, Endpoint
from ..events import Done, ErrorEvent, Event
from .handshake import Stream
from .messages import Command, Mistake, Reader
from .replies import replies_of
from .thresholds import Thresholds

__all__ = ["End", "Job", "Limits", "Session"]

Job = bytes | Command | Thresholds
"""Audio to hear, a command, or the settings of turns from here on."""

_BACKLOG = 30.0
"""Seconds of audio that may wait for the engine before the reader waits, too."""

_JOBS = 1000
"""Jobs that may wait: commands have no length, and a peer may send many."""


@attrs.frozen
class End:
    """How a stream ends.

    Attributes:
        code: The code of the close frame.
        reason: Its text.
        event: What is sent before it.
        patience: Seconds that the peer gets to take it and to answer.
    """

    code: int
    reason: str = ""
    event: Event | None = None
    patience: float = 5.0


@attrs.frozen(kw_only=True)
class Limits:
    """What a stream may do.

    Attributes:
        max_ahead: Seconds of audio ahead of real time that fit in the buffer.
        idle_timeout: Seconds without audio after which the stream is ended.

    ``None`` means no limit.
    """

    max_ahead: float | None = 2.0
    idle_timeout: float | None = 180.0


class Session:
    """One stream, from the accepted upgrade to its end.

    Args:
        stream: What was agreed on in the handshake.
        limits: What it may do.
        request_id: What stands in each of its events.
        language: The language its transcripts are said to be in.
        now: The time of the upgrade, in seconds on any clock.
        endpoint: How commands are spelled, and what is said.

    Attributes:
        replies: What is said to what was heard.
    """

    def __init__(
        self,
        stream: Stream,
        limits: Limits,
        *,
        request_id: str,
        language: str,
        now: float,
        endpoint: Endpoint = MANUAL,
    ) -> None:
        self.stream = stream
        self.limits = limits
        self.request_id = request_id
        self.replies = replies_of(
            endpoint, stream, request_id=request_id, language=language
        )
        self._reader = Reader(endpoint, stream.turn)
        self._answers_close = endpoint.answers_close
        self._width = ENCODINGS[stream.encoding].width
        self._jobs: collections.deque[Job] = collections.deque()
        self._waiting = 0  # bytes of audio in the jobs
        self._partial = b""
        self._closing = False
        # A bucket that leaks one second a second: its level is how far the
        # audio has run ahead of real time.
        self._ahead = 0.0
        self._ahead_at = now
        self._idle_since = now

    def begin(self) -> End | None:
        """The end of a stream that must not begin: the model does not exist.

        The service refuses some bad parameters only after the upgrade; this is
        the server's one case of it.
        """
        if self.stream.model.startswith("ink-"):
            return None
        message = f"model: there is no {self.stream.model[:40]!r}, try 'ink-2'"
        event = self._error("Model not found", message, 404, "model_not_found")
        return End(1008, "model not found", event)

    @property
    def idle_deadline(self) -> float | None:
        """When the stream has been without audio for too long."""
        if self.limits.idle_timeout is None:
            return None
        return self._idle_since + self.limits.idle_timeout

    def idle_end(self) -> End:
        """The end of a stream past its `idle_deadline`."""
        # Not much patience: a peer that has said nothing for so long may be gone.
        reason = f"no audio for {self.limits.idle_timeout:g} seconds"
        return End(1000, reason, patience=1.0)

    def receive_audio(self, data: bytes, now: float) -> End | None:
        """Take a binary message.

        Args:
            data: Raw samples; half a sample waits for its other half.
            now: The time it came.

        Returns:
            The end of the stream, if this was more than its buffer holds.
        """
        if self._closing or not data:
            return None
        self._idle_since = now
        if self._overflows(len(data), now):
            self._jobs.clear()
            message = (
                "the audio buffer overflowed: more than "
                f"{self.limits.max_ahead:g} s of audio ahead of real time; "
                "send one second of audio a second"
            )
            event = self._error("Internal server error", message, 500)
            return End(1011, "audio buffer overflow", event)
        data = self._partial + data
        whole = len(data) - len(data) % self._width
        self._partial = data[whole:]
        if whole:
            self._jobs.append(data[:whole])
            self._waiting += whole
        return None

    def receive_text(self, text: str) -> Event | None:
        """Take a text message: a command, a configuration, or a mistake.

        Returns:
            The error to report, if it was one; the stream goes on.
        """
        if self._closing:
            return None
        said = self._reader.read(text)
        if isinstance(said, Mistake):
            return self._error(said.title, said.message, 400)
        if said is not None:
            self._closing = said is Command.CLOSE
            self._jobs.append(said)
        return None

    @property
    def is_full(self) -> bool:
        """Whether so much work waits that no further message should be read."""
        return self._seconds(self._waiting) > _BACKLOG or len(self._jobs) >= _JOBS

    def next_job(self) -> Job | None:
        """The next thing to do; ``None`` if nothing.

        Audio that waits is given out as one job, so that an engine that has
        fallen behind catches up.
        """
        if not self._jobs:
            return None
        first = self._jobs.popleft()
        if not isinstance(first, bytes):
            return first
        pieces = [first]
        while self._jobs and isinstance(self._jobs[0], bytes):
            pieces.append(self._jobs.popleft())  # type: ignore[arg-type]  # bytes
        job = b"".join(pieces)
        self._waiting -= len(job)
        return job

    def clean_end(self) -> End:
        """The end of a stream whose ``close`` has been answered with all its text."""
        if not self._answers_close:
            return End(1000)
        return End(1000, event=Done(request_id=self.request_id))

    def failure(self) -> End:
        """The end of a stream whose engine has failed."""
        event = self._error("Internal server error", "the recogniser failed", 500)
        return End(1011, "internal server error", event)

    def _overflows(self, size: int, now: float) -> bool:
        leaked = max(now - self._ahead_at, 0.0)
        self._ahead = max(self._ahead - leaked, 0.0) + self._seconds(size)
        self._ahead_at = now
        most = self.limits.max_ahead
        # A microsecond more: twenty times 0.1 s is not quite 2 s in binary.
        return most is not None and self._ahead > most + 1e-6

    def _seconds(self, size: int) -> float:
        return size / (self._width * self.stream.sample_rate)

    def _error(
        self, title: str, message: str, status: int, error_code: str | None = None
    ) -> ErrorEvent:
        return ErrorEvent(
            message=message,
            title=title,
            status_code=status,
            error_code=error_code,
            request_id=self.request_id,
        )
