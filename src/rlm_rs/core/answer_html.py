"""An answer as a small self-contained HTML fragment: each mark opens the passage it rests on.

Text from documents and models is always escaped.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_rs.core.answers import Answer, CheckedCitation

_MARK = re.compile(r"\[(\d{1,4})\]")
QUOTE_CHARS = 1200


def answer_html(answer: Answer) -> str:
    """The fragment notebooks show for an answer."""
    prefix = f"rlm-{answer.execution_id}"
    text = escape(answer.text or (answer.error.message if answer.error else ""))
    marked = _MARK.sub(lambda m: _link(m, prefix, len(answer.citations)), text)
    partial = "<p><em>Partial: a budget ran out.</em></p>" if answer.partial else ""
    sources = "".join(_source(i, c, prefix) for i, c in enumerate(answer.citations, start=1))
    return f'<div class="rlm-answer"><div style="white-space:pre-wrap">{marked}</div>{partial}{sources}</div>'


def _link(match: re.Match[str], prefix: str, count: int) -> str:
    number = int(match.group(1))
    if not 1 <= number <= count:
        return match.group()
    opening = f"document.getElementById('{prefix}-{number}').open=true"
    return f'<a href="#{prefix}-{number}" onclick="{escape(opening)}">{match.group()}</a>'


def _source(number: int, citation: CheckedCitation, prefix: str) -> str:
    page = f", page {citation.page}" if citation.page else ""
    check = "verified" if citation.verified else "NOT VERIFIED"
    place = f"{citation.ref.start_char}–{citation.ref.end_char}"
    facts = f"<small>({place}, {citation.support}, {check})</small>"
    head = f"[{number}] {escape(citation.source_name)}{page} {facts}"
    quote = escape(_shortened(citation.text))
    return (
        f'<details id="{prefix}-{number}"><summary>{head}</summary>'
        f'<blockquote style="white-space:pre-wrap">{quote}</blockquote></details>'
    )


def _shortened(text: str) -> str:
    return text if len(text) <= QUOTE_CHARS else f"{text[:QUOTE_CHARS]} … ({len(text):,} characters)"
