"""From character to byte offsets: checkpoints for clients, an index for the sandbox."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

from rlm_rs.parser.canonical import CHECKPOINT_INTERVAL, TextSummary
from rlm_rs.parser.structure import write_json

_MAX_CHECKPOINTS = 4096


def write_offsets(json_path: Path, index_path: Path, text: TextSummary) -> bool:
    """Write offsets.json, and offsets.u64 unless the text is ASCII; returns whether it was written.

    The JSON holds at most 4,096 checkpoints: for a long text its interval is a larger multiple of 4,096
    characters, stated in the file. The index always has every 4,096th character, as uint64 little-endian.
    """
    step = _step(len(text.starts))
    interval = CHECKPOINT_INTERVAL * step
    write_json(
        json_path,
        {
            "char_length": text.char_length,
            "byte_length": text.byte_length,
            "encoding": "utf-8",
            "checkpoint_interval": interval,
            "checkpoints": [
                {"char": number * interval, "byte": byte} for number, byte in enumerate(text.starts[::step])
            ],
        },
    )
    if text.is_ascii:
        return False
    index_path.write_bytes(_little_endian(text.starts))
    return True


def _step(count: int) -> int:
    step = 1
    while count > step * _MAX_CHECKPOINTS:
        step *= 2
    return step


def _little_endian(starts: array[int]) -> bytes:
    if sys.byteorder == "little":
        return starts.tobytes()
    swapped = array("Q", starts)
    swapped.byteswap()
    return swapped.tobytes()
