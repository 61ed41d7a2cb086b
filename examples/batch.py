"""Many recordings become text files beside them, some at a time.

    python batch.py calls/*.wav

Each is one request to the Batch endpoint. One that fails is named, and the others go
on; whose text is there already is left out, so the same line goes on after a stop.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cartesia_stt_sync import CartesiaSTTError, transcribe_file


def transcribe(path: Path) -> str | None:
    """Write the text of a recording; return what is wrong, if anything is."""
    target = path.with_suffix(".txt")
    if target.exists():
        return None
    try:
        transcript = transcribe_file(path)
        target.write_text(transcript.text, encoding="utf-8")
    except (CartesiaSTTError, OSError) as exc:
        return f"{path}: {exc}"
    return None


def main(paths: list[Path], at_once: int) -> int:
    failed = 0
    # No more than your plan allows at a time: what is too much is refused.
    with ThreadPoolExecutor(at_once) as pool:
        for path, problem in zip(paths, pool.map(transcribe, paths), strict=True):
            print(problem or f"{path}: done", flush=True)
            failed += problem is not None
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--at-once", type=int, default=4, metavar="N")
    options = parser.parse_args()
    sys.exit(main(options.files, options.at_once))
