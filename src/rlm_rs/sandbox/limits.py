"""How a step ends other than by running off its last line, and the limits it can hit.

The signals derive from BaseException so that `except Exception` in step code does not catch them, and
`Ending` remembers the first one so that a bare `except:` cannot make it unhappen.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlm_rs.sandbox.protocol import Final, SubcallRequest

READ_CHARS_PER_MB = 1 << 16
"""Characters one read may return per megabyte of step memory: a sixteenth, as each may take 4 bytes."""

BATCH_REQUESTS = 1_000
"""Sub-calls one batched call may ask for."""

NESTING = 100
"""How deep state, variables and answers may be nested."""


class StepTimedOut(BaseException):
    """The step used up its seconds. The signal handler of the process raises it, again if swallowed."""


class StepEnded(BaseException):
    """Base of the signals by which a tool call ends the step."""


class StepSuspended(StepEnded):
    """The step waits for answers that the channel does not have."""

    def __init__(self, requests: Sequence[SubcallRequest]) -> None:
        super().__init__()
        self.requests = tuple(requests)


class StepFinished(StepEnded):
    """Step code gave its final answer."""

    def __init__(self, final: Final) -> None:
        super().__init__()
        self.final = final


class StepYielded(StepEnded):
    """Step code called `tool.YIELD`."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class StepDiverged(StepEnded):
    """Run again, the step asked something else than what was recorded."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class LimitExceeded(Exception):
    """A limit of the step was hit. Step code may catch it and go on with less."""

    code = "BUDGET_EXCEEDED"


class StateInvalid(LimitExceeded):
    """`state` holds something that is not JSON; the message names the path."""

    code = "STATE_INVALID_TYPE"


class StateTooLarge(LimitExceeded):
    """`state` is longer, as JSON, than the limit allows."""

    code = "STATE_TOO_LARGE"


class ToolRefused(ValueError):
    """A tool was called in a way it does not accept; the message says what it accepts."""


class ToolFailed(RuntimeError):
    """A custom tool could not do what it was asked; the message says why. Step code may catch it."""


class Ending:
    """The first signal that ended the step, kept where swallowing the exception does not reach."""

    __slots__ = ("signal",)

    def __init__(self) -> None:
        self.signal: StepEnded | None = None

    def end(self, signal: StepEnded) -> StepEnded:
        """Remember `signal` if it is the first, and return the one to raise."""
        self.signal = self.signal or signal
        return self.signal

    def check(self) -> None:
        """Raise the remembered signal again: called by every tool, print and read."""
        if self.signal is not None:
            raise self.signal
