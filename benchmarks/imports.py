"""What it takes to import this library, its peers, and what it stands on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from .entries import Entry, Scale
from .processes import environment, pin, processors
from .report import DEPENDENCIES

__all__ = ["measure"]

IMPORTS = {
    "ours": "cartesia_stt_sync",
    DEPENDENCIES: "websocket, attr",
    "sdk": "cartesia",
    "websockets": "websockets.sync.client",
    "picows": "picows",
}

# picows brings python-socks along, which websocket-client would then import as well:
# for those who have not installed a benchmark it is not there.
PROGRAM = """
import sys, time
{hide}
began = time.perf_counter()
import {modules}
took = time.perf_counter() - began
print('{{"import": %r, "numpy": %d}}' % (took, "numpy" in sys.modules))
"""


def program(client: str, modules: str) -> str:
    """What a process runs."""
    hide = "" if client == "picows" else "sys.modules['python_socks'] = None"
    return PROGRAM.format(modules=modules, hide=hide)


def measure(scale: Scale) -> Iterator[Entry]:
    """Import each in a process of its own; the first round, of cold files, is none."""
    for number in range(-1, scale.rounds * 3):
        for client, modules in IMPORTS.items():
            done = subprocess.run(
                [sys.executable, "-c", program(client, modules)],
                capture_output=True,
                text=True,
                env=environment(),
                preexec_fn=pin(processors()[1]),
            )
            if number < 0:
                continue
            figures = json.loads(done.stdout) if not done.returncode else {}
            yield Entry(
                bench="imports",
                case="import",
                client=client,
                round=number,
                figures=figures,
                error=done.stderr.strip().rpartition("\n")[2] or None,
            )
