"""The seam of a reconnect: no word twice, and none lost for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartesia_stt_sync._seam import Seam


def told_again(before: list[str], after: list[str]) -> tuple[str, Seam]:
    """Join finals without durations, with a reconnect between the two lists."""
    seam = Seam(30.0)
    for text in before:
        seam.note(text, placed=False)
    seam.open(0)
    joined = "".join(before)
    for text in after:
        new = text[seam.trim(text, final=True) :]
        seam.note(new, placed=False)
        joined += new
    return joined, seam


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        # the same finals again, and one more
        (["one two", " three"], ["one two", " three", " four"], "one two three four"),
        # cut elsewhere
        (["one two", " three"], ["one", " two three four"], "one two three four"),
        (["one two three"], ["one two", " three four"], "one two three four"),
        # other capitals and commas
        (["one two,"], ["One, two three"], "one two, three"),
        # a word misheard in the middle
        (["one too three"], ["one two three four"], "one too three four"),
        # ... at the end, where the text ends
        (["one two tree"], ["one two three", " four"], "one two tree four"),
        # ... at the end, where it goes on: rather twice than lost
        (["one two tree"], ["one two three four"], "one two tree three four"),
        # nothing had been said
        ([], ["one"], "one"),
        # nothing is heard again
        (["one two"], [], "one two"),
        (["one two"], ["", " "], "one two "),
        # said twice, and heard twice
        (["no no"], ["no no", " no"], "no no no"),
    ],
)
def test_no_word_twice(before: list[str], after: list[str], whole: str) -> None:
    """What the replay repeats is cut off, what is new stays to the byte."""
    joined, seam = told_again(before, after)
    assert joined == whole
    assert not seam.differed


def test_another_text_altogether_stays() -> None:
    """Where the replay is heard as something else, nothing is thrown away."""
    joined, seam = told_again(["one two three"], ["red green blue", "one"])
    assert joined == "one two threered green blueone"
    assert seam.differed


def test_a_provisional_text_is_trimmed_and_comes_again() -> None:
    """It uses nothing up."""
    seam = Seam(30.0)
    seam.note("one two", placed=False)
    seam.open(0)
    for text in ("one", "one two", "one two three"):
        assert text[seam.trim(text, final=False) :] in ("", " three")
    assert seam.trim("one two", final=True) == len("one two")
    assert seam.trim("one two", final=True) == 0


def test_what_has_a_place_is_not_sent_again() -> None:
    """So it is not expected either, unless something without one stands before it."""
    seam = Seam(30.0)
    seam.note("one", placed=True)
    seam.open(0)
    assert seam.trim("one", final=True) == 0
    seam.note("two", placed=False)
    seam.note(" three", placed=True)
    seam.open(0)
    assert seam.trim("two three four", final=False) == len("two three")
    seam.forget()
    assert seam.trim("two three four", final=True) == 0


def test_what_stands_before_the_replay_is_not_expected() -> None:
    """Its audio does not come again; so whoever says the word says it once more."""
    seam = Seam(30.0)
    seam.note("Hello", placed=False, sent=100)
    seam.note(" it is me", placed=False, sent=200)
    seam.open(100)
    assert seam.again == ["it", "is", "me"]
    assert seam.trim("Hello, it is me", final=False) == len("Hello, it is me")
    seam.open(200)
    assert seam.trim("Hello", final=True) == 0
    assert not seam.differed


def test_a_text_without_end() -> None:
    """Only what may repeat is looked at, not all that a server sends behind it."""
    seam = Seam(30.0)
    seam.note("a b c", placed=False)
    seam.open(0)
    looked: list[int] = []

    class Counted(str):
        def __eq__(self, other: object) -> bool:
            looked.append(1)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    seam.again = [Counted(word) for word in seam.again]
    text = "a b c" + " x a" * 20_000
    assert seam.trim(text, final=True) == len("a b c")
    assert len(looked) < 100


@given(
    st.lists(st.text("ab ,", max_size=8), max_size=4),
    st.lists(st.text("ab ,", max_size=8), max_size=4),
)
def test_only_beginnings_are_cut(before: list[str], after: list[str]) -> None:
    """Whatever was said, what stays of a text is its end."""
    seam = Seam(30.0)
    for text in before:
        seam.note(text, placed=False)
    seam.open(0)
    for text in after:
        for final in (False, True):
            assert 0 <= seam.trim(text, final=final) <= len(text)


@given(st.lists(st.sampled_from(["one", "two", "no"]), max_size=12), st.data())
def test_an_exact_replay_says_nothing_twice(
    said: list[str], data: st.DataObject
) -> None:
    """However it is cut into finals."""
    cut = data.draw(st.integers(0, len(said)))
    more = data.draw(st.integers(0, len(said) - cut)) if said else 0
    before = [f" {word}" for word in said[:cut]]
    again = "".join(f" {word}" for word in said[: cut + more])
    assert told_again(before, [again])[0] == again
