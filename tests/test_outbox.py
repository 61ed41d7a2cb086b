"""What goes on the wire next, and when, to the microsecond."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync._outbox import Outbox, Wait
from cartesia_stt_sync._pacing import Pacing
from cartesia_stt_sync._queue import Kind, Send
from cartesia_stt_sync._stages import Meters
from cartesia_stt_sync._stats import Latency
from cartesia_stt_sync.audio import ENCODINGS, AudioFormat
from cartesia_stt_sync.errors import ClosedError

CHUNK = 0.125
"""Seconds; binary fractions hold it exactly, so that times compare equal."""

SIZE = 4000
"""Its bytes."""


def audio(seconds: float, start: int = 0) -> bytes:
    """Bytes that show where in the audio they stood."""
    return bytes((start + n) % 251 for n in range(round(seconds * 32000)))


class Wire:
    """An outbox, its time, and all that it has sent when.

    Args:
        audio: The wire's format, if not 16 kHz in 16 bits.
        max_replay: See `Outbox`.
        budget: See `Outbox`.
        limits: Those of the pacing; silence is off unless they say more.
    """

    def __init__(
        self,
        audio: AudioFormat = AudioFormat("pcm_s16le", 16000),
        max_replay: float = 0.0,
        budget: float | None = None,
        **limits: Any,
    ) -> None:
        off = {"chunk": CHUNK, "silence_after": None, "keep_alive": None}
        pacing = Pacing(**off | limits)
        self.meters = Meters()
        self.box = Outbox(
            audio, pacing, meters=self.meters, max_replay=max_replay, budget=budget
        )
        self.box.opened(0.0)
        self.now = 0.0
        self.overslept = 0.0  # by how much whoever sends wakes up late
        self.sent: list[tuple[float, Send]] = []

    def feed(self, data: bytes, *, voiced: bool = True) -> None:
        """Queue audio now."""
        self.box.feed(data, self.now, voiced=voiced)

    def poll(self) -> Wait:
        """Send all that may go now; return how long to wait for the rest."""
        while isinstance(step := self.box.poll(self.now), Send):
            self.sent.append((self.now, step))
            self.box.sent(self.now)
        return step

    def run(self, until: float) -> list[tuple[float, Send]]:
        """Ask at each moment that the outbox names; return what went meanwhile."""
        begin = len(self.sent)
        while (named := self.poll().until) is not None and named <= until:
            assert named > self.now, "it named a moment that is past"
            self.now = named + self.overslept
        self.now = max(self.now, until)
        return self.sent[begin:]

    def stall(self, seconds: float) -> None:
        """Let time pass without asking."""
        self.now += seconds

    def kinds(self) -> list[str]:
        """What went, by name."""
        return [send.kind.value for _, send in self.sent]

    def bytes(self, kind: Kind = Kind.AUDIO) -> bytes:
        """All of one kind that went, joined."""
        return b"".join(send.data for _, send in self.sent if send.kind is kind)


def times(sent: list[tuple[float, Send]]) -> list[float]:
    """When."""
    return [at for at, _ in sent]


class TestChunks:
    """Rule 1: chunks of whole samples; the remainder waits, but not for long."""

    def test_cut(self) -> None:
        """However it was fed, audio goes in chunks."""
        wire = Wire()
        data = audio(1.0)
        for begin in range(0, len(data), 1234):
            wire.feed(data[begin : begin + 1234])
        sent = wire.run(2.0)
        assert [len(send.data) for _, send in sent] == [SIZE] * 8
        assert wire.bytes() == data

    def test_at_pace(self) -> None:
        """The first goes at once, each other when the one before has played out."""
        wire = Wire()
        wire.feed(audio(1.0))
        assert times(wire.run(5.0)) == [n * CHUNK for n in range(8)]

    def test_remainder_waits_a_chunk(self) -> None:
        """What is less than a chunk waits for more as long as a chunk plays."""
        wire = Wire()
        wire.stall(3.0)
        wire.feed(audio(0.05))
        assert wire.poll() == Wait(3.0 + CHUNK)
        assert times(wire.run(5.0)) == [3.0 + CHUNK]
        assert wire.bytes() == audio(0.05)

    def test_remainder_waits_from_its_first_byte(self) -> None:
        """More that is still too little does not make it wait longer."""
        wire = Wire()
        wire.feed(audio(0.05))
        wire.run(0.1)
        wire.feed(audio(0.05, 1600))
        assert wire.poll() == Wait(CHUNK)
        wire.run(1.0)
        assert wire.bytes() == audio(0.1)

    def test_remainder_is_completed(self) -> None:
        """Once the chunk is whole it goes at once."""
        wire = Wire()
        wire.feed(audio(0.05))
        wire.run(0.06)
        wire.feed(audio(0.1, 1600 % 251))
        assert times(wire.run(0.06)) == [0.06]
        assert wire.bytes() == audio(CHUNK)

    def test_remainder_behind_a_chunk(self) -> None:
        """A remainder waits from when the chunk before it went."""
        wire = Wire()
        wire.feed(audio(0.2))
        assert times(wire.run(1.0)) == [0.0, CHUNK]
        assert [len(send.data) for _, send in wire.sent] == [SIZE, 2400]

    @pytest.mark.parametrize("command", ["finalize", "close"])
    def test_remainder_before_a_command(self, command: str) -> None:
        """A command behind it sends the remainder at once."""
        wire = Wire()
        wire.feed(audio(0.05))
        getattr(wire.box, command)(wire.now)
        wire.poll()
        assert wire.kinds() == ["audio", command]
        assert times(wire.sent) == [0.0, 0.0]

    def test_remainder_before_a_command_keeps_the_pace(self) -> None:
        """At once, but not before the audio ahead of it has played out."""
        wire = Wire()
        wire.feed(audio(0.2))
        wire.box.finalize(wire.now)
        assert times(wire.run(1.0)) == [0.0, CHUNK, CHUNK]
        assert wire.kinds() == ["audio", "audio", "finalize"]

    @pytest.mark.parametrize("encoding", [n for n, e in ENCODINGS.items() if e.wire])
    @pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
    def test_whole_samples(self, encoding: str, rate: int) -> None:
        """No chunk cuts a sample, at a rate that gives no even number either."""
        form = AudioFormat(encoding, rate)
        wire = Wire(form, chunk=0.0333)
        wire.feed(bytes(form.frame_bytes * rate))
        wire.run(2.0)
        assert len(wire.bytes()) == form.frame_bytes * rate
        assert all(len(send.data) % form.frame_bytes == 0 for _, send in wire.sent)
        assert len(wire.sent[0][1].data) == form.frame_bytes * round(rate * 0.0333)

    def test_shorter_than_a_sample(self) -> None:
        """A chunk is one sample at least."""
        wire = Wire(chunk=1e-6)
        wire.feed(b"abcd")
        assert [send.data for _, send in wire.run(1.0)] == [b"ab", b"cd"]

    def test_as_fed(self) -> None:
        """With chunk=None each piece goes as it was fed, and still at pace."""
        wire = Wire(chunk=None)
        for n in (2, 32000, 640, 16000):
            wire.feed(bytes(n))
        sent = wire.run(5.0)
        assert [len(send.data) for _, send in sent] == [2, 32000, 640, 16000]
        assert times(sent) == pytest.approx([0, 2 / 32000, 1.0000625, 1.0200625])

    def test_as_fed_with_a_command(self) -> None:
        """So it does in front of a command."""
        wire = Wire(chunk=None)
        wire.feed(b"ab")
        wire.box.finalize(wire.now)
        wire.poll()
        assert wire.kinds() == ["audio", "finalize"]

    def test_nothing(self) -> None:
        """Feeding nothing sends nothing."""
        wire = Wire()
        wire.feed(b"")
        assert wire.poll() == Wait(None)
        wire.stall(1.0)
        wire.feed(audio(0.05))
        assert wire.poll() == Wait(1.0 + CHUNK)


class TestPace:
    """Rule 2: no drift, and a bounded burst."""

    def test_no_drift(self) -> None:
        """An hour of audio, asked for late each time, ends where it should."""
        wire = Wire(catch_up=0.5)
        late = [0.0, 0.001, 0.09, 0.3, 0.1249, 0.02]
        for n in range(8 * 3600):
            wire.now = n * CHUNK + late[n % len(late)]
            wire.feed(bytes(SIZE))
            wire.poll()
        assert len(wire.sent) == 8 * 3600
        wire.now = 3600.0
        wire.feed(bytes(SIZE))
        assert times(wire.run(3600.0)) == [3600.0]
        wire.feed(bytes(SIZE))
        assert wire.poll() == Wait(3600.0 + CHUNK)

    def test_small_stall(self) -> None:
        """A lag of less than catch_up is made up for at once."""
        wire = Wire(catch_up=0.5)
        wire.feed(audio(2.0))
        wire.run(0.0)
        wire.stall(0.5)
        assert times(wire.run(0.5)) == [0.5] * 4
        assert times(wire.run(5.0)) == [n * CHUNK for n in range(5, 16)]

    def test_long_stall(self) -> None:
        """Of a longer one only catch_up is; the schedule starts anew from there."""
        wire = Wire(catch_up=0.5)
        wire.feed(audio(5.0))
        wire.run(0.0)
        wire.stall(3.0)
        # Half a second, and the chunk that is due now.
        assert times(wire.run(3.0)) == [3.0] * 5
        assert times(wire.run(3.5)) == [3.0 + n * CHUNK for n in range(1, 5)]

    def test_starved_and_fed_at_once(self) -> None:
        """A caller that stops and then pushes a lot gets no more than that either."""
        wire = Wire(catch_up=0.25, silence_after=None)
        wire.feed(audio(CHUNK))
        wire.run(60.0)
        wire.feed(audio(10.0))
        assert times(wire.run(60.0)) == [60.0] * 3

    def test_no_limit(self) -> None:
        """With catch_up=None all that is late goes at once."""
        wire = Wire(catch_up=None)
        wire.feed(audio(5.0))
        wire.run(0.0)
        wire.stall(3.0)
        assert len(wire.run(3.0)) == 24

    def test_lag(self) -> None:
        """The lag is how far what waits is behind, and nothing where none waits."""
        wire = Wire()
        assert wire.box.lag(5.0) == 0.0
        wire.feed(audio(0.25))
        assert wire.box.lag(5.0) == 0.0
        wire.run(0.0)
        assert wire.box.lag(0.1) == 0.0
        assert wire.box.lag(1.0) == 1.0 - CHUNK
        wire.run(1.0)
        assert wire.box.lag(9.0) == 0.0

    @pytest.mark.parametrize("piece", [0.02, 0.06, 0.1, 0.3])
    @pytest.mark.parametrize("buffer", [0.01, 0.02, 0.05, 0.1, 0.15, 1.0])
    def test_small_buffer(self, buffer: float, piece: float) -> None:
        """It goes at pace however little may wait, and in whichever pieces it comes."""
        wire = Wire(chunk=Pacing(chunk=0.1).within(buffer).chunk)
        for _ in range(100):
            while wire.box.buffered and wire.box.buffered + piece > buffer + 1e-9:
                until = wire.poll().until
                wire.now = wire.now if until is None else until
            wire.feed(audio(piece))
        assert wire.now == pytest.approx(100 * piece, abs=buffer + piece)

    @settings(deadline=None, max_examples=150)
    @given(
        chunk=st.sampled_from([None, 0.02, 0.1, 0.25]),
        catch_up=st.sampled_from([0.0, 0.3, 0.5, 2.0]),
        silence_after=st.sampled_from([0.0, 0.3]),
        steps=st.lists(
            st.one_of(
                st.tuples(st.just("feed"), st.floats(0, 3)),
                st.tuples(st.just("run"), st.floats(0, 3)),
                st.tuples(st.just("stall"), st.floats(0, 4)),
                st.tuples(st.just("heard"), st.sampled_from([0, 1])),
                st.tuples(st.just("finalize"), st.just(0)),
                st.tuples(st.just("oversleep"), st.sampled_from([0, 0.0004, 0.015])),
            ),
            max_size=25,
        ),
    )
    def test_window(
        self,
        chunk: float | None,
        catch_up: float,
        silence_after: float,
        steps: list[tuple[str, float]],
    ) -> None:
        """In each window of length w at most w + catch_up + two chunks are sent.

        However the caller feeds, and however late the outbox is asked.
        """
        form = AudioFormat("pcm_mulaw", 1000)
        limits: dict[str, Any] = {
            "chunk": chunk,
            "catch_up": catch_up,
            "silence_after": silence_after,
        }
        wire = Wire(form, keep_alive=1.0, **limits)
        longest = chunk or 0.1
        for what, number in steps:
            if what == "feed":
                wire.feed(bytes(round(number * 1000)))
                longest = max(longest, number) if chunk is None else longest
            elif what == "run":
                wire.run(wire.now + number)
            elif what == "stall":
                wire.stall(number)
            elif what == "heard":
                wire.box.heard(final=bool(number))
            elif what == "oversleep":
                wire.overslept = number
            else:
                wire.box.finalize(wire.now)
        wire.run(wire.now + 20)
        _check_windows(wire, 1000, catch_up + 2 * (longest + 0.001))


def _check_windows(wire: Wire, rate: int, more: float) -> None:
    """Check every window from one message to another; other windows hold no more."""
    played, highest = 0.0, -math.inf
    # In the window from i to j went S[j+1] - S[i], which is at most t[j] - t[i] + more
    # for all i, if it is for the i with the largest t[i] - S[i].
    for at, send in wire.sent:
        highest = max(highest, at - played)
        played += len(send.data) / rate
        assert played <= at - highest + more + 1e-6


def late(sent: list[tuple[float, Send]]) -> list[float]:
    """How late each chunk went, in milliseconds; the first began it."""
    begin = sent[0][0]
    return [1000 * (at - begin - n * CHUNK) for n, (at, _) in enumerate(sent)]


class TestAhead:
    """Who sleeps wakes up late; so it begins ahead by as much as it was late before."""

    def test_learnt(self) -> None:
        """After some seconds nothing is late, whatever the machine makes of a sleep."""
        wire = Wire()
        wire.overslept = 0.0004
        wire.feed(audio(10.0))
        went = late(wire.run(11.0))
        assert went[1:3] == pytest.approx([0.4] * 2)
        assert went[3:] == pytest.approx([0.0] * 77, abs=0.01)

    def test_lost_again(self) -> None:
        """Once sleeps are exact, it is not early for long."""
        wire = Wire()
        wire.overslept = 0.0004
        wire.feed(audio(15.0))
        wire.run(5.0)
        wire.overslept = 0.0
        wire.run(16.0)
        went = late(wire.sent)
        assert min(went) == pytest.approx(-0.4, abs=0.01)
        assert went[80:] == pytest.approx([0.0] * 40, abs=0.01)

    def test_never_more_than_a_millisecond(self) -> None:
        """However late it is, nothing goes sooner than so."""
        wire = Wire()
        wire.overslept = 0.005
        wire.feed(audio(20.0))
        assert late(wire.run(9.95))[40:] == pytest.approx([4.0] * 40, abs=0.01)
        wire.overslept = 0.0
        wire.run(21.0)
        assert min(late(wire.sent)) == pytest.approx(-1.0)

    def test_exact(self) -> None:
        """Where nobody wakes up late, nothing is ever early."""
        wire = Wire()
        wire.feed(audio(10.0))
        assert min(late(wire.run(11.0))) == 0.0

    def test_a_stall(self) -> None:
        """A busy machine, or a suspended one, says nothing of its timers."""
        wire = Wire()
        wire.overslept = 0.021
        wire.feed(audio(10.0))
        assert late(wire.run(11.0))[1:] == pytest.approx([21.0] * 79)

    def test_live(self) -> None:
        """Audio that its caller feeds late has waited for nobody."""
        wire = Wire()
        for n in range(40):
            wire.now = n * CHUNK + (0.0004 if n else 0.0)
            wire.feed(bytes(SIZE))
            wire.poll()
        wire.feed(bytes(SIZE))
        assert wire.poll() == Wait(40 * CHUNK)

    def test_only_whole_chunks_go_early(self) -> None:
        """A remainder waits for its rest as long as it would, whoever feeds."""
        wire = Wire()
        wire.feed(audio(CHUNK))
        wire.run(0.05)
        wire.feed(audio(0.05))
        assert wire.box.poll(0.16, early=0.02) == Wait(0.05 + CHUNK)

    def test_another_connection(self) -> None:
        """Its first audio goes at once, whenever the lost one's would have gone."""
        wire = Wire()
        wire.feed(audio(1.0))
        assert wire.run(0.06)
        wire.box.rewind()
        wire.box.opened(0.07)
        assert isinstance(wire.box.poll(0.07), Send)

    def test_fed_meanwhile(self) -> None:
        """What comes while nothing is there, but ahead of its moment, has waited."""
        wire = Wire()
        wire.overslept = 0.0004
        for n in range(60):
            wire.feed(bytes(SIZE))
            wire.run((n + 0.5) * CHUNK)
        assert late(wire.sent)[40:] == pytest.approx([0.0] * 20, abs=0.01)

    def test_an_early_push(self) -> None:
        """What goes sooner because somebody feeds just then says nothing of timers."""
        wire = Wire()
        wire.overslept = 0.0004
        wire.feed(audio(10.0))
        wire.run(8.0)
        ahead = wire.box._schedule.ahead
        assert ahead == pytest.approx(0.0004, abs=1e-5)
        step = wire.box.poll(8.125 - 0.01, early=0.02)
        assert isinstance(step, Send)
        wire.box.sent(8.125 - 0.01)
        assert wire.box._schedule.ahead == ahead

    @pytest.mark.parametrize("chunk", [0.0005, 0.005, 0.01, 0.02])
    def test_one_at_a_time(self, chunk: float) -> None:
        """However early one may go, the next one is not due."""
        wire = Wire(chunk=chunk, catch_up=0.0)
        wire.feed(audio(1.0))
        for _ in range(2):
            assert isinstance(wire.box.poll(0.0, early=0.02), Send)
        assert isinstance(wire.box.poll(0.0, early=0.02), Wait)

    def test_a_remainder(self) -> None:
        """It has waited for more, and not for its moment."""
        wire = Wire()
        wire.feed(audio(CHUNK))
        wire.run(0.001)
        wire.feed(audio(0.05))
        assert times(wire.run(0.15)) == [0.001 + CHUNK]
        wire.feed(audio(CHUNK))
        assert wire.poll() == Wait(CHUNK + 0.05)

    def test_sending(self) -> None:
        """Until a chunk is out counts; and `Send.following` says when to begin."""
        wire = Wire()
        wire.feed(audio(10.0))
        for _ in range(60):
            step = wire.box.poll(wire.now)
            assert isinstance(step, Send)
            wire.box.sent(wire.now + 0.0003)
            assert step.following is not None
            wire.now = step.following
        assert wire.now == pytest.approx(60 * CHUNK - 0.0003, abs=1e-5)


class TestCommands:
    """Rule 3: a command keeps its place, and goes the moment that is reached."""

    def test_on_an_empty_buffer(self) -> None:
        """A finalize with nothing in front goes at the very same time."""
        wire = Wire()
        wire.now = 7.0
        assert wire.poll() == Wait(None)
        wire.box.finalize(wire.now)
        assert wire.box.poll(7.0) == Send(Kind.FINALIZE)
        assert wire.poll() == Wait(None)

    def test_right_behind_audio(self) -> None:
        """It does not wait for the audio in front of it to play out."""
        wire = Wire()
        wire.feed(audio(CHUNK))
        wire.run(0.01)
        wire.box.finalize(wire.now)
        assert times(wire.run(0.01)) == [0.01]
        assert wire.kinds() == ["audio", "finalize"]

    def test_keeps_its_place(self) -> None:
        """Audio fed after it goes after it, at the pace of the audio before."""
        wire = Wire()
        wire.feed(audio(0.25))
        wire.box.finalize(wire.now)
        wire.box.finalize(wire.now)
        wire.feed(audio(CHUNK))
        assert times(wire.run(5.0)) == [0.0, CHUNK, CHUNK, CHUNK, 2 * CHUNK]
        assert wire.kinds() == ["audio", "audio", "finalize", "finalize", "audio"]

    def test_no_data(self) -> None:
        """How a command is spelled is the endpoint's business."""
        wire = Wire()
        wire.box.finalize(wire.now)
        wire.box.close(wire.now)
        wire.poll()
        assert [send.data for _, send in wire.sent] == [b"", b""]

    def test_close(self) -> None:
        """close goes last, once; then there is nothing more, silence neither."""
        wire = Wire(keep_alive=1.0)
        wire.feed(audio(0.25))
        assert not wire.box.closing
        wire.box.close(wire.now)
        wire.box.close(wire.now)
        assert wire.box.closing
        wire.run(100.0)
        assert wire.kinds() == ["audio", "audio", "close"]
        assert wire.poll() == Wait(None)

    @pytest.mark.parametrize("sent", [False, True])
    def test_nothing_behind_close(self, sent: bool) -> None:
        """After close nothing can be queued, whether it has gone or not."""
        wire = Wire()
        wire.box.close(wire.now)
        if sent:
            wire.poll()
        with pytest.raises(ClosedError, match=r"cannot feed after close\(\)"):
            wire.feed(b"ab")
        with pytest.raises(ClosedError, match=r"cannot finalize after close\(\)"):
            wire.box.finalize(wire.now)

    def test_answers(self) -> None:
        """The k-th flush_done answers the k-th finalize; one more answers none."""
        wire = Wire()
        assert not wire.box.flushed()
        wire.box.finalize(wire.now)
        assert not wire.box.flushed(), "it has not been sent"
        wire.box.finalize(wire.now)
        wire.poll()
        assert [wire.box.flushed() for _ in range(3)] == [True, True, False]

    @settings(deadline=None, max_examples=150)
    @given(
        st.lists(
            st.one_of(
                st.integers(0, 900),
                st.sampled_from(["finalize"]),
                st.floats(0, 2),
            ),
            max_size=25,
        ),
        st.sampled_from([None, 0.05, 0.1]),
    )
    def test_all_and_in_order(
        self, steps: list[int | str | float], chunk: float | None
    ) -> None:
        """Every byte goes once, in order, with each command at its exact place."""
        limits: dict[str, Any] = {
            "chunk": chunk,
            "silence_after": 0.1,
            "keep_alive": 0.5,
        }
        wire = Wire(AudioFormat("pcm_alaw", 1000), **limits)
        fed: list[object] = []
        for step in steps:
            if isinstance(step, int):
                data = [(len(fed) + n) % 251 for n in range(step)]
                wire.feed(bytes(data))
                fed += data
            elif isinstance(step, str):
                wire.box.finalize(wire.now)
                fed.append("finalize")
            else:
                wire.run(wire.now + step)
        wire.box.close(wire.now)
        wire.run(wire.now + 100)
        went: list[object] = []
        for _, send in wire.sent:
            if send.kind is not Kind.SILENCE:
                went += list(send.data) or [send.kind.value]
        assert went == [*fed, "close"]
        assert wire.box.buffered_bytes == 0
        assert wire.box.source_bytes == sum(isinstance(token, int) for token in fed)


def silences(wire: Wire) -> list[float]:
    """When silence went."""
    return [at for at, send in wire.sent if send.kind is Kind.SILENCE]


class TestSilence:
    """Rule 4: silence where it does something, and no more of it than that."""

    def test_fills_a_gap(self) -> None:
        """Once the audio has played out for silence_after, silence goes at pace."""
        wire = Wire(silence_after=0.25, silence_limit=0.5)
        wire.feed(audio(0.5))
        wire.run(60.0)
        assert silences(wire) == [0.75 + n * CHUNK for n in range(4)]
        assert wire.box.silence_bytes == 16000
        assert wire.box.wire_bytes == 32000
        assert wire.box.source_bytes == 16000

    def test_nothing_to_answer(self) -> None:
        """A session that was never fed gets none."""
        wire = Wire(silence_after=0.25)
        assert wire.poll() == Wait(None)

    @pytest.mark.parametrize("answer", ["final", "flush_done"])
    def test_answered(self, answer: str) -> None:
        """Once the server has answered all, silence ends."""
        wire = Wire(silence_after=0.25)
        wire.feed(audio(CHUNK))
        wire.run(1.0)
        before = len(silences(wire))
        assert before > 0
        if answer == "final":
            wire.box.heard(final=True)
        else:
            wire.box.finalize(wire.now)
            wire.poll()
            wire.box.flushed()
        wire.run(60.0)
        assert len(silences(wire)) == before

    def test_flush_done_of_an_older_finalize(self) -> None:
        """A flush_done answers the audio before its finalize, not that behind it."""
        wire = Wire(silence_after=0.25, silence_limit=CHUNK)
        wire.feed(audio(CHUNK))
        wire.box.finalize(wire.now)
        wire.feed(audio(CHUNK))
        wire.run(0.2)
        wire.box.flushed()
        wire.run(60.0)
        assert len(silences(wire)) == 1

    def test_provisional_text(self) -> None:
        """Provisional text behind a final says that the server holds more."""
        wire = Wire(silence_after=0.25, silence_limit=CHUNK)
        wire.feed(audio(CHUNK))
        wire.run(0.2)
        wire.box.heard(final=True)
        assert wire.poll() == Wait(None)
        wire.box.heard(final=False)
        wire.run(60.0)
        assert len(silences(wire)) == 1

    @pytest.mark.parametrize("gap", [0.0, 0.1, 0.24])
    def test_jitter(self, gap: float) -> None:
        """A gap shorter than silence_after is left alone, so speech is not cut."""
        wire = Wire(silence_after=0.25)
        for _ in range(50):
            wire.feed(audio(CHUNK))
            wire.run(wire.now + CHUNK + gap)
        assert silences(wire) == []

    def test_audio_that_waits_for_more(self) -> None:
        """A remainder under way is no gap."""
        wire = Wire(silence_after=0.0)
        wire.feed(audio(CHUNK))
        wire.run(CHUNK - 0.01)
        wire.feed(audio(0.05))
        wire.run(1.0)
        assert wire.kinds()[:2] == ["audio", "audio"]

    def test_audio_ends_it_at_once(self) -> None:
        """Audio does not wait behind silence that has not gone."""
        wire = Wire(silence_after=0.25)
        wire.feed(audio(CHUNK))
        wire.run(0.4)
        assert silences(wire) == [0.375]
        wire.feed(audio(CHUNK, SIZE))
        assert times(wire.run(0.6)) == [0.4]
        assert wire.bytes() == audio(2 * CHUNK)

    @pytest.mark.parametrize("encoding", [n for n, e in ENCODINGS.items() if e.wire])
    def test_own_bytes(self, encoding: str) -> None:
        """It is the encoding's own: FF in mu-law, D5 in A-law, and not zeros."""
        form = AudioFormat(encoding, 8000)
        wire = Wire(form, silence_after=0.25, silence_limit=CHUNK)
        wire.feed(b"\1" * form.frame_bytes * 1000)
        wire.run(60.0)
        assert wire.bytes(Kind.SILENCE) == ENCODINGS[encoding].silence * 1000

    def test_as_fed(self) -> None:
        """With chunk=None silence goes in tenths of a second."""
        wire = Wire(chunk=None, silence_after=0.25, silence_limit=0.5)
        wire.feed(bytes(640))
        wire.run(60.0)
        assert wire.bytes(Kind.SILENCE) == bytes(16000)
        assert len(silences(wire)) == 5

    def test_off(self) -> None:
        """None switches it off."""
        wire = Wire(silence_after=None)
        wire.feed(audio(CHUNK))
        wire.run(1.0)
        assert wire.poll() == Wait(None)

    def test_keep_alive(self) -> None:
        """An idle session sends one chunk each keep_alive seconds, for ever."""
        wire = Wire(keep_alive=60.0)
        wire.run(300.0)
        assert silences(wire) == [60.0, 120.0, 180.0, 240.0, 300.0]
        assert wire.bytes(Kind.SILENCE) == bytes(5 * SIZE)

    def test_keep_alive_after_the_limit(self) -> None:
        """After silence_limit only that is sent."""
        wire = Wire(keep_alive=60.0, silence_after=0.25, silence_limit=CHUNK)
        wire.feed(audio(CHUNK))
        wire.run(125.0)
        assert silences(wire) == [0.375, 60.375, 120.375]

    def test_muted(self) -> None:
        """A muted speaker's silence goes as audio, and leaves nothing to answer."""
        wire = Wire(silence_after=0.25)
        wire.feed(audio(CHUNK), voiced=False)
        wire.run(60.0)
        assert wire.kinds() == ["audio"]

    def test_muted_and_not(self) -> None:
        """A chunk is a speaker's if any of it is."""
        wire = Wire(silence_after=0.25, silence_limit=CHUNK)
        wire.feed(audio(0.1), voiced=False)
        wire.feed(audio(0.05, 3200))
        wire.feed(audio(0.1, 4800), voiced=False)
        wire.run(60.0)
        assert wire.bytes() == audio(0.25)
        assert len(silences(wire)) == 1

    def test_muted_behind_a_finalize(self) -> None:
        """A flush_done answers everything where only a muted speaker came after it."""
        wire = Wire(silence_after=0.25)
        wire.feed(audio(CHUNK))
        wire.box.finalize(wire.now)
        wire.feed(audio(CHUNK), voiced=False)
        wire.run(0.2)
        wire.box.flushed()
        wire.run(60.0)
        assert silences(wire) == []

    @settings(deadline=None, max_examples=150)
    @given(
        st.lists(
            st.tuples(st.floats(0.01, 0.5), st.floats(0, 0.29)),
            min_size=1,
            max_size=30,
        )
    )
    def test_no_silence_for_any_jitter(self, pieces: list[tuple[float, float]]) -> None:
        """As long as each piece comes before silence_after, none is put in."""
        wire = Wire(AudioFormat("pcm_mulaw", 1000), silence_after=0.3, chunk=0.1)
        played = 0.0
        for length, gap in pieces:
            size = round(length * 1000)
            wire.run(max(wire.now, played + gap))
            wire.feed(bytes(size))
            played = max(played, wire.now) + size / 1000
        assert silences(wire) == []

    @settings(deadline=None, max_examples=150)
    @given(
        limit=st.sampled_from([0.0, 0.35, 1.0]),
        after=st.sampled_from([0.0, 0.3]),
        steps=st.lists(
            st.one_of(
                st.tuples(st.just("feed"), st.floats(0.05, 1)),
                st.tuples(st.just("mute"), st.floats(0.05, 1)),
                st.tuples(st.just("run"), st.floats(0, 4)),
                st.tuples(st.just("stall"), st.floats(0, 4)),
                st.tuples(st.just("final"), st.just(0.0)),
                st.tuples(st.just("finalize"), st.just(0.0)),
                st.tuples(st.just("flushed"), st.just(0.0)),
            ),
            max_size=30,
        ),
    )
    def test_only_where_it_helps(
        self, limit: float, after: float, steps: list[tuple[str, float]]
    ) -> None:
        """Silence goes for unanswered speech only, late enough and within its limit."""
        wire = Wire(
            AudioFormat("pcm_mulaw", 1000),
            chunk=0.1,
            silence_after=after,
            silence_limit=limit,
        )
        answered = checked = flushes = 0  # the first two are messages
        for what, number in [*steps, ("run", 5.0)]:
            places = [n for n, k in enumerate(wire.kinds()) if k == "finalize"]
            if what in ("feed", "mute"):
                data = (b"\1" if what == "feed" else b"\0") * round(number * 1000)
                wire.feed(data, voiced=what == "feed")
            elif what == "run":
                wire.run(wire.now + number)
            elif what == "stall":
                wire.stall(number)
            elif what == "final":
                wire.box.heard(final=True)
                answered = len(wire.sent)
            elif what == "finalize":
                wire.box.finalize(wire.now)
            elif wire.box.flushed():
                answered = max(answered, places[flushes])
                flushes += 1
            for n in range(checked, len(wire.sent)):
                send = wire.sent[n][1]
                if send.kind is Kind.SILENCE:
                    heard = b"".join(s.data for _, s in wire.sent[answered:n])
                    assert b"\1" in heard, "silence for nobody"
                    self._check_gap(wire.sent[: n + 1], after, limit)
            checked = len(wire.sent)

    @staticmethod
    def _check_gap(sent: list[tuple[float, Send]], after: float, limit: float) -> None:
        filled = 0.0
        for at, send in reversed(sent):
            if send.kind is Kind.SILENCE:
                first, filled = at, filled + len(send.data) / 1000
            elif send.kind is Kind.AUDIO:
                assert first >= at + len(send.data) / 1000 + after - 1e-9
                break
        assert filled <= limit + 1e-6


class TestTimes:
    """Rule 5: silence is counted apart."""

    def test_source_time(self) -> None:
        """Where silence was put in, the server's seconds map to the caller's."""
        wire = Wire(silence_after=0.25, silence_limit=0.5)
        wire.feed(audio(1.0))
        wire.run(10.0)
        wire.feed(audio(1.0))
        wire.run(20.0)
        map_ = wire.box.timeline.source_time
        times = {0.5: 0.5, 1.0: 1.0, 1.25: 1.0, 1.5: 1.0, 2.0: 1.5, 2.5: 2.0}
        assert {t: map_(t) for t in times} == times

    def test_keep_alive(self) -> None:
        """Keeping alive is time of the server's only, too."""
        wire = Wire(keep_alive=60.0)
        wire.run(120.0)
        wire.feed(audio(1.0))
        wire.run(130.0)
        assert wire.box.timeline.source_time(0.75) == 0.5

    def test_muted(self) -> None:
        """A muted speaker's silence is the caller's own time."""
        wire = Wire()
        wire.feed(audio(1.0), voiced=False)
        wire.run(5.0)
        assert wire.box.timeline.source_time(1.0) == 1.0

    def test_figures(self) -> None:
        """What waits and what went are counted in bytes and told in seconds."""
        wire = Wire()
        wire.feed(audio(1.0))
        assert wire.box.buffered == 1.0
        wire.run(0.25)
        assert wire.box.buffered == 1.0 - 3 * CHUNK
        assert wire.box.seconds(wire.box.source_bytes) == 3 * CHUNK


class TestReplay:
    """Rule 6: what is not answered goes again over the next connection."""

    def test_all(self) -> None:
        """Without an answer everything goes again, commands at their places."""
        wire = Wire(max_replay=30)
        wire.feed(audio(0.25))
        wire.box.finalize(wire.now)
        wire.feed(audio(0.25, 8000))
        wire.run(0.3)
        assert wire.box.rewind() == 0.375
        wire.sent.clear()
        wire.box.opened(5.0)
        wire.now = 5.0
        assert times(wire.run(10.0)) == [5.0, 5.125, 5.125, 5.25, 5.375]
        assert wire.kinds() == ["audio", "audio", "finalize", "audio", "audio"]
        assert wire.bytes() == audio(0.5)

    def test_figures(self) -> None:
        """Each byte of the caller's counts once; the wire's count as often as sent."""
        wire = Wire(max_replay=30, silence_after=0.0, silence_limit=0.25)
        wire.feed(audio(0.5))
        wire.run(1.0)
        wire.box.rewind()
        assert wire.box.source_bytes == 0
        assert wire.box.buffered == 0.5
        wire.box.opened(1.0)
        wire.run(2.0)
        assert wire.box.source_bytes == 16000
        assert wire.box.silence_bytes == 16000
        assert wire.box.wire_bytes == 32000 + 16000

    def test_nothing_but_the_rest(self) -> None:
        """What a flush_done answered does not go again."""
        wire = Wire(max_replay=30)
        wire.feed(audio(0.25))
        wire.box.finalize(wire.now)
        wire.feed(audio(0.125, 8000))
        wire.run(0.3)
        assert wire.box.flushed()
        assert wire.box.rewind() == CHUNK
        wire.sent.clear()
        wire.box.opened(5.0)
        wire.run(10.0)
        assert wire.kinds()[0] == "audio"
        assert wire.bytes() == audio(CHUNK, 8000)

    def test_cut_by_a_final(self) -> None:
        """A final answers as much audio as it says, and the rest of a chunk goes."""
        wire = Wire(max_replay=30)
        wire.feed(audio(0.5))
        wire.run(0.4)
        wire.box.heard(final=True, duration=0.15)
        wire.box.heard(final=True, duration=0.05)
        wire.box.heard(final=False, duration=9.0)
        wire.box.heard(final=True)
        assert wire.box.rewind() == pytest.approx(0.3)
        wire.sent.clear()
        wire.box.opened(5.0)
        wire.run(10.0)
        assert wire.bytes() == audio(0.3, 6400)

    def test_a_final_that_spans_silence(self) -> None:
        """Silence inside a final is not counted as audio of the caller's."""
        wire = Wire(max_replay=30, silence_after=0.25, silence_limit=2.0)
        wire.feed(audio(1.0))
        wire.run(9.0)
        assert wire.box.silence_bytes == 64000
        wire.feed(audio(1.0, 32000))
        wire.run(11.0)
        wire.box.heard(final=True, duration=3.25)  # 1 s, 2 s of silence, 0.25 s
        assert wire.box.rewind() == 0.75

    @pytest.mark.parametrize("duration", [1e6, 1e308])
    def test_a_final_that_claims_too_much(self, duration: float) -> None:
        """A final answers no more than was sent, whatever it claims."""
        wire = Wire(max_replay=30)
        wire.feed(audio(0.5))
        wire.run(0.2)
        wire.box.heard(final=True, duration=duration)
        wire.run(1.0)
        assert wire.box.rewind() == 0.25

    @pytest.mark.parametrize("duration", [0.0, -1.0])
    def test_a_final_of_nothing(self, duration: float) -> None:
        """A final without audio answers none of it."""
        wire = Wire(max_replay=30)
        wire.feed(audio(0.5))
        wire.run(1.0)
        wire.box.heard(final=True, duration=duration)
        assert wire.box.rewind() == 0.5

    def test_answers_count_anew(self) -> None:
        """Over the next connection durations count from its own beginning."""
        wire = Wire(max_replay=30)
        wire.feed(audio(1.0))
        wire.run(2.0)
        wire.box.heard(final=True, duration=0.5)
        wire.box.rewind()
        wire.box.opened(2.0)
        wire.run(4.0)
        wire.box.heard(final=True, duration=0.25)
        assert wire.box.rewind() == 0.25

    def test_quiet_is_left_out(self) -> None:
        """Nobody has answered it, for there is nothing to answer; it would be late."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(20 * 32000) + audio(1.0))
        wire.run(20.4)
        assert wire.box.rewind(speech_lost=True) == 20.5
        assert wire.box.buffered == 21.0
        wire.sent.clear()
        wire.box.opened(21.0)
        assert wire.box.buffered == 0.5 + 1.0
        wire.now = 21.0
        wire.run(30.0)
        assert wire.bytes() == bytes(16000) + audio(1.0)
        assert wire.box.source_bytes == 21 * 32000
        assert wire.box.unheard == 1.5
        # Words have their places on the one time line of what was fed.
        assert wire.box.timeline.source_time(0.75) == 20.25
        wire.box.heard(final=True, end=1.0)
        assert wire.box.rewind() == 0.5

    def test_quiet_that_waits_is_left_out(self) -> None:
        """What was fed while there was no connection is late as well."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(32000))
        wire.run(1.0)
        assert wire.box.rewind() == 1.0  # as it is: so little is not looked at
        wire.feed(bytes(4 * 32000))
        wire.feed(audio(0.25))
        wire.sent.clear()
        wire.box.opened(6.0)
        wire.now = 6.0
        assert wire.box.buffered == 0.75
        assert wire.box.unheard == 0.75
        wire.run(8.0)
        assert wire.bytes() == bytes(16000) + audio(0.25)
        assert wire.box.seconds(wire.box.wire_bytes) == 1.75
        assert wire.box.seconds(wire.box.source_bytes) == 5.25
        assert wire.box.seconds(wire.box.skipped_bytes) == 4.5  # of 1 + 5.25
        assert wire.box.timeline.source_time(0.5) == 5.0

    def test_quiet_before_a_command(self) -> None:
        """Commands keep their places, and only what stands before the first is cut."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(5 * 32000))
        wire.box.finalize(wire.now)
        wire.feed(bytes(5 * 32000))
        wire.run(10.0)
        assert wire.box.rewind() == 10.0
        wire.sent.clear()
        wire.box.opened(10.0)
        assert wire.box.buffered == 0.5 + 5.0
        wire.run(20.0)
        assert wire.kinds() == 4 * ["audio"] + ["finalize"] + 40 * ["audio"]
        assert wire.box.flushed()

    def test_quiet_that_had_text(self) -> None:
        """Speech that is hardly to be heard goes again, if the server had heard it."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(8 * 32000))
        wire.run(8.0)
        assert wire.box.rewind(speech_lost=True) == 8.0
        wire.box.opened(9.0)
        assert wire.box.buffered == 8.0
        assert wire.box.rewind() == 0.0  # lost before any of it went out again
        wire.box.opened(9.0)
        assert wire.box.buffered == 8.0
        wire.box.heard(final=True)
        wire.box.rewind()
        wire.box.opened(9.0)
        assert wire.box.buffered == 0.5

    def test_quiet_that_had_text_before_a_finalize(self) -> None:
        """What goes again behind the finalize makes no quiet of what is before it."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(4 * 32000))
        wire.box.finalize(wire.now)
        wire.feed(bytes(3200))
        wire.run(5.0)
        assert wire.box.rewind(speech_lost=True) == 4.1
        wire.box.opened(5.0)
        assert wire.box.buffered == 4.1

    def test_an_hour_of_quiet(self) -> None:
        """All of it is left out, though a minute is looked at at a time."""
        wire = Wire(max_replay=30)
        wire.feed(audio(1.0))
        wire.run(1.0)
        wire.box.heard(final=True, duration=1.0)
        wire.box.rewind()
        wire.feed(bytes(600 * 32000))
        wire.feed(audio(1.0))
        wire.box.opened(700.0)
        assert wire.box.buffered == 1.5

    def test_no_more_quiet_than_is_late(self) -> None:
        """What was fed in advance, as a file is, has not been put off by all of it."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(60 * 32000))
        wire.run(2.0)
        wire.box.rewind()
        wire.box.opened(2.5)
        assert wire.box.buffered == 60.0  # too little to mind
        wire.now = 2.5
        wire.run(3.5)
        wire.box.rewind()
        wire.box.opened(7.5)
        # Late by 2.5 before, of which nothing was made good, and by 5 s now.
        assert wire.box.buffered == pytest.approx(60.0 - 7.5, abs=0.3)

    def test_who_was_caught_up_with_is_not_late(self) -> None:
        """Where nothing waited any more a loss is over and done with."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(2 * 32000))
        wire.run(2.0)
        wire.box.rewind()
        wire.box.opened(2.5)
        wire.now = 2.5
        wire.run(30.0)
        wire.box.heard(final=True, duration=2.0)
        wire.feed(bytes(8 * 32000))
        wire.run(31.0)
        wire.box.rewind()
        wire.box.opened(31.5)
        assert wire.box.buffered == 8.0

    def test_quiet_before_text_and_sound_behind_it(self) -> None:
        """What has come meanwhile does not make quiet of what there was text of."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(8 * 32000))
        wire.run(8.0)
        assert wire.box.rewind(speech_lost=True) == 8.0
        wire.feed(audio(1.0))
        wire.box.opened(9.0)
        assert wire.box.buffered == 9.0

    def test_quiet_behind_a_config(self) -> None:
        """What all configs came to goes first, and hides no quiet behind it."""
        wire = Wire(max_replay=30)
        wire.box.config({"keyterms": ["x"]}, wire.now)
        wire.feed(bytes(8 * 32000))
        wire.run(8.0)
        assert wire.box.rewind() == 8.0
        wire.feed(bytes(20 * 32000))
        wire.feed(audio(0.25))
        wire.sent.clear()
        wire.box.opened(30.0)
        assert wire.box.buffered == 0.75
        wire.now = 30.0
        wire.run(32.0)
        assert wire.kinds()[0] == "config"
        assert wire.bytes() == bytes(16000) + audio(0.25)

    def test_nothing_but_configs(self) -> None:
        """Where there is no audio at all nothing can be quiet."""
        wire = Wire(max_replay=30)
        wire.box.config({"keyterms": ["x"]}, wire.now)
        wire.feed(audio(0.25))
        wire.run(1.0)
        wire.box.heard(final=True, duration=0.25)
        assert wire.box.rewind() == 0.0
        wire.box.config({"language_hints": ["en"]}, wire.now)
        wire.sent.clear()
        wire.box.opened(2.0)
        wire.run(3.0)
        assert wire.kinds() == ["config", "config"]

    def test_quiet_that_was_answered_before_its_finalize(self) -> None:
        """It is not looked at once more, in place of the speech that came then."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(32000))
        wire.box.finalize(wire.now)
        wire.feed(bytes(5 * 32000))
        wire.run(6.0)
        wire.box.heard(final=True, duration=6.0)  # it reaches beyond the finalize
        assert wire.box.flushed()
        wire.feed(audio(3.0))
        wire.run(9.0)
        assert wire.box.rewind() == 3.0

    def test_quiet_in_the_first_place(self) -> None:
        """What has not been late yet is the caller's, quiet or not."""
        wire = Wire(max_replay=30)
        wire.feed(bytes(8 * 32000))
        wire.box.opened(1.0)
        assert wire.box.buffered == 8.0

    def test_close(self) -> None:
        """A close that was not answered goes again, behind the audio."""
        wire = Wire(max_replay=30)
        wire.feed(audio(0.25))
        wire.box.close(wire.now)
        wire.run(1.0)
        wire.box.rewind()
        wire.sent.clear()
        wire.box.opened(1.0)
        wire.run(2.0)
        assert wire.kinds() == ["audio", "audio", "close"]
        assert wire.poll() == Wait(None)

    @pytest.mark.parametrize("max_replay", [0.0, 0.001])
    def test_commands_without_room_for_audio(self, max_replay: float) -> None:
        """Without room for audio the commands go again, or nobody would answer."""
        wire = Wire(max_replay=max_replay)
        wire.feed(audio(0.25))
        wire.box.finalize(wire.now)
        wire.box.close(wire.now)
        wire.run(1.0)
        assert wire.box.forgotten == 0.25
        assert wire.box.rewind() == 0.0
        wire.sent.clear()
        wire.box.opened(1.0)
        wire.run(2.0)
        assert wire.kinds() == ["finalize", "close"]
        assert wire.box.flushed()

    def test_forgotten(self) -> None:
        """What does not fit max_replay is forgotten, oldest first, and counted."""
        wire = Wire(max_replay=0.25)
        wire.feed(audio(1.0))
        wire.run(2.0)
        assert wire.box.forgotten == 0.75
        assert wire.box.rewind() == 0.25
        wire.sent.clear()
        wire.box.opened(2.0)
        wire.run(4.0)
        assert wire.bytes() == audio(0.25, 24000)
        assert wire.box.timeline.source_time(0.0) == 0.75

    def test_forgotten_and_answered(self) -> None:
        """What was forgotten and then answered is no loss."""
        wire = Wire(max_replay=0.25)
        wire.feed(audio(1.0))
        wire.run(2.0)
        wire.box.heard(final=True, duration=0.5)
        assert wire.box.forgotten == 0.25
        wire.box.finalize(wire.now)
        wire.poll()
        wire.box.flushed()
        assert wire.box.forgotten == 0.0

    def test_times(self) -> None:
        """The next connection's second 0 is where its first byte stood."""
        wire = Wire(max_replay=30)
        wire.feed(audio(1.0))
        wire.run(2.0)
        wire.box.heard(final=True, duration=0.75)
        wire.box.rewind()
        assert wire.box.timeline.source_time(0.25) == 1.0

    def test_pace(self) -> None:
        """A new connection starts its own schedule, and holds nothing to answer."""
        wire = Wire(max_replay=30)
        wire.feed(audio(0.25))
        wire.run(100.0)
        wire.box.rewind()
        wire.box.opened(100.0)
        assert times(wire.run(100.2)) == [100.0, 100.125]

    def test_muted(self) -> None:
        """A muted speaker's silence is still that when it goes again."""
        wire = Wire(max_replay=30, silence_after=0.25)
        wire.feed(audio(0.25), voiced=False)
        wire.run(1.0)
        wire.box.rewind()
        wire.box.opened(1.0)
        wire.run(60.0)
        assert silences(wire) == []

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("feed"), st.integers(1, 900)),
                st.tuples(st.just("run"), st.floats(0, 3)),
                st.tuples(st.just("finalize"), st.just(0)),
                st.tuples(st.just("flushed"), st.just(0)),
                st.tuples(st.just("final"), st.integers(0, 900)),
                st.tuples(st.just("lost"), st.just(0)),
            ),
            max_size=40,
        ),
        st.sampled_from([None, 0.05, 0.1]),
    )
    def test_nothing_is_lost(
        self, steps: list[tuple[str, float]], chunk: float | None
    ) -> None:
        """Over any losses all bytes and commands are answered once, in order."""
        limits: dict[str, Any] = {
            "chunk": chunk,
            "silence_after": 0.2,
            "keep_alive": 1.0,
        }
        wire = Wire(AudioFormat("pcm_mulaw", 1000), max_replay=1e6, **limits)
        fed: list[object] = []
        server = Server(wire)
        for what, number in steps:
            if what == "feed":
                data = [(len(fed) + n) % 251 for n in range(int(number))]
                wire.feed(bytes(data))
                fed += data
            elif what == "finalize":
                wire.box.finalize(wire.now)
                fed.append("finalize")
            elif what == "run":
                wire.run(wire.now + number)
            elif what == "flushed":
                server.flush()
            elif what == "final":
                server.final(int(number))
            else:
                server.lose()
        wire.box.close(wire.now)
        wire.run(wire.now + 1000)
        assert [*server.answered, *server.heard()] == [*fed, "close"]


class Server:
    """What the other end has heard over one connection, and answered over all."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.answered: list[object] = []
        self._done = 0  # tokens of this connection that are answered

    def heard(self, *, silence: bool = False) -> list[object]:
        """Bytes and commands of this connection that are not answered yet."""
        return [t for t in self._tokens()[self._done :] if silence or t != "silence"]

    def _tokens(self) -> list[object]:
        found: list[object] = []
        for _, send in self.wire.sent:
            if send.kind is Kind.SILENCE:
                found += ["silence"] * len(send.data)
            else:
                found += list(send.data) or [send.kind.value]
        return found

    def _answer(self, count: int) -> None:
        taken = self.heard(silence=True)[:count]
        self.answered += [token for token in taken if token != "silence"]
        self._done += count

    def flush(self) -> None:
        """Answer all up to the next finalize, if there is one."""
        waiting = self.heard(silence=True)
        expected = "finalize" in waiting
        assert self.wire.box.flushed() is expected
        if expected:
            self._answer(waiting.index("finalize") + 1)

    def final(self, count: int) -> None:
        """Answer the next bytes, silence included, but no finalize."""
        waiting = self.heard(silence=True)
        if "finalize" in waiting:
            count = min(count, waiting.index("finalize"))
        count = min(count, len(waiting))
        self._answer(count)
        self.wire.box.heard(final=True, duration=count / 1000)

    def lose(self) -> None:
        """Break the connection; the next one stands at once."""
        self.wire.box.rewind()
        self.wire.box.opened(self.wire.now)
        self.wire.sent.clear()
        self._done = 0


class TestMeters:
    """How long what goes out has waited, behind others and at the front."""

    def test_alone(self) -> None:
        """Where nothing is before it, a chunk waits for nobody."""
        wire = Wire()
        wire.feed(audio(CHUNK))
        wire.run(1.0)
        stages = wire.meters.stages()
        assert stages.queued.longest == stages.paced.longest == 0.0

    def test_fed_at_once(self) -> None:
        """Each chunk is held at the front for one chunk's length, behind the others."""
        wire = Wire()
        wire.feed(audio(4 * CHUNK))
        wire.run(5.0)
        stages = wire.meters.stages()
        assert stages.paced == Latency(
            count=4, last=CHUNK, mean=0.75 * CHUNK, longest=CHUNK
        )
        assert stages.queued == Latency(
            count=4, last=2 * CHUNK, mean=0.75 * CHUNK, longest=2 * CHUNK
        )

    def test_a_command(self) -> None:
        """One is queued behind the audio, and gone the moment that is."""
        wire = Wire()
        wire.feed(audio(2 * CHUNK))
        wire.box.finalize(wire.now, "me")
        assert wire.box.ahead_of("me") == 2 * CHUNK
        wire.feed(audio(CHUNK))
        wire.box.close(wire.now)
        assert wire.box.ahead_of("me") == 2 * CHUNK
        assert wire.box.ahead_of(None) == 3 * CHUNK
        wire.run(5.0)
        stages = wire.meters.stages()
        assert stages.queued.count == 5
        assert stages.queued.last == 2 * CHUNK
        assert stages.paced.last == 0.0
        assert wire.box.ahead_of("me") == wire.box.ahead_of(None) == 0.0

    def test_what_goes_out_again(self) -> None:
        """It has been measured."""
        wire = Wire(max_replay=30.0)
        wire.feed(audio(CHUNK))
        wire.box.finalize(wire.now)
        wire.run(1.0)
        wire.box.rewind()
        wire.box.opened(wire.now)
        wire.run(2.0)
        assert wire.kinds() == ["audio", "finalize"] * 2
        assert wire.meters.stages().queued.count == 2


class TestBudget:
    """How much audio may be sent at all."""

    def test_to_the_sample(self) -> None:
        """What it is enough for is sent; then comes the close, and the rest goes."""
        wire = Wire(budget=0.3)
        wire.feed(audio(1.0))
        wire.run(5.0)
        assert wire.kinds() == ["audio", "audio", "audio", "close"]
        assert b"".join(s.data for _, s in wire.sent) == audio(0.3)
        assert wire.box.dropped == pytest.approx(0.7)
        assert wire.box.buffered == 0.0
        assert wire.box.closing

    def test_commands_stay(self) -> None:
        """Who waits for an utterance gets what was heard of it."""
        wire = Wire(budget=CHUNK)
        wire.feed(audio(2 * CHUNK))
        wire.box.finalize(wire.now)
        wire.feed(audio(CHUNK))
        wire.box.finalize(wire.now)
        wire.run(5.0)
        assert wire.kinds() == ["audio", "finalize", "finalize", "close"]

    def test_silence_counts(self) -> None:
        """It is billed, so it spends as well."""
        wire = Wire(budget=2 * CHUNK, silence_after=0.25, silence_limit=None)
        wire.feed(audio(CHUNK))
        wire.run(5.0)
        assert wire.kinds() == ["audio", "silence", "close"]
        assert wire.box.dropped == 0.0

    def test_a_replay_counts(self) -> None:
        """What goes out again is billed again."""
        wire = Wire(budget=3 * CHUNK, max_replay=30.0)
        wire.feed(audio(2 * CHUNK))
        wire.run(1.0)
        wire.box.rewind()
        wire.box.opened(wire.now)
        wire.run(2.0)
        assert wire.kinds() == ["audio"] * 3 + ["close"]
        assert wire.box.dropped == CHUNK

    def test_refused_from_then_on(self) -> None:
        """The error says that it was the budget, and how large it was."""
        wire = Wire(budget=CHUNK)
        wire.feed(audio(2 * CHUNK))
        wire.run(1.0)
        assert wire.box.spent is not None
        said = (
            r"cannot feed: the budget of 0\.125 s of audio is spent, .* larger budget="
        )
        with pytest.raises(ClosedError, match=said):
            wire.feed(audio(CHUNK))

    def test_not_spent(self) -> None:
        """A session that stays within it ends as any other."""
        wire = Wire(budget=2 * CHUNK)
        wire.feed(audio(2 * CHUNK))
        wire.box.close(wire.now)
        assert wire.box.spent is None
        wire.run(1.0)
        assert wire.kinds() == ["audio", "audio", "close"]
        assert wire.box.dropped is None


class TestConfig:
    """A change of the configuration."""

    def test_in_its_place(self) -> None:
        """It goes behind the audio fed before it."""
        wire = Wire()
        wire.feed(audio(0.5 * CHUNK))
        wire.box.config({"keyterms": ["a"]}, wire.now)
        wire.feed(audio(CHUNK))
        wire.run(1.0)
        assert wire.kinds() == ["audio", "config", "audio"]
        assert wire.sent[1][1].changes == {"keyterms": ["a"]}

    def test_once_more_after_a_loss(self) -> None:
        """What all that were sent came to is sent first on the next connection."""
        wire = Wire(max_replay=30.0)
        wire.box.config({"turn": {"a": 1, "b": 1}, "keyterms": ["x"]}, wire.now)
        wire.feed(audio(CHUNK))
        wire.box.config({"turn": {"b": 2}}, wire.now)
        wire.run(1.0)
        wire.box.config({"keyterms": []}, wire.now)  # waits still
        wire.box.rewind()
        wire.box.opened(wire.now)
        wire.run(2.0)
        assert wire.kinds()[3:] == ["config", "audio", "config"]
        assert wire.sent[3][1].changes == {
            "turn": {"a": 1, "b": 2},
            "keyterms": ["x"],
        }
        assert wire.sent[5][1].changes == {"keyterms": []}

    def test_behind_the_close(self) -> None:
        """There is nothing left to change."""
        wire = Wire()
        wire.box.close(wire.now)
        with pytest.raises(ClosedError, match="change the configuration"):
            wire.box.config({}, wire.now)


def test_the_end_of_a_turn() -> None:
    """It answers all audio but for the last second, and ends the filling of gaps."""
    wire = Wire(max_replay=30.0, silence_after=0.25, silence_limit=None)
    wire.feed(audio(3.0))
    wire.run(3.0)
    wire.box.turn_ended()
    assert wire.run(10.0) == []
    assert wire.box.rewind() == 1.0


def _one_more(wire: Wire, die: random.Random, stands: bool) -> tuple[int, bool]:
    """Let something happen; return the bytes that were fed, and what stands then."""
    box, fed = wire.box, 0
    what = die.choice(["feed", "feed", "run", "run", "config", "finalize", "other"])
    if what == "feed":
        seconds = die.choice([0.1, 0.25, 2.0, 4.0])
        size = round(seconds * 16000) * 2
        wire.feed(bytes(size) if die.random() < 0.6 else audio(seconds))
        return size, stands
    if what == "config":
        box.config({"keyterms": [str(die.random())]}, wire.now)
    elif what == "finalize":
        box.finalize(wire.now)
    elif not stands:
        wire.now += die.choice([0.1, 6.0])
        box.opened(wire.now)
        return fed, True
    elif what == "run":
        wire.run(wire.now + die.choice([0.1, 1.0, 3.0]))
    elif die.random() < 0.5:
        final = die.random() < 0.7
        box.heard(final=final, duration=die.choice([None, 0.2, 1.0, 5.0]))
    elif die.random() < 0.5:
        box.flushed()
    else:
        box.rewind(speech_lost=die.random() < 0.3)
        return fed, False
    return fed, stands


@pytest.mark.parametrize("max_replay", [0.0, 1.0, 30.0])
def test_whatever_happens(max_replay: float) -> None:
    """Each byte is sent, skipped or waiting, and the end can always be reached."""
    skipped = 0
    for seed in range(300):
        die, stands, fed = random.Random(seed), True, 0
        wire = Wire(max_replay=max_replay)
        for _ in range(40):
            more, stands = _one_more(wire, die, stands)
            fed += more
            assert wire.box.source_bytes + wire.box.buffered_bytes == fed, seed
            assert wire.box.unheard >= 0, seed
        if not stands:
            wire.box.opened(wire.now)
        wire.box.close(wire.now)
        wire.run(wire.now + 1000.0)
        assert wire.box.buffered_bytes == 0, seed
        assert wire.kinds()[-1] == "close", seed
        skipped += wire.box.skipped_bytes
    assert skipped, "no quiet was ever left out"
