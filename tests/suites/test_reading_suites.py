"""A suite that cannot be read says which line, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.suites.suite import read_suite

CASE = {"id": "a", "question": "Why?", "corpus": ["docs"], "answer": "because", "metric": "contains"}


def written(tmp_path: Path, *documents: Any) -> Path:
    place = tmp_path / "mine.jsonl"
    place.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return place


def test_a_suite_of_ones_own_is_a_line_each(tmp_path: Path) -> None:
    (case, other) = read_suite(written(tmp_path, CASE, {**CASE, "id": "b", "answer": ["x", "y"]}))
    assert case.corpus == (str(tmp_path / "docs"),)
    assert other.answer == ("x", "y")


def test_a_line_holds_whatever_unicode_calls_a_line_break(tmp_path: Path) -> None:
    question = "one\u2028two\u2029three\x85four"
    place = tmp_path / "mine.jsonl"
    line = json.dumps({**CASE, "question": question}, ensure_ascii=False)
    place.write_bytes(f"{line}\r\n\r\n".encode())
    [case] = read_suite(place)
    assert case.question == question


def test_a_line_nested_too_deep_is_no_case(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("[" * 100_000)
    with pytest.raises(ValidationFailed, match=r"mine\.jsonl:1 is not a case"):
        read_suite(tmp_path / "mine.jsonl")


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([], "holds no cases"),
        ([CASE, CASE], "two cases with the id 'a'"),
        ([{**CASE, "metric": "vibes"}], "mine.jsonl:1 names the metric 'vibes'; there are"),
        ([CASE, {"id": "b"}], "mine.jsonl:2 is not a case: question"),
        ([["not", "an", "object"]], "mine.jsonl:1 is not a case"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, documents: list[Any], said: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        read_suite(written(tmp_path, *documents))
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_suite_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValidationFailed, match="cannot be read as a suite"):
        read_suite(tmp_path / "none.jsonl")
