"""What a Batch request asks for: the checks on its address and on its form.

Decides from values whether a recording is taken, and else what the refusal says. Never
touches a socket, a file or the web framework.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..audio import AudioFormat
from ..endpoints import BATCH
from .handshake import Refusal, Request, check_account, read_encoding, read_rate

__all__ = ["Order", "check_address", "check_field", "check_fields"]


@attrs.frozen(kw_only=True)
class Order:
    """What shall be done with a recording.

    Attributes:
        language: As asked for, or ``None`` where it was left out.
        words: Whether the words' times are wanted.
    """

    language: str | None
    words: bool


def check_address(request: Request, api_key: str | None) -> AudioFormat | None:
    """Check all that comes before the form.

    Args:
        request: Headers and query.
        api_key: The only good key, or ``None`` where any will do.

    Returns:
        What the samples of a file without a header are; ``None``: it has one.

    Raises:
        Refusal: The request is not let in.
    """
    check_account(request, api_key)
    given = {name: values for name, values in request.query.items() if values[0]}
    for name in given:
        if name not in (*BATCH.query, "api_key", "access_token", "cartesia_version"):
            known = ", ".join(BATCH.query)
            raise Refusal(
                400,
                "Unknown parameter",
                f"{name[:40]!r} is not a parameter of {BATCH.path}; in the address it "
                f"takes {known}, and all else as fields of a form",
            )
    found = [given[name][0] for name in BATCH.query if name in given]
    if not found:
        return None
    if len(found) < len(BATCH.query):
        raise Refusal(
            400, "Missing parameter", "encoding, sample_rate: both of them, or none"
        )
    return AudioFormat(read_encoding(found[0]), read_rate(found[1]))


def check_field(name: str | None) -> str:
    """Check that a field of the form is one of those that there are.

    Raises:
        Refusal: It is none.
    """
    known = BATCH.required + BATCH.optional
    if name not in known:
        raise Refusal(
            400,
            "Unknown field",
            f"{str(name)[:40]!r} is not a field of {BATCH.path}; it takes "
            + ", ".join(known),
        )
    return str(name)


def check_fields(fields: Sequence[tuple[str, str]]) -> Order:
    """Check the fields of the form but for the file.

    Raises:
        Refusal: One is missing, or not right.
    """
    values = dict(fields)
    for name in values:
        if name != BATCH.granularities and len([n for n, _ in fields if n == name]) > 1:
            raise Refusal(400, "Repeated field", f"{name}: given more than once")
    model = values.get("model", "")
    if not model:
        raise Refusal(400, "Missing field", "model: needed, but not given")
    if not model.startswith(BATCH.models):
        raise Refusal(
            404,
            "Model not found",
            f"model: {BATCH.path} takes {BATCH.models} and its dated names, got "
            f"{model[:40]!r}",
            error_code="model_not_found",
        )
    wanted = {value for name, value in fields if name == BATCH.granularities}
    if not wanted <= {"word"}:
        raise Refusal(
            400,
            "Invalid granularity",
            f"{BATCH.granularities}: 'word', got {sorted(wanted)[0][:40]!r}",
        )
    return Order(language=values.get("language") or None, words=bool(wanted))
