"""Whatever becomes of the connections, each word is in the text exactly once."""

from __future__ import annotations

import random

import pytest

from cartesia_stt_sync._backoff import Reconnect
from cartesia_stt_sync._queue import Kind
from cartesia_stt_sync.errors import ConnectionLost
from cartesia_stt_sync.events import Done, Event

from .hearing import Hearer, spoken, written
from .test_core import Rig

RUNS = 30
"""Calls a kind; each has a fate of its own, and the same in every run."""


class Call:
    """A caller, a core, and a server that hears numbers and may be lost.

    Args:
        placed: See `Hearer`.
        a_final: See `Hearer`.
    """

    def __init__(self, placed: str, a_final: int) -> None:
        self.rig = Rig(
            reconnect=Reconnect(attempts=10**6, max_replay=1000.0),
            chunk=0.1,
            silence_after=0.3,
            silence_limit=10.0,
            keep_alive=60.0,
        )
        self.options = (placed, a_final)
        self.hearer = Hearer(*self.options)
        self.taken = 0  # messages that this connection's server has read
        self.on_the_way: list[Event] = []
        self.said = self.finalizes = 0

    def say(self, words: int) -> None:
        """Feed so many words more."""
        self.rig.feed(spoken(self.said + 1, self.said + words))
        self.said += words

    def run(self, seconds: float) -> None:
        """Let time pass; the server reads what is sent."""
        self.rig.run(seconds)
        for send in self.rig.sent[self.taken :]:
            if send.kind is Kind.FINALIZE:
                self.on_the_way += self.hearer.finalize()
            elif send.kind is Kind.CLOSE:
                self.on_the_way += [*self.hearer.finalize()[:-1], Done()]
            else:
                self.on_the_way += self.hearer.feed(send.data)
        self.taken = len(self.rig.sent)

    def hear(self, events: int) -> None:
        """Let so many of the server's events arrive."""
        arrived, self.on_the_way = self.on_the_way[:events], self.on_the_way[events:]
        self.rig.hear(*arrived)

    def finalize(self) -> None:
        """End an utterance."""
        self.rig.finalize()
        self.finalizes += 1

    def lose(self, seconds: float) -> None:
        """Lose the connection, with all that is on the way, and make it anew."""
        self.rig.core.lost(ConnectionLost("gone"), self.rig.now)
        assert self.rig.core.next_attempt() is not None
        self.on_the_way = []
        self.hearer = Hearer(*self.options)
        self.rig.run(seconds)
        self.taken = len(self.rig.sent)
        self.rig.core.connected(None, self.rig.now)

    def close(self) -> None:
        """Drain to the end."""
        self.rig.close()
        while not self.rig.core.session.ended:
            self.run(0.1)
            self.hear(10**6)


def fate(call: Call, die: random.Random) -> list[str]:
    """Let a call have thirty things happen to it; return them."""
    story = []
    for _ in range(30):
        story.append(
            name := die.choice(["say", "run", "run", "hear", "finalize", "lose"])
        )
        if name == "say":
            call.say(die.randint(1, 3))
        elif name == "run":
            call.run(die.choice([0.05, 0.1, 0.3, 0.7, 2.0]))
        elif name == "hear":
            call.hear(die.randint(1, 5))
        elif name == "finalize":
            call.finalize()
        else:
            call.lose(die.choice([0.0, 0.01, 1.0]))
    return story


@pytest.mark.parametrize("placed", ["duration", "words", "both", "neither"])
@pytest.mark.parametrize("a_final", [0, 1, 2, 3])
def test_each_word_once(placed: str, a_final: int) -> None:
    """None is lost and none comes twice; every finalize has its utterance."""
    replayed = 0.0
    for seed in range(RUNS):
        call = Call(placed, a_final)
        story = fate(call, random.Random(seed))
        call.close()
        check(call, placed, (seed, story))
        replayed += call.rig.core.counters.replayed
    assert replayed > RUNS, "the calls were too quiet to show anything"


def check(call: Call, placed: str, told: object) -> None:
    """Look at what a call has left."""
    core = call.rig.core
    assert core.error is None, told
    assert core.speech.assembler.text == written(call.said), told
    answers = call.rig.answers()
    assert len(answers) == call.finalizes, told
    utterances = "".join(answer for answer in answers if isinstance(answer, str))
    assert written(call.said).startswith(utterances), told
    assert not call.rig.codes(), told
    if placed in ("words", "both"):
        # On the one time line of what was fed, whatever was sent in between.
        words = [
            word for delta in core.speech.assembler.deltas for word in delta.words or ()
        ]
        times = [(round(word.start, 6), round(word.end, 6)) for word in words]
        assert times == [(n / 4, (n + 1) / 4) for n in range(call.said)], told
