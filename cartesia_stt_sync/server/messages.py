"""What a client's text messages say: a command, a configuration, or a mistake.

Decides that from the endpoint's own spelling, and what is wrong with a message.
Values in, values out: never touches a socket, and does nothing about a message.
"""

from __future__ import annotations

import enum
import json
from typing import Any

import attrs

from ..endpoints import Endpoint
from .handshake import term_problem
from .thresholds import Thresholds, changed

__all__ = ["Command", "Mistake", "Reader"]

_OLD_CLOSE = "done"
"""What the bare word ``close`` was before; the service still takes it."""


class Command(enum.Enum):
    """What a client can ask for besides hearing audio."""

    FINALIZE = "finalize"
    CLOSE = "close"


@attrs.frozen
class Mistake:
    """A message that is none of those the endpoint takes.

    Attributes:
        title: A short name for it.
        message: What is wrong and what would be right.
    """

    title: str
    message: str


class Reader:
    """Read the text messages of one stream, in their order.

    Args:
        endpoint: How they are spelled.
        turn: The settings of turns; each good configuration changes them.
    """

    def __init__(self, endpoint: Endpoint, turn: Thresholds) -> None:
        self._endpoint = endpoint
        self._turn = turn
        self._commands = {_word(endpoint.close): Command.CLOSE}
        if endpoint.finalize is not None:
            self._commands[_word(endpoint.finalize)] = Command.FINALIZE
            self._commands[_word(_OLD_CLOSE)] = Command.CLOSE

    def read(self, text: str) -> Command | Thresholds | Mistake | None:
        """Read one message.

        Returns:
            The command; the settings of turns from here on, where a configuration
            has changed them; ``None`` for one that changes nothing the server
            has a use for.
        """
        word = _word(text)
        if word in self._commands:
            return self._commands[word]
        if word != _word('{"type": "config"}'):
            return Mistake("Invalid message", self._expected(text))
        before = self._turn
        problem = self._configure(json.loads(text))
        if problem is not None:
            return Mistake("Invalid configuration", problem)
        return self._turn if self._turn != before else None

    def _expected(self, text: str) -> str:
        config = '{"type": "config", ...}'
        if self._endpoint.finalize is None:
            return (
                f"expected {self._endpoint.close} or {config}, as JSON and not as bare "
                f"words, got {text[:60]!r}; nothing is finalized here: the server "
                "finds the ends of turns by itself"
            )
        return (
            f"expected {self._endpoint.finalize!r} or {self._endpoint.close!r}, as "
            f"bare words and not as JSON, or {config}, got {text[:60]!r}"
        )

    def _configure(self, fields: dict[str, Any]) -> str | None:
        """Take in a configuration, or say what is wrong with it."""
        known = self._endpoint.configurable
        for name in fields:
            if name not in ("type", *known):
                return f"{name[:40]}: one of {', '.join(known)}"
        problem = _terms_problem(fields)
        if problem is not None:
            return problem
        values = fields.get("turn", {})
        if not isinstance(values, dict):
            return f"turn: an object, got {_excerpt(values)}"
        turn = changed(self._turn, values, "turn.")
        if isinstance(turn, str):
            return turn
        self._turn = turn
        return None


def _word(text: str) -> tuple[bool, object]:
    """What a message is called, and whether in JSON or as a bare word."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return False, text
    kind = fields.get("type")
    return True, kind if isinstance(kind, str) else None


def _terms_problem(fields: dict[str, Any]) -> str | None:
    for name in ("keyterms", "language_hints"):
        values = fields.get(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            return f"{name}: a list of strings, got {_excerpt(values)}"
    problem = term_problem(fields.get("keyterms", []))
    if problem:
        return f"keyterms: {problem}"
    hints = fields.get("language_hints", [])
    return f"language_hints: at most 6, got {len(hints)}" if len(hints) > 6 else None


def _excerpt(value: object) -> str:
    return json.dumps(value)[:60]
