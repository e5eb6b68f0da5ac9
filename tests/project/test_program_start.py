"""What must not be loaded: start-up time is what is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SDK = {"openai", "httpx2"}
READERS = {"docx", "pptx", "pypdfium2"}
HEAVY = SDK | READERS | {"pydantic", "pydantic_settings", "rich", "apsw", "obstore", "re2"}
CLI = "import sys; from rlm_rs.cli import main\ntry:\n    main({arguments!r})\nexcept SystemExit: pass\n"


def loaded_by(code: str, environment: dict[str, str]) -> set[str]:
    """Top-level modules in memory after running some code."""
    ending = "\nimport sys, json; sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-I", "-c", code + ending]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["ask", "--help"]])
def test_help_loads_nothing_of_weight(arguments: list[str], bare_environment: dict[str, str]) -> None:
    loaded = loaded_by(CLI.format(arguments=arguments), bare_environment)
    assert loaded & HEAVY == set()
    assert "click" in loaded


def test_an_ask_without_a_key_loads_neither_the_sdk_nor_readers(
    bare_environment: dict[str, str], root: Path
) -> None:
    note = root / "examples/corpus/agreements/insurance_brokerage.txt"
    code = CLI.format(arguments=["ask", "-q", "Who is the broker?", str(note)])
    loaded = loaded_by(code, bare_environment)
    assert loaded & (SDK | READERS) == set()
    assert "apsw" in loaded


def test_every_public_name_is_there() -> None:
    import rlm_rs

    assert [name for name in rlm_rs.__all__ if getattr(rlm_rs, name, None) is None] == []
