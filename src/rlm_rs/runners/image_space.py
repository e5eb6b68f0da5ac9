"""How much room corpus images take: those used longest ago make way, and what nobody uses does not stay.

An image that goes while a step reads it stays readable to that step: its files are open. Whoever needs it
next builds it again.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "image.json"
TOUCH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ImageSpace:
    """The bounds of a folder of images. idle_seconds: how long an unused one is kept; None: for ever."""

    max_bytes: int = 20 << 30
    idle_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    used: float
    size: int
    path: Path


def touch(image: Path) -> None:
    """An image is being used."""
    with suppress(FileNotFoundError):
        manifest = image / MANIFEST
        if time.time() - manifest.stat().st_mtime > TOUCH_SECONDS:
            os.utime(manifest)


def make_room(directory: Path, space: ImageSpace, but: Path) -> None:
    """Remove images below `directory/{tenant}/{session}/` until they fit; never the one at `but`."""
    now, total = time.time(), 0
    for image in sorted(_images(directory), key=lambda image: image.used, reverse=True):
        total += image.size
        idle = space.idle_seconds is not None and now - image.used > space.idle_seconds
        if image.path != but and (idle or total > space.max_bytes):
            shutil.rmtree(image.path, ignore_errors=True)
            total -= image.size


def _images(directory: Path) -> list[_Kept]:
    found = []
    for manifest in directory.glob(f"*/*/*/{MANIFEST}"):
        # another process may be removing it
        with suppress(FileNotFoundError):
            size = sum(file.stat().st_size for file in manifest.parent.iterdir())
            found.append(_Kept(manifest.stat().st_mtime, size, manifest.parent))
    return found
