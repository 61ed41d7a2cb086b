"""What plain values have in common: equality, hash and what is shown of them.

Decides both as attrs would, which writes these methods for each class anew: with some
twenty classes that is a tenth of an import. Written once they are slower to run, which
nobody notices: no stream compares or shows what comes in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import attrs

__all__ = ["Value"]


class Value:
    """The base of attrs classes that are made with ``eq=False, repr=False``."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(
            one == another
            for one, another in zip(_of(self, "eq"), _of(other, "eq"), strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.__class__, *_of(self, "hash")))

    def __repr__(self) -> str:
        kind: Any = self.__class__
        names = _names(kind, "repr")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{kind.__qualname__}({shown})"


def _of(value: object, what: str) -> Iterator[Any]:
    """The values of its attributes that count for one of the methods."""
    kind: Any = value.__class__
    return (getattr(value, name) for name in _names(kind, what))


_WANTED: dict[str, Callable[[Any], bool]] = {
    "eq": lambda field: bool(field.eq),
    "hash": lambda field: bool(field.eq if field.hash is None else field.hash),
    "repr": lambda field: bool(field.repr),
}


@cache
def _names(kind: type[Any], what: str) -> tuple[str, ...]:
    """What those attributes are called."""
    return tuple(field.name for field in attrs.fields(kind) if _WANTED[what](field))
