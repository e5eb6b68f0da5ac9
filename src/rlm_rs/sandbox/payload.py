"""Bytes inside a JSON document: as they are when short, compressed when long.

What a function is called with and what it replies are JSON of limited size. The bytes of a step and of its
reply pass through it unread.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

PLAIN_BYTES = 64 << 10
"""Longer bytes are compressed."""
LEVEL = 3


class PayloadMalformed(ValueError):
    """It holds no bytes that can be read. The message says why."""


def packed(data: bytes | bytearray) -> dict[str, str]:
    """`{"text": …}`, or `{"deflated": …}` in base64. Raises `PayloadMalformed` for short bytes not UTF-8."""
    if len(data) > PLAIN_BYTES:
        return {"deflated": base64.b64encode(zlib.compress(data, LEVEL)).decode()}
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError as error:
        raise PayloadMalformed(f"it is not UTF-8 ({error.reason})") from None


def unpacked(value: Mapping[str, Any], limit: int) -> bytes:
    """The bytes of a packed value, at most `limit` of them. Raises `PayloadMalformed`."""
    if isinstance(text := value.get("text"), str):
        data = text.encode("utf-8", "replace")
    elif isinstance(deflated := value.get("deflated"), str):
        data = _inflated(deflated, limit)
    else:
        raise PayloadMalformed("it holds neither text nor deflated")
    if len(data) > limit:
        raise PayloadMalformed(f"it holds more than the {limit} bytes allowed")
    return data


def _inflated(deflated: str, limit: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(base64.b64decode(deflated, validate=True), limit + 1)
    except (binascii.Error, zlib.error) as error:
        raise PayloadMalformed(f"it cannot be inflated ({error})") from None
    if len(data) <= limit and not inflater.eof:
        raise PayloadMalformed("its end is missing")
    return data
