"""How options are read, and what help costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rlm_rs.cli.ask import command as ask_command
from rlm_rs.cli.options import Shared
from rlm_rs.cli.program import COMMANDS, program
from rlm_rs.core.errors import SettingInvalid


def parsed(*args: str) -> dict[str, object]:
    """The parameters of `rlm ask` as click reads them."""
    return ask_command.make_context("ask", list(args), obj=Shared()).params


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(program, [name, "--help"])
    assert result.exit_code == 0
    assert "--data-dir" in result.output


def test_the_table_and_the_commands_say_the_same() -> None:
    for name, (_, text) in COMMANDS.items():
        command = program.get_command(None, name)  # type: ignore[arg-type]
        assert (command.name, command.short_help) == (name, text)


@pytest.mark.parametrize("before", [True, False])
def test_the_data_dir_stands_before_or_after_the_command(before: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = ["--data-dir", str(tmp_path / "file")]
    args = [*place, "list"] if before else ["list", *place]
    error = CliRunner().invoke(program, args).exception
    assert isinstance(error, SettingInvalid)
    assert error.details["value"].startswith(str(tmp_path))


def test_budget_options_become_budgets() -> None:
    params = parsed("q", "p", "--max-turns", "3", "--timeout", "9.5", "--budget", "max_stdout_chars=100")
    assert (params["max_turns"], params["max_total_seconds"], params["named"]) == (
        3,
        9.5,
        ("max_stdout_chars=100",),
    )


@pytest.mark.parametrize("text", ["max_turns", "max_turns=", "max_turns=many"])
def test_a_budget_that_is_none_is_wrong_usage(text: str) -> None:
    result = CliRunner().invoke(program, ["ask", "q", "p", "--budget", text])
    assert result.exit_code == 2
    assert "--budget" in result.output


def test_the_resume_command_names_the_data_dir_only_if_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLM_COMMAND", "./rlm")
    assert Shared().resume_command("exec_1") == "./rlm resume exec_1"
    assert Shared(data_dir="/a b").resume_command("exec_1") == "./rlm resume exec_1 --data-dir '/a b'"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, json\n"
        "from rlm_rs.cli import main\n"
        "try:\n    main(['ask', '--help'])\n"
        "except SystemExit:\n    print(json.dumps(sorted(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(json.loads(output.splitlines()[-1]))
    assert not loaded & {
        "pydantic",
        "orjson",
        "apsw",
        "rich",
        "openai",
        "asyncio",
        "rlm_rs.library",
        "rlm_rs.wiring",
    }
