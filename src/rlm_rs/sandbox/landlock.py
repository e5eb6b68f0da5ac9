"""Landlock: no file, no TCP port, no signal or abstract socket outside, for this process and its children.

See landlock(7) and linux/landlock.h. What the running kernel's ABI does not know is left out; the caller
reports the ABI.
"""

from __future__ import annotations

import ctypes
import os
import struct

from rlm_rs.sandbox.libc import libc

CREATE_RULESET, RESTRICT_SELF = 444, 446
GET_VERSION = 1

FILESYSTEM_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""ABI: how many file system rights it knows; they are the bits from 0 on."""
NETWORK_ABI, NETWORK_RIGHTS = 4, 0b11
SCOPE_ABI, SCOPES = 6, 0b11


def abi() -> int:
    """The kernel's Landlock ABI, 0 if it has none or it is switched off."""
    return max(0, int(libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), GET_VERSION)))


def ruleset(version: int) -> bytes:
    """`struct landlock_ruleset_attr` that handles, and so denies, all that ABI `version` knows."""
    rights = max(count for since, count in FILESYSTEM_RIGHTS.items() if since <= version)
    words = [(1 << rights) - 1]
    if version >= NETWORK_ABI:
        words.append(NETWORK_RIGHTS)
    if version >= SCOPE_ABI:
        words.append(SCOPES)
    return struct.pack(f"={len(words)}Q", *words)


def restrict() -> int:
    """Deny everything Landlock can. Returns the ABI in force, 0 if there is none. Needs no_new_privs."""
    version = abi()
    if version == 0:
        return 0
    attributes = ruleset(version)
    descriptor = libc().syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if descriptor < 0:
        return 0
    restricted = libc().syscall(RESTRICT_SELF, descriptor, 0) == 0
    os.close(descriptor)
    return version if restricted else 0
