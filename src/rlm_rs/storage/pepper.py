"""The secret that API keys are hashed with, where the operator names none."""

from __future__ import annotations

import os
import secrets
import tempfile
from functools import lru_cache
from pathlib import Path

from rlm_rs.core.errors import SettingInvalid

PEPPER_FILE = "api_key_pepper"
PEPPER_BYTES = 32


@lru_cache(maxsize=8)
def kept_pepper(data_dir: Path) -> str:
    """The pepper of a data directory, made at random the first time; only its owner can read the file.

    Raises `SettingInvalid` if it can be neither read nor written, or is empty.
    """
    place = data_dir / PEPPER_FILE
    try:
        if not place.exists():
            _make(place)
        pepper = place.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(f"{place} cannot be kept or read ({error}).") from error
    if not pepper:
        raise _invalid(f"{place} is empty; restore it, or remove it to begin with new keys.")
    return pepper


def _make(place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # a file of mkstemp has mode 0600
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{PEPPER_FILE}-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{secrets.token_hex(PEPPER_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        _publish(name, place)
    finally:
        os.unlink(name)


def _publish(name: str, place: Path) -> None:
    try:
        # unlike a rename, a link never replaces what another process has made meanwhile
        os.link(name, place)
    except FileExistsError:
        return


def _invalid(reason: str) -> SettingInvalid:
    return SettingInvalid(variable="API_KEY_PEPPER", value="", reason=reason)
