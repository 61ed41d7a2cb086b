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
    """

    def __init__(self, about: str = "") -> None:
        self._about = about
        self.all: list[Finding] = []
        self._untold: list[Finding] = []
        self._unlogged: list[Finding] = []

    def note(self, finding: Finding) -> None:
        """Keep a finding, the first time it is made."""
        if all(known.code != finding.code for known in self.all):
            finding = attrs.evolve(finding, message=self._about + finding.message)
            self.all.append(finding)
            self._untold.append(finding)
            self._unlogged.append(finding)

    def untold(self) -> list[Call]:
        """Take out those that no handler has been told of."""
        if not self._untold:
            return []
        told, self._untold = self._untold, []
        return [("finding", finding) for finding in told]

    @property
    def to_log(self) -> bool:
        """Whether there are some that are not in the log."""
        return bool(self._unlogged)

    def unlogged(self) -> list[Finding]:
        """Take out those that are not in the log."""
        if not self._unlogged:
            return []
        logged, self._unlogged = self._unlogged, []
        return logged
