"""The benchmarks run, and say what they measured; speed itself is not tested."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

if sys.platform == "win32":  # pragma: no cover  # measured on Linux
    pytest.skip("the benchmarks are for POSIX systems", allow_module_level=True)

import benchmarks.__main__ as command
from benchmarks import entries, goals, imports, report, runs, wire
from benchmarks.clients import NAMES, SDK, WEBSOCKET_CLIENT, load
from benchmarks.entries import Case, Entry, Scale
from benchmarks.goals import Goal, Verdict
from benchmarks.processes import BenchError, Server, processors, run_client

TINY = Scale(
    rounds=1,
    seconds=1.0,
    cases=(Case(2), Case(2, "wss")),
    clients=("bare", "ours"),
    pacing=0.5,
    times=3,
    few=1,
    many=2,
)


def entry(
    client: str, number: int = 0, error: str | None = None, **figures: float
) -> Entry:
    """One of a made-up case."""
    return Entry(
        bench="streams",
        case=Case(100).name,
        client=client,
        round=number,
        figures=figures,
        error=error,
    )


# All of it, very small


@pytest.fixture(scope="module")
def measured() -> list[Entry]:
    """Everything that there is, as little of it as can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "IMPORTS", {"ours": "json", SDK: "no_such_module"})
        return list(command.measure("all", TINY))


def of(measured: Sequence[Entry], bench: str) -> list[Entry]:
    """What one benchmark measured."""
    found = [one for one in measured if one.bench.startswith(bench)]
    assert found
    return found


def test_nothing_failed(measured: list[Entry]) -> None:
    """Each client did each job, but for the module that cannot be imported."""
    errors = {one.client: one.error for one in measured if one.error is not None}
    assert list(errors) == [SDK]
    assert "no_such_module" in errors[SDK]


def test_streams(measured: list[Entry]) -> None:
    """Both clients, plain and TLS: nothing lost, and all figures there."""
    found = of(measured, "streams")
    assert [(one.case, one.client) for one in found] == [
        (case.name, client) for case in TINY.cases for client in TINY.clients
    ]
    for one in found:
        assert one.figures["lost"] == 0
        assert one.figures["cpu"] > 0
        assert one.figures["callback_p50"] > 0
        assert set(one.figures) <= set(entries.FIGURES)


def test_every_benchmark(measured: list[Entry]) -> None:
    """Those with a server and those without have rows, and the others' figures."""
    assert {"late_p50", "drift"} <= set(of(measured, "pacing")[0].figures)
    latency = {name for one in of(measured, "latency") for name in one.figures}
    assert {"finalize_p50", "hand_over_p50"} <= latency
    assert {one.case for one in of(measured, "connect")} == {"plain", "TLS"}
    assert all("memory" in one.figures for one in of(measured, "memory"))
    assert of(measured, "imports")[0].figures["numpy"] == 0
    for bench in ("audio", "parsing"):
        assert all(one.figures["call"] > 0 for one in of(measured, bench))


def test_report(measured: list[Entry], tmp_path: Path) -> None:
    """The table, the JSON and the picture have a row for each."""
    from benchmarks.plot import draw

    summary = report.rows(measured)
    shown = report.table(summary)
    for one in measured:
        assert f"{one.bench}: {one.case}" in shown
        assert f"\n{one.client} " in shown
    told = json.loads(json.dumps(report.as_json(measured, machine=report.machine())))
    assert len(told["rows"]) == len(summary)
    assert len(told["entries"]) == len(measured)
    assert told["machine"]["python"]
    draw(summary, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints, writes what it is asked to, and says what is under way."""
    target = tmp_path / "bench.json"
    status = command.main(
        ["parsing", "--small", "--rounds", "1", "--check", "--json", str(target)]
    )
    captured = capsys.readouterr()
    assert status == 0
    assert "frame out" in captured.out
    assert "parsing, a message: event: ours: 0" in captured.err
    assert {row["case"] for row in json.loads(target.read_text())["rows"]} == {
        "event",
        "frame in",
        "frame out",
    }


def test_command_checks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ratio that is missed by far is a status of 1, with ``--check``."""
    slow = [entry(WEBSOCKET_CLIENT, cpu=1.0), entry("ours", cpu=9.0)]
    monkeypatch.setattr(command, "measure", lambda *_, **__: slow)
    assert command.main(["streams", "--quiet"]) == 0
    assert command.main(["streams", "--quiet", "--check"]) == 1
    assert "0.55 x websocket-client" in capsys.readouterr().err


def test_command_without_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what to install."""
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    assert command.main(["all"]) == 2
    assert ".[bench]" in capsys.readouterr().err


def test_command_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases, clients, rounds and seconds can be asked for."""
    asked: list[Scale] = []

    def measure(what: str, scale: Scale, *, quiet: bool) -> list[Entry]:
        asked.append(scale)
        return []

    monkeypatch.setattr(command, "measure", measure)
    words = "--streams 7 --schemes ws wss --clients sdk ours"
    words += " --rounds 4 --seconds 2 --settle 6"
    command.main(["streams", *words.split()])
    (scale,) = asked
    clients = ["sdk", "ours"]
    assert scale.cases == (Case(7, "ws", clients), Case(7, "wss", clients))
    assert (scale.rounds, scale.seconds, scale.settle) == (4, 2.0, 6.0)


# What fails


def test_a_client_that_fails() -> None:
    """Its error is in the table, and the next one has its turn."""

    def measure(client: str) -> dict[str, float]:
        if client == "bare":
            raise BenchError("it said\nwhy")
        return {"cpu": 1.0}

    found = list(runs.turns("streams", "case", ["bare", "ours"], 1, measure))
    assert [one.error for one in found] == ["failed: it said\nwhy", None]
    shown = report.table(report.rows(found))
    assert "bare" in shown
    assert "why" in shown


def test_a_client_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it needs, and nothing is measured."""
    monkeypatch.setattr(load("ours"), "needs", ("no_such_module",))
    assert runs.why_not("ours") == "not installed: no_such_module"
    monkeypatch.setitem(sys.modules, "benchmarks.clients.sdk", None)
    assert (runs.why_not(SDK) or "").startswith("not installed: ")


def test_processes_that_fail() -> None:
    """A client's process that raises, or takes too long, is a `BenchError`."""
    with Server(tls=False) as server:
        job = {"what": "streams", "client": "bare", "scheme": "ws", "port": 1}
        lengths = {"streams": 1, "seconds": 1, "settle": 0}
        with pytest.raises(BenchError, match="ConnectionRefusedError"):
            run_client({**job, **lengths}, server, limit=60)
        with pytest.raises(BenchError, match="no end within"):
            run_client({**job, **lengths}, server, limit=0.001)


# What is computed


def test_the_event() -> None:
    """It is as long as it is said to be, and a transcript with the time as its text."""
    data = wire.event(12345)
    assert len(data) == wire.EVENT_BYTES
    assert int(json.loads(data)["text"]) == 12345
    assert {len(chunk) for chunk in wire.chunks()} == {wire.CHUNK_BYTES}


def test_ratios_are_taken_inside_rounds() -> None:
    """A machine that is ten times slower in one round does not change them."""
    found = [
        *(
            entry(WEBSOCKET_CLIENT, n, cpu=cpu)
            for n, cpu in enumerate([1.0, 10.0, 2.0])
        ),
        *(entry("ours", n, cpu=cpu) for n, cpu in enumerate([0.5, 5.0, 1.0])),
        entry("ours", 3, error="no"),
    ]
    theirs, ours = report.rows(found)
    assert ours.ratios == {WEBSOCKET_CLIENT: {"cpu": 0.5}}
    assert ours.figures == {"cpu": 1.0}
    assert (ours.rounds, theirs.rounds) == (3, 3)


def test_lateness_and_drift() -> None:
    """Both come of the arrivals: late by a tenth of a chunk, and later with time."""
    begin = 5e9
    came = [int(begin + (k * 0.1 + 0.01) * 1e9) for k in range(9)]
    late = runs.lateness(came, begin, 0.0, math.inf)
    assert late == pytest.approx([0.01] * 9)
    # The window counts when a chunk was due.
    assert len(runs.lateness(came, begin, begin + 2e8, begin + 5e8)) == 3
    assert runs.drift([late]) == pytest.approx(0.0)
    grown = [0.01 + k * 0.001 for k in range(9)]
    assert runs.drift([grown]) == pytest.approx(0.009)
    assert runs.drift([[]]) == 0.0


def test_quantile() -> None:
    """The 99th of a hundred; not a number of none."""
    assert entries.quantile(range(100), 0.99) == 99
    assert str(entries.quantile([], 0.5)) == "nan"
    assert entries.spread("late", []) == {}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (102.0, "102"),
        (12345.6, "12,346"),
        (0.1234, "0.123"),
        (float("nan"), "-"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    """As many digits as are worth reading."""
    assert report.number(value) == shown


def test_goals() -> None:
    """Met, missed within the slack, missed; and unknown is neither."""
    found = [
        *(entry(WEBSOCKET_CLIENT, n, cpu=1.0) for n in range(2)),
        *(entry("ours", n, cpu=0.6) for n in range(2)),
    ]
    verdicts = [v for v in goals.judge(report.rows(found)) if v.value is not None]
    (verdict,) = verdicts
    assert verdict.value == pytest.approx(0.6)
    assert not verdict.met()
    assert goals.failures(verdicts) == []
    assert goals.lines(verdicts)[0].startswith("MISSED")
    assert not Verdict(verdict.goal, None).met()


@pytest.mark.parametrize(("held", "limit"), [(None, 0.8), (2.0, 2.0)])
def test_what_is_held(held: float | None, limit: float) -> None:
    """A goal that is not reached yet is checked by what is, and both with slack."""
    goal = Goal("streams", "any", "cpu", 0.8, WEBSOCKET_CLIENT, held=held)
    assert goals.failures([Verdict(goal, limit * 1.24)]) == []
    worse = Verdict(goal, limit * 1.26)
    assert goals.failures([worse]) == [worse]


def test_absolute_goals_are_not_checked() -> None:
    """They are shown in their unit, and never a failure."""
    goal = next(g for g in goals.GOALS if g.figure == "finalize_p50")
    rows = report.rows(
        [
            Entry(
                bench="latency",
                case="finalize",
                client="ours",
                round=0,
                figures={"finalize_p50": 0.002},
            )
        ]
    )
    (verdict,) = [v for v in goals.judge(rows) if v.value is not None]
    assert (verdict.goal, verdict.value) == (goal, 2.0)
    assert goals.failures([verdict]) == []


def test_goals_name_what_exists() -> None:
    """Each goal is about a client, a figure and a peer that there are."""
    cases = {case.name for case in entries.FULL.cases}
    for goal in goals.GOALS:
        assert goal.client in NAMES
        assert goal.figure in entries.FIGURES
        assert goal.against in (None, *report.COMPARED)
        assert goal.bench != "streams" or goal.case in cases
        assert str(Goal(goal.bench, goal.case, goal.figure, 1.0)).startswith(goal.bench)


def test_heading_warns() -> None:
    """Of a busy machine, and of a single processor."""
    about = {**report.machine(), "load": 3.0, "shared": True}
    shown = command.heading(about)
    assert "busy" in shown
    assert "one processor" in shown
    quiet = command.heading({**about, "load": 0.1, "shared": False})
    assert "busy" not in quiet
    assert len(processors()) == 2
