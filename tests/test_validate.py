"""Checks of arguments."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import pytest

from cartesia_stt_sync import AudioFormat, Reconnect
from cartesia_stt_sync import _validate as check
from cartesia_stt_sync._pacing import Pacing
from cartesia_stt_sync.errors import ConfigError


@pytest.mark.parametrize("value", [0, 0.0, 1, 0.1, 1e300])
def test_seconds(value: float) -> None:
    """A length of time comes back as a float."""
    got = check.seconds("x", value)
    assert got == value
    assert isinstance(got, float)


@pytest.mark.parametrize(
    "value",
    [None, -1, -0.1, math.nan, math.inf, -math.inf, 10**400, True, "1", [1], 1j],
)
def test_no_seconds(value: object) -> None:
    """What is no length of time is refused by name, rule and value."""
    with pytest.raises(ConfigError) as caught:
        check.seconds("chunk", value)
    assert str(caught.value) == f"chunk: seconds, at least 0, got {value!r}"


def test_seconds_with_none() -> None:
    """None is allowed where it means something, and the message says so."""
    assert check.seconds("x", None, none=True) is None
    with pytest.raises(ConfigError, match=r"x: seconds, at least 0, or None, got 'a'"):
        check.seconds("x", "a", none=True)


def test_seconds_with_limits() -> None:
    """Both limits are kept, and the message names them."""
    assert check.seconds("x", 10, positive=True, most=10) == 10
    assert check.seconds("x", 5e-324, positive=True) == 5e-324
    for value in (0, 0.0, -1, 10.1):
        message = f"x: seconds, more than 0 and at most 10, got {value}"
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            check.seconds("x", value, positive=True, most=10)


def test_patience() -> None:
    """How long a call waits: as long as you like, but no less than not at all."""
    assert check.patience("timeout", None) is None
    for good in (0, 0.5, 10**30, math.inf):
        assert check.patience("timeout", good) == float(good)
    for value in (-1, -math.inf, 10**400, math.nan, "1", True):
        message = f"timeout: seconds, at least 0, or None, got {value!r}"
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
            check.patience("timeout", value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (-2.5, -2.5),
        (True, None),
        ("1", None),
        (None, None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
    ],
)
def test_finite(value: object, number: float | None) -> None:
    """A finite number is a float, all else None."""
    assert check.finite(value) == number


def test_count() -> None:
    """A whole number within its limits, both included, comes back."""
    assert check.count("x", 0) == 0
    assert check.count("x", 10**30) == 10**30
    assert [check.count("x", n, least=1, most=3) for n in (1, 2, 3)] == [1, 2, 3]


@pytest.mark.parametrize("value", [None, -1, 1.0, True, False, "1", math.nan])
def test_no_count(value: object) -> None:
    """What is no whole number is refused by name, rule and value."""
    message = f"attempts: a whole number of at least 0, got {value!r}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        check.count("attempts", value)


@pytest.mark.parametrize("value", [999, 768_001])
def test_count_with_limits(value: int) -> None:
    """The message shows both limits so that a person can read them."""
    message = f"rate: a whole number from 1,000 to 768,000, got {value}"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        check.count("rate", value, least=1_000, most=768_000)


def test_text() -> None:
    """Any text that is not empty comes back as it is."""
    assert check.text("x", " é\n") == " é\n"


@pytest.mark.parametrize("value", ["", None, b"a", 5, ["a"]])
def test_no_text(value: object) -> None:
    """What is no text, or an empty one, is refused."""
    message = f"model: a non-empty string, got {value!r}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        check.text("model", value)


def test_text_that_cannot_be_sent() -> None:
    """Half a surrogate pair is refused before it breaks the connection."""
    with pytest.raises(ConfigError, match="keyterms: text that UTF-8 can carry"):
        check.text("keyterms", "caf\udce9")


def test_field() -> None:
    """As a validator of an attrs class a check names the attribute."""

    @attrs.frozen
    class Some:
        chunk: float = attrs.field(validator=check.field(check.seconds, positive=True))

    assert Some(1).chunk == 1
    with pytest.raises(ConfigError, match=r"^chunk: seconds, more than 0, got 0$"):
        Some(0)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.float16(0.5), 0.5),
        (Fraction(1, 2), 0.5),
    ],
)
def test_numbers_of_others(value: object, number: float) -> None:
    """A number of NumPy's is a number, and comes out as Python's own."""
    assert check.own(value) == number
    assert type(check.own(value)) is type(number)
    for got in (check.seconds("x", value), check.patience("x", value)):
        assert got == number
        assert type(got) is float


@pytest.mark.parametrize(
    "value",
    [
        *(np.bool_(True), np.array(1.0), np.array([1, 2]), np.complex64(1), "1"),
        Fraction(10**400, 3),
    ],
)
def test_not_a_number_of_others(value: object) -> None:
    """Arrays are none, nor is what says yes or no; the message is the usual one."""
    assert check.own(value) is None
    with pytest.raises(ConfigError, match="^x: seconds, at least 0, got "):
        check.seconds("x", value)
    with pytest.raises(ConfigError, match="^x: seconds, at least 0, or None, got "):
        check.patience("x", value)
    with pytest.raises(ConfigError, match="^x: a whole number of at least 0, got "):
        check.count("x", value)


def test_field_holds_pythons_own() -> None:
    """Whatever a class was made with, what it holds is reckoned with as usual."""
    three: Any = np.int64(3)  # to who checks types they are no int and no float
    quarter: Any = np.float32(0.25)
    pacing = Pacing(chunk=quarter, keep_alive=three)
    assert (type(pacing.chunk), type(pacing.keep_alive)) == (float, int)
    assert repr(Pacing(chunk=1)).startswith("Pacing(chunk=1, ")
    policy = Reconnect(three, max_delay=np.float64(1))
    assert repr(policy) == repr(Reconnect(3, max_delay=1.0))
    audio = AudioFormat("pcm_s16le", three * 8_000, three)
    assert repr(audio) == repr(AudioFormat("pcm_s16le", 24_000, 3))
