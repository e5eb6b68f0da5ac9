"""What the model is told when a child ended without a reply of its own."""

from __future__ import annotations

import logging
import os
import signal

from rlm_rs.runners.nursery import Ended, describe_exit
from rlm_rs.sandbox.frames import EXIT_OUT_OF_MEMORY, EXIT_TIMED_OUT
from rlm_rs.sandbox.protocol import StepError, StepRequest, StepResult, StepUsage

MEMORY_SHARE = 0.7
"""A child killed or aborted with at least this share of its memory limit in use died of memory."""

WATCHED = frozenset({"SANDBOX_VIOLATION", "SANDBOX_PROTOCOL_ERROR", "SANDBOX_CRASHED"})
"""Ends that ordinary code does not come to: an operator finds them in the log. The kernel's audit log,
where there is one, names the system call of a violation."""

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())

KEPT = "State and variables are as before the step; what it printed is lost."


def failed(step: StepRequest, code: str, message: str, ended: Ended | None = None) -> StepResult:
    """A finished result that changes nothing and says why."""
    if code in WATCHED:
        _log.warning("step %s/%s ended with %s: %.500r", step.execution_id, step.turn, code, message)
    usage = StepUsage(0.0, ended.cpu_seconds, ended.peak_memory_bytes) if ended else StepUsage()
    return StepResult(
        status="finished",
        error=StepError(code, f"{message} {KEPT}"),
        state=step.state,
        variables=step.variables,
        usage=usage,
    )


def timed_out(step: StepRequest, ended: Ended | None = None) -> StepResult:
    """The step used up its seconds in a way that only ending its process could stop."""
    seconds = f"{step.limits.seconds:g}"
    message = f"The step ran longer than {seconds} seconds and was ended. Do less work in one step."
    return failed(step, "STEP_TIMEOUT", message, ended)


def out_of_memory(step: StepRequest, ended: Ended | None = None) -> StepResult:
    """The step needed more private memory than it may have."""
    message = (
        f"The step needed more than its {step.limits.memory_mb} MB of memory and was ended."
        " Keep offsets instead of text, and read smaller slices."
    )
    return failed(step, "STEP_MEMORY", message, ended)


def read_too_much(step: StepRequest, limit_bytes: int) -> StepResult:
    """The documents that the step read do not fit where it runs."""
    message = (
        f"The step read more than {limit_bytes >> 20} MB of documents, which is what fits where steps run."
        " Read or search fewer documents in one step."
    )
    return failed(step, "STEP_READ_LIMIT", message)


def reply_too_long(step: StepRequest) -> StepResult:
    """The step leaves more than can be sent back."""
    message = (
        "What the step leaves is too long to be sent back. Keep offsets in state and variables, not text."
    )
    return failed(step, "STATE_TOO_LARGE", message)


def malformed(step: StepRequest, complaint: str) -> StepResult:
    """The child's reply was refused."""
    message = f"The step's result could not be read: {complaint}."
    return failed(step, "SANDBOX_PROTOCOL_ERROR", message)


def crashed(step: StepRequest, how: str, ended: Ended | None = None) -> StepResult:
    """The step broke its interpreter, for example by recursing too deep in C code."""
    return failed(step, "SANDBOX_CRASHED", f"The step broke its Python process ({how}).", ended)


def violation(step: StepRequest, ended: Ended) -> StepResult:
    """The kernel ended the step because it asked for a system call no step needs."""
    message = (
        "The step was ended because it tried to reach outside: files, network, processes and threads"
        " are not available. Use context, state and the tools."
    )
    return failed(step, "SANDBOX_VIOLATION", message, ended)


def without_reply(step: StepRequest, ended: Ended) -> StepResult:
    """Read how the child ended into the typed error that fits."""
    status = os.waitstatus_to_exitcode(ended.status)
    starved = ended.peak_memory_bytes >= MEMORY_SHARE * (step.limits.memory_mb << 20)
    if status in (-signal.SIGXCPU, EXIT_TIMED_OUT):
        return timed_out(step, ended)
    if status == EXIT_OUT_OF_MEMORY or (starved and status in (-signal.SIGKILL, -signal.SIGABRT)):
        return out_of_memory(step, ended)
    if status == -signal.SIGSYS:
        return violation(step, ended)
    if status == -signal.SIGKILL:
        return _killed(step, ended)
    return crashed(step, describe_exit(ended.status), ended)


def _killed(step: StepRequest, ended: Ended) -> StepResult:
    """SIGKILL that the host did not send: the hard CPU limit, else the kernel was out of memory."""
    if ended.cpu_seconds >= step.limits.seconds:
        return timed_out(step, ended)
    return out_of_memory(step, ended)
