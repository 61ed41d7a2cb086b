"""Measure this library beside its peers: python -m benchmarks all.

Prints one table, with ratios to websocket-client and to the official SDK beside the
absolute figures, and which goals are met. README.rst says what is measured, and how.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from . import goals, runs
from .clients import NAMES
from .entries import FULL, SMALL, Case, Entry, Scale
from .processes import Server
from .report import as_json, machine, rows, table

WITH_SERVER = {
    "streams": runs.streams,
    "latency": runs.latency,
    "pacing": runs.pacing,
    "connect": runs.connect,
    "memory": runs.memory,
}
WITHOUT = ("imports", "audio", "parsing")
_BUSY = 0.5
"""Load from which on the machine does something else, too."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if ``--check`` finds a ratio missed."""
    options = _parser().parse_args(arguments)
    if find_spec("picows") is None:
        print("benchmarks need their extra: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    about = machine()
    entries = list(measure(options.what, _scale(options), quiet=options.quiet))
    summary = rows(entries)
    verdicts = goals.judge(summary)
    print(heading(about))
    print(table(summary))
    print("\n".join(["goals", "-----", *goals.lines(verdicts)]))
    if options.json is not None:
        judged = [
            {"goal": str(v.goal), "value": v.value, "met": v.met()}
            for v in verdicts
            if v.value is not None
        ]
        text = json.dumps(as_json(entries, machine=about, goals=judged), indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.plot is not None:
        from .plot import draw

        draw(summary, options.plot)
    failed = goals.failures(verdicts) if options.check else []
    for verdict in failed:
        print(f"missed by more than the slack: {verdict.goal}", file=sys.stderr)
    return 1 if failed else 0


def measure(what: str, scale: Scale, *, quiet: bool = True) -> Iterator[Entry]:
    """Run one benchmark, or all, and say on standard error what is under way."""
    with ExitStack() as stack:
        server: Server | None = None
        for name in (*WITH_SERVER, *WITHOUT) if what == "all" else (what,):
            if name in WITH_SERVER:
                server = server or stack.enter_context(Server())
                found = WITH_SERVER[name](server, scale)
            else:
                found = _without(name, scale)
            for entry in found:
                if not quiet:
                    state = (entry.error or "").strip().rpartition("\n")[2]
                    where = f"{entry.bench}: {entry.case}: {entry.client}"
                    print(f"{where}: {entry.round} {state}".rstrip(), file=sys.stderr)
                yield entry


def _without(name: str, scale: Scale) -> Iterator[Entry]:
    # Imported late: what these measure needs packages that the rest does not.
    from . import audio, imports, parsing

    modules = {"imports": imports, "audio": audio, "parsing": parsing}
    found: Iterator[Entry] = modules[name].measure(scale)
    return found


def heading(about: dict[str, object]) -> str:
    """What it ran on; and a word of caution, where that was not quiet."""
    load = about["load"]
    lines = [f"{about['when']}  Python {about['python']}  {about['system']}"]
    if isinstance(load, float) and load > _BUSY:
        lines.append(
            f"The machine was busy when this began (load {load:g}): believe no "
            "absolute figure, and ratios only roughly."
        )
    if about["shared"]:
        lines.append("Server and client shared one processor.")
    return "\n".join([*lines, "Medians; x ws, x sdk: times that client's.", ""])


def _scale(options: argparse.Namespace) -> Scale:
    scale = SMALL if options.small else FULL
    changed: dict[str, Any] = {
        name: value
        for name in ("rounds", "seconds", "settle", "clients")
        if (value := getattr(options, name)) is not None
    }
    if options.streams is not None:
        clients = options.clients or scale.clients
        changed["cases"] = tuple(
            Case(many, scheme, clients)
            for many in options.streams
            for scheme in options.schemes
        )
    return attrs.evolve(scale, **changed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("all", *WITH_SERVER, *WITHOUT))
    parser.add_argument(
        "--small", action="store_true", help="minutes, not half an hour"
    )
    parser.add_argument(
        "--check", action="store_true", help="fail if a ratio is missed"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the streams")
    parser.add_argument("--quiet", action="store_true", help="say nothing on the way")
    parser.add_argument("--rounds", type=int, help="how often each client has its turn")
    parser.add_argument("--seconds", type=float, help="how long streams are held")
    parser.add_argument("--settle", type=float, help="and how long before, uncounted")
    parser.add_argument("--clients", nargs="+", choices=NAMES, help="who takes part")
    parser.add_argument("--streams", nargs="+", type=int, help="how many at a time")
    parser.add_argument(
        "--schemes", nargs="+", choices=("ws", "wss"), default=["ws"], help="of those"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
