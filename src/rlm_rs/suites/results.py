"""What came of each case and variant, kept as it happens so that an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rlm_rs.suites.item_scores import CitationScore, Stretch

RESULTS_FILE = "results.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a variant made of a case. cost_usd is None where a price is unknown; seconds are of work.

    skipped: why the variant does not apply to the case (`CONTEXT_WINDOW_EXCEEDED`), which is no failure.
    """

    execution_id: str
    status: str
    answer: str | None = None
    value: Any = None
    partial: bool = False
    error: str | None = None
    cited: tuple[Stretch, ...] = ()
    turns: int = 0
    llm_subcalls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """An outcome and its score."""

    case_id: str
    kind: str
    length: int
    variant: str
    score: float
    citations: CitationScore
    outcome: Outcome


@dataclass(slots=True)
class Results:
    """The results so far: one JSON object a line, each on disk before the next case begins.

    begun: executions that were started and did not end, by case and variant.
    """

    path: Path
    done: dict[tuple[str, str], Result] = field(default_factory=dict)
    begun: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Results:
        """Those of a folder, which is made if it is not there. A line cut short by a crash does not count."""
        folder.mkdir(parents=True, exist_ok=True)
        results = cls(folder / RESULTS_FILE)
        for line in _whole_lines(results.path):
            results._take(line)
        return results

    def record_begun(self, case_id: str, variant: str, execution_id: str) -> None:
        """An execution exists now: from here on it is gone on with, and never started twice."""
        self.begun[case_id, variant] = execution_id
        self._append({"begun": execution_id, "case_id": case_id, "variant": variant})

    def record(self, result: Result) -> None:
        """A case is done."""
        self.done[result.case_id, result.variant] = result
        self._append(asdict(result))

    def _append(self, document: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(document, sort_keys=True, ensure_ascii=False) + "\n")

    def _take(self, document: dict[str, Any]) -> None:
        place = (document["case_id"], document["variant"])
        if "begun" in document:
            self.begun[place] = document["begun"]
        else:
            self.done[place] = _RESULT.validate_python(document)


_RESULT: TypeAdapter[Result] = TypeAdapter(Result)


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rpartition(b"\n")[0]
    if len(whole) + 1 < len(content):
        # what a crash cut short must not run into the next line
        path.write_bytes(whole + b"\n" if whole else b"")
    for line in whole.splitlines():
        yield json.loads(line)
