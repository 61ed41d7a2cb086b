"""The README's programs do what it says, on a server of this machine."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import wave
from pathlib import Path

import docutils.core
import docutils.utils
import pytest

from cartesia_stt_sync.server import LocalServer

from .speech import samples

ROOT = Path(__file__).parent.parent
CLIP = "sense_and_sensibility_01_austen_64kb-0880"


def blocks() -> list[str]:
    """The README's Python programs, in order."""
    found = re.findall(
        r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)",
        (ROOT / "README.rst").read_text(),
        re.MULTILINE,
    )
    return [textwrap.dedent(block) for block in found]


def test_there_are_programs() -> None:
    """The pattern above still finds them."""
    assert len(blocks()) == 7


@pytest.mark.parametrize("number", range(7))
def test_each_runs_as_it_stands(number: int, tmp_path: Path) -> None:
    """With the two variables set and a call.wav there, it prints its text."""
    with wave.open(str(tmp_path / "call.wav"), "wb") as call:
        call.setparams((1, 2, 16000, 0, "NONE", ""))
        call.writeframes(samples(CLIP)[:32000])  # a second, because it is real time
    with LocalServer(script=[(0.4, "It was"), (0.8, " heard.")]) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", blocks()[number]],
            cwd=tmp_path,
            env={
                "PYTHONPATH": str(ROOT),
                "CARTESIA_API_KEY": "sk_test",
                "CARTESIA_BASE_URL": server.base_url,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == ("" if number in (3, 4) else "It was heard.")


@pytest.mark.parametrize(
    "name",
    [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.glob("**/*.rst"))
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ],
)
def test_documents_are_sound(name: str) -> None:
    """Each is reStructuredText without a fault, and what it links to is there."""
    text = (ROOT / name).read_text()
    html = docutils.core.publish_string(
        text,
        writer="html5",
        settings_overrides={
            "report_level": 2,
            "halt_level": 2,
            "syntax_highlight": "none",
        },
    )
    assert html
    for target in re.findall(r"<([\w./-]+)>`_", text):
        assert (ROOT / name).parent.joinpath(target).exists(), target
