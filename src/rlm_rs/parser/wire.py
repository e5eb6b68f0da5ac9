"""What the pool and its workers say to each other: length-prefixed JSON over a pipe.

A frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON.
"""

from __future__ import annotations

import os
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from rlm_rs.parser.outcome import ParseLimits

HEADER = struct.Struct(">I")
MAX_FRAME_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """One document to parse. Paths are absolute. `seconds` bounds its wall and its processor time."""

    path: Path
    name: str
    mime_type: str | None
    output_dir: Path
    seconds: float
    limits: ParseLimits


def frame(value: dict[str, Any]) -> bytes:
    """A frame holding that JSON."""
    body = orjson.dumps(value)
    return HEADER.pack(len(body)) + body


def job_frame(job: Job) -> bytes:
    """A frame holding a job."""
    return frame(
        {
            "path": _path_text(job.path),
            "name": job.name.encode("utf-8", "replace").decode(),
            "mime_type": job.mime_type,
            "output_dir": _path_text(job.output_dir),
            "seconds": job.seconds,
            "limits": asdict(job.limits),
        }
    )


def job_of(body: bytes) -> Job:
    """The job in a frame's body."""
    data = orjson.loads(body)
    return Job(
        **{
            **data,
            "path": _path_of(data["path"]),
            "output_dir": _path_of(data["output_dir"]),
            "limits": ParseLimits(**data["limits"]),
        }
    )


def _path_text(path: Path) -> str:
    """File names are bytes, not always UTF-8: each byte travels as one character."""
    return os.fsencode(path).decode("latin-1")


def _path_of(text: str) -> Path:
    return Path(os.fsdecode(text.encode("latin-1")))
