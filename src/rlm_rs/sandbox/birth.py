"""How a zygote begins: its namespaces first, while the process is still small; the imports after that."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rlm_rs.sandbox import namespaces


@dataclass(frozen=True, slots=True)
class Birth:
    """What a zygote is given: its host's socket, a pidfd of the host, its namespaces, layers to leave out."""

    control: int
    host: int | None
    namespaces: tuple[str, ...]
    leave_out: frozenset[str]


def begin(control: int, leave_out: frozenset[str]) -> Birth:
    """Take hold of the host and enter the namespaces. May return in a child of the calling process."""
    host = _host_pidfd()
    return Birth(control, host, namespaces.enter(leave_out), leave_out)


def _host_pidfd() -> int | None:
    try:
        return os.pidfd_open(os.getppid())
    except OSError:
        return None  # gone already, or outside this process namespace: its socket will say
