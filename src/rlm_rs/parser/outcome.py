"""What parsing is given and what it gives back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlm_rs.core.corpus import Failure, Parsed

PARSER_VERSION = "rlm-parser/1"
"""Changes whenever the same bytes would give another canonical text or structure."""


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What parsing one document may use. Seconds, bytes, counts.

    wall_seconds grows by seconds_per_megabyte for each megabyte of input; CPU time is held to the same.
    container_bytes, container_members, container_ratio: what an office document or archive may unpack to.
    The ratio (unpacked to packed) counts only above container_floor_bytes, since small files pack well.
    """

    wall_seconds: float = 120.0
    seconds_per_megabyte: float = 0.25
    memory_bytes: int = 1536 << 20
    text_bytes: int = 8 << 30
    container_bytes: int = 1 << 30
    container_floor_bytes: int = 64 << 20
    container_members: int = 50_000
    container_ratio: int = 200
    pages: int = 100_000
    html_depth: int = 10_000
    structure_bytes: int = 32 << 20

    def seconds_for(self, byte_length: int) -> float:
        """Wall seconds allowed for an input of that size."""
        return self.wall_seconds + self.seconds_per_megabyte * byte_length / (1 << 20)


DEFAULT_LIMITS = ParseLimits()


ParseOutcome = Parsed | Failure


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to parse and what is known about it. `head` is its first 64 KiB."""

    path: Path
    name: str
    mime_type: str | None
    byte_length: int
    head: bytes
    limits: ParseLimits


def outcome_to_dict(outcome: ParseOutcome) -> dict[str, Any]:
    """A JSON-ready form that `outcome_from_dict` reads."""
    return asdict(outcome)


def outcome_from_dict(data: dict[str, Any]) -> ParseOutcome:
    """Rebuild an outcome; raises TypeError or KeyError when it is not one."""
    if "code" in data:
        return Failure(str(data["code"]), str(data["message"]))
    return Parsed(**{**data, "warnings": tuple(data["warnings"])})
