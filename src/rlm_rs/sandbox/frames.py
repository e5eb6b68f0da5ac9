"""Frames on the socket between a runner and a step's process: one kind byte, a length, a body.

The child's side is here and blocks; the host's side (`runners.exchange`) does not. Both trust no length
beyond `MAX_FRAME_BYTES`.
"""

from __future__ import annotations

import os
import struct

HEADER = struct.Struct("<cI")
MAX_FRAME_BYTES = 64 << 20

STEP = b"S"
"""Host to child: a `StepRequest`; the corpus image's descriptors travel with its header."""
FETCHED_STEP = b"D"
"""Host to child: as `STEP`, over files that are filled as they are read. The body begins with the lengths
of the tables in the first file (`TABLES`); calls without a recorded answer end the child."""
PROBE = b"P"
"""Host to child: Python source that tries to get out, run with no language layer."""
ANSWERS = b"A"
"""Host to child: a JSON list of `SubcallResult`, for a suspended step."""
REPLY = b"R"
"""Child to host: a `StepResult`, or what a probe returned."""
FETCH = b"G"
"""Child to host: the blocks of a file it is about to read (`BLOCKS`)."""
FETCHED = b"B"
"""Host to child: they are there."""
HELLO = b"H"
"""Child to host, first and once: it is locked and warm. Code has not run before it."""
FAILED = b"F"
"""Child to host: why the step program itself failed, as text."""

TABLES = struct.Struct("<4Q")
BLOCKS = struct.Struct("<3I")
"""The file's number, the first block and the last."""

EXIT_FAILED = 70
"""The step program itself raised something: a defect, or code that broke it."""
EXIT_OUT_OF_MEMORY = 71
EXIT_TIMED_OUT = 72


class ConnectionEnded(Exception):
    """The other side closed the socket in the middle of a frame, or before one."""


def read_exactly(descriptor: int, count: int) -> bytes:
    """Block until `count` bytes are there. Raises `ConnectionEnded`."""
    pieces = bytearray()
    while len(pieces) < count:
        piece = os.read(descriptor, min(count - len(pieces), 1 << 20))
        if not piece:
            raise ConnectionEnded
        pieces += piece
    return bytes(pieces)


def read_frame(descriptor: int) -> tuple[bytes, bytes]:
    """Block for one frame: its kind and its body. Raises `ConnectionEnded`."""
    kind, length = HEADER.unpack(read_exactly(descriptor, HEADER.size))
    return kind, read_exactly(descriptor, length)


def write_frame(descriptor: int, kind: bytes, body: bytes) -> None:
    """Block until the whole frame is written."""
    unsent = memoryview(HEADER.pack(kind, len(body)) + body)
    while unsent:
        unsent = unsent[os.write(descriptor, unsent) :]
