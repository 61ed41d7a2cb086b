"""What must hold for a session, whatever happens to it and in whatever order.

Decides how an input is read: eight bytes of settings, and then three bytes an
operation, of which the first says which.
"""

from __future__ import annotations

from collections.abc import Callable

from .choices import Choices
from .driver import Driver
from .looks import check_now

__all__ = ["OPERATIONS", "SETTINGS", "check_session"]

SETTINGS = 8
"""Bytes of settings before the first operation."""

_MOST_OPERATIONS = 400

Operation = Callable[[Driver, int, int], None]

_SHARES: dict[Operation, int] = {
    Driver.feed: 9,
    Driver.run: 10,
    Driver.stall: 3,
    Driver.step: 2,
    Driver.finalize: 6,
    Driver.final: 7,
    Driver.partial: 2,
    Driver.flush_done: 6,
    Driver.lost: 4,
    Driver.attempt: 1,
    Driver.connect: 4,
    Driver.refused: 1,
    Driver.server_closed: 1,
    Driver.close: 1,
    Driver.done: 1,
    Driver.other: 1,
    Driver.tell: 1,
    Driver.return_from_handler: 1,
    Driver.error: 1,
    Driver.ask: 1,
    Driver.abort: 1,
    Driver.fail: 1,
}
OPERATIONS = tuple(op for op, share in _SHARES.items() for _ in range(share))
"""What the first byte of an operation chooses from; the usual stands there often."""


def check_session(data: bytes) -> None:
    """Answers, text, order, pacing and states are right after each of any events.

    Args:
        data: The settings, and the operations.
    """
    choices = Choices(data)
    driver = Driver(choices)
    for _ in range(_MOST_OPERATIONS):
        if not choices.left:
            break
        operation = choices.pick(OPERATIONS)
        operation(driver, choices.byte(), choices.byte())
        check_now(driver.model)
    driver.finish()
