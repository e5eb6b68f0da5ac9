"""Wrong input is one line that says what to do, the right exit code, and never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from invoking import Ended, Main, Serve

OFFLINE = "No model is configured"
FINAL = "```repl\nFINAL('done')\n```"


def complaint(ended: Ended, code: int) -> str:
    """The one line of complaint, after checking that it is one, and nothing else is on standard output."""
    assert ended.code == code, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("rlm: ")]
    assert len(lines) == 1, ended.err
    assert ended.err.splitlines()[-1] == lines[0]
    return lines[0]


def test_no_such_file(run_main: Main) -> None:
    assert "no-such-file: no such file or folder" in complaint(run_main("ask", "q", "no-such-file"), 2)


def test_an_empty_folder(run_main: Main, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "nothing to read" in complaint(run_main("ask", "q", str(tmp_path / "empty")), 2)


def test_an_empty_file(run_main: Main, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    assert "empty.txt: It holds no text." in complaint(run_main("ask", "q", str(tmp_path / "empty.txt")), 1)


def test_a_truncated_docx(run_main: Main, tmp_path: Path) -> None:
    (tmp_path / "cut.docx").write_bytes(b"PK\x03\x04\x14\x00\x00\x00\x08\x00word/document.xml cut off")
    assert "cut.docx: It is damaged" in complaint(run_main("ask", "q", str(tmp_path / "cut.docx")), 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(run_main: Main, notes: Path) -> None:
    (notes / "lease.txt").chmod(0)
    assert "lease.txt: It cannot be opened" in complaint(run_main("ask", "q", str(notes / "lease.txt")), 1)


def test_a_bad_file_beside_good_ones_is_named_and_the_rest_goes_on(run_main: Main, notes: Path) -> None:
    (notes / "void.txt").write_bytes(b"")
    ended = run_main("ask", "What notice ends the lease?", str(notes), "-q")
    assert ended.code == 0
    assert "ninety days" in ended.out
    assert "could not read void.txt: It holds no text." in ended.err


def test_an_empty_question(run_main: Main, notes: Path) -> None:
    assert "question is empty" in complaint(run_main("ask", " ", str(notes)), 2)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--budget", "max_turn=3"], "no budget is called 'max_turn'"),
        (["--budget", "max_turns=0"], "budget max_turns must be a whole number above 0"),
        (["--max-turns", "2.5"], "not a valid integer"),
        (["--max-cost", "nan"], "budget max_cost_usd must be a number"),
        (["--context-shape", "round"], "'round' is not one of"),
        (["--root-model", "gpt-5"], "gpt-5 needs a key"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_wrong_options(run_main: Main, notes: Path, args: list[str], words: str) -> None:
    assert words in complaint(run_main("ask", "q", str(notes), *args), 2)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PARSER_WORKERS", "lots", "PARSER_WORKERS is 'lots'"),
        ("LLM_PROVIDER", "oracle", "LLM_PROVIDER is 'oracle'"),
        ("DEFAULT_BUDGETS_JSON", "{", "DEFAULT_BUDGETS_JSON is '{'"),
        ("RLM_DATA_DIR", "/proc/nowhere", "RLM_DATA_DIR is '/proc/nowhere'"),
    ],
)
def test_a_nonsense_setting_is_named(run_main: Main, notes: Path, name: str, value: str, words: str) -> None:
    assert words in complaint(run_main("ask", "q", str(notes), env={name: value}), 2)


def test_a_broken_configuration_file(run_main: Main, notes: Path, tmp_path: Path) -> None:
    (tmp_path / "rlm.toml").write_text("parser_workers = = 2")
    ended = run_main("ask", "q", str(notes), env={"RLM_CONFIG": str(tmp_path / "rlm.toml")})
    assert str(tmp_path / "rlm.toml") in complaint(ended, 2)


def test_an_unknown_execution(run_main: Main) -> None:
    for command in ("show", "resume"):
        assert "no execution exec_17 here" in complaint(run_main(command, "exec_17"), 1)


def test_a_file_to_verify_that_is_none(run_main: Main, tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text("[1, 2")
    assert "not JSON" in complaint(run_main("verify", str(tmp_path / "answer.json")), 2)
    assert "No such file" in complaint(run_main("verify", str(tmp_path / "none.json")), 2)


def test_a_reference_to_verify_that_no_store_can_hold(run_main: Main, tmp_path: Path) -> None:
    ref = {"tenant_id": "local", "session_id": "\ud800", "doc_id": "d", "checksum": "sha256:00"}
    place = tmp_path / "ref.json"
    place.write_text(json.dumps({**ref, "doc_index": 0, "start_char": 0, "end_char": 1}))
    assert "its session_id is '\\ud800'" in complaint(run_main("verify", str(place)), 2)


def test_a_schema_that_is_nested_too_deep(run_main: Main, notes: Path, tmp_path: Path) -> None:
    for depth in (200, 100_000):
        (tmp_path / "deep.json").write_text('{"not":' * depth + "{}" + "}" * depth)
        ended = run_main("ask", "q", str(notes), "--schema", str(tmp_path / "deep.json"))
        assert "nested" in complaint(ended, 2)


def test_a_refused_key(run_main: Main, notes: Path, serve: Serve) -> None:
    server = serve({"keys": ["sk-right"], "default": FINAL})
    assert "Check OPENAI_API_KEY" in complaint(run_main("ask", "q", str(notes), env=server.env), 1)


def test_an_unknown_model(run_main: Main, notes: Path, serve: Serve) -> None:
    server = serve({"models": ["gpt-5"], "default": FINAL})
    ended = run_main("ask", "q", str(notes), "--root-model", "gpt-17", env=server.env)
    assert "gpt-17" in complaint(ended, 1)


def test_an_unreachable_url(run_main: Main, notes: Path) -> None:
    env = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "k", "OPENAI_MAX_RETRIES": "1"}
    ended = run_main("ask", "q", str(notes), "--root-model", "gpt-5", env=env)
    assert "http://127.0.0.1:9/v1" in complaint(ended, 1)
