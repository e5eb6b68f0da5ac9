"""Writing to standard output and standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO


def say(text: str) -> None:
    """A line, or several, on standard output: what the command was asked for."""
    _write(sys.stdout, text)


def tell(text: str) -> None:
    """A line on standard error: what happens meanwhile, and what went wrong."""
    _write(sys.stderr, text)


def say_json(value: Mapping[str, Any] | Sequence[Any], *, indent: int | None = 2) -> None:
    """A value as JSON on standard output; indent None makes it one line."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    say(json.dumps(value, ensure_ascii=encoding != "utf8", indent=indent, default=str))


def printable(text: str) -> str:
    """The text without the control characters that could drive a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not _controls(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str, width: int | None = None) -> str:
    """The text on one line, cut at `width` characters."""
    flat = " ".join(text.split())
    return flat if width is None or len(flat) <= width else flat[: width - 1].rstrip() + "…"


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody reads along there."""
    return stream is not None and stream.isatty()


def _controls(char: str) -> bool:
    return (
        ord(char) < 32
        or 127 <= ord(char) < 160
        or char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    stream.write(f"{printable(text) if stream.isatty() else text}\n")
    stream.flush()
