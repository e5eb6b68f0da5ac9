"""A suite: questions over corpora with known answers, one JSON object a line.

A line holds `id`, `question`, `corpus` (paths, relative to the suite's file), `answer` (the reference: text,
a number, or a list of texts), `metric`, and optionally `kind`, `length` (characters of the corpus), `spans`
(where the answer stands, in code points of the canonical text) and `facts` (what passages of the corpus say:
what an infallible reader would answer about each).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.suites.metrics import METRICS, Reference

SUITE_FILE = "suite.jsonl"


@dataclass(frozen=True, slots=True)
class ReferenceSpan:
    """Where the answer, or a part of it, stands: `[start_char, end_char)` of a document's text."""

    source_name: str
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question with its corpus and its reference. `length` is in characters, 0 where it is not said."""

    id: str
    question: str
    corpus: tuple[str, ...]
    answer: Reference
    metric: str = "exact_match"
    kind: str = ""
    length: int = 0
    spans: tuple[ReferenceSpan, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


_CASE: TypeAdapter[Case] = TypeAdapter(Case)


def read_suite(path: Path) -> tuple[Case, ...]:
    """The cases of a suite, their corpora as absolute paths. Raises `ValidationFailed` naming the line."""
    place = path / SUITE_FILE if path.is_dir() else path
    try:
        # not splitlines: a text within a line may hold U+2028 and its like as they are
        lines = place.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationFailed(reason=f"{place} cannot be read as a suite ({error}).") from error
    cases = [_case(line, f"{place}:{number}", place.parent) for number, line in enumerate(lines, 1) if line]
    if not cases:
        raise ValidationFailed(reason=f"{place} holds no cases: one JSON object a line is expected.")
    _refuse_doubles(cases, place)
    return tuple(cases)


def write_suite(cases: Iterable[Case], path: Path) -> None:
    """Write cases, a line each, in their order; keys are sorted, so the same cases are the same bytes."""
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for case in cases:
            document = {key: value for key, value in _CASE.dump_python(case, mode="json").items() if value}
            out.write(json.dumps(document, sort_keys=True, ensure_ascii=False) + "\n")


def _case(line: str, where: str, folder: Path) -> Case:
    try:
        document: Any = json.loads(line)
        case = _CASE.validate_python({"length": 0, **document})
    except (ValueError, TypeError, RecursionError, ValidationError) as error:
        reason = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        named = ".".join(str(part) for part in reason["loc"])
        raise ValidationFailed(reason=f"{where} is not a case: {named} {reason['msg']}.") from error
    if case.metric not in METRICS:
        known = ", ".join(sorted(METRICS))
        raise ValidationFailed(reason=f"{where} names the metric {case.metric!r}; there are {known}.")
    return Case(**{**_fields(case), "corpus": tuple(str(folder / path) for path in case.corpus)})


def _fields(case: Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in Case.__dataclass_fields__}


def _refuse_doubles(cases: Sequence[Case], place: Path) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise ValidationFailed(reason=f"{place} has two cases with the id {case.id!r}.")
        seen.add(case.id)
