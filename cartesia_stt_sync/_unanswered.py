"""What the server has been sent and has not answered yet.

Decides what would have to be sent again if the connection were lost now. Keeps
the audio by reference, bounded; commands keep their places among it.
"""

from __future__ import annotations

from collections import deque

import attrs

__all__ = ["Sent", "Unanswered"]


@attrs.frozen
class Sent:
    """One message as it went out.

    Attributes:
        data: The audio; empty for a command.
        command: Which command, or ``None`` for audio.
        voiced: Whether it is the caller's audio and not a muted speaker's.
        end: The caller's audio up to and with it, in bytes.
    """

    data: bytes
    command: object | None
    voiced: bool
    end: int


class Unanswered:
    """A bounded log of what went out since the last answer.

    Args:
        limit: Bytes of audio to keep. Commands are always kept.

    Attributes:
        answered: The caller's audio covered by answers, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._log: deque[Sent] = deque()
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

    def flushed(self, finalize: object) -> None:
        """Note a ``flush_done``: all up to the oldest ``finalize`` is answered."""
        while self._log:
            sent = self._pop()
            self.answered = max(self.answered, sent.end)
            if sent.command is finalize:
                return

    def covered(self, end: int) -> None:
        """Note that finals cover the caller's audio up to ``end``, in bytes."""
        self.answered = max(self.answered, end)
        while self._log and self._log[0].command is None:
            if self._log[0].end > self.answered:
                break
            self._pop()

    def take_back(self) -> list[Sent]:
        """Hand over all that is unanswered, cut where the answers end."""
        taken = []
        for sent in self._log:
            begin = sent.end - len(sent.data)
            missing = sent.data[max(0, self.answered - begin) :]
            if missing or sent.command is not None:
                taken.append(attrs.evolve(sent, data=missing))
        self._log.clear()
        self._size = 0
        return taken

    def _drop_oldest_audio(self) -> None:
        kept: deque[Sent] = deque()
        while self._size > self._limit:
            sent = self._pop()
            if sent.command is not None:
                kept.append(sent)
                continue
            self._dropped = sent.end
        self._log.extendleft(reversed(kept))

    def _pop(self) -> Sent:
        sent = self._log.popleft()
        self._size -= len(sent.data)
        return sent
