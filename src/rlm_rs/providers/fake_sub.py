"""What the offline sub-model says to any prompt: quotes from it, never words of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rlm_rs.providers.fake_judge import Quote, Source, judge
from rlm_rs.providers.fake_question import understand

_PASSAGE = re.compile(r"^\[P(\d+)\] ([^\n]*)\n<passage>\n(.*?)\n</passage>", re.DOTALL | re.MULTILINE)
_TEXT_LABEL = re.compile(r"^\W*(?:CONTEXT|TEXT|DOCUMENT|PASSAGE)\s*:\s*", re.MULTILINE | re.IGNORECASE)
_QUESTION = re.compile(r"^\W*(?:QUESTION|QUERY|TASK|Q)\b\s*:?\s*(.+)$", re.MULTILINE | re.IGNORECASE)
_ASKING = re.compile(r"[^.?!\n]{0,400}\?")
_SHOWN_CHARS = 400_000
_END_CHARS = 2_000


def sub_reply(prompt: str, schema: Mapping[str, Any] | None = None) -> str:
    """The reply to a sub-call. With a schema it is JSON of that shape, filled from the text."""
    passages = [Source(f"P{m[1]}", m[2], m[3]) for m in _PASSAGE.finditer(prompt)]
    if passages and schema is None:
        return _judged(prompt, passages)
    quotes = _from_any(prompt)
    if schema is not None:
        return json.dumps(_filled(schema, quotes), ensure_ascii=False)
    return "\n".join(" ".join(quote.sentence.text.split()) for quote in quotes[:3]) or "NONE"


def _judged(prompt: str, passages: list[Source]) -> str:
    asked = _QUESTION.search(prompt)
    quotes = judge(understand(asked[1] if asked else ""), passages)
    return "\n".join(map(_line, quotes)) or "NONE"


def _line(quote: Quote) -> str:
    words = " ".join(quote.sentence.text.split())
    return f'{quote.source.label} | {round(100 * quote.score)} | "{words}"'


def _from_any(prompt: str) -> list[Quote]:
    """Take a prompt of unknown form for a question and a text."""
    asked = _QUESTION.search(prompt) or _first_question(prompt)
    question = asked[asked.re.groups] if asked else prompt[:200]
    rest = prompt.replace(asked[0], "\n", 1) if asked else prompt
    text = _TEXT_LABEL.sub("\n", rest[:_SHOWN_CHARS])
    quotes = judge(understand(question.strip()), [Source("text", "", text)])
    return sorted(quotes, key=lambda quote: -quote.score)


def _first_question(prompt: str) -> re.Match[str] | None:
    """The question at one end of the prompt, not one that the text itself asks."""
    ends = prompt[:_END_CHARS].strip(), prompt[-_END_CHARS:].strip()
    return _ASKING.search(ends[0].partition("\n")[0]) or _ASKING.search(ends[1].rpartition("\n")[2])


def _filled(schema: Mapping[str, Any], quotes: list[Quote]) -> Any:
    """The smallest value of a schema's shape that says what the quotes say."""
    text = " ".join(quotes[0].sentence.text.split()) if quotes else ""
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if choices:
        return next((choice for choice in choices if str(choice).casefold() in text.casefold()), choices[0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    return _value(kind, schema, quotes, text)


def _value(kind: str, schema: Mapping[str, Any], quotes: list[Quote], text: str) -> Any:
    number = re.search(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
    match kind:
        case "object":
            return {name: _filled(part, quotes) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [_filled(schema.get("items", {}), [quote]) for quote in quotes[:3]]
        case "boolean":
            return bool(quotes)
        case "integer":
            return int(float(number.group())) if number else 0
        case "number":
            return float(number.group()) if number else 0.0
        case "null":
            return None
    return text
