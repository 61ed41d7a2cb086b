"""What the server has been sent and has not answered yet.

Decides what would have to be sent again if the connection were lost now. Keeps
the audio by reference, bounded; commands keep their places among it.
"""

from __future__ import annotations

from typing import NamedTuple

from ._queue import Kind, Send

__all__ = ["Sent", "Unanswered"]


class Sent(NamedTuple):
    """One message as it went out.

    Attributes:
        data: The audio; empty for a command.
        command: Which command, or ``None`` for audio.
        voiced: Whether it is the caller's audio and not a muted speaker's.
        end: The caller's audio up to and with it, in bytes.
    """

    data: bytes
    command: Send | None
    voiced: bool
    end: int


class Unanswered:
    """A bounded log of what went out since the last answer.

    Args:
        limit: Bytes of audio to keep. Commands are always kept.

    Attributes:
        answered: The caller's audio covered by answers, in bytes.
    """

    __slots__ = ("_dropped", "_limit", "_log", "_size", "answered")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._log: list[Sent] = []  # short; an empty deque takes ten times as much
        self._size = 0
        self._dropped = 0  # the caller's audio that fell off so far, in bytes
        self.answered = 0

    @property
    def forgotten(self) -> int:
        """Bytes that fell off and are still unanswered."""
        return max(0, self._dropped - self.answered)

    def add(self, sent: Sent) -> None:
        """Note a message as it goes out."""
        self._log.append(sent)
        self._size += len(sent.data)
        if self._size > self._limit:
            self._drop_oldest_audio()

    def flushed(self) -> None:
        """Note a ``flush_done``: all up to the oldest ``finalize`` is answered."""
        while self._log:
            sent = self._pop()
            self.answered = max(self.answered, sent.end)
            if sent.command is not None and sent.command.kind is Kind.FINALIZE:
                break
        self.covered(self.answered)  # finals may have reached beyond it

    def covered(self, end: int) -> None:
        """Note that finals cover the caller's audio up to ``end``, in bytes."""
        if end > self.answered:
            self.answered = end
        log = self._log
        while log and log[0].command is None and log[0].end <= self.answered:
            self._size -= len(log.pop(0).data)

    def take_back(self) -> list[Sent]:
        """Hand over all that is unanswered, cut where the answers end."""
        taken = []
        for sent in self._log:
            begin = sent.end - len(sent.data)
            missing = sent.data[max(0, self.answered - begin) :]
            if missing or sent.command is not None:
                taken.append(sent._replace(data=missing))
        self._log.clear()
        self._size = 0
        return taken

    def _drop_oldest_audio(self) -> None:
        kept: list[Sent] = []
        while self._size > self._limit:
            sent = self._pop()
            if sent.command is not None:
                kept.append(sent)
                continue
            self._dropped = sent.end
        self._log[:0] = kept

    def _pop(self) -> Sent:
        sent = self._log.pop(0)
        self._size -= len(sent.data)
        return sent
