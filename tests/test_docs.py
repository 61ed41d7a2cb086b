"""What the documents promise is held by tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from cartesia_stt_sync.server.rules import HANDSHAKE, STREAM

from .noises import RATES, WIRE, corpus

ROOT = Path(__file__).parent.parent
PAGES = ["reliability.rst", "security.rst"]
NAMED = re.compile(r"``((?:tests|fuzz)/[\w/]+\.py)(?:::([\w:]+))?``")


def named() -> list[tuple[str, str, str]]:
    """Each test that a page names: page, file, and the name in it."""
    return [
        (page, *found)
        for page in PAGES
        for found in NAMED.findall((ROOT / "docs" / page).read_text())
    ]


@cache
def names_in(path: str) -> set[str]:
    """All tests and classes of a file, as pytest names them."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
            found |= {f"{node.name}::{name}" for name in inner}
    return found


@pytest.mark.parametrize(("page", "path", "name"), named())
def test_named_tests_exist(page: str, path: str, name: str) -> None:
    """A promise whose test was renamed or removed is no promise."""
    assert (ROOT / path).is_file()
    assert not name or name in names_in(path)


def test_every_fault_is_in_the_reference() -> None:
    """And with the arguments that it has."""
    page = (ROOT / "docs" / "reference.rst").read_text()
    for name in HANDSHAKE:
        assert f"Fault.{name}(" in page
    for name, options in STREAM.items():
        assert f"``{name}{'(' if options else '``'}" in page
        assert all(option in page for option in options)


def test_every_promise_has_one() -> None:
    """Both pages name tests, and not just a few."""
    for page in PAGES:
        assert len([None for p, _, _ in named() if p == page]) >= 15


def finding_codes() -> set[str]:
    """Every code that the package gives a finding."""
    found = set()
    for path in (ROOT / "cartesia_stt_sync").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding":
                found.add(ast.literal_eval(node.args[0]))
    return found


def test_every_finding_is_on_its_page() -> None:
    """Each code that there is has a row, and no row is of one that is not."""
    page = (ROOT / "docs" / "findings.rst").read_text()
    rows = re.findall(r"^   \* - ``([\w-]+)``$", page, re.MULTILINE)
    assert len(rows) == len(set(rows)) > 25
    assert set(rows) == finding_codes()


def test_the_corpus_is_as_large_as_the_page_says() -> None:
    """Its number of streams follows from the noises, and is not forgotten."""
    page = (ROOT / "docs" / "findings.rst").read_text()
    streams = sum(len(list(corpus(rate))) * len(WIRE) for rate in RATES)
    assert f"{streams:,} streams" in page
