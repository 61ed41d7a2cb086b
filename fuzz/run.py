"""Search for inputs that break a promise, guided by the library's coverage.

Usage: python -m fuzz.run parse --seconds 30

Starts from fuzz/corpus/TARGET. What it finds of interest goes to build/fuzz/TARGET,
and an input that breaks something to build/fuzz/crashes/TARGET-*. With --merge it
adds to the corpus what of these covers more than the corpus does.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

ROOT = Path(__file__).parent
BUILD = ROOT.parent / "build" / "fuzz"
LIBRARY = "cartesia_stt_sync"
TARGETS = ("parse", "refusal", "frames", "wav", "session")
"""Spelled out: to import them here would be to import the library uninstrumented."""

Step: TypeAlias = tuple[str, int, int, int]
"""A file of the library, a line, the next one, and how often, roughly."""

_LONGEST = 4096
_MEMORY = 1024
_HANGS = 10


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=30, help="how long to search")
    parser.add_argument(
        "--input", type=Path, help="try this one file, and nothing else"
    )
    parser.add_argument("--merge", action="store_true", help="keep what covers more")
    options = parser.parse_args()
    if options.merge:
        merge(options.target)
        return
    fuzz(options.target, options.seconds, options.input)


def fuzz(name: str, seconds: int, single: Path | None) -> None:
    """Search until the time is up or something breaks; ends the process.

    Args:
        name: The target's.
        seconds: How long.
        single: A file to be tried instead.
    """
    try:
        import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # an extra
    except ImportError:
        sys.exit("atheris is not installed; try: pip install -e '.[fuzz]'")
    with atheris.instrument_imports(include=[LIBRARY]):
        from .targets import TARGETS as CHECKS

    found, crashes = BUILD / name, BUILD / "crashes"
    for folder in (found, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("error")  # as in the tests
    words = ROOT / "words" / f"{name}.dict"
    where = [single] if single else [found, ROOT / "corpus" / name]
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-max_len={_LONGEST}",
            f"-rss_limit_mb={_MEMORY}",
            f"-timeout={_HANGS}",
            f"-artifact_prefix={crashes}/{name}-",
            "-print_final_stats=1",
            *([f"-dict={words}"] if words.exists() else []),
            *map(str, where),
        ],
        CHECKS[name],
    )
    atheris.Fuzz()


def merge(name: str) -> None:
    """Add to the corpus the smallest finds that reach what it does not."""
    from .targets import TARGETS as CHECKS

    corpus = ROOT / "corpus" / name
    reached: set[Step] = set()
    finds = sorted((BUILD / name).iterdir(), key=lambda path: path.stat().st_size)
    known = sorted(corpus.iterdir())
    for path in [*known, *finds]:
        data = path.read_bytes()
        new = steps(CHECKS[name], data) - reached
        reached |= new
        if new and path not in known:
            target = corpus / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
            target.write_bytes(data)
            print(f"{target.name}: {len(data)} bytes, {len(new)} steps more")


def steps(check: Callable[[bytes], None], data: bytes) -> set[Step]:
    """From which line of the library to which an input goes, and how often."""
    counts: Counter[tuple[str, int, int]] = Counter()
    last = ("", 0)

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal last
        name, line = frame.f_code.co_filename, frame.f_lineno
        if LIBRARY not in name:
            return None
        counts[name, last[1] if last[0] == name else 0, line] += 1
        last = (name, line)
        return trace

    before = sys.gettrace()  # a measure of coverage, say
    sys.settrace(trace)
    try:
        check(data)
    finally:
        sys.settrace(before)
    # By powers of eight, or each length of input would be something new.
    return {(*step, len(oct(count))) for step, count in counts.items()}


if __name__ == "__main__":
    main()
