"""From what a user names to the files it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from rlm_rs.core.corpus import Source
from rlm_rs.core.ports import Fence
from rlm_rs.parser.sources import discover


def find_sources(
    paths: Sequence[str], spool: Path, stdin: BinaryIO | None = None, fence: Fence | None = None
) -> list[Source]:
    """The documents that paths, folders, globs, archives and `-` stand for; only what a fence holds.

    Raises `SourceNotFound`, and `ValidationFailed` when nothing is found.
    """
    return discover(paths, spool_dir=spool, stdin=stdin, fence=fence)
