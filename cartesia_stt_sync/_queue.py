"""What waits to be sent: audio, and the commands that keep their places in it.

Decides the order alone, not when anything goes. Audio is kept by reference until it
is cut into messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

__all__ = ["Kind", "Queue", "Send"]


class Kind(Enum):
    """What a message on the wire is."""

    AUDIO = "audio"
    SILENCE = "silence"
    CONFIG = "config"
    FINALIZE = "finalize"
    CLOSE = "close"


_NO_CHANGES: Mapping[str, object] = {}


class Send(NamedTuple):
    """Send this now.

    Attributes:
        kind: What it is.
        data: The audio; empty for a command, whose spelling is the endpoint's.
        following: Of audio, when what waits behind it is due, if that is audio, too.
        changes: Of a ``config``, what it changes.
        waiter: Of a ``finalize``, who waits for its answer.
    """

    kind: Kind
    data: bytes = b""
    following: float | None = None
    changes: Mapping[str, object] = _NO_CHANGES
    waiter: object = None


_Piece = tuple[bytes, bool, "float | None"]
"""Audio, whether it is voiced, and when it was fed; ``None``: it goes out once more."""


class Run:
    """Audio in a row, and the command that stands behind it.

    Attributes:
        pieces: The audio as it was fed.
        begin: Bytes of the first piece that are gone.
        size: Bytes of all that is left.
        since: When it last became shorter than a chunk.
        command: What stands behind it, if anything does yet.
        commanded: Since when; ``None``: it goes out once more.
    """

    __slots__ = ("begin", "command", "commanded", "pieces", "since", "size")

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self.begin = self.size = 0
        self.since = 0.0
        self.command: Send | None = None
        self.commanded: float | None = None

    def add(self, data: bytes, voiced: bool, fed: float | None) -> None:
        """Put audio at the end, before the command."""
        piece, size = (data, voiced, fed), self.size + len(data)
        # Between these two nobody is interrupted: that is after calls alone.
        self.size = size
        self.pieces.append(piece)

    def take(self, size: int) -> tuple[bytes, bool, float | None]:
        """Take bytes off the front; voiced if any is, fed when the first was."""
        self.size -= size
        begin, (data, voiced, fed) = self.begin, self.pieces[0]
        end = begin + size
        if end < len(data):
            self.begin = end
            return data[begin:end], voiced, fed
        del self.pieces[0]
        self.begin = 0
        if end == len(data):
            return data[begin:], voiced, fed  # not copied, where it is a whole piece
        parts, missing = [data[begin:]], end - len(data)
        while missing:
            data, more_voiced, _ = self.pieces[0]
            parts.append(data[:missing])
            voiced = voiced or more_voiced
            if missing < len(data):
                self.begin = missing
                break
            missing -= len(data)
            del self.pieces[0]
        return b"".join(parts), voiced, fed

    def front(self, most: int) -> bytes:
        """What is left, up to so many bytes; stays there."""
        parts, missing, begin = [], min(most, self.size), self.begin
        for data, _, _ in self.pieces:
            parts.append(data[begin : begin + missing])
            missing -= len(parts[-1])
            begin = 0
            if not missing:
                break
        return b"".join(parts)

    def next_piece(self) -> int:
        """Bytes that are left of the first piece."""
        return len(self.pieces[0][0]) - self.begin


class Queue:
    """Runs of audio, each but perhaps the last ended by a command.

    Callers may be interrupted between any two lines, by a Ctrl-C; a command is there
    with all that belongs to it, or not at all.

    Attributes:
        runs: In order; the first goes out next.
    """

    __slots__ = ("runs",)

    def __init__(self) -> None:
        self.runs: list[Run] = [Run()]

    @property
    def ends_with(self) -> Kind | None:
        """Which command nothing stands behind."""
        command = self.runs[-1].command
        return None if command is None else command.kind

    def feed(self, data: bytes, now: float, *, voiced: bool) -> None:
        """Put audio at the end."""
        run = self._open()
        if not run.size:
            run.since = now
        if data:
            run.add(data, voiced, now)

    def command(self, command: Send, now: float) -> None:
        """Put a command behind the audio so far."""
        run = self._open()
        run.commanded = now
        run.command = command

    def take_command(self) -> Run:
        """Take out the front run, whose audio is gone and whose command is due."""
        if len(self.runs) == 1:
            self.runs.append(Run())
        return self.runs.pop(0)

    def ahead_of(self, waiter: object) -> int:
        """Bytes of audio before somebody's ``finalize``; ``None``: all."""
        size = 0
        for run in self.runs:
            size += run.size
            command = run.command
            if waiter is not None and command and command.waiter is waiter:
                break
        return size

    def drop_audio(self) -> None:
        """Forget all audio; the commands stay."""
        for run in self.runs:
            run.pieces.clear()
            run.begin = run.size = 0

    def put_back(self, sent: Iterable[tuple[bytes, bool, Send | None]]) -> None:
        """Put what was sent already before all the rest.

        Args:
            sent: In order, each some audio, whether it is voiced, and the command
                behind it, if one is.
        """
        runs = [Run()]
        for data, voiced, command in sent:
            if data:
                runs[-1].add(data, voiced, None)
            if command is not None:
                runs[-1].command = command
                runs.append(Run())
        first, joint = self.runs.pop(0), runs[-1]
        if first.begin:
            data, voiced, fed = first.pieces[0]
            first.pieces[0] = data[first.begin :], voiced, fed
        joint.pieces.extend(first.pieces)
        joint.size += first.size
        joint.since = first.since
        joint.command, joint.commanded = first.command, first.commanded
        runs.extend(self.runs)
        self.runs = runs

    def _open(self) -> Run:
        """The run at the end that no command has ended yet."""
        if self.runs[-1].command is not None:
            self.runs.append(Run())
        return self.runs[-1]
