"""What the library notices."""

from __future__ import annotations

import attrs
import pytest

from cartesia_stt_sync import checks
from cartesia_stt_sync.checks import Finding

ALL = [
    checks.no_done(),
    checks.partial_sample(1),
    checks.slow_callback("final", 1.26),
    checks.unasked_flush_done(),
    checks.replay_overflow(2.55),
    checks.replay_differs(),
    checks.recording_stopped("No space left on device"),
]


def test_codes_are_unique() -> None:
    """Each finding has a short name of its own, fit for programs."""
    codes = [finding.code for finding in ALL]
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code for code in codes)


@pytest.mark.parametrize("finding", ALL, ids=lambda finding: finding.code)
def test_sentences(finding: Finding) -> None:
    """What was seen and what to do about it are sentences; together they are shown."""
    for part in (finding.message, finding.advice):
        assert not part[0].islower()
        assert part.endswith(".")
    assert str(finding) == f"{finding.message} {finding.advice}"


def test_no_finding_is_missing_here() -> None:
    """Every function of the module that makes a finding is in the list above."""
    makers = [f for n, f in vars(checks).items() if n.islower() and _makes_a_finding(f)]
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
