"""What needs a server: which processes run, and what their figures mean.

Clients take turns, so that what the machine does meanwhile hits them alike. One that
fails leaves its error in the table, and the others go on.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from .clients import OURS, load
from .entries import Case, Entry, Scale, secured, spread
from .processes import BenchError, Server, run_client
from .wire import CHUNK

__all__ = ["connect", "latency", "memory", "pacing", "streams"]

Measure = Callable[[str], dict[str, float]]

_LIMIT = 120.0
"""Seconds that a process may take beyond what it is told to."""


def streams(server: Server, scale: Scale) -> Iterator[Entry]:
    """Hold streams at real time: CPU, lateness, time to the callback."""
    for case in scale.cases:
        yield from turns(
            "streams",
            case.name,
            [name for name in case.clients if name in scale.clients],
            scale.rounds,
            partial(talk, server, case, scale),
        )


def talk(server: Server, case: Case, scale: Scale, client: str) -> dict[str, float]:
    """All that is of interest in a short run."""
    held = hold(server, client, case, scale.seconds, scale.settle)
    return {name: held[name] for name in held if name not in ("late_max", "drift")}


def pacing(server: Server, scale: Scale) -> Iterator[Entry]:
    """Pace one stream for longer: how late, and whether that grows."""

    def pace(client: str) -> dict[str, float]:
        held = hold(server, client, Case(1), scale.pacing)
        names = ("late_p50", "late_p99", "late_max", "drift")
        return {name: held[name] for name in names}

    yield from turns("pacing", Case(1).name, scale.clients, 1, pace)


def latency(server: Server, scale: Scale) -> Iterator[Entry]:
    """``finalize`` to the server while all sleep; deltas to who iterates."""

    def finalize(client: str) -> dict[str, float]:
        server.reset()
        called = ask(server, client, "finalize", times=scale.times)["called"]
        came = server.report()["streams"]["0"]["finalizes"]
        took = [(there - here) / 1e9 for here, there in zip(called, came, strict=True)]
        return spread("finalize", took)

    def iterator(client: str) -> dict[str, float]:
        took = ask(server, client, "iterator", times=min(scale.times, 50))["hand_over"]
        return spread("hand_over", took)

    yield from turns("latency", "finalize", scale.clients, scale.rounds, finalize)
    ours = [name for name in scale.clients if name in (OURS, "ours-pool")]
    yield from turns("latency", "iterator", ours, scale.rounds, iterator)


def connect(server: Server, scale: Scale) -> Iterator[Entry]:
    """Open the first stream, and one more."""
    times = max(3, scale.times // 10)
    for scheme in server.ports:

        def measure(client: str, scheme: str = scheme) -> dict[str, float]:
            return ask(server, client, "connect", scheme, times=times)

        yield from turns(
            "connect", secured(scheme), scale.clients, scale.rounds, measure
        )


def memory(server: Server, scale: Scale) -> Iterator[Entry]:
    """What one more stream holds."""
    for scheme in server.ports:

        def measure(client: str, scheme: str = scheme) -> dict[str, float]:
            few, many = scale.few, scale.many
            told = ask(server, client, "memory", scheme, few=few, many=many)
            return {"memory": told["bytes"]}

        yield from turns("memory", secured(scheme), scale.clients, 1, measure)


def turns(
    bench: str, case: str, clients: Sequence[str], rounds: int, measure: Measure
) -> Iterator[Entry]:
    """Measure all clients in turn, round by round."""
    for number in range(rounds):
        for client in clients:
            known: dict[str, Any] = {
                "bench": bench,
                "case": case,
                "client": client,
                "round": number,
            }
            missing = why_not(client)
            if missing is None:
                try:
                    yield Entry(**known, figures=measure(client))
                    continue
                except BenchError as exc:
                    missing = f"failed: {exc}"
            yield Entry(**known, error=missing)


def why_not(client: str) -> str | None:
    """Why a client cannot run here, if so."""
    try:
        return load(client).missing()
    except ImportError as exc:
        return f"not installed: {exc.name}"


def ask(
    server: Server, client: str, what: str, scheme: str = "ws", **more: Any
) -> dict[str, Any]:
    """Have a client's process do a job of `workload`."""
    port = server.ports[scheme]
    job = {"what": what, "client": client, "scheme": scheme, "port": port, **more}
    limit = _LIMIT + more.get("seconds", 0.0) + more.get("settle", 0.0)
    return run_client(job, server, limit=limit)


def hold(
    server: Server, client: str, case: Case, seconds: float, settle: float = 0.0
) -> dict[str, float]:
    """Hold streams, and lay the server's arrivals beside the client's schedule."""
    server.reset()
    lengths = {"streams": case.streams, "seconds": seconds, "settle": settle}
    told = ask(server, client, "streams", case.scheme, **lengths)
    report = server.report()
    streams = [report["streams"][number] for number in told["begin"]]
    count, (first, last) = told["count"], told["window"]
    late = [
        lateness(stream["chunks"][:count], begin, first, last)
        for stream, begin in zip(streams, told["begin"].values(), strict=True)
    ]
    # Of those that came in that time: a client that is behind has done less.
    came = sum(first <= at < last for stream in streams for at in stream["chunks"])
    return {
        "cpu": told["cpu"] / (came * CHUNK) if came else math.inf,
        "switches": told["switches"] / case.streams / seconds,
        **spread("callback", told["to_callback"]),
        **spread("late", [moment for stream in late for moment in stream]),
        "late_max": max(max(stream, default=0.0) for stream in late),
        "drift": abs(drift(late)) * 60 / seconds,
        "lost": told["lost"] + sum(stream["wrong"] for stream in streams),
        # Silence, where a client starved: there is none on a quiet machine.
        "extra": sum(max(0, len(stream["chunks"]) - count) for stream in streams),
        "threads": told["threads"],
        "server": report["cpu"] / report["seconds"],
    }


def lateness(
    chunks: Sequence[int], begin: float, first: float, last: float
) -> list[float]:
    """Seconds from when each chunk of a stream was due to when it came.

    Of those that were due between two moments.
    """
    late = []
    for number, came in enumerate(chunks):
        due = begin + CHUNK * number * 1e9
        if first <= due < last:
            late.append((came - due) / 1e9)
    return late


def drift(late: Sequence[Sequence[float]]) -> float:
    """By how much more the last third is late than the first: the median stream's."""
    grown = []
    for stream in late:
        part = max(1, len(stream) // 3)
        begin, end = stream[:part], stream[-part:]
        if begin:
            # From the middle of the one third to that of the other.
            grown.append((statistics.median(end) - statistics.median(begin)) * 1.5)
    return statistics.median(grown) if grown else 0.0
