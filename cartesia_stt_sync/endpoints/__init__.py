"""The service's endpoints as data: where they are, what they take, how one speaks.

Never opens a connection.

- `known`: the endpoints
- `parameters`: what may be asked of them
- `account`: whom to talk to, as whom
"""

from .account import (
    BASE_URL,
    VERSION,
    Account,
    Secret,
    check_base_url,
    check_credential,
    check_version,
    find_base_url,
    find_credential,
    is_loopback,
    without,
)
from .known import BATCH, MANUAL, TURNS, Endpoint, Form
from .parameters import (
    TurnThresholds,
    batch_fields,
    changes,
    manual_query,
    turns_query,
)

__all__ = [
    "BASE_URL",
    "BATCH",
    "MANUAL",
    "TURNS",
    "VERSION",
    "Account",
    "Endpoint",
    "Form",
    "Secret",
    "TurnThresholds",
    "batch_fields",
    "changes",
    "check_base_url",
    "check_credential",
    "check_version",
    "find_base_url",
    "find_credential",
    "is_loopback",
    "manual_query",
    "turns_query",
    "without",
]
