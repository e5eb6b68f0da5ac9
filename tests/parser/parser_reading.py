"""Parsing bytes and looking at what came out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlm_rs.core.corpus import Failure
from rlm_rs.parser.outcome import DEFAULT_LIMITS, Parsed, ParseLimits
from rlm_rs.parser.parse import parse_file


@dataclass(frozen=True)
class Reading:
    """A parsed document and the files it left."""

    outcome: Parsed
    folder: Path

    @property
    def text(self) -> str:
        return (self.folder / "text.txt").read_bytes().decode()

    @property
    def meta(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "meta.json").read_bytes()))

    @property
    def offsets(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "offsets.json").read_bytes()))

    @property
    def outline(self) -> list[tuple[int, str]]:
        """Level and title of all sections, depth first."""
        return [(section["level"], section["title"]) for section in self.flat_sections]

    @property
    def flat_sections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        pending = list(reversed(self.meta["structure"]["sections"]))
        while pending:
            section = pending.pop()
            found.append(section)
            pending.extend(reversed(section["children"]))
        return found

    @property
    def tables(self) -> list[str]:
        return [self.text[table["start_char"] : table["end_char"]] for table in self.meta["tables"]]

    @property
    def pages(self) -> list[str]:
        return [self.text[page["start_char"] : page["end_char"]] for page in self.meta["pages"]]


class Reader:
    """Parses bytes as a file of a given name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def outcome(
        self, name: str, data: bytes, mime_type: str | None = None, limits: ParseLimits = DEFAULT_LIMITS
    ) -> tuple[Parsed | Failure, Path]:
        self._count += 1
        source, output = self._folder / f"source{self._count}", self._folder / f"output{self._count}"
        source.write_bytes(data)
        return parse_file(source, name, mime_type, output, limits), output

    def read(self, name: str, data: bytes, mime_type: str | None = None) -> Reading:
        outcome, output = self.outcome(name, data, mime_type)
        assert isinstance(outcome, Parsed), outcome
        return Reading(outcome, output)

    def failure(self, name: str, data: bytes, limits: ParseLimits = DEFAULT_LIMITS) -> Failure:
        outcome, output = self.outcome(name, data, limits=limits)
        assert isinstance(outcome, Failure), outcome
        assert list(output.iterdir()) == []
        return outcome
