"""The web UI as it is committed: whole, small, of one mind with the service."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter

from rlm_rs.core.execution import Event, fold
from rlm_rs.ui.site import BUILT, assets, page, report_script, report_style

MAX_COMPONENT_LINES = 300
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def test_the_page_names_assets_that_are_there() -> None:
    named = set(re.findall(r"/assets/([\w.-]+)", page().content.decode()))
    assert named
    assert named <= assets().keys()


def test_what_is_built_holds_no_address_and_no_markup_of_its_own_end() -> None:
    for path in BUILT.rglob("*"):
        if path.is_file():
            found = re.findall(r"https?://[\w.:/-]+", path.read_text())
            # names of XML vocabularies are no addresses to go to
            assert [one for one in found if not one.startswith("http://www.w3.org/")] == [], path
    for content in (report_script(), report_style()):
        assert "</script" not in content.lower()
        assert "</style" not in content.lower()
        assert "<!--" not in content


def test_components_are_small(root: Path) -> None:
    sources = [path for path in (root / "ui/src").rglob("*.ts*") if path.name != "schema.ts"]
    assert len(sources) > 50
    lengths = {path.name: path.read_text().count("\n") for path in sources}
    assert {name: length for name, length in lengths.items() if length > MAX_COMPONENT_LINES} == {}


def test_no_markup_is_ever_made_of_text(root: Path) -> None:
    ways = re.compile(r"dangerouslySetInnerHTML|innerHTML|insertAdjacentHTML|document\.write|\beval\(")
    wrong = [path.name for path in (root / "ui/src").rglob("*.ts*") if ways.search(path.read_text())]
    assert wrong == []


@pytest.fixture(scope="module")
def journal() -> dict[str, object]:
    root = Path(__file__).resolve().parents[2]
    found: dict[str, object] = json.loads((root / "ui/test/journal.json").read_text())
    return found


def test_the_service_folds_a_journal_as_the_ui_is_expected_to(journal: dict[str, object]) -> None:
    events = [EVENT.validate_python(event) for _, event in journal["events"]]  # type: ignore[attr-defined]
    run = fold(events)
    assert run is not None
    assert run.finished is not None
    assert {
        "status": str(run.finished.status),
        "turns": len(run.turns),
        "spend": asdict(run.spend),
        "tool_status": dict(run.tool_status),
        "state": dict(run.state),
        "pending": [request.key for request in run.pending],
        "consecutive_errors": run.consecutive_errors,
        "subcalls": [[subcall.request.key for subcall in turn.subcalls] for turn in run.turns],
    } == journal["expected"]
