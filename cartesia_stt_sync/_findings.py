"""What was noticed in a session, each kind once, and who has not been told yet.

Decides that alone; `checks` decides what there is to notice.
"""

from __future__ import annotations

import attrs

from ._news import Call
from .checks import Finding

__all__ = ["Findings"]


class Findings:
    """The findings of one session.

    Args:
        about: What each message begins with, where there is more than one session.

    Attributes:
        all: In the order they were made; only ever appended to.
        to_tell: Of which no handler has been told.
        to_log: That are not in the log.
    """

    __slots__ = ("_about", "all", "to_log", "to_tell")

    def __init__(self, about: str = "") -> None:
        self._about = about
        self.all: list[Finding] = []
        self.to_tell: list[Finding] = []
        self.to_log: list[Finding] = []

    def note(self, finding: Finding) -> None:
        """Keep a finding, the first time it is made."""
        if all(known.code != finding.code for known in self.all):
            finding = attrs.evolve(finding, message=self._about + finding.message)
            self.all.append(finding)
            self.to_tell.append(finding)
            self.to_log.append(finding)

    def untold(self) -> list[Call]:
        """Take out those that no handler has been told of."""
        told, self.to_tell = self.to_tell, []
        return [("finding", finding) for finding in told]

    def unlogged(self) -> list[Finding]:
        """Take out those that are not in the log."""
        logged, self.to_log = self.to_log, []
        return logged
