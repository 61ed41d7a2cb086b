"""What plain values have in common, beside what attrs itself would have written."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from cartesia_stt_sync import Stats, Transcript, Word
from cartesia_stt_sync._value import Value
from cartesia_stt_sync.events import Done, FlushDone


@attrs.frozen(eq=False, repr=False)
class Ours(Value):
    """One of each kind of attribute."""

    a: object
    b: object = attrs.field(default=2, hash=False)
    c: object = attrs.field(default=3, repr=False)
    d: object = attrs.field(default=4, eq=False)


@attrs.frozen
class Theirs:
    """The same, as attrs writes it."""

    a: object
    b: object = attrs.field(default=2, hash=False)
    c: object = attrs.field(default=3, repr=False)
    d: object = attrs.field(default=4, eq=False)


ARGUMENTS: list[tuple[Any, ...]] = [(1,), (1.0,), (2,), (1, 9), (1, 2, 9), (1, 2, 3, 9)]


@pytest.mark.parametrize("one", ARGUMENTS, ids=str)
def test_as_attrs_has_it(one: tuple[Any, ...]) -> None:
    """Equal, of one hash, and shown as attrs would have it."""
    assert repr(Ours(*one)) == repr(Theirs(*one)).replace("Theirs", "Ours")
    for other in ARGUMENTS:
        assert (Ours(*one) == Ours(*other)) is (Theirs(*one) == Theirs(*other))
        assert (Ours(*one) != Ours(*other)) is (Theirs(*one) != Theirs(*other))
        same = hash(Theirs(*one)) == hash(Theirs(*other))
        assert (hash(Ours(*one)) == hash(Ours(*other))) is same


def test_what_cannot_be_hashed() -> None:
    """A value that holds such a thing cannot be hashed either, but where it may."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours([]))
    assert hash(Ours(1, [])) == hash(Ours(1))


def test_of_another_class() -> None:
    """Nothing of another class is equal, were it of the same attributes."""
    assert FlushDone() != Done()
    assert Word("a", 0.0, 1.0) != ("a", 0.0, 1.0, None)
    assert Ours(1).__eq__(1) is NotImplemented


def test_copies() -> None:
    """A copy, deep or pickled, is equal."""
    event = Transcript(
        text="a", is_final=True, words=(Word("a", 0.0, 1.0),), extra={"b": [1]}
    )
    for value in (event, Stats()):
        for same in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert same == value
            assert same is not value
    assert len({event, copy.copy(event)}) == 1
    assert attrs.evolve(event, text="b") != event
