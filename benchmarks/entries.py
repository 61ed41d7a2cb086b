"""What one measurement is, and how much is measured.

Figures are in seconds and bytes; `FIGURES` says how a table shows them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import attrs

from .clients import NAMES, OURS, SDK, WEBSOCKET_CLIENT

__all__ = ["FIGURES", "FULL", "SMALL", "Case", "Entry", "Figure", "Scale", "quantile"]


@attrs.frozen
class Figure:
    """How a figure is shown.

    Attributes:
        label: Its column's head.
        factor: From the unit it is kept in to the one it is shown in.
        compare: Whether ratios to the peers say something.
    """

    label: str
    factor: float = 1.0
    compare: bool = False


FIGURES = {
    "cpu": Figure("CPU ms", 1e3, compare=True),
    "callback_p50": Figure("to callback ms", 1e3, compare=True),
    "callback_p99": Figure("p99", 1e3),
    "switches": Figure("switches", compare=True),
    "late_p50": Figure("late ms", 1e3),
    "late_p99": Figure("p99", 1e3),
    "late_max": Figure("max", 1e3),
    "drift": Figure("drift ms/min", 1e3),
    "lost": Figure("lost"),
    "extra": Figure("extra"),
    "threads": Figure("threads"),
    "server": Figure("server %", 100),
    "finalize_p50": Figure("finalize ms", 1e3, compare=True),
    "finalize_p99": Figure("p99", 1e3),
    "hand_over_p50": Figure("to iterator ms", 1e3),
    "hand_over_p99": Figure("p99", 1e3),
    "first": Figure("first ms", 1e3, compare=True),
    "next": Figure("next ms", 1e3, compare=True),
    "memory": Figure("KB/stream", 1e-3, compare=True),
    "import": Figure("ms", 1e3),
    "numpy": Figure("numpy"),
    "call": Figure("us", 1e6),
}


@attrs.frozen(kw_only=True)
class Entry:
    """One client, in one case, in one round.

    Attributes:
        error: Why there are no figures, if so.
    """

    bench: str
    case: str
    client: str
    round: int
    figures: dict[str, float] = attrs.Factory(dict)
    error: str | None = None


@attrs.frozen
class Case:
    """So many streams, by ``ws`` or ``wss``, and who takes part."""

    streams: int
    scheme: str = "ws"
    clients: Sequence[str] = NAMES

    @property
    def name(self) -> str:
        """As the table has it."""
        plural = "" if self.streams == 1 else "s"
        return f"{self.streams:,} stream{plural}, {secured(self.scheme)}"


def secured(scheme: str) -> str:
    """A scheme in words."""
    return "TLS" if scheme == "wss" else "plain"


@attrs.frozen(kw_only=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: Each client runs so often: A B C, A B C, and so on.
        seconds: How long each run holds its streams.
        settle: How long before that, without counting their CPU.
        cases: What runs are made.
        clients: Who takes part in all that is no `Case`.
        pacing: How long a stream is paced.
        times: How often something short is done.
        few: Streams, of which the memory is taken off that of ``many``.
        many: See ``few``.
    """

    rounds: int
    seconds: float
    cases: Sequence[Case]
    clients: Sequence[str]
    pacing: float
    times: int
    few: int
    many: int
    settle: float = 0.0


_CROWD = ("bare", "picows", OURS, "ours-pool", "ours-pool-live")
_THRONG = ("picows", "ours-pool", "ours-pool-live")
_JUDGED = (WEBSOCKET_CLIENT, SDK, OURS)

FULL = Scale(
    rounds=3,
    seconds=10.0,
    cases=(
        Case(1),
        Case(100),
        Case(100, "wss"),
        Case(400, "ws", _CROWD),
        Case(1000, "ws", _THRONG),
        Case(1000, "wss", _THRONG),
        Case(1600, "ws", _THRONG),
    ),
    clients=NAMES,
    pacing=20.0,
    times=200,
    few=20,
    many=100,
)

SMALL = Scale(
    rounds=3,
    seconds=2.0,
    cases=(Case(1, "ws", _JUDGED), Case(100, "ws", _JUDGED)),
    clients=_JUDGED,
    pacing=2.0,
    times=20,
    few=5,
    many=25,
)


def quantile(values: Iterable[float], share: float) -> float:
    """The value that this share of them does not exceed; NaN where there is none."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """A figure's median and 99th percentile."""
    if not values:
        return {}
    return {
        f"{name}_p50": statistics.median(values),
        f"{name}_p99": quantile(values, 0.99),
    }
