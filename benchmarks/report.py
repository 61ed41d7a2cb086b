"""From entries to one table and one JSON file: medians, and ratios beside them.

A ratio is taken inside each round, where both clients met the same machine, and the
median of those is shown. Absolute figures move with the host; ratios move less.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

import attrs

from .clients import SDK, WEBSOCKET_CLIENT
from .entries import FIGURES, Entry
from .processes import processors

__all__ = [
    "COMPARED",
    "DEPENDENCIES",
    "PEERS",
    "Row",
    "as_json",
    "machine",
    "rows",
    "table",
]

PEERS = {WEBSOCKET_CLIENT: "ws", SDK: "sdk"}
"""Whom all are compared to in the table, and what it calls that."""

DEPENDENCIES = "its dependencies"
COMPARED = (*PEERS, "picows", DEPENDENCIES)
"""Whom all are compared to in the JSON, and by goals."""

_PACKAGES = ("cartesia", "picows", "websocket-client", "websockets")


@attrs.frozen(kw_only=True)
class Row:
    """One client in one case, over all rounds.

    Attributes:
        figures: Medians.
        ratios: By peer, and by figure.
        error: Why there are no figures, if so.
    """

    bench: str
    case: str
    client: str
    rounds: int
    figures: dict[str, float]
    ratios: dict[str, dict[str, float]]
    error: str | None = None


def rows(entries: Sequence[Entry]) -> list[Row]:
    """Sum up, in the order of the first round."""
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.bench, entry.case, entry.client), []).append(entry)
    result = []
    for (bench, case, client), group in groups.items():
        measured = [entry for entry in group if entry.error is None]
        ratios = {
            peer: found
            for peer in COMPARED
            if (found := _ratios(measured, groups.get((bench, case, peer), ())))
        }
        result.append(
            Row(
                bench=bench,
                case=case,
                client=client,
                rounds=len(measured),
                figures=_medians(entry.figures for entry in measured),
                ratios=ratios,
                error=next((entry.error for entry in group if entry.error), None),
            )
        )
    return result


def _medians(values: Iterable[dict[str, float]]) -> dict[str, float]:
    columns: dict[str, list[float]] = {}
    for figures in values:
        for name, value in figures.items():
            columns.setdefault(name, []).append(value)
    return {name: statistics.median(column) for name, column in columns.items()}


def _ratios(ours: Iterable[Entry], peers: Iterable[Entry]) -> dict[str, float]:
    theirs = {entry.round: entry.figures for entry in peers if entry.error is None}
    return _medians(
        {
            name: value / other
            for name, value in entry.figures.items()
            if (other := theirs[entry.round].get(name))
        }
        for entry in ours
        if entry.round in theirs
    )


def table(summary: Sequence[Row]) -> str:
    """All rows as text: a block a case, a line a client."""
    lines = []
    blocks: dict[tuple[str, str], list[Row]] = {}
    for row in summary:
        blocks.setdefault((row.bench, row.case), []).append(row)
    for (bench, case), block in blocks.items():
        names = list(dict.fromkeys(name for row in block for name in row.figures))
        head = [f"{bench}: {case}"]
        for name in names:
            compare = FIGURES[name].compare
            head += [FIGURES[name].label, *(_heads(block) if compare else ())]
        cells = [head, *(_cells(row, names, block) for row in block)]
        lines += [*_aligned(cells), ""]
    return "\n".join(lines)


def _heads(block: Sequence[Row]) -> list[str]:
    return [f"x {PEERS[peer]}" for peer in PEERS if _took_part(peer, block)]


def _took_part(peer: str, block: Sequence[Row]) -> bool:
    return any(row.client == peer and row.figures for row in block)


def _cells(row: Row, names: Sequence[str], block: Sequence[Row]) -> list[str]:
    if not row.figures:
        return [row.client, (row.error or "").strip().rpartition("\n")[2][:70]]
    cells = [row.client]
    for name in names:
        value = row.figures.get(name)
        cells.append("" if value is None else number(value * FIGURES[name].factor))
        if FIGURES[name].compare:
            for peer in PEERS:
                if _took_part(peer, block):
                    ratio = row.ratios.get(peer, {}).get(name)
                    cells.append("" if ratio is None else number(ratio))
    return cells


def number(value: float) -> str:
    """Three digits."""
    if not math.isfinite(value):
        return "-"
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{3 if abs(value) < 1 else 2 if abs(value) < 10 else 1}f}"


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be; the first to the left; errors as they are."""
    full = [line for line in cells if len(line) == len(cells[0])]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = []
    for line in cells:
        first = line[0].ljust(widths[0])
        if len(line) == len(widths):
            rest = [c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)]
        else:
            rest = list(line[1:])
        lines.append("  ".join([first, *rest]).rstrip())
    lines.insert(1, "-" * max(len(line) for line in lines[:1]))
    return lines


def machine() -> dict[str, Any]:
    """What it ran on, and how busy that was: beside others no figure is worth much."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    server, client = processors()
    return {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "shared": server == client,
        "load": round(os.getloadavg()[0], 2),
        "packages": versions,
    }


def as_json(entries: Sequence[Entry], **more: Any) -> dict[str, Any]:
    """All that was measured, and what was made of it."""
    return {
        **more,
        "rows": [attrs.asdict(row) for row in rows(entries)],
        "entries": [attrs.asdict(entry) for entry in entries],
    }
