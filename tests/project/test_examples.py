"""Every example runs, and the corpus is what its script makes."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

MADE = ("agreements/fleet_maintenance.docx", "reports/board_pack_q3.pptx", "reports/costs_2024.xlsx")
MADE_PDF = ("agreements/route_software.pdf", "reports/annual_report_2024.pdf")


def run(script: Path, environment: dict[str, str], *arguments: str) -> str:
    """What an example prints."""
    command = [sys.executable, "-I", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ask_answers_with_verified_citations(root: Path, bare_environment: dict[str, str]) -> None:
    shown = run(root / "examples/ask.py", bare_environment)
    assert "[1] " in shown
    assert "verified" in shown
    assert "NOT VERIFIED" not in shown


def test_stream_tells_every_turn_and_the_answer(root: Path, bare_environment: dict[str, str]) -> None:
    shown = run(root / "examples/stream.py", bare_environment)
    assert "12 documents, 0 of them unreadable" in shown
    assert "turn 1: the root model wrote" in shown
    assert "finished: COMPLETED" in shown


def test_the_scripted_model_drives_real_steps(root: Path, bare_environment: dict[str, str]) -> None:
    shown = run(root / "examples/scripted_model.py", bare_environment)
    assert "passages let a party leave at will: [1]" in shown
    assert "[1] agreements/" in shown
    assert "2 turns" in shown


@pytest.fixture(scope="module")
def made_again(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus as its script writes it now."""
    target = tmp_path_factory.mktemp("corpus")
    run(root / "examples/make_corpus.py", {}, str(target))
    return target


@pytest.mark.parametrize("name", MADE)
def test_office_files_are_as_made(root: Path, made_again: Path, name: str) -> None:
    assert members(made_again / name) == members(root / "examples/corpus" / name)


@pytest.mark.parametrize("name", MADE_PDF)
def test_pdf_files_are_as_made(root: Path, made_again: Path, name: str) -> None:
    assert (made_again / name).read_bytes() == (root / "examples/corpus" / name).read_bytes()


def members(path: Path) -> dict[str, bytes]:
    """Name to content: how they are compressed differs between builds of zlib."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_corpus_is_small_and_of_many_formats(root: Path) -> None:
    files = [path for path in (root / "examples/corpus").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 400_000
    assert len({path.suffix for path in files}) >= 11
