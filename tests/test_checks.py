"""What the library notices."""

from __future__ import annotations

import attrs
import pytest

from cartesia_stt_sync import AudioFormat, checks
from cartesia_stt_sync.checks import (
    Finding,
    behaviour,
    container,
    finding,
    level,
    misread,
)

S16 = AudioFormat("pcm_s16le", 16000)
MULAW = checks.Declaration(encoding="pcm_mulaw", roughness=0.1)

ALL = [
    checks.cut_off(1.5),
    checks.no_done(),
    checks.partial_sample(1),
    checks.slow_callback("final", 1.26),
    checks.unasked_flush_done(),
    checks.replay_overflow(2.55),
    checks.replay_differs(),
    *(container.file_in_audio(kind) for kind in ("WAV",)),
    misread.wrong_encoding(S16, MULAW),
    misread.wrong_channels(S16, MULAW),
    level.clipped(0.02),
    level.beyond_one(32767.0),
    level.all_zero(10.0),
    level.too_quiet(0.001, "pcm_s16le"),
    level.offset(-0.1),
    level.dead_channel(1, 2),
    behaviour.arrives_fast(3.0, 16000),
    behaviour.arrives_slow(0.3, 48000),
    behaviour.finalize_in_speech(),
    behaviour.finalize_often(2.5),
    behaviour.never_finalized(5.0),
    behaviour.starved(1.0),
    behaviour.aborted_undrained(1.25),
    behaviour.no_language("ink-whisper"),
    checks.budget_spent(1.25),
    checks.config_refused("keyterms: at most 100"),
    checks.recording_stopped("No space left on device"),
]


def test_codes_are_unique() -> None:
    """Each finding has a short name of its own, fit for programs."""
    codes = [finding.code for finding in ALL]
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code for code in codes)


@pytest.mark.parametrize("found", ALL, ids=lambda found: found.code)
def test_sentences(found: Finding) -> None:
    """What was seen and what to do about it are sentences; together they are shown."""
    for part in (found.message, found.advice):
        assert not part[0].islower()
        assert part.endswith(".")
    assert str(found) == f"{found.message} {found.advice}"


def test_no_finding_is_missing_here() -> None:
    """Every function that makes a finding is in the list above."""
    modules = (finding, container, level, misread, behaviour)
    makers = {
        function
        for module in modules
        for function in vars(module).values()
        if _makes_a_finding(function)
    }
    assert len(makers) == len(ALL)


def _makes_a_finding(value: object) -> bool:
    return getattr(value, "__annotations__", {}).get("return") == "Finding"


@pytest.mark.parametrize(
    ("finding", "part"),
    [
        (checks.partial_sample(3), "ended 3 byte(s) into a sample"),
        (checks.slow_callback("final", 1.26), "for 'final' took 1.3 s"),
        (checks.replay_overflow(12.34), "12.3 s of audio"),
    ],
)
def test_figures(finding: Finding, part: str) -> None:
    """The figures that a person needs are in the message."""
    assert part in finding.message


def test_frozen() -> None:
    """A finding is a value."""
    assert checks.no_done() == checks.no_done()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ALL[0].code = "x"  # type: ignore[misc]  # that is the test
