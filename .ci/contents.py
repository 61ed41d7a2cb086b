"""Check that what was built holds what it must, and nothing else."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path


def main(folder: Path) -> None:
    """Look into the one wheel and the one source archive of a folder."""
    (wheel,) = folder.glob("*.whl")
    (archive,) = folder.glob("*.tar.gz")
    packed = set(zipfile.ZipFile(wheel).namelist())
    with tarfile.open(archive) as tar:
        source = {name.partition("/")[2] for name in tar.getnames()}

    modules = {
        str(path)
        for path in Path("cartesia_stt_sync").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    missing = modules - packed
    assert not missing, f"not in the wheel: {sorted(missing)}"
    foreign = {
        name
        for name in packed - modules
        if not name.split("/")[0].endswith(".dist-info")
    }
    assert not foreign, f"in the wheel, but not in the package: {sorted(foreign)}"
    (entry,) = (name for name in packed if name.endswith("entry_points.txt"))
    with zipfile.ZipFile(wheel) as opened:
        assert b"cartesia-stt = cartesia_stt_sync.cli:main" in opened.read(entry)

    wanted = modules | {
        "README.rst",
        "CHANGES.rst",
        "CONTRIBUTING.rst",
        "LICENSE",
        "setup.cfg",
        "setup.py",
        "docs/reference.rst",
        "tests/conftest.py",
        "tests/data/transcription.txt",
        "tests/data/README.rst",
        "examples/script.py",
        "benchmarks/README.rst",
        "fuzz/README.rst",
    }
    missing = wanted - source
    assert not missing, f"not in the source archive: {sorted(missing)}"
    print(f"{wheel.name}: {len(packed)} files; {archive.name}: {len(source)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
