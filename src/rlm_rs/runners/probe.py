"""Proof from inside: what step code could reach if Python itself were no obstacle.

Each probe is plain Python with every module at hand, run in a locked child as steps are. `rlm doctor` and
the readiness check print the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rlm_rs.sandbox.layers import Layers
from rlm_rs.sandbox.protocol import StepLimits

REFUSED = "refused"
WORKS = "works"
LIMITS = StepLimits(seconds=2.0, memory_mb=64)


class ProbeEnded(Exception):
    """A probe was ended instead of coming to its end: the error code and the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@runtime_checkable
class Examined(Protocol):
    """A runner that can be examined from inside a step."""

    async def start(self) -> Layers:
        """Make sure that steps can be run, and say which layers hold. Raises `SandboxFailed` otherwise."""

    async def probe(self, source: str, limits: StepLimits) -> str:
        """Run Python in a locked child with no language layer, and return what it left in `outcome`.

        Raises `ProbeEnded` if it was ended.
        """


@dataclass(frozen=True, slots=True)
class Check:
    """One thing tried from inside. `held` is False when it was within reach, or could not be judged."""

    name: str
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Probe:
    """`source` leaves "refused" in `outcome`, is ended by the kernel, or has got out."""

    name: str
    source: str
    expected: str = REFUSED


def _attempt(code: str) -> str:
    """Source that runs `code`; an OSError from it means that it was refused."""
    indented = code.replace("\n", "\n    ")
    return f"import os, socket\ntry:\n    {indented}\nexcept OSError:\n    outcome = 'refused'\n"


CONTROL = Probe("ordinary code runs", "outcome = 'works' if sorted('ba') == ['a', 'b'] else ''", WORKS)

PROBES: tuple[Probe, ...] = (
    Probe("a socket is out of reach", _attempt("socket.socket()\noutcome = 'opened a socket'")),
    Probe("a file is out of reach", _attempt("open('/etc/passwd')\noutcome = 'read /etc/passwd'")),
    Probe("a new file is out of reach", _attempt("open('/tmp/probe', 'w')\noutcome = 'wrote a file'")),
    Probe(
        "the environment is out of reach",
        _attempt("outcome = 'saw ' + ', '.join(os.environ) if os.environ else 'refused'"),
    ),
    Probe("a fork is out of reach", _attempt("os.fork()\noutcome = 'forked'")),
    Probe("another program is out of reach", _attempt("os.execv('/bin/sh', ['sh'])")),
    Probe("another process is out of reach", _attempt("os.kill(os.getppid(), 0)\noutcome = 'signalled'")),
)


async def prove(runner: Examined) -> list[Check]:
    """Run every probe. The first check is the control: without it "refused" could mean "broken".

    Raises `SandboxFailed` if no step can be run here at all.
    """
    await runner.start()
    return [await _check(runner, probe) for probe in (CONTROL, *PROBES)]


async def _check(runner: Examined, probe: Probe) -> Check:
    try:
        outcome = await runner.probe(probe.source, LIMITS)
    except ProbeEnded as ended:
        held = probe.expected == REFUSED and ended.code == "SANDBOX_VIOLATION"
        return Check(probe.name, held, "ended by the kernel" if held else f"{ended.code}: {ended}")
    return Check(probe.name, outcome == probe.expected, outcome)


def all_held(checks: Sequence[Check]) -> bool:
    """Whether nothing was in reach and ordinary code runs."""
    return bool(checks) and all(check.held for check in checks)
