"""Joining deltas."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync.events import Transcript, Word
from cartesia_stt_sync.transcript import Assembler


def final(text: str) -> Transcript:
    """A delta."""
    return Transcript(text=text, is_final=True)


def partial(text: str) -> Transcript:
    """A provisional tail."""
    return Transcript(text=text, is_final=False)


def test_nothing() -> None:
    """At the start there is no text, and no transcript with things made up."""
    assembler = Assembler()
    assert (assembler.text, assembler.partial, assembler.deltas) == ("", "", [])
    assert assembler.whole() == Transcript(text="", is_final=True)
    assert assembler.end_utterance() == ""


def test_byte_for_byte() -> None:
    """No blank is added or taken away, whatever the deltas look like."""
    assembler = Assembler()
    texts = [" Hello", ", wor", "ld.", "", "  ", "\n", "e", "\u0301", " end "]
    for text in texts:
        assembler.add(final(text))
    assert assembler.text == " Hello, world.  \ne\u0301 end "
    assert [d.text for d in assembler.deltas] == texts


def test_tail() -> None:
    """A provisional text is replaced by the next transcript, and never joined."""
    assembler = Assembler()
    assembler.add(partial("Hel"))
    assert (assembler.text, assembler.partial) == ("", "Hel")
    assembler.add(partial("Hello"))
    assert (assembler.text, assembler.partial) == ("", "Hello")
    assembler.add(final("Hello,"))
    assert (assembler.text, assembler.partial) == ("Hello,", "")
    assembler.add(partial(" you"))
    assert (assembler.text, assembler.partial) == ("Hello,", " you")
    assert assembler.tail == partial(" you")


def test_tail_of_nothing() -> None:
    """An empty provisional text takes back the one before it."""
    assembler = Assembler()
    assembler.add(partial("Um"))
    assembler.add(partial(""))
    assert assembler.partial == ""


def test_utterances() -> None:
    """An utterance has all finals since the last: several, one, or none."""
    assembler = Assembler()
    for text in ("a", " b", " c"):
        assembler.add(final(text))
    assembler.add(partial(" d"))
    assert assembler.end_utterance() == "a b c"
    assert assembler.end_utterance() == ""
    assembler.add(final(" d"))
    assert assembler.end_utterance() == " d"
    assert assembler.text == "a b c d"


def test_late_final() -> None:
    """A final right behind its flush_done opens the next utterance, and is not lost."""
    assembler = Assembler()
    assembler.add(final("one"))
    assert assembler.end_utterance() == "one"
    assembler.add(final(" late"))
    assembler.add(final(" two"))
    assert assembler.text == "one late two"
    assert assembler.end_utterance() == " late two"


def test_ending_an_utterance_keeps_the_tail() -> None:
    """The provisional text stands until a transcript replaces it."""
    assembler = Assembler()
    assembler.add(partial("so"))
    assembler.end_utterance()
    assert assembler.partial == "so"


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.builds(final, st.text(max_size=8)),
            st.builds(partial, st.text(max_size=8)),
            st.sampled_from(["end", "look"]),
        ),
        max_size=30,
    )
)
def test_any_order(steps: list[Transcript | str]) -> None:
    """Utterances and the rest join to the whole text, however often one looks."""
    assembler = Assembler()
    expected = tail = utterances = ""
    for step in steps:
        if isinstance(step, Transcript):
            assembler.add(step)
            expected += step.text if step.is_final else ""
            tail = "" if step.is_final else step.text
        elif step == "end":
            utterances += assembler.end_utterance()
        else:
            assert (assembler.text, assembler.partial) == (expected, tail)
    assert assembler.text == assembler.whole().text == expected
    assert utterances + assembler.end_utterance() == expected


def test_whole() -> None:
    """The whole has all words, the sum of the durations, and the latest names."""
    assembler = Assembler()
    assembler.add(
        Transcript(
            text="a",
            is_final=True,
            duration=1.0,
            language="en",
            words=(Word("a", 0.0, 0.5),),
            request_id="r-1",
        )
    )
    assembler.add(Transcript(text=" b", is_final=True))
    assembler.add(
        Transcript(
            text=" c",
            is_final=True,
            duration=0.5,
            language="de",
            words=(Word("c", 1.0, 1.5),),
            request_id="r-2",
        )
    )
    assembler.add(Transcript(text=" d", is_final=True))
    assembler.add(Transcript(text="?", is_final=False, duration=9.0, language="fr"))
    assert assembler.whole() == Transcript(
        text="a b c d",
        is_final=True,
        duration=1.5,
        language="de",
        words=(Word("a", 0.0, 0.5), Word("c", 1.0, 1.5)),
        request_id="r-2",
    )


def test_whole_without_words() -> None:
    """No words told and no words said are two things."""
    assembler = Assembler()
    assembler.add(final("a"))
    assert assembler.whole().words is None
    assembler.add(Transcript(text="", is_final=True, words=(), duration=0.0))
    assert assembler.whole().words == ()
    assert assembler.whole().duration == 0.0
