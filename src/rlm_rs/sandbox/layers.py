"""What is locked around a step, as a value that can be reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LAYERS = frozenset({"namespaces", "user_namespace", "unprivileged_user", "landlock"})
"""The layers that may be missing, and that tests leave out to prove the others. seccomp is not one."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What holds around a step.

    seccomp: system calls are filtered (always, or there is no sandbox). landlock: the ABI in force, 0 if
    none. namespaces: those of its own. unprivileged: it runs under a user id without rights and holds
    no capability. rlimits: memory, CPU time, files and processes are limited.
    """

    seccomp: bool
    landlock: int
    namespaces: tuple[str, ...]
    unprivileged: bool
    rlimits: bool = True

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Layers:
        """From JSON."""
        return cls(**{**data, "namespaces": tuple(data["namespaces"])})

    def in_words(self) -> str:
        """One line for people."""
        parts = ["seccomp" if self.seccomp else "NO seccomp"]
        parts.append(f"Landlock (ABI {self.landlock})" if self.landlock else "no Landlock")
        spaces = ", ".join(self.namespaces)
        parts.append(f"namespaces ({spaces})" if spaces else "no namespaces")
        parts.append("no privileges" if self.unprivileged else "a privileged user id")
        return ", ".join(parts)
