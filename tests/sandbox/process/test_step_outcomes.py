"""What is said of a child that ended without a reply."""

import logging
import signal

import pytest

from rlm_rs.runners import outcomes
from rlm_rs.runners.nursery import Ended
from rlm_rs.sandbox.frames import EXIT_FAILED, EXIT_OUT_OF_MEMORY, EXIT_TIMED_OUT
from rlm_rs.sandbox.protocol import StepLimits, StepRequest

STEP = StepRequest(
    "e", 3, "x", state={"n": 1}, variables={"v": 2}, limits=StepLimits(seconds=1, memory_mb=64)
)
SMALL, FULL = 10 << 20, 60 << 20


@pytest.mark.parametrize(
    ("status", "cpu", "peak", "code"),
    [
        (signal.SIGXCPU, 1.0, SMALL, "STEP_TIMEOUT"),
        (signal.SIGKILL, 1.5, SMALL, "STEP_TIMEOUT"),
        (signal.SIGKILL, 0.1, FULL, "STEP_MEMORY"),
        (signal.SIGKILL, 0.1, SMALL, "STEP_MEMORY"),
        (signal.SIGABRT, 0.1, FULL, "STEP_MEMORY"),
        (signal.SIGABRT, 0.1, SMALL, "SANDBOX_CRASHED"),
        (signal.SIGSYS, 0.1, SMALL, "SANDBOX_VIOLATION"),
        (signal.SIGSEGV, 0.1, SMALL, "SANDBOX_CRASHED"),
        (signal.SIGBUS, 0.1, SMALL, "SANDBOX_CRASHED"),
        (64, 0.1, SMALL, "SANDBOX_CRASHED"),
        (0 << 8, 0.1, SMALL, "SANDBOX_CRASHED"),
        (EXIT_FAILED << 8, 0.1, SMALL, "SANDBOX_CRASHED"),
        (EXIT_OUT_OF_MEMORY << 8, 0.1, SMALL, "STEP_MEMORY"),
        (EXIT_TIMED_OUT << 8, 0.1, SMALL, "STEP_TIMEOUT"),
    ],
)
def test_every_end_has_its_typed_error(status: int, cpu: float, peak: int, code: str) -> None:
    result = outcomes.without_reply(STEP, Ended(int(status), cpu, peak))
    assert result.error is not None
    assert result.error.code == code
    assert (result.state, result.variables) == (STEP.state, STEP.variables)
    assert (result.usage.cpu_seconds, result.usage.peak_memory_bytes) == (cpu, peak)


def test_an_operator_finds_violations_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        outcomes.violation(STEP, Ended(signal.SIGSYS, 0.1, SMALL))
    assert "step e/3 ended with SANDBOX_VIOLATION" in caplog.text


def test_an_ordinary_timeout_is_no_news_for_an_operator(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        outcomes.timed_out(STEP)
    assert caplog.text == ""
