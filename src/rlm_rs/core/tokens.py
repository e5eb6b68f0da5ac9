"""How many tokens a text comes to, without a tokenizer: those are downloads, and differ by model.

Four ASCII characters count as one token, and each further byte of another character as half of one. That is
near for English prose, code and Chinese, and high for other alphabets. Where a text must fit, MARGIN goes on
top.
"""

from __future__ import annotations

MARGIN = 1.15


def estimated_tokens(text: str) -> int:
    """The estimate for a text."""
    return tokens_of_lengths(len(text), len(text.encode("utf-8", "replace")))


def tokens_of_lengths(char_length: int, byte_length: int) -> int:
    """The estimate for a text of so many characters and UTF-8 bytes."""
    return -(-(2 * byte_length - char_length) // 4)
