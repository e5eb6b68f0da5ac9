"""Text that can be stored and sent: a lone surrogate, which UTF-8 has no bytes for, becomes U+FFFD."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """The text as valid Unicode; a surrogate pair in two code points becomes the character it means."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
