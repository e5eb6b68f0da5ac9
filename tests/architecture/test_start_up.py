"""Importing the package loads nothing heavy: that is paid by who needs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    *("openai", "pydantic", "pydantic_settings", "docx", "pptx", "pypdfium2", "python_calamine"),
    *("selectolax", "markdown_it", "lxml", "rich", "click", "apsw", "obstore", "re2", "orjson", "httpx2"),
}


def _loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import rlm_rs", set()),
        ("import rlm_rs.core.prompts.render, rlm_rs.core.replies, rlm_rs.core.citing", set()),
        ("import rlm_rs.orchestrator.answerer", {"pydantic", "orjson"}),
        ("import rlm_rs.sandbox.protocol", set()),
    ],
)
def test_an_import_loads_only_what_it_needs(code: str, allowed: set[str]) -> None:
    loaded = _loaded(code)
    assert "rlm_rs" in loaded
    assert loaded & (HEAVY - allowed) == set()


def test_only_who_serves_mcp_loads_its_sdk() -> None:
    loaded = _loaded("import rlm_rs.api.app, rlm_rs.cli.mcp, rlm_rs.mcp.clients")
    assert "fastapi" in loaded
    assert loaded & {"mcp", "mcp_types"} == set()
