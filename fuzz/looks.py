"""What must hold for a session at any time, and once it has ended.

Decides which figures are compared, and what is tried on a session that is over.
Touches the model that it is given and its core, and nothing else.
"""

from __future__ import annotations

import attrs

from cartesia_stt_sync._session import State
from cartesia_stt_sync.errors import CartesiaSTTError, ClosedError, ConnectionLost
from cartesia_stt_sync.events import Transcript

from .model import Model

__all__ = ["check_end", "check_now"]


def check_now(model: Model) -> None:
    """See that figures, answers and text are what they must be."""
    core, state = model.core, model.state
    ended, answers = core.session.ended, [text for _, text in core.finalizes.answers]
    assert [who for who, _ in core.finalizes.answers] == model.waiters[: len(answers)]
    assert ended == (state in (State.CLOSED, State.FAILED))
    assert (state is State.FAILED) == (core.error is not None)
    assert len(answers) <= len(model.finalizes)
    assert not ended or len(answers) == len(model.finalizes)
    assert core.outbox.buffered_bytes == len(model.audio) - model.at
    text = core.speech.assembler.text
    assert text == "".join(delta.text for delta in core.speech.assembler.deltas)
    assert len(core.speech.assembler.deltas) == len(model.texts)
    if not model.repeats:
        assert text == "".join(model.texts)
    said = [answer for answer in answers if isinstance(answer, str)]
    assert text.startswith("".join(said)), "an answer that is not in the text"
    assert answers[: len(said)] == said, "an answer behind an error"
    codes = [finding.code for finding in core.findings.all]
    assert len(codes) == len(set(codes)), "the same finding twice"


def check_end(model: Model) -> None:
    """See that nothing changes any more."""
    check_now(model)
    core, answers = model.core, len(model.finalizes)
    text = core.speech.assembler.text
    error, state = core.error, model.state
    late = ConnectionLost("late")
    core.lost(late, model.now)
    core.fail(late)
    core.abort()
    core.close(b"", 0, model.now)
    core.server_closed(1000, "late", model.now)
    assert core.take_in(Transcript(text="late", is_final=True), model.now) == []
    assert core.step(model.now + 1000) is None
    assert core.next_attempt() is None
    assert not core.connected(None, model.now)
    assert (core.speech.assembler.text, len(core.finalizes.answers)) == (text, answers)
    assert (core.error, model.state) == (error, state)
    told = [kind for kind, _ in core.farewell() if kind != "finding"]
    assert told == (["close"] if error is None else ["error", "close"])
    assert isinstance(error, CartesiaSTTError) or error is None
    assert "".join(delta.text for delta in core.speech.assembler.deltas) == text
    stages = attrs.asdict(core.meters.stages(), recurse=False).values()
    assert all((stage.longest or 0.0) >= 0 for stage in stages)
    try:
        core.feed(b"", muted=False, now=model.now)
    except ClosedError:
        assert core.outbox.closing
