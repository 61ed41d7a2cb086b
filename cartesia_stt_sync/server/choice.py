"""Which engine runs: from what the caller asked for and what is installed.

Decides that, and words what is missing. Never listens itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..errors import ConfigError
from .engine import Engine, Script, ScriptedEngine

__all__ = ["choose", "loaded", "warn_of_language"]

_log = logging.getLogger("cartesia_stt_sync.server")

_NAMES = ("auto", "recogniser", "pocketsphinx", "scripted")


def choose(script: Script | None, engine: str | Engine) -> list[Engine]:
    """The engines to try, the best first. Loads nothing.

    Raises:
        ConfigError: The two do not go together, or the engine is none.
    """
    if not isinstance(engine, str):
        if not isinstance(engine, Engine):
            raise ConfigError(
                f"engine: one of {', '.join(_NAMES)}, or an object with name, "
                f"language, load and open, got {engine!r}"
            )
        if script is not None:
            raise ConfigError("script: for the scripted engine only, got an engine too")
        return [engine]
    if engine not in _NAMES:
        raise ConfigError(f"engine: one of {', '.join(_NAMES)}, got {engine!r}")
    if script is not None:
        if engine not in ("auto", "scripted"):
            raise ConfigError(f"script: for the scripted engine only, got {engine!r}")
        return [ScriptedEngine(script)]
    if engine == "scripted":
        raise ConfigError("script: the scripted engine needs one, got None")
    from .recogniser import Moonshine, PocketSphinx

    if engine == "recogniser":
        return [Moonshine()]
    if engine == "pocketsphinx":
        return [PocketSphinx()]
    return [Moonshine(), PocketSphinx()]


def loaded(candidates: Sequence[Engine]) -> Engine:
    """Load the first of the engines whose packages are installed.

    Raises:
        ConfigError: None is; the message says what to install.
    """
    problems = []
    for engine in candidates:
        try:
            engine.load()
        except ImportError as exc:
            problems.append(f"{engine.name}: {exc}")
            continue
        for problem in problems:
            _log.warning("fell back to the %s engine; %s", engine.name, problem)
        return engine
    raise ConfigError(
        f"engine: its packages are missing ({'; '.join(problems)}); install them with "
        "pip install 'cartesia-stt-sync[local]', or pass script="
    )


def warn_of_language(engine: Engine, asked: str | None) -> None:
    """Say that an engine was asked for a language that it does not know."""
    known = engine.language
    if asked and known and asked.split("-")[0].lower() != known:
        _log.warning("a client asked for %r; %s knows %r", asked, engine.name, known)
