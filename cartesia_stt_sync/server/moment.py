"""When the fault of a stream comes: which step of which job it is.

Decides where among a stream's jobs the fault belongs, to the sample. Values in,
values out: knows no fault, and touches no socket, clock or thread.
"""

from __future__ import annotations

import enum

from .messages import Command
from .session import Job

__all__ = ["Moment", "Step", "Steps"]


class Step(enum.Enum):
    """What there is to do besides jobs."""

    FAULT = "fault"
    END = "end"  # say that the stream is done, and close it


Steps = list[Job | Step]
"""Jobs, and what comes between them, in order."""


class Moment:
    """The one moment of a stream at which its fault comes.

    Args:
        at: Seconds of audio, ``"finalize"``, ``"close"`` or ``"done"``; ``None``
            for a stream without a fault.
        rate: Samples a second.
        width: Bytes a sample.
    """

    def __init__(self, at: float | str | None, *, rate: int, width: int) -> None:
        self._word = at if isinstance(at, str) else None
        # Bytes of audio still to come; rounded to a sample, as a script's seconds.
        self._left = (
            None if at is None or isinstance(at, str) else round(at * rate) * width
        )

    def begin(self) -> Steps:
        """What comes before the first job."""
        return self._audio(b"")

    def steps(self, job: Job) -> Steps:
        """What a job comes to.

        Args:
            job: Whole samples, a command, or new settings.

        Returns:
            The job itself, in two pieces where the moment is in its middle, with
            all that comes before and after it.
        """
        if isinstance(job, bytes):
            return self._audio(job)
        if not isinstance(job, Command):
            return [job]
        before = self._if(job.value)
        if job is Command.FINALIZE:
            return [*before, job]
        return [*before, job, *self._if("done"), Step.END]

    def _audio(self, job: bytes) -> Steps:
        if self._left is None or self._left > len(job):
            if self._left is not None:
                self._left -= len(job)
            return [job] if job else []
        steps: Steps = [job[: self._left], Step.FAULT, job[self._left :]]
        self._left = None
        return [step for step in steps if step != b""]

    def _if(self, word: str) -> Steps:
        if self._word != word:
            return []
        self._word = None
        return [Step.FAULT]
