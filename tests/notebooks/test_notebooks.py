"""The notebooks in examples/ run from top to bottom, offline, and hold no outputs. `make test-notebooks`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SECONDS = 120


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the examples, and an environment in which the offline policy answers."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "AZURE_OPENAI_API_KEY", "RLM_BASE_URL", "RLM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLM_PROVIDER", "fake")
    monkeypatch.setenv("RLM_DATA_DIR", str(tmp_path / "data"))
    for name in ("HOME", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "examples"


def executed(path: Path) -> list[dict[str, Any]]:
    """The outputs of a notebook's cells, in order. Fails with the cell that raised."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def texts(outputs: list[dict[str, Any]]) -> str:
    shown = [output.get("text") or output["data"].get("text/plain", "") for output in outputs]
    return "\n".join(shown)


def test_an_answer_shows_itself_with_marks_that_open_the_source(place: Path) -> None:
    outputs = executed(place / "ask.ipynb")
    shown = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    first = next(html for html in shown if "rlm-answer" in html)
    assert "<details" in first
    assert "six months" in first
    assert "verified" in first
    assert "finished: COMPLETED" in texts(outputs)


def test_a_trace_is_a_table(place: Path) -> None:
    outputs = executed(place / "trace.ipynb")
    assert "root replied" in texts(outputs)
    assert "step finished" in texts(outputs)


def test_answers_are_scored(place: Path) -> None:
    outputs = executed(place / "evaluate.ipynb")
    mean = float(outputs[-1]["data"]["text/plain"])
    assert 0.1 < mean <= 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_what_is_committed_holds_no_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in cells if cell.outputs or cell.execution_count] == []
