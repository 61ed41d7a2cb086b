"""What this library wants to reach, as data, and whether it does.

A ratio holds on any machine, more or less; an absolute figure only on a quiet one. So
`failures`, which continuous integration asks, looks at ratios alone, with slack.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from .clients import OURS, SDK, WEBSOCKET_CLIENT
from .entries import FIGURES, Case
from .report import DEPENDENCIES, Row, number

__all__ = ["GOALS", "SLACK", "Goal", "Verdict", "failures", "judge", "lines"]

SLACK = 1.25


@attrs.frozen
class Goal:
    """At most so much.

    Attributes:
        bench: Which benchmark.
        case: Which case of it.
        figure: Which figure.
        limit: In the unit of `FIGURES`, or times the peer's.
        against: The peer; ``None``: it is absolute.
        client: Whose.
        held: Where it is not reached yet: what is, with ``--small``, which counts the
            first seconds of each stream, too. ``failures`` asks for that.
    """

    bench: str
    case: str
    figure: str
    limit: float
    against: str | None = None
    client: str = OURS
    held: float | None = None

    def __str__(self) -> str:
        times = f" x {self.against}" if self.against else ""
        label = FIGURES[self.figure].label
        tail = self.figure.rpartition("_")[2]
        if label in ("p99", "max"):
            label = f"{self.figure.rpartition('_')[0].replace('_', ' ')} {tail} ms"
        return (
            f"{self.bench}: {self.case}: {self.client}: {label} "
            f"<= {self.limit:g}{times}"
        )


@attrs.frozen
class Verdict:
    """A goal, and what was measured of it; ``None``: nothing."""

    goal: Goal
    value: float | None

    def met(self) -> bool:
        """Whether it is reached."""
        return self.value is not None and self.value <= self.goal.limit


_ONE, _HUNDRED, _FOUR = Case(1).name, Case(100).name, Case(400).name
_HUNDRED_TLS = Case(100, "wss").name
_THOUSAND = (Case(1000).name, Case(1000, "wss").name)
_POOL = "ours-pool"

GOALS = (
    Goal("streams", _HUNDRED, "cpu", 0.55, WEBSOCKET_CLIENT, held=1.5),
    Goal("streams", _HUNDRED, "cpu", 0.30, SDK, held=0.75),
    Goal("streams", _HUNDRED_TLS, "cpu", 0.60, WEBSOCKET_CLIENT),
    Goal("streams", _HUNDRED_TLS, "cpu", 0.35, SDK),
    Goal("streams", _ONE, "cpu", 0.75, WEBSOCKET_CLIENT, held=1.9),
    Goal("streams", _ONE, "cpu", 0.42, SDK, held=1.1),
    Goal("streams", _ONE, "callback_p50", 0.3, SDK, held=0.5),
    Goal("streams", _FOUR, "late_p99", 5.0),
    Goal("streams", _ONE, "late_p50", 0.3),
    Goal("pacing", _ONE, "late_p50", 0.3),
    Goal("pacing", _ONE, "drift", 0.1),
    Goal("latency", "iterator", "hand_over_p50", 0.1),
    Goal("latency", "finalize", "finalize_p50", 0.4),
    Goal("latency", "finalize", "finalize_p99", 1.0),
    Goal("connect", "TLS", "next", 0.1, SDK, held=0.15),
    Goal("memory", "plain", "memory", 60.0),
    # Twice as much where Python may not keep what it has compiled.
    Goal("imports", "import", "import", 0.3, SDK, held=0.7),
    Goal("imports", "import", "import", 1.2, DEPENDENCIES, held=3.5),
    Goal("imports", "import", "numpy", 0.0),
    *(Goal("streams", case, "late_p99", 2.0, None, _POOL) for case in _THOUSAND),
    *(Goal("streams", case, "cpu", 0.6, None, _POOL) for case in _THOUSAND),
    *(Goal("streams", case, "lost", 0, None, _POOL) for case in _THOUSAND),
    *(
        Goal("streams", Case(many).name, "late_p99", 1.0, "picows", _POOL)
        for many in (1, 100, 400, 1000, 1600)
    ),
    Goal("memory", "plain", "memory", 10.0, None, _POOL),
)


def judge(summary: Sequence[Row]) -> list[Verdict]:
    """Look up what each goal is about."""
    known = {(row.bench, row.case, row.client): row for row in summary}
    return [Verdict(goal, _value(goal, known)) for goal in GOALS]


def _value(goal: Goal, known: dict[tuple[str, str, str], Row]) -> float | None:
    row = known.get((goal.bench, goal.case, goal.client))
    if row is None or goal.figure not in row.figures:
        return None
    if goal.against is None:
        return row.figures[goal.figure] * FIGURES[goal.figure].factor
    return row.ratios.get(goal.against, {}).get(goal.figure)


def failures(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The ratios that were measured and are missed by more than the slack."""
    return [verdict for verdict in verdicts if _fails(verdict)]


def _fails(verdict: Verdict) -> bool:
    goal, value = verdict.goal, verdict.value
    if goal.against is None or value is None:
        return False
    return value > SLACK * (goal.limit if goal.held is None else goal.held)


def lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Each goal that something was measured of: met, or not."""
    return [
        f"{'met   ' if verdict.met() else 'MISSED'} {number(verdict.value):>7}  "
        f"{verdict.goal}"
        for verdict in verdicts
        if verdict.value is not None
    ]
