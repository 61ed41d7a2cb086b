"""What a refused handshake is called, and when the server wants the next try."""

from __future__ import annotations

import pytest

from cartesia_stt_sync._refusal import refusal

NOON = "Mon, 23 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "1."}, None),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "\u0667"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": NOON}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT", "date": NOON}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": "noon"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, None),
        ({"retry-after": NOON[:-3] + "+99999999999999999999", "date": NOON}, None),
        ({"retry-after": NOON, "date": NOON[:-3] + "+99999999999999999999"}, None),
        ({"retry-after": NOON, "date": "Mon, 23 Nov 2026 12:00:00"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds or a date, which is read by the server's own clock; else nothing."""
    assert refusal(503, headers, "").retry_after == seconds
