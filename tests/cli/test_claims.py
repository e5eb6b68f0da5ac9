"""What `rlm verify` accepts as citations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.orchestrator.claims import read_claims

REF: dict[str, Any] = {
    "tenant_id": "local",
    "session_id": "sess_1",
    "doc_id": "doc_1",
    "doc_index": 0,
    "start_char": 3,
    "end_char": 9,
    "checksum": "sha256:00",
}
CITATION = {"ref": REF, "text": "a text", "source_name": "a.txt", "page": None}


@pytest.mark.parametrize(
    "given",
    [
        {"citations": [CITATION]},
        [CITATION],
        CITATION,
        [REF],
        REF,
        {"ref": REF},
    ],
)
def test_every_form_of_a_citation_is_read(given: Any) -> None:
    [claim] = read_claims(json.dumps(given, indent=2))
    assert (claim.ref.doc_id, claim.ref.end_char) == ("doc_1", 9)


def test_of_json_lines_the_last_counts() -> None:
    lines = [{"type": "Started"}, {"type": "Answer", "citations": [CITATION, CITATION]}]
    assert len(read_claims("\n".join(map(json.dumps, lines)) + "\n")) == 2


def test_a_line_holds_whatever_unicode_calls_a_line_break() -> None:
    quoted = {**CITATION, "text": "one\u2028two\u2029three\x85four"}
    lines = [{"type": "Started", "question": "a\u2028b"}, {"type": "Answer", "citations": [quoted]}]
    [claim] = read_claims("\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n")
    assert claim.text == quoted["text"]


def test_an_answer_without_citations_has_none() -> None:
    assert read_claims('{"answer": "42", "citations": []}') == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "not JSON"),
        ("not json", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "it has no tenant_id"),
        ("17", "not an object"),
        ('{"citations": 17}', "not an object"),
        ('{"ref": 17}', "ref is not an object"),
        (json.dumps({**REF, "start_char": "3"}), "its start_char is '3'"),
        (json.dumps({**REF, "doc_index": True}), "its doc_index is True"),
        (json.dumps({**CITATION, "text": 17}), "its text is 17"),
        (json.dumps({**REF, "session_id": "\ud800"}), r"its session_id is '\\ud800'"),
        (json.dumps({**CITATION, "source_name": "\udfff.txt"}), r"its source_name is '\\udfff\.txt'"),
    ],
)
def test_anything_else_is_refused_with_the_reason(given: str, why: str) -> None:
    with pytest.raises(ValidationFailed, match=why):
        read_claims(given)
