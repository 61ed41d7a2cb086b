"""Captions: what holds for any transcript, and what reads well."""

from __future__ import annotations

import cProfile
import html
import json
import pstats
import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import pytest
import srt as srt_parser  # type: ignore[import-untyped]  # it has no types
import webvtt as webvtt_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync import (
    Caption,
    ConfigError,
    Transcript,
    Word,
    to_captions,
    to_dict,
    to_paragraphs,
    to_srt,
    to_webvtt,
)

MS = timedelta(milliseconds=1)

RATE = 15.0
"""Characters that are spoken in a second."""


def spoken(text: str, *, start: float = 0.0, rate: float = RATE) -> Transcript:
    """A transcript with words, spoken evenly; a ``|`` is a pause of 2 seconds."""
    words, at = [], start
    for part in text.split():
        if part == "|":
            at += 2.0
            continue
        end = at + len(part) / rate
        words.append(Word(part, round(at, 3), round(end, 3)))
        at = end + 1 / rate
    kept = " ".join(text.replace("|", "").split())
    return Transcript(text=kept, is_final=True, words=tuple(words))


def spoken_behind(before: Transcript, text: str, *, pause: float = 0.0) -> Transcript:
    """The next delta: its text begins with a blank, its words behind the others."""
    assert before.words
    told = spoken(text, start=before.words[-1].end + pause)
    return attrs.evolve(told, text=f" {told.text}")


def shown(found: Sequence[Caption]) -> list[tuple[str, ...]]:
    """The lines of each."""
    return [caption.lines for caption in found]


def test_short() -> None:
    """What fits is one caption, from the first word to the last."""
    (caption,) = to_captions(spoken("Good morning to you all.", start=1.0))
    assert caption.lines == ("Good morning to you all.",)
    assert (caption.start, caption.end) == (1.0, 2.6)
    assert str(caption) == "Good morning to you all."


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (  # behind a comma
            "When the rain had stopped, the children went out to play.",
            ("When the rain had stopped,", "the children went out to play."),
        ),
        (  # before a conjunction, though others are nearer the middle
            "The old man waited there and then he went home to his wife.",
            ("The old man waited there", "and then he went home to his wife."),
        ),
        (  # before a preposition, not behind it
            "They were all looking at the pictures of old houses in town.",
            ("They were all looking at the pictures", "of old houses in town."),
        ),
        (  # balanced
            "Seven very old men told us many stories last year.",
            ("Seven very old men told", "us many stories last year."),
        ),
        (  # behind a sentence
            "He is here already. We can begin now if you like it.",
            ("He is here already.", "We can begin now if you like it."),
        ),
    ],
)
def test_lines(text: str, lines: tuple[str, ...]) -> None:
    """Two lines are broken where it reads well."""
    assert shown(to_captions(spoken(text))) == [lines]


def test_sentences() -> None:
    """A caption ends with its sentence rather than full; "Mr." ends none."""
    text = (
        "I saw Mr. Smith yesterday in the old town. He told me that he was not going "
        "to sell the house, and that his brother agreed with him."
    )
    assert shown(to_captions(spoken(text))) == [
        ("I saw Mr. Smith yesterday in the old town.",),
        ("He told me that he was not", "going to sell the house,"),
        ("and that his brother agreed with him.",),
    ]


def test_titles() -> None:
    """A title and its name stay on one line."""
    told = spoken("Tonight we will all be talking with Dr. Ellen Marsh of the old town")
    (lines,) = shown(to_captions(told))
    assert lines[1].startswith("with Dr. Ellen") or lines[0].endswith("Ellen Marsh")


def test_endings_in_japanese() -> None:
    """A word's ending in hiragana stays with its kanji where there is another way."""
    told = Transcript(text="今日はとても良い天気だ", is_final=True, duration=3.0)
    assert shown(to_captions(told, max_chars=8)) == [("今日はとても", "良い天気だ")]


def test_pauses() -> None:
    """A long silence ends a caption, which does not stand through it."""
    first, second = to_captions(spoken("We wait for | the train to come."))
    assert first.lines == ("We wait for",)
    assert first.end == 1.0  # the shortest; the words end before
    assert second.start == 2.8
    assert len(to_captions(spoken("We wait for | the train to come."), pause=3.0)) == 1


def test_short_pauses() -> None:
    """Where no punctuation helps, a caption ends at a pause, if only a short one."""
    first = spoken("seven tall men came here quite early")
    rest = "one more had gone home long before noon yesterday without saying anything"
    for pause, lines in ((0.07, 2), (0.9, 1)):
        found = to_captions([first, spoken_behind(first, rest, pause=pause)])
        assert len(found) == 2
        assert len(found[0].lines) == lines


def test_time_to_read() -> None:
    """A comma behind a few quick words is no place to break: nobody could read them."""
    rest = "seven tall men came here quite early one more had gone home long ago"
    for rate, alone in ((15.0, True), (60.0, False)):
        first = spoken("Nobody had a clue,", rate=rate)
        found = to_captions([first, spoken_behind(first, rest)])
        assert (found[0].lines == ("Nobody had a clue,",)) is alone


def test_full_lines() -> None:
    """A line may be full to the last character."""
    told = spoken("aaaaaa bb ccc")
    assert shown(to_captions(told, max_chars=6)) == [("aaaaaa", "bb ccc")]


def test_reading_time() -> None:
    """A caption that is said too fast to be read stands longer, if a pause follows."""
    fast = "These are many words in no time at all"
    alone, _ = to_captions(spoken(f"{fast} | Yes.", rate=60.0), max_cps=20.0)
    assert alone.end == round(len(fast) / 20.0, 3)
    assert alone.end > 38 / 60.0
    (unhurried,) = to_captions(spoken(fast, rate=60.0), max_cps=100.0)
    assert unhurried.end == 1.0


def test_shortest() -> None:
    """Captions that come too fast are each long enough; the second comes late."""
    rapid = spoken("Quickly now please.", rate=100.0)
    found = to_captions(rapid, max_chars=8, max_lines=1, min_seconds=0.5)
    assert [(c.start, c.end) for c in found] == [
        (0.0, 0.5),
        (0.58, 1.08),
        (1.16, 1.66),
    ]


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("length", [0.2, 0.5, 0.8])
def test_many_short_turns(channels: int, length: float) -> None:
    """They do not add up: where there is no time for the shortest, it gives way."""
    deltas = [
        Transcript(
            text=f"{n}\n",
            is_final=True,
            words=(Word(f"{n}", n * length, (n + 0.7) * length),),
            channel=n % channels,
        )
        for n in range(1200)
    ]
    found = to_captions(deltas, pause=0.01)
    assert [str(caption) for caption in found] == [f"{n}" for n in range(1200)]
    for n, caption in enumerate(found):
        assert -0.001 <= caption.start - n * length <= 1.5
        assert caption.end - caption.start >= 0.75 * (length - 0.08)
    for one, other in pairwise(found):
        assert other.start - one.end >= 0.08 - 0.001


def test_turns_catch_up() -> None:
    """A few short ones each stand as long as they should; a pause makes up for it."""
    starts = [0.0, 0.5, 1.0, 9.0]
    deltas = [
        Transcript(text=f"{at}\n", is_final=True, words=(Word(f"{at}", at, at + 0.4),))
        for at in starts
    ]
    found = to_captions(deltas, pause=0.05)
    assert [(c.start, c.end) for c in found] == [
        (0.0, 1.0),
        (1.08, 2.08),
        (2.16, 3.16),
        (9.0, 10.0),
    ]


def test_all_at_once() -> None:
    """Times that are all the same, as no speech has, still make captions in order.

    Those behind them are in time, and of a text that takes no time each can be read.
    """
    deltas = [
        Transcript(text=f"{n}\n", is_final=True, words=(Word(f"{n}", 1.0, 1.0),))
        for n in range(30)
    ]
    deltas.append(Transcript(text="on", is_final=True, words=(Word("on", 9.0, 9.4),)))
    found = to_captions(deltas, pause=0.0, max_chars=2, max_lines=1)
    assert " ".join(map(str, found)) == " ".join(map(str, [*range(30), "on"]))
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert found[-2].start < 4.0
    assert found[-1].start == 9.0
    told = Transcript(text=" ".join(["word"] * 200), is_final=True, duration=0.0)
    for one, other in pairwise(to_captions(told)):
        assert one.end - one.start > 0.7
        assert other.start - one.end == pytest.approx(0.08)


def test_longest() -> None:
    """Slow speech is cut before the limit; one endless word stands no longer."""
    slow = spoken("one two three four five six", rate=1.0)
    found = to_captions(slow, pause=2.0, max_seconds=7.0)
    assert shown(found)[0] == ("one two",)  # from 0 to 7 s
    assert (found[1].lines, found[1].start) == (("three",), 8.0)
    word = Transcript(text="Oh", is_final=True, words=(Word("Oh", 0.0, 60.0),))
    (caption,) = to_captions(word)
    assert caption.end == 7.0


def test_long_word() -> None:
    """A word longer than a line has a line of its own, whole."""
    text = f"see {'x' * 50} there"
    assert shown(to_captions(spoken(text), max_lines=3)) == [("see", "x" * 50, "there")]


def test_script_without_blanks() -> None:
    """Japanese breaks between characters, not before what closes; no blanks come."""
    text = "これはペンです。それは本ではありません、でも面白いです。"
    whole = Transcript(text=text, is_final=True, duration=7.0)
    found = to_captions(whole, max_chars=13)
    assert "".join(line for c in found for line in c.lines) == text
    assert shown(found)[0] == ("これはペンです。",)
    assert all(line[0] not in "。、" for c in found for line in c.lines)


def test_words_spelled_otherwise() -> None:
    """Words without case and punctuation, or missing, still say when it was said."""
    words = (
        Word("hello", 1.0, 1.3),
        Word("it's", 2.0, 2.2),
        Word("twenty", 2.3, 2.6),  # in the text it is 20
        Word("past", 2.7, 2.9),
        Word("", 2.9, 2.9),
        Word("nine", 6.0, 6.3),
    )
    told = Transcript(text=" Hello! It's 20 past. Nine.", is_final=True, words=words)
    found = to_captions(told, pause=0.5, min_seconds=0.1, max_cps=1000.0)
    assert [(str(c), c.start, c.end) for c in found] == [
        ("Hello!", 1.0, 1.3),
        ("It's 20 past.", 2.0, 2.9),
        ("Nine.", 6.0, 6.3),
    ]


def test_no_word_within_a_word() -> None:
    """A short word is not taken for a part of a longer one that has no time."""
    words = (Word("that", 0.0, 0.2), Word("a", 5.0, 5.1), Word("cat", 5.1, 5.4))
    told = Transcript(text="that was a cat", is_final=True, words=words)
    found = to_captions(told, max_chars=4, max_lines=1, min_seconds=0.1, min_gap=0.0)
    assert [str(c) for c in found] == ["that", "was", "a", "cat"]
    assert [c.start for c in found] == [0.0, 0.2, 5.0, 5.1]


def test_characters_without_words() -> None:
    """In a script without blanks a word may begin right behind one that is missing."""
    words = (Word("今", 0.0, 0.5), Word("晴", 8.0, 8.5))
    told = Transcript(text="今日は晴れ", is_final=True, words=words)
    found = to_captions(told, max_chars=1, max_lines=1, min_seconds=0.1)
    assert [c.start for c in found if str(c) in "今晴"] == [0.0, 8.0]


def test_words_of_something_else() -> None:
    """Words that are not in the text at all say at least when it began and ended."""
    words = (Word("eins", 2.0, 2.5), Word("zwei", 3.0, 4.0))
    told = Transcript(text="one two", is_final=True, words=words)
    (caption,) = to_captions(told)
    assert (caption.start, caption.end) == (2.0, 4.0)


def test_durations() -> None:
    """Without words the text is spread over each delta's time."""
    deltas = [
        Transcript(text="Hello there.", is_final=True, duration=2.0),
        Transcript(text="", is_final=True, duration=3.0),
        Transcript(text=" no", is_final=False, duration=9.0),
        Transcript(text=" How are you?", is_final=True, duration=2.0),
    ]
    first, second = to_captions(iter(deltas))
    assert (str(first), first.start, first.end) == ("Hello there.", 0.0, 2.0)
    assert (str(second), second.end) == ("How are you?", 7.0)
    assert second.start == pytest.approx(5.0, abs=0.2)


def test_only_finals() -> None:
    """One that is not final counts as little alone as among others."""
    told = Transcript(text="no", is_final=False, duration=9.0)
    for came in (told, [told]):
        assert to_captions(came) == ()
        assert to_dict(came)["text"] == ""


def test_some_without_times() -> None:
    """Text without times goes between its neighbours, or is given some at the ends."""
    deltas = [
        Transcript(text="First ", is_final=True),
        spoken("second", start=10.0),
        Transcript(text=" third", is_final=True),
        attrs.evolve(spoken("fourth", start=20.0), text=" fourth"),
        Transcript(text=" fifth", is_final=True),
    ]
    found = to_captions(deltas, max_chars=6, max_lines=1)
    assert [str(c) for c in found] == ["First", "second", "third", "fourth", "fifth"]
    at = [(c.start, c.end) for c in found]
    assert at[0] == (9.67, 10.67)  # as fast as people speak, and then 1 s
    assert at[1][0] == 10.75
    assert at[3] == (20.0, 21.0)
    assert at[4] == (21.08, 22.08)


def test_a_word_across_deltas() -> None:
    """Deltas are joined verbatim, so a word may begin in one and end in the next."""
    deltas = [
        Transcript(text="Hel", is_final=True, words=(Word("Hel", 0.0, 0.5),)),
        Transcript(text="lo.", is_final=True, words=(Word("lo.", 0.5, 1.5),)),
    ]
    (caption,) = to_captions(deltas)
    assert (str(caption), caption.end) == ("Hello.", 1.5)


def test_channels() -> None:
    """Each speaker has captions of their own, merged or as deltas, with their times."""
    mine = [Word("Are", 0.0, 0.5), Word("you", 0.6, 1.0), Word("there?", 1.0, 2.0)]
    yours = [Word("Yes,", 2.5, 3.0), Word("you", 3.0, 3.5), Word("know.", 3.5, 4.0)]
    again = [Word("Fine.", 4.5, 6.0)]
    deltas = [
        Transcript(
            text=" ".join(w.word for w in words),
            is_final=True,
            channel=channel,
            words=tuple(attrs.evolve(w, channel=channel) for w in words),
        )
        for channel, words in [(0, mine), (1, yours), (0, again)]
    ]
    # As a transcriber with split channels merges them; one channel's words first.
    merged = Transcript(
        text="Are you there?\nYes, you know.\nFine.",
        is_final=True,
        words=tuple(w for n in (1, 0, 2) for w in deltas[n].words or ()),
    )
    for source in (deltas, merged):
        assert [(str(c), c.start, c.end) for c in to_captions(source)] == [
            ("Are you there?", 0.0, 2.42),
            ("Yes, you know.", 2.5, 4.42),
            ("Fine.", 4.5, 6.0),
        ]
        assert [c.channel for c in to_captions(source)] == [0, 1, 0]


def test_speakers_at_once() -> None:
    """What was said in between comes behind, and does not cut the first one short."""
    long = spoken("I would like to know what happened to it", rate=8.0)
    deltas = [
        attrs.evolve(long, channel=0),
        attrs.evolve(spoken("Oh yes.", start=2.0), channel=1),
        attrs.evolve(spoken("And then?", start=7.0), channel=0),
    ]
    first, second, third = to_captions(deltas)
    assert str(second) == "Oh yes."
    assert first.end > 4.9  # its last word ends at 5.0
    assert first.end < second.start < 5.1
    assert third.start == 7.0


def test_one_channel_a_caption() -> None:
    """However short and close, two channels do not share a caption."""
    deltas = [
        attrs.evolve(spoken(text, start=n / 2), channel=n % 2)
        for n, text in enumerate(["Yes.", "No?", "Well."])
    ]
    found = to_captions(deltas)
    assert [(str(c), c.channel) for c in found] == [
        ("Yes.", 0),
        ("No?", 1),
        ("Well.", 0),
    ]


def test_a_channel_of_words_without_times() -> None:
    """In a merged text a line is of one channel, also its words that have no time."""
    told = Transcript(
        text="So 20 it is.\n$5 more, $7 less.",
        is_final=True,
        words=(
            *(
                Word("so", 0.0, 0.3, 0),
                Word("it", 1.0, 1.2, 0),
                Word("is", 1.2, 1.4, 0),
            ),
            *(Word("more", 3.0, 3.3, 1), Word("less", 4.0, 4.2, 1)),
        ),
    )
    found = to_captions(told)
    assert [(str(c), c.channel) for c in found] == [
        ("So 20 it is.", 0),
        ("$5 more, $7 less.", 1),
    ]


def test_nothing_said() -> None:
    """No text, no captions, no complaint; both files are valid."""
    none: list[Transcript] = []
    for nothing in (Transcript(text=" \n", is_final=True), none):
        assert to_captions(nothing) == ()
        assert to_srt(nothing) == ""
        assert to_webvtt(nothing) == "WEBVTT\n\n"
        assert to_paragraphs(nothing) == ()


def test_no_times() -> None:
    """Where no time is known, the error says what to do."""
    whole = Transcript(text="Hello", is_final=True, words=())
    with pytest.raises(ConfigError, match=r"got neither; use .* duration=SECONDS"):
        to_captions(whole)
    assert len(to_captions(attrs.evolve(whole, duration=1.0))) == 1


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_chars": 0}, "max_chars: a whole number from 1 to 1,000"),
        ({"max_lines": 0}, "max_lines: a whole number from 1 to 10"),
        ({"max_seconds": 0}, "max_seconds: seconds, more than 0"),
        ({"min_seconds": -1}, "min_seconds: seconds, at least 0"),
        ({"min_seconds": 8}, "min_seconds: at most max_seconds, got 8"),
        ({"pause": "1"}, "pause: seconds, at least 0"),
        ({"min_gap": float("nan")}, "min_gap: seconds, at least 0"),
        ({"max_cps": 0}, "max_cps: a number, more than 0, got 0"),
        ({"max_cps": None}, "max_cps: a number, more than 0, got None"),
    ],
)
def test_limits(limits: dict[str, Any], message: str) -> None:
    """A limit that makes no sense is named, with its rule."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        to_captions(spoken("Hello"), **limits)


@pytest.mark.parametrize("wrong", ["Hello", 7, [spoken("a"), "b"], None])
def test_no_transcript(wrong: Any) -> None:
    """What is no transcript is refused by all of them."""
    for function in (to_captions, to_srt, to_webvtt, to_paragraphs, to_dict):
        with pytest.raises(ConfigError, match="a Transcript, or several, got"):
            function(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"end": 1.0}, "end: seconds, later than start, got 1.0"),
        ({"end": 1.0001}, "later than start, got 1.0001"),
        ({"end": float("nan")}, "end: seconds, at least 0 and at most 1e+12, got nan"),
        ({"end": 1e308}, "end: seconds, at least 0 and at most 1e+12, got 1e+308"),
        ({"start": -1.0}, "start: seconds, at least 0"),
        ({"start": 1e300, "end": 1e301}, "start: seconds, at least 0 and at most"),
        ({"channel": "x"}, "channel: a whole number of at least 0, got 'x'"),
        ({"channel": -1}, "channel: a whole number of at least 0, got -1"),
        ({"channel": 1.0}, "channel: a whole number of at least 0, got 1.0"),
        ({"lines": ()}, "lines: a tuple of lines, none empty, got ()"),
        ({"lines": "text"}, "got 'text'"),
        ({"lines": ("a", " ")}, "none empty"),
        ({"lines": ("a\nb",)}, "a tuple of lines"),
    ],
)
def test_caption(wrong: dict[str, Any], message: str) -> None:
    """A caption that would break a file cannot be made."""
    good: dict[str, Any] = {"start": 1.0, "end": 2.0, "lines": ("a",)}
    Caption(**good)
    latest = Caption(**good | {"end": 1e12, "channel": np.int64(2)})
    assert "277777777:46:40.000\n<v Channel 3>a" in to_webvtt([latest])
    with pytest.raises(ConfigError, match=re.escape(message)):
        Caption(**good | wrong)


def test_srt() -> None:
    """The file, byte by byte; hours go on beyond 99."""
    told = spoken("Here it is. | There", start=359_999.5)
    assert to_srt(to_captions(told, min_seconds=0.5)) == (
        "1\n99:59:59,500 --> 100:00:00,233\nHere it is.\n\n"
        "2\n100:00:02,300 --> 100:00:02,800\nThere\n"
    )


def test_webvtt() -> None:
    """The file, byte by byte; nothing in the text is markup or ends a cue."""
    told = spoken("<i>Q&A --> over", start=359_999.5)
    assert to_webvtt(told) == (
        "WEBVTT\n\n99:59:59.500 --> 100:00:00.500\n&lt;i&gt;Q&amp;A --&gt; over\n"
    )


def test_arrow() -> None:
    """SubRip cannot escape what stands between times, so it is written otherwise."""
    told = spoken("00:00:01,000 --> 00:00:02,000")
    (item,) = srt_parser.parse(to_srt(told))
    assert item.content == "00:00:01,000 \u2192 00:00:02,000"


def test_voices() -> None:
    """In WebVTT each caption says whose it is, where that is known."""
    deltas = [
        attrs.evolve(spoken("Yes & no."), channel=0),
        attrs.evolve(spoken("Why?", start=2.0), channel=1),
    ]
    told = to_webvtt(deltas)
    assert told.splitlines()[3::3] == [
        "<v Channel 1>Yes &amp; no.",
        "<v Channel 2>Why?",
    ]
    assert [c.voice for c in webvtt_parser.from_string(told).captions] == [
        "Channel 1",
        "Channel 2",
    ]


def test_speakers_in_subrip() -> None:
    """SubRip has no voices, so each caption begins with its channel, from 1."""
    deltas = [
        attrs.evolve(spoken("Yes.", start=0.0), channel=0),
        attrs.evolve(spoken("Why do you ask that, of all people, and now?"), channel=1),
        spoken("Applause", start=60.0),
    ]
    found = [item.content for item in srt_parser.parse(to_srt(deltas))]
    assert found == [
        "1: Yes.",
        "2: Why do you ask that,\nof all people, and now?",
        "Applause",
    ]


def test_changed_captions() -> None:
    """Captions that a program has changed are written as they are, in order."""
    one, two = (
        attrs.evolve(c, lines=(f"AGENT: {c}",))
        for c in to_captions(spoken("Hello | you"))
    )
    assert to_srt(iter([two, one])) == (
        "1\n00:00:00,000 --> 00:00:01,000\nAGENT: Hello\n\n"
        "2\n00:00:02,400 --> 00:00:03,400\nAGENT: you\n"
    )
    assert "AGENT: Hello" in to_webvtt([two, one])
    with pytest.raises(ConfigError, match="a Transcript, or several, got Caption"):
        to_srt([one, spoken("a")])  # type: ignore[arg-type]  # a mistake


def test_paragraphs() -> None:
    """A long pause behind a sentence begins a paragraph; within one, a longer one."""
    text = "He came. He saw. | He | won. And then"
    assert to_paragraphs(spoken(text)) == ("He came. He saw.", "He won. And then")
    assert to_paragraphs(spoken(text), pause=1.0) == (
        "He came. He saw.",
        "He",
        "won. And then",
    )
    assert to_paragraphs(spoken(text), pause=3.0) == (
        "He came. He saw. He won. And then",
    )


def test_speakers_in_paragraphs() -> None:
    """Each paragraph begins with its channel, from 1, where that is known."""
    deltas = [
        attrs.evolve(spoken("Yes. | | No."), channel=0),
        attrs.evolve(spoken("Why?", start=9.0), channel=1),
    ]
    assert to_paragraphs(deltas) == ("1: Yes.", "1: No.", "2: Why?")


def test_full_paragraphs() -> None:
    """A paragraph that is full ends with its sentence, also without any times."""
    told = Transcript(text="Dr. No said no. So be it. Or not.\nYes?", is_final=True)
    assert to_paragraphs(told, full=3) == (
        "Dr. No said no.",
        "So be it.",
        "Or not.",
        "Yes?",
    )
    assert to_paragraphs(told) == ("Dr. No said no. So be it. Or not.", "Yes?")
    for wrong in ({"pause": 0}, {"full": 0}):
        with pytest.raises(ConfigError, match=min(wrong)):
            to_paragraphs(told, **wrong)


def test_dict() -> None:
    """JSON takes it, and has the text byte by byte; unknown is null."""
    bare = Transcript(text=" Hé\n", is_final=True)
    assert json.loads(json.dumps(to_dict(bare))) == {
        "text": " Hé\n",
        "language": None,
        "duration": None,
        "words": None,
    }
    deltas = [
        Transcript(text="a", is_final=True, language="en", duration=1.5, channel=0),
        Transcript(text="b", is_final=True, words=(Word("b", 0.0, 1.0, 1),), channel=1),
    ]
    assert to_dict(deltas) == {
        "text": "a\nb",
        "language": "en",
        "duration": 1.5,
        "words": [{"word": "b", "start": 0.0, "end": 1.0, "channel": 1}],
        "lines": [{"channel": 0, "text": "a"}, {"channel": 1, "text": "b"}],
    }
    again = [*deltas, attrs.evolve(deltas[1], text=" c")]
    assert to_dict(again)["lines"][1:] == [{"channel": 1, "text": "b c"}]
    odd = Transcript(
        text="a",
        is_final=True,
        duration=float("inf"),
        words=(Word("a", float("nan"), 1.0),),
    )
    assert to_dict(odd) | {"text": ""} == {
        "text": "",
        "language": None,
        "duration": None,
        "words": [{"word": "a", "start": None, "end": 1.0}],
    }
    assert to_dict(spoken("a"))["words"][0].keys() == {"word", "start", "end"}


def test_one_wild_time() -> None:
    """A word that a service puts into next year does not take along what follows."""
    told = spoken("one two three four five")
    assert told.words
    for wild in (1e9, 1e300, 0.0):
        words = list(told.words)
        words[2] = Word("three", wild, wild + 1.0)
        odd = attrs.evolve(told, words=tuple(words))
        (caption,) = to_captions(odd)
        (right,) = to_captions(told)
        assert (caption.start, caption.end) == (right.start, right.end)
    words[1] = Word("two", told.words[1].start, 1e9)
    (caption,) = to_captions(attrs.evolve(told, words=tuple(words)))
    assert caption.end == right.end


def test_no_flicker() -> None:
    """The screen is not empty for less than half a second, nor without a gap."""
    for silence, end in ((0.3, 2.22), (0.7, 2.0)):
        words = (Word("Well.", 0.0, 2.0), Word("Yes?", 2.0 + silence, 4.0))
        told = Transcript(text="Well. Yes?", is_final=True, words=words)
        one, two = to_captions(told, max_lines=1, max_chars=6)
        assert (one.end, two.start) == (end, 2.0 + silence)


def test_blanks_before_punctuation() -> None:
    """French has blanks there, of whichever kind; no line begins with the mark."""
    for blank in " \xa0\u202f":
        told = spoken("a b")
        told = attrs.evolve(
            told, text=f"Pourquoi pas moi{blank}? Et «{blank}lui{blank}» alors{blank}!"
        )
        for chars in range(14, 40):
            found = to_captions(told, max_chars=chars, min_seconds=0.1)
            lines = [line for caption in found for line in caption.lines]
            assert all(line[0] not in "?!»" and line[-1] != "«" for line in lines), (
                lines
            )


def test_marks_stay_with_their_letters() -> None:
    """A combining mark is never the first on a line, in a script without blanks too."""
    told = Transcript(
        text="か\u3099き\u3099か\u0301か\ufe0fか\U000e0100" * 9,
        is_final=True,
        duration=9.0,
    )
    for caption in to_captions(told, max_chars=3):
        assert all(line[0] in "かき" for line in caption.lines)


def test_thai() -> None:
    """A script without blanks between words has its times, if not its line breaks."""
    words = (Word("สวัสดี", 1.0, 1.5), Word("ชาว", 1.5, 1.8), Word("โลก", 8.0, 9.0))
    told = Transcript(text="สวัสดีทุกชาว โลก", is_final=True, words=words)
    assert [(str(c), c.start) for c in to_captions(told)] == [
        ("สวัสดีทุกชาว", 1.0),
        ("โลก", 8.0),
    ]


def test_punctuation_of_words() -> None:
    """A word is found whatever punctuation and quotes it came with."""
    words = (Word("“don't”,", 1.0, 1.4), Word("--", 2.0, 2.1), Word("İ,", 3.0, 3.5))
    told = Transcript(text="Don\u2019t! Say İ", is_final=True, words=words)
    found = to_captions(told, pause=0.5, min_seconds=0.1)
    assert [(str(c), c.start) for c in found] == [
        ("Don\u2019t!", 1.0),
        ("Say İ", 2.802),
    ]


@pytest.mark.parametrize(
    ("text", "captions"),
    [
        ("It is $5. Thanks.", ["It is $5.", "Thanks."]),
        ("It is. 20 thanks.", ["It is.", "20 thanks."]),
        ("It is 20 thanks.", ["It is 20", "thanks."]),
    ],
)
def test_pause_beside_an_unknown_word(text: str, captions: list[str]) -> None:
    """A word without times is not stretched over a pause, but said before or after."""
    words = (Word("It", 0.0, 0.3), Word("is", 0.3, 0.6), Word("thanks", 9.0, 9.5))
    told = Transcript(text=text, is_final=True, words=words)
    assert [str(caption) for caption in to_captions(told)] == captions


def test_words_far_apart() -> None:
    """After a minute of words that are not in the text, the next ones still are."""
    aside = " ".join(f"zw{n}" for n in range(150))
    spelled = " ".join(str(n) for n in range(100, 250))
    heard = spoken(f"before {aside} behind again")
    assert heard.words
    told = attrs.evolve(heard, text=f"before {spelled} behind again")
    last = to_captions(told)[-1]
    assert str(last).endswith("behind again")
    assert last.end == heard.words[-1].end


def test_an_hour() -> None:
    """What is computed grows with the length of a transcript, not with its square.

    Counted in function calls, so that no clock is asked.
    """

    def calls(words: int, source: str) -> int:
        told = spoken(" ".join(f"word{n % 50}" for n in range(words)))
        if source == "others":
            told = attrs.evolve(told, text="zzz e " * words)
        elif source == "letters":
            assert told.words
            said = tuple(attrs.evolve(word, word="e") for word in told.words)
            told = attrs.evolve(told, text="eel tree " * words, words=said)
        profile = cProfile.Profile()
        profile.runcall(to_captions, told)
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]  # undocumented

    for source in ("words", "others", "letters"):
        assert calls(2000, source) < 2.6 * calls(1000, source), source


# What holds for anything

ODD = (
    *(
        "本です。",
        "「はい」",
        "か\u3099",
        "ภาษาไทย",
        "हिन्दी",
        "שלום,",
        "مرحبا؟",
        "e\u0301",
    ),
    *("\U0001f468\u200d\U0001f469", "\ufeff", "\u202e", "\u200b", "…", "$5", "٣", "!"),
    *("1", "00:00:01,000", "x" * 50, "NOTE", "STYLE", "WEBVTT", "{\\an8}"),
)
TOKENS = st.one_of(
    st.text("abcdeABC'-", min_size=1, max_size=12),
    st.sampled_from(
        ["and", "the", "Mr.", "end.", "well,", "--", "-->", "<b>", "&amp;"]
    ),
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5),
)
BLANKS = st.sampled_from(
    (
        *(" ", " ", " ", "", "\n", "  ", "\t", "\u3000", "\n\n", "\r\n", "\r", "\x0b"),
        *("\u2028", "\u2029", "\x85", "\x00", "\x1b", "\xa0", "\u202f"),
    )
)
SPANS = st.one_of(
    st.floats(0, 3),
    st.floats(0, 400_000),
    st.sampled_from([0.0, -1.0, 1e300, float("nan")]),
)


@st.composite
def wild_deltas(draw: st.DrawFn) -> list[Transcript]:
    """Deltas as no service should send them, of which one has a time at least."""
    deltas = [Transcript(text="", is_final=True, duration=draw(st.floats(0, 9)))]
    for _ in range(draw(st.integers(1, 4))):
        tokens = draw(st.lists(TOKENS, max_size=12))
        text = "".join(draw(BLANKS) + token for token in tokens)
        words = None
        if draw(st.booleans()):
            some = [token for token in tokens if draw(st.integers(0, 3))]
            words = tuple(
                Word(
                    t.lower(),
                    draw(SPANS),
                    draw(SPANS),
                    draw(st.sampled_from([None, 1])),
                )
                for t in some
            )
        deltas.append(
            Transcript(
                text=text,
                is_final=True,
                words=words,
                duration=draw(st.none() | SPANS),
                channel=draw(st.sampled_from([None, 0, 1])),
            )
        )
    deltas.append(Transcript(text="end", is_final=True, words=(Word("end", 1.0, 2.0),)))
    return deltas


@st.composite
def speech(draw: st.DrawFn) -> Transcript:
    """Words as they are spoken, one behind the other, each with its true time."""
    words, at = [], 0.0
    for token in draw(st.lists(TOKENS, min_size=1, max_size=40)):
        token = squeezed(token) or "x"
        at += draw(st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.2, 5.0]))
        end = at + draw(st.sampled_from([0.1, 0.3, 1.0]))
        words.append(Word(token, round(at, 3), round(end, 3)))
        at = end
    text = " ".join(word.word for word in words)
    return Transcript(text=text, is_final=True, words=tuple(words))


LIMITS = st.fixed_dictionaries(
    {
        "max_chars": st.integers(1, 50),
        "max_lines": st.integers(1, 4),
        "max_seconds": st.floats(1.0, 10.0),
        "min_seconds": st.floats(0.0, 1.0),
        "pause": st.floats(0.0, 2.0),
        "min_gap": st.floats(0.0, 0.5),
        "max_cps": st.floats(1.0, 100.0),
    }
)


def squeezed(text: str) -> str:
    """Without white space and control characters."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]", "", text)


def in_ms(seconds: float) -> int:
    """In whole milliseconds."""
    return round(seconds * 1000)


@settings(deadline=None, max_examples=150)
@given(wild_deltas(), LIMITS)
def test_any_deltas(deltas: list[Transcript], limits: dict[str, Any]) -> None:
    """Whatever came: all text once, in order, in time, within the limits."""
    found = to_captions(deltas, **limits)
    said = "".join(delta.text for delta in deltas)
    assert squeezed("".join(map(str, found))) == squeezed(said)
    least, gap = in_ms(limits["min_seconds"]), in_ms(limits["min_gap"])
    at, stood = -gap, least + 1
    for caption in found:
        start, end = in_ms(caption.start), in_ms(caption.end)
        assert max(at, 0) <= start < end
        # Where there is no time for the shortest and a gap, it is shared out.
        assert start >= at + gap or stood <= max(least, 1)
        assert start <= at + gap or stood >= least
        stood = end - start
        assert end - start <= in_ms(limits["max_seconds"])
        assert start / 1000 == caption.start
        assert end / 1000 == caption.end
        at = end
        assert 1 <= len(caption.lines) <= limits["max_lines"]
        for line in caption.lines:
            assert line == " ".join(line.split()) != ""
            # A longer one is one word, or one character with what sticks to it.
            assert len(line) <= limits["max_chars"] or " " not in line


@settings(deadline=None, max_examples=100)
@given(speech(), LIMITS)
def test_any_speech(told: Transcript, limits: dict[str, Any]) -> None:
    """True times are kept: no pause is spanned, and none comes early or much later."""
    found = to_captions(told, **limits)
    words = list(told.words or ())
    due = 0.0
    for caption in found:
        mine = []
        left = squeezed(str(caption))
        while left and left.startswith(words[0].word):
            mine.append(words.pop(0))
            left = left[len(mine[-1].word) :]
        if left:
            return  # a word of a script without blanks that goes on in the next one
        due = max(due, mine[0].start)
        assert mine[0].start <= caption.start <= due + 1.501
        due += 0.01 * (len(str(caption)) + 1)  # nobody speaks faster
        for one, other in pairwise(mine):
            assert other.start - one.end <= limits["pause"] + 0.001
        if len(mine) > 1:
            assert mine[-1].end - mine[0].start <= limits["max_seconds"] + 0.001


def test_a_word_that_is_a_mark() -> None:
    """It is not looked for among the marks of the word before it."""
    words = (Word("abc'", 2.6, 2.7), Word("'", 3.0, 3.1))
    told = Transcript(text="abc' '", is_final=True, words=words)
    found = to_captions(told, pause=0.2)
    assert [str(caption) for caption in found] == ["abc'", "'"]


@settings(deadline=None, max_examples=60)
@given(wild_deltas(), LIMITS)
def test_srt_parser(deltas: list[Transcript], limits: dict[str, Any]) -> None:
    """A parser of others finds in the SubRip file what was put in."""
    found = to_captions(deltas, **limits)
    parsed = list(srt_parser.parse(to_srt(found)))
    assert [item.index for item in parsed] == list(range(1, len(found) + 1))
    assert [(i.start, i.end, i.content) for i in parsed] == [
        (
            MS * in_ms(c.start),
            MS * in_ms(c.end),
            ("" if c.channel is None else f"{c.channel + 1}: ")
            + str(c).replace("-->", "\u2192"),
        )
        for c in found
    ]


@settings(deadline=None, max_examples=60)
@given(wild_deltas(), LIMITS)
def test_webvtt_parser(deltas: list[Transcript], limits: dict[str, Any]) -> None:
    """So does one in the WebVTT file."""
    found = to_captions(deltas, **limits)
    parsed = webvtt_parser.from_string(to_webvtt(found))
    assert [
        (
            p.start_time.in_milliseconds(),
            p.end_time.in_milliseconds(),
            p.voice,
            html.unescape(re.sub("^<v [^>]*>", "", p.raw_text)),
        )
        for p in parsed.captions
    ] == [
        (
            in_ms(c.start),
            in_ms(c.end),
            None if c.channel is None else f"Channel {c.channel + 1}",
            str(c),
        )
        for c in found
    ]


@settings(deadline=None, max_examples=60)
@given(wild_deltas(), st.floats(0.1, 5), st.integers(1, 100), st.booleans())
def test_any_paragraphs(
    deltas: list[Transcript], pause: float, full: int, apart: bool
) -> None:
    """Paragraphs have all of the text, and none is empty."""
    deltas = [
        attrs.evolve(
            delta,
            channel=n % 2 if apart else None,
            words=delta.words
            and tuple(attrs.evolve(word, channel=None) for word in delta.words),
        )
        for n, delta in enumerate(deltas)
    ]
    found = to_paragraphs(deltas, pause=pause, full=full)
    if apart:
        assert all(text[:3] in ("1: ", "2: ") for text in found)
        found = tuple(text[3:] for text in found)
    said = "".join(delta.text for delta in deltas)
    assert squeezed("".join(found)) == squeezed(said)
    assert all(text == " ".join(text.split()) != "" for text in found)


def test_words_of_two_connections() -> None:
    """The service sends no blank between them; a caption is not one long word."""
    first = attrs.evolve(spoken("An ill man."), request_id="a")
    assert first.words
    second = attrs.evolve(
        spoken("He might even.", start=first.words[-1].end + 6.0), request_id="b"
    )
    captions = to_captions([first, second])
    assert [caption.lines for caption in captions] == [
        ("An ill man.",),
        ("He might even.",),
    ]
    assert captions[1].start == pytest.approx(first.words[-1].end + 6.0, abs=0.1)
    assert to_paragraphs([first, second]) == ("An ill man.", "He might even.")
    # Within one connection a word may come in two deltas.
    parts = [attrs.evolve(first, text=text, words=None) for text in ("Bro", "ken")]
    assert to_paragraphs(parts) == ("Broken",)
