"""What may be asked of an endpoint: its parameters, checked.

Decides by the rules that the service documents. Models, languages and hints are open
sets and pass as they are: the service adds to them inside a version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import attrs

from .. import _validate as check
from .._value import Value
from ..errors import ConfigError
from .known import BATCH, MANUAL, TURNS

__all__ = [
    "TurnThresholds",
    "batch_fields",
    "changes",
    "manual_query",
    "pairs",
    "turns_query",
]

_FORBIDDEN_QUERY = ("api_key", "access_token")
"""Browsers put the key there; URLs end up in logs, so this library never does."""


def manual_query(
    *,
    model: str,
    encoding: str,
    sample_rate: int,
    language: str | None,
    keyterms: Sequence[str],
    language_hints: Sequence[str],
    min_volume: float | None,
    max_silence_duration_secs: float | None,
    extra_query: Mapping[str, object],
) -> dict[str, object]:
    """The query parameters of the Manual endpoint, checked.

    Models, languages and hints are open sets and pass as they are: the service
    adds to them inside a version.

    Raises:
        ConfigError: A value breaks a rule that the service documents.
    """
    check.text("model", model)
    if language is not None:
        check.text("language", language)
    query: dict[str, object] = {
        "model": model,
        "encoding": encoding,
        "sample_rate": sample_rate,
        "language": language,
        "keyterm": check_keyterms(keyterms) or None,
        "language_hint": check_hints(language_hints) or None,
        "min_volume": _check_number("min_volume", min_volume),
        "max_silence_duration_secs": check.seconds(
            "max_silence_duration_secs", max_silence_duration_secs, none=True
        ),
    }
    query = {name: value for name, value in query.items() if value is not None}
    own = MANUAL.required + MANUAL.optional
    return query | _check_extra("extra_query", extra_query, own)


def turns_query(
    *,
    model: str,
    encoding: str,
    sample_rate: int,
    keyterms: Sequence[str],
    language_hints: Sequence[str],
    thresholds: TurnThresholds,
    extra_query: Mapping[str, object],
) -> dict[str, object]:
    """The query parameters of the Auto endpoint, checked; see `manual_query`.

    Raises:
        ConfigError: A value breaks a rule that the service documents.
    """
    check.text("model", model)
    query: dict[str, object] = {
        "model": model,
        "encoding": encoding,
        "sample_rate": sample_rate,
        "keyterm": check_keyterms(keyterms) or None,
        "language_hint": check_hints(language_hints) or None,
        **{f"turn_{name}": value for name, value in thresholds.given().items()},
    }
    query = {name: value for name, value in query.items() if value is not None}
    own = TURNS.required + TURNS.optional
    return query | _check_extra("extra_query", extra_query, own)


def batch_fields(
    *,
    model: str,
    language: str | None,
    words: bool,
    extra_fields: Mapping[str, object],
) -> list[tuple[str, str]]:
    """The fields of the Batch endpoint's form but for the recording, checked.

    Raises:
        ConfigError: A value breaks a rule that the service documents.
    """
    fields = {"model": check.text("model", model)}
    if language is not None:
        fields["language"] = check.text("language", language)
    if check.flag("words", words):
        fields[BATCH.granularities] = "word"
    own = (*BATCH.required, *BATCH.optional, *BATCH.query)
    extra = _check_extra("extra_fields", extra_fields, own)
    return [*fields.items(), *pairs(extra)]


def changes(
    *,
    keyterms: Sequence[str] | None,
    language_hints: Sequence[str] | None,
    turn: Mapping[str, object] = {},  # never changed
) -> dict[str, object]:
    """What a ``config`` message changes, checked; ``None`` stays as it is.

    Args:
        keyterms: In place of those before.
        language_hints: Likewise.
        turn: Of `TurnThresholds`, those that change, checked already.

    Raises:
        ConfigError: A value breaks a rule, or there is nothing to change.
    """
    found: dict[str, object] = {}
    if turn:
        found["turn"] = dict(turn)
    if keyterms is not None:
        found["keyterms"] = check_keyterms(keyterms)
    if language_hints is not None:
        found["language_hints"] = check_hints(language_hints)
    if not found:
        raise ConfigError("config: at least one argument, got none")
    return found


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TurnThresholds(Value):
    """When the Auto endpoint takes a turn to begin and to end; ``None``: its default.

    Attributes:
        start_threshold: Certainty of speech from which a turn begins.
        eager_end_threshold: Certainty below which it is perhaps over.
        end_threshold: Certainty below which it is over.
        end_timeout_ms: Milliseconds of silence after which it is over in any case.

    Raises:
        ConfigError: A value breaks a rule that the service documents.
    """

    start_threshold: float | None = None
    eager_end_threshold: float | None = None
    end_threshold: float | None = None
    end_timeout_ms: int | None = None

    def __attrs_post_init__(self) -> None:
        for name, rule in _TURN_RULES.items():
            value = getattr(self, name)
            if value is None:
                continue
            number = check.own(value)
            whole = name != "end_timeout_ms" or isinstance(number, int)
            if number is None or not whole or not rule.least <= number <= rule.most:
                kind = ", a whole number" if name == "end_timeout_ms" else ""
                raise ConfigError(
                    f"turn_{name}: from {rule.least:g} to {rule.most:g}{kind}, "
                    f"got {value!r}"
                )
            object.__setattr__(self, name, number)  # it may have been NumPy's
        values = [
            default if (given := getattr(self, name)) is None else given
            for name, (_, _, default) in list(_TURN_RULES.items())[:3]
        ]
        if not values[0] > values[1] > values[2]:
            raise ConfigError(
                "turn_start_threshold, turn_eager_end_threshold, turn_end_threshold: "
                "each smaller than the one before it, got "
                + ", ".join(f"{value:g}" for value in values)
            )

    def changed(self, **given: object) -> TurnThresholds:
        """What holds once those that are given, and not ``None``, have changed.

        Raises:
            ConfigError: They break a rule, or do not fit those that stay.
        """
        known = {name: value for name, value in given.items() if value is not None}
        return attrs.evolve(self, **known)  # type: ignore[arg-type]  # checked there

    def given(self) -> dict[str, object]:
        """Those that are not left to the service."""
        return attrs.asdict(self, filter=lambda _, value: value is not None)


class _Range(NamedTuple):
    least: float
    most: float
    default: float


_TURN_RULES = {
    "start_threshold": _Range(0.5, 0.9, 0.8),
    "eager_end_threshold": _Range(0.3, 0.6, 0.4),
    "end_threshold": _Range(0.05, 0.5, 0.2),
    "end_timeout_ms": _Range(640, 11200, 5600),
}


def check_keyterms(keyterms: Sequence[str]) -> list[str]:
    """Check the words to listen for.

    Raises:
        ConfigError: They break a rule that the service documents.
    """
    _check_list("keyterms", keyterms, most=100)
    if sum(map(len, keyterms)) > 1200:
        raise ConfigError(
            "keyterms: at most 1,200 characters in all, got "
            f"{sum(map(len, keyterms)):,}; leave out the common words"
        )
    return list(keyterms)


def check_hints(hints: Sequence[str]) -> list[str]:
    """Check the languages to expect.

    Raises:
        ConfigError: They break a rule that the service documents.
    """
    _check_list("language_hints", hints, most=6)
    return list(hints)


def _check_list(name: str, values: object, *, most: int) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{name}: a list of strings, got {values!r}")
    if len(values) > most:
        raise ConfigError(f"{name}: at most {most}, got {len(values)}")
    for value in values:
        check.text(name, value)


def _check_number(name: str, value: object) -> object:
    if value is None:
        return None
    if check.finite(value) is None:
        raise ConfigError(f"{name}: a number or None, got {value!r}")
    return check.own(value)


def _check_extra(argument: str, extra: object, own: Sequence[str]) -> dict[str, object]:
    """Check further parameters; ``own`` are those with an argument of their own."""
    if not isinstance(extra, Mapping):
        raise ConfigError(f"{argument}: a mapping of strings, got {extra!r}")
    for name, value in extra.items():
        check.text(argument, name)
        if name in _FORBIDDEN_QUERY:
            raise ConfigError(
                f"{argument}: {name} must not stand in a URL, where logs keep it; "
                f"pass it as {name}="
            )
        if name in own or f"{name}[]" in own:
            raise ConfigError(
                f"{argument}: {name} has an argument of its own; use that"
            )
        for item in _several(value):
            if not isinstance(item, (str, bool)) and check.finite(item) is None:
                raise ConfigError(
                    f"{argument}: {name} wants a string, a number, a bool or a list "
                    f"of them, got {value!r}"
                )
            check.text(f"{argument}: {name}", str(item))
    return dict(extra)


def pairs(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    """Flatten lists into repeated parameters and write values as the web does."""
    for name, value in query.items():
        for item in _several(value):
            yield name, str(item).lower() if isinstance(item, bool) else str(item)


def _several(value: object) -> Iterable[object]:
    return value if isinstance(value, (list, tuple)) else [value]
