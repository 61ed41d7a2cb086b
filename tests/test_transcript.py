"""Joining deltas."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync._deltas import Deltas
from cartesia_stt_sync._speech import Speech
from cartesia_stt_sync.events import RawWords, Transcript, Word, last_end, raw_words
from cartesia_stt_sync.transcript import Assembler, whole
from cartesia_stt_sync.wire import parse

from .fakes import Rig


def final(text: str, **more: Any) -> Transcript:
    """A delta."""
    return Transcript(text=text, is_final=True, **more)


def partial(text: str) -> Transcript:
    """A provisional tail."""
    return Transcript(text=text, is_final=False)


def test_nothing() -> None:
    """At the start there is no text, and no transcript with things made up."""
    assembler = Assembler()
    assert (assembler.text, assembler.partial, len(assembler.deltas)) == ("", "", 0)
    assert whole(assembler.deltas, assembler.text) == Transcript(text="", is_final=True)
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
    assert assembler.text == whole(assembler.deltas, assembler.text).text == expected
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
    assert whole(assembler.deltas, assembler.text) == Transcript(
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
    assert whole(assembler.deltas, assembler.text).words is None
    assembler.add(Transcript(text="", is_final=True, words=(), duration=0.0))
    assert whole(assembler.deltas, assembler.text).words == ()
    assert whole(assembler.deltas, assembler.text).duration == 0.0


def test_whole_of_somebodys_own() -> None:
    """Words that are made, words that are not, and words of a class of one's own."""

    class Mine(Word):
        __slots__ = ()

    mine = Mine("c", 2.0, 2.5)
    deltas = [
        TestWords.raw((("a", 0.0, 0.5),)),
        final(" b", words=(Word("b", 1.0, 1.5),)),
        final(" c", words=(mine,)),
    ]
    words = whole(deltas, "a b c").words
    assert words == (Word("a", 0.0, 0.5), Word("b", 1.0, 1.5), mine)
    assert whole(deltas[::-2], "ca").words == (mine, Word("a", 0.0, 0.5))
    assert whole(deltas[:1], "a").words == (Word("a", 0.0, 0.5),)


class TestDeltas:
    """What is kept of finals is enough to make them again."""

    def test_equal(self) -> None:
        """Each is as it was, with all its attributes, however it is asked for."""
        events = [
            Transcript(text="a", is_final=True),
            Transcript(
                text=" bé\ud800\0",
                is_final=True,
                duration=0.25,
                language="en",
                words=(Word("bé", 1.5, 2.0), Word("c", 2.0, 2.5, 1)),
                channel=1,
                request_id="r",
                extra={"n": [1, None, {"x": 2.5, "big": 10**30}]},
            ),
            Transcript(text="", is_final=True, words=()),
            parse(
                b'{"type":"transcript","text":"d","is_final":true,"words":'
                b'[{"word":"d","start":1,"end":2.5}]}'
            ),
        ]
        deltas = Deltas()
        for event in events:
            assert isinstance(event, Transcript)
            deltas.append(event)
        assert list(deltas) == events == list(deltas[:])
        assert deltas[-1] == events[-1]
        assert len(deltas) == 4
        assert list(deltas[1:3]) == events[1:3]
        assert deltas.texts(2) == deltas[2:].texts(0) == ["", "d"]
        assert isinstance(deltas[1].words, tuple)
        with pytest.raises(IndexError):
            deltas[4]

    @pytest.mark.parametrize(
        "message",
        [
            b'{"type":"transcript","text":" d ","is_final":true}',
            b' \n{"words":[{"word":"d","start":1,"end":2.5,"n":1}],"text":"d",'
            b'"type":"transcript","is_final":true,"language":"en","more":{"a":[1]}}',
        ],
    )
    def test_as_it_came(self, message: bytes) -> None:
        """Where the message is at hand, that is what is kept."""
        event = parse(message)
        assert isinstance(event, Transcript)
        deltas = Deltas()
        deltas.append(event, message)
        assert deltas._kept == [message]
        assert deltas[0] == event
        assert list(deltas[:]) == [event]
        assert deltas.texts(0) == [event.text]

    def test_one_that_cannot_be_read_here(self) -> None:
        """By who has little stack left: its text is there all the same."""
        deep = b"[" * 300 + b"]" * 300
        message = b'{"type":"transcript","text":"a","is_final":true,"x":' + deep + b"}"
        event = parse(message)
        assert isinstance(event, Transcript)
        deltas = Deltas()
        deltas.append(event, message)
        assert deltas[0] == event
        deltas.append(final("b"), b"{")
        assert deltas[1] == final("b")

    def test_a_message_that_says_something_else(self) -> None:
        """Of a delta that was changed on its way the message is not kept."""
        outbox = Rig().t._stream.streams[0].core.outbox
        message = b'{"type":"transcript","text":"a b","is_final":true}'
        event = parse(message)
        assert isinstance(event, Transcript)
        speech = Speech(outbox, 10.0)
        assert speech.transcript(event, message) is event
        split = Speech(outbox, 10.0, channel=1)
        assert split.transcript(event, message).channel == 1
        assert speech.assembler.deltas._kept == [message]
        assert split.assembler.deltas._kept != [message]
        assert split.assembler.deltas[0].channel == 1

    def test_somebodys_own(self) -> None:
        """Of other things than JSON has, it is kept as it is."""
        odd = Transcript(text="a", is_final=True, extra={"at": object()})
        deltas = Deltas()
        deltas.append(odd)
        assert deltas[0] is odd
        assert list(deltas[:]) == [odd]

    def test_nothing_for_the_collector(self) -> None:
        """However long a session is, it has no more to walk through."""
        deltas = Deltas()
        for _ in range(3):
            deltas.append(final("a", words=(Word("a", 0.0, 0.5),), extra={"n": 1}))
        assert not any(gc.is_tracked(kept) for kept in deltas._kept + deltas._texts)


class TestWords:
    """They are made when somebody asks for them."""

    RAW = (("a", 0.5, 1.0), ("b", 1.0, 1.5, 1))
    MADE = (Word("a", 0.5, 1.0), Word("b", 1.0, 1.5, 1))

    @staticmethod
    def raw(words: RawWords = RAW) -> Transcript:
        """A transcript whose words are not made yet."""
        given: Any = words  # as `wire` gives them; nobody else should
        return Transcript(text="a b", is_final=True, words=given)

    def test_once(self) -> None:
        """And then they are the same ones."""
        event = self.raw()
        assert raw_words(event) == self.RAW
        assert event.words == self.MADE
        assert event.words is event.words
        assert all(type(word) is Word for word in event.words)

    def test_is_as_if_made_at_once(self) -> None:
        """Equal, shown, hashed, copied, pickled, evolved and taken apart alike."""
        made = Transcript(text="a b", is_final=True, words=self.MADE)
        assert self.raw() == made == copy.copy(self.raw())
        assert hash(self.raw()) == hash(made)
        assert repr(self.raw()) == repr(made)
        assert pickle.loads(pickle.dumps(self.raw())) == made
        assert copy.deepcopy(self.raw()) == made
        assert attrs.evolve(self.raw(), text="a b") == made
        assert attrs.asdict(self.raw()) == attrs.asdict(made)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            made.words = None  # type: ignore[misc]  # on purpose
        assert inspect.isdatadescriptor(Transcript.words)

    def test_the_end_of_the_last(self) -> None:
        """Is known without."""
        event = self.raw()
        assert last_end(event) == 1.5
        assert raw_words(event) is self.RAW
        assert event.words is not None
        assert last_end(event) == 1.5
        assert last_end(final("a")) is None
        assert last_end(final("a", words=())) is None
