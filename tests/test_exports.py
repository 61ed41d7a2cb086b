"""What is public, and that it is documented."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import cartesia_stt_sync
from cartesia_stt_sync import Transcriber

ROOT = Path(__file__).parents[1]

NAMES = [
    "AudioFormat",
    "AuthenticationError",
    "BufferFull",
    "Caption",
    "CartesiaSTTError",
    "Closed",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "Connected",
    "ConnectionLost",
    "Declaration",
    "Done",
    "DrainTimeout",
    "Endpointer",
    "EnergyEndpointer",
    "ErrorEvent",
    "Event",
    "Finding",
    "FlushDone",
    "Language",
    "Latency",
    "Listener",
    "Malformed",
    "Pool",
    "ProtocolError",
    "QuotaError",
    "RateLimitError",
    "Reconnect",
    "Reconnecting",
    "ServerError",
    "SileroEndpointer",
    "Stages",
    "Stats",
    "Transcriber",
    "Transcript",
    "Turn",
    "TurnEagerEnd",
    "TurnEnd",
    "TurnEvent",
    "TurnResume",
    "TurnStart",
    "TurnTranscriber",
    "TurnUpdate",
    "Unknown",
    "WavReader",
    "Word",
    "WouldDeadlock",
    "__version__",
    "diagnose",
    "to_captions",
    "to_dict",
    "to_paragraphs",
    "to_srt",
    "to_webvtt",
    "transcribe_file",
]

PUBLIC_MODULES = [
    "audio",
    "batch",
    "captions",
    "checks",
    "endpointing",
    "endpoints",
    "errors",
    "events",
    "transcript",
    "turns",
    "wav",
    "wire",
]

ARGUMENTS = {
    "model": "ink-2",
    "language": "en",
    "encoding": "pcm_s16le",
    "sample_rate": 16000,
    "keyterms": (),
    "language_hints": (),
    "min_volume": None,
    "max_silence_duration_secs": None,
    "extra_query": {},
    "api_key": None,
    "access_token": None,
    "base_url": None,
    "version": "2026-03-01",
    "source": None,
    "channels": "mix",
    "endpointer": None,
    "chunk": 0.1,
    "catch_up": 0.5,
    "max_buffer": 10.0,
    "silence_after": 0.3,
    "silence_limit": 10.0,
    "keep_alive": 60.0,
    "open_timeout": 10.0,
    "close_timeout": 10.0,
    "io_timeout": 20.0,
    "reconnect": cartesia_stt_sync.Reconnect(),
    "proxy": "env",
    "ssl_context": None,
    "max_message": 1 << 20,
    "pool": None,
    "budget": None,
    "checks": True,
    "record": None,
    "on_final": None,
    "on_partial": None,
    "on_event": None,
    "on_error": None,
}

METHODS = {
    "open": "(self)",
    "feed": "(self, audio, *, timeout=None)",
    "finalize": "(self)",
    "mute": "(self)",
    "unmute": "(self)",
    "close": "(self, wait=True, timeout=None)",
    "abort": "(self)",
    "config": "(self, *, keyterms=None, language_hints=None)",
    "finals": "(self)",
    "events": "(self)",
    "on": "(self, type, handler=None)",
    "source_time": "(self, seconds)",
}

PROPERTIES = ["muted", "text", "partial", "transcript", "state", "stats", "findings"]


def documents() -> str:
    """All that a user reads."""
    files = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_all() -> None:
    """The public names are these, in this order; a new one is added here as well."""
    assert cartesia_stt_sync.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_importable(name: str) -> None:
    """Each public name can be imported from the package itself."""
    assert hasattr(cartesia_stt_sync, name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_documented(name: str) -> None:
    """Each public name has a docstring, and stands in the documents."""
    assert inspect.getdoc(getattr(cartesia_stt_sync, name))
    assert re.search(rf"\b{name}\b", documents()), f"{name} is not documented"


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_modules(name: str) -> None:
    """What a public module lists is there, and none of it is private."""
    module = importlib.import_module(f"cartesia_stt_sync.{name}")
    assert module.__all__
    for public in module.__all__:
        assert not public.startswith("_")
        assert hasattr(module, public)


@pytest.mark.parametrize("module", ["errors", "events"])
def test_all_errors_and_events(module: str) -> None:
    """All errors and all events are exported by the package."""
    names = importlib.import_module(f"cartesia_stt_sync.{module}").__all__
    assert {name for name in names if name[0].isupper()} <= set(NAMES)


def test_arguments() -> None:
    """The constructor's arguments are these, by keyword only, with these defaults."""
    found = dict(inspect.signature(Transcriber).parameters)
    assert {name: p.default for name, p in found.items()} == ARGUMENTS
    assert {p.kind for p in found.values()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_documented(name: str) -> None:
    """Each is in the docstring and in the documents."""
    assert re.search(rf"\b{name}\b", inspect.getdoc(Transcriber) or "")
    assert re.search(rf"\b{name}\b", documents())


@pytest.mark.parametrize(("name", "signature"), METHODS.items())
def test_methods(name: str, signature: str) -> None:
    """Each method is called so, and says which threads may."""
    method = getattr(Transcriber, name)
    parameters = inspect.signature(method).parameters.values()
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    assert str(inspect.Signature(bare)) == signature
    assert "Threads: " in (inspect.getdoc(method) or "")
    assert re.search(rf"\b{name}\b", documents())


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties(name: str) -> None:
    """Each snapshot is a property with a docstring, and documented."""
    value = inspect.getattr_static(Transcriber, name)
    assert isinstance(value, property)
    assert inspect.getdoc(value)
    assert f"``{name}``" in documents()


def test_nothing_else_is_public() -> None:
    """A transcriber has no other public name."""
    found = {name for name in dir(Transcriber) if not name.startswith("_")}
    assert found == {*METHODS, *PROPERTIES}


def test_version() -> None:
    """The version is one that packagers understand."""
    assert re.fullmatch(
        r"\d+\.\d+(\.\d+)?([ab]\d+|\.dev\d+)?", cartesia_stt_sync.__version__
    )


def test_typed() -> None:
    """The marker for type checkers ships with the package."""
    assert (Path(cartesia_stt_sync.__file__).parent / "py.typed").exists()
