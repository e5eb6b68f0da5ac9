"""What an attack is, and what has to be true after it."""

from __future__ import annotations

from dataclasses import dataclass

REACHED = "REACHED"
"""An attack that got what it wanted says so with this word."""
REFUSED = "refused"

VIOLATION = "SANDBOX_VIOLATION"
TIMEOUT = "STEP_TIMEOUT"
MEMORY = "STEP_MEMORY"
CRASHED = "SANDBOX_CRASHED"
PROTOCOL = "SANDBOX_PROTOCOL_ERROR"
REJECTED = "SANDBOX_AST_REJECTED"


@dataclass(frozen=True, slots=True)
class Attack:
    """Code that tries to reach something, and the ends it may come to.

    ends: error codes, or "refused" (kernel attacks: an OSError), or "" (the step finished without error
    and without reaching anything). harmless: it may also be run with no sandbox, where it has to succeed:
    an attack that cannot succeed anywhere proves nothing.
    """

    name: str
    code: str
    ends: tuple[str, ...]
    harmless: bool = False
