"""What would have to be sent again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cartesia_stt_sync._queue import Kind, Send
from cartesia_stt_sync._unanswered import Sent, Unanswered


class Log:
    """Sends numbered bytes, so that each shows where it stood."""

    def __init__(self, limit: int) -> None:
        self.unanswered = Unanswered(limit)
        self.size = 0

    def audio(self, size: int) -> None:
        """Send the next bytes."""
        data = bytes((self.size + n) % 256 for n in range(size))
        self.size += size
        self.unanswered.add(Sent(data, None, True, self.size))

    def command(self, name: str) -> None:
        """Send a command."""
        self.unanswered.add(Sent(b"", Send(Kind(name)), False, self.size))


def taken(unanswered: Unanswered) -> list[object]:
    """What comes back, short: audio as a list of its bytes, commands by name."""
    return [
        sent.command.kind.value if sent.command else list(sent.data)
        for sent in unanswered.take_back()
    ]


def test_everything() -> None:
    """Without an answer all comes back in order, and once."""
    log = Log(100)
    log.audio(2)
    log.command("finalize")
    log.audio(1)
    log.command("close")
    assert taken(log.unanswered) == [[0, 1], "finalize", [2], "close"]
    assert taken(log.unanswered) == []


def test_flushed() -> None:
    """A flush_done answers all up to the oldest finalize, and no further."""
    log = Log(100)
    for _ in range(3):
        log.audio(2)
        log.command("finalize")
    log.unanswered.flushed()
    assert log.unanswered.answered == 2
    assert taken(log.unanswered) == [[2, 3], "finalize", [4, 5], "finalize"]


def test_flushed_where_finals_have_reached_further() -> None:
    """What they have answered behind the finalize is forgotten with it."""
    log = Log(100)
    log.audio(4)
    log.command("finalize")
    log.audio(4)
    log.audio(4)
    log.unanswered.covered(10)
    log.unanswered.flushed()
    assert taken(log.unanswered) == [[10, 11]]


def test_flushed_without_one() -> None:
    """With nothing in the log there is nothing to do."""
    unanswered = Unanswered(100)
    unanswered.flushed()
    assert taken(unanswered) == []


def test_covered() -> None:
    """A final answers audio up to a byte, and what is cut there comes back cut."""
    log = Log(100)
    log.audio(4)
    log.audio(4)
    log.unanswered.covered(6)
    assert log.unanswered.answered == 6
    assert taken(log.unanswered) == [[6, 7]]


def test_covered_whole_pieces() -> None:
    """Pieces that are answered as a whole are forgotten at once."""
    log = Log(100)
    log.audio(4)
    log.audio(4)
    log.unanswered.covered(4)
    log.unanswered.covered(4)
    assert taken(log.unanswered) == [[4, 5, 6, 7]]


def test_covered_runs_never_back() -> None:
    """An answer to less than is answered already changes nothing."""
    log = Log(100)
    log.audio(4)
    log.unanswered.covered(4)
    log.unanswered.covered(2)
    assert log.unanswered.answered == 4


def test_covered_does_not_answer_a_finalize() -> None:
    """A finalize behind answered audio is still to be answered."""
    log = Log(100)
    log.audio(4)
    log.command("finalize")
    log.audio(4)
    log.unanswered.covered(8)
    assert taken(log.unanswered) == ["finalize"]


def test_limit() -> None:
    """Above the limit the oldest audio goes; commands stay, and their places."""
    log = Log(4)
    log.audio(2)
    log.command("finalize")
    log.audio(2)
    assert log.unanswered.forgotten == 0
    log.audio(2)
    assert log.unanswered.forgotten == 2
    assert taken(log.unanswered) == ["finalize", [2, 3], [4, 5]]


def test_no_limit_for_commands() -> None:
    """With no room for audio a finalize or close is still sent again."""
    log = Log(0)
    log.audio(2)
    log.command("finalize")
    log.audio(2)
    log.command("close")
    assert log.unanswered.forgotten == 4
    assert taken(log.unanswered) == ["finalize", "close"]


def test_forgotten_and_then_answered() -> None:
    """What fell off and was answered later is no loss."""
    log = Log(4)
    log.audio(10)
    assert log.unanswered.forgotten == 10
    log.unanswered.covered(3)
    assert log.unanswered.forgotten == 7
    log.command("finalize")
    log.unanswered.flushed()
    assert log.unanswered.forgotten == 0


def test_answers_count_what_fell_off() -> None:
    """A final that covers only what fell off takes nothing from what is kept."""
    log = Log(4)
    for _ in range(4):
        log.audio(2)
    log.unanswered.covered(2)
    assert taken(log.unanswered) == [[4, 5], [6, 7]]


@settings(deadline=None, max_examples=200)
@given(
    limit=st.integers(0, 30),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("audio"), st.integers(1, 9)),
            st.tuples(st.just("finalize"), st.just(0)),
            st.tuples(st.just("flushed"), st.just(0)),
            st.tuples(st.just("covered"), st.integers(0, 60)),
        ),
        max_size=25,
    ),
)
def test_nothing_between(limit: int, steps: list[tuple[str, int]]) -> None:
    """Each byte is answered, or forgotten, or comes back; none is two of these."""
    log = Log(limit)
    places: list[int] = []  # of the finalizes that are not answered
    answered = 0
    for what, number in steps:
        if what == "audio":
            log.audio(number)
        elif what == "finalize":
            log.command("finalize")
            places.append(log.size)
        elif what == "flushed" and places:
            log.unanswered.flushed()
            answered = max(answered, places.pop(0))
        elif what == "covered":
            log.unanswered.covered(min(number, log.size))
            answered = max(answered, min(number, log.size))
    assert log.unanswered.answered == answered
    forgotten = log.unanswered.forgotten
    again = log.unanswered.take_back()
    data = b"".join(sent.data for sent in again)
    assert sum(sent.command is not None for sent in again) == len(places)
    assert len(data) <= max(limit, 0)
    assert answered + forgotten + len(data) == log.size
    assert data == bytes(n % 256 for n in range(answered + forgotten, log.size))
