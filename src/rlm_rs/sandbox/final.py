"""The final answer: any value as text, and as JSON for typed answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rlm_rs.sandbox.context import DocView
from rlm_rs.sandbox.limits import LimitExceeded, StateInvalid
from rlm_rs.sandbox.output import readable
from rlm_rs.sandbox.protocol import Final
from rlm_rs.sandbox.state import as_json


def final_of(value: Any, max_chars: int) -> Final:
    """The answer that `value` stands for.

    str as it is; None as the empty text; containers as JSON; a document as its text; all else by `str`.
    Raises `LimitExceeded` when the text is longer than `max_chars`.
    """
    if isinstance(value, DocView):
        value = str(value)
    json_value = _json_or_none(value)
    text = _text(value, json_value)
    if len(text) > max_chars:
        raise LimitExceeded(f"the answer is {len(text):,} characters; at most {max_chars:,} can be returned")
    return Final(readable(text), json_value)


def submitted(values: tuple[Any, ...], fields: Mapping[str, Any], max_chars: int) -> Final:
    """What `SUBMIT` was given: one value, or named fields. A single field's value is the text."""
    if not fields:
        return final_of(values[0] if len(values) == 1 else list(values) or None, max_chars)
    if values:
        raise TypeError("SUBMIT takes one value or named fields, not both")
    whole = final_of(dict(fields), max_chars)
    if len(fields) > 1:
        return whole
    return Final(final_of(next(iter(fields.values())), max_chars).answer, whole.value)


def _json_or_none(value: Any) -> Any:
    try:
        return as_json(value, "answer")
    except StateInvalid:
        return None


def _text(value: Any, json_value: Any) -> str:
    if value is None:
        return ""
    if isinstance(json_value, (dict, list)):
        return json.dumps(json_value, ensure_ascii=False)
    if isinstance(value, int) and not isinstance(value, bool):
        return _digits(value)
    return str(value)


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:
        return hex(value)
