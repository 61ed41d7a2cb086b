"""The exception tree."""

from __future__ import annotations

import copy
import pickle
import queue

import pytest

from cartesia_stt_sync import errors

BUILTINS: dict[str, type[Exception]] = {
    "ConfigError": ValueError,
    "ConnectError": ConnectionError,
    "AuthenticationError": ConnectionError,
    "QuotaError": ConnectionError,
    "RateLimitError": ConnectionError,
    "ConnectionLost": ConnectionError,
    "DrainTimeout": TimeoutError,
    "BufferFull": queue.Full,
    "WouldDeadlock": RuntimeError,
}

ALL = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", ALL)
def test_one_base(kind: type[Exception]) -> None:
    """Every error of the module is caught by the one base."""
    assert issubclass(kind, errors.CartesiaSTTError)
    assert kind.__doc__


def test_all_is_everything() -> None:
    """No class of the module is missing from __all__."""
    found = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert found == set(errors.__all__)


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_builtins(name: str, builtin: type[Exception]) -> None:
    """Code that has never heard of this library catches the right builtin."""
    with pytest.raises(builtin, match="no"):
        raise getattr(errors, name)("no")


@pytest.mark.parametrize(
    "name", ["AuthenticationError", "QuotaError", "RateLimitError"]
)
def test_refusals_are_connect_errors(name: str) -> None:
    """Each refusal of the handshake is a ConnectError."""
    assert issubclass(getattr(errors, name), errors.ConnectError)


def test_a_loss_is_not_a_refusal() -> None:
    """ConnectError and ConnectionLost are not each other's kind."""
    assert not issubclass(errors.ConnectionLost, errors.ConnectError)
    assert not issubclass(errors.ConnectError, errors.ConnectionLost)


@pytest.mark.parametrize("kind", ALL)
def test_what_is_not_known_is_none(kind: type[errors.CartesiaSTTError]) -> None:
    """An error that knows nothing carries None, and has no message."""
    error = kind()
    assert str(error) == ""
    assert set(vars(error).values()) == {None}
    assert len(vars(error)) == 5


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("way", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_keep_all(kind: type[errors.CartesiaSTTError], way: object) -> None:
    """An error that crosses a process or is copied loses none of what it carries."""
    error = kind(
        "what happened",
        status_code=429,
        title="Too many",
        error_code="concurrency_limited",
        request_id="r-1",
        doc_url="https://example.org/x",
    )
    assert callable(way)
    twin = way(error)
    assert type(twin) is kind
    assert str(twin) == "what happened"
    assert vars(twin) == vars(error)
    assert twin.status_code == 429


def test_defaults_of_the_connection() -> None:
    """A loss without a close frame is 1006; nobody asked to wait."""
    assert errors.ConnectionLost("gone").close_code == 1006
    assert errors.ConnectError("no").retry_after is None
