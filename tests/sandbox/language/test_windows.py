"""Large texts are scanned window by window: the hits are the same, whatever the window."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.sandbox import regex as regex_module
from rlm_rs.sandbox import windows
from rlm_rs.sandbox.regex import Regex
from rlm_rs.sandbox.text import Text

LETTERS = st.text(alphabet="abAB é😀\n", max_size=120)


@pytest.fixture(autouse=True)
def _tiny_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WINDOW", 7)
    monkeypatch.setattr(regex_module, "REACH", 24)


@given(LETTERS, st.text(alphabet="abAB é😀", min_size=1, max_size=4))
def test_literal_hits_do_not_depend_on_the_window(content: str, term: str) -> None:
    text = Text.of(content)
    found = [text.chars_of(*span) for span in text.find(term.encode(), 0, len(text.data))]
    expected = [m.start() for m in re.finditer(f"(?={re.escape(term)})", content)]
    assert found == [(at, at + len(term)) for at in expected]


@given(LETTERS, st.text(alphabet="abAB", min_size=1, max_size=4))
def test_hits_without_case_do_not_depend_on_the_window(content: str, term: str) -> None:
    text = Text.of(content)
    found = [text.chars_of(*span)[0] for span in text.find_uncased(term.encode(), 0, len(text.data))]
    assert found == [m.start() for m in re.finditer(f"(?={re.escape(term)})", content, re.IGNORECASE)]


@given(
    LETTERS, st.sampled_from([r"a+b", r"\bab?\b", r"^a", r"[ab]{1,3}$", r"é|😀", r"\s+", r"(?m)^b", r"a*"])
)
def test_matches_do_not_depend_on_the_window(content: str, pattern: str) -> None:
    text = Text.of(content)
    found = [text.chars_of(*span) for span in Regex(pattern).spans(text.data, text.is_ascii)]
    assert found == [m.span() for m in re.finditer(pattern, content)]


def test_a_mapped_text_is_still_readable_after_it_was_let_go(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"needle" * 10_000)
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ))
    windows.release(data[5:])
    assert bytes(data[:6]) == b"needle"
    assert sum(1 for _ in Text(data, len(data), None).find(b"needle", 0, len(data))) == 10_000
