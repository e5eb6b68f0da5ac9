"""Generated suites: the same for the same seed, of the length asked for, their references where they say."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.suites.generating import KINDS, generate_suite
from rlm_rs.suites.generating.haystack import Haystack
from rlm_rs.suites.metrics import references_of, score
from rlm_rs.suites.suite import Case, read_suite


def test_every_reference_span_holds_a_fact_of_its_case(cases: tuple[Case, ...]) -> None:
    for case in cases:
        assert case.spans
        for span in case.spans:
            text = (Path(case.corpus[0]) / span.source_name).read_text(encoding="utf-8")
            assert text[span.start_char : span.end_char] in case.facts


def test_corpora_are_as_long_as_asked_for(cases: tuple[Case, ...]) -> None:
    for case in cases:
        wanted = int(case.id.split("-")[1])
        assert wanted <= case.length <= wanted * 1.2
        assert case.length == sum(len(path.read_text()) for path in Path(case.corpus[0]).iterdir())


def test_every_fact_stands_once_in_its_corpus(cases: tuple[Case, ...]) -> None:
    for case in cases:
        text = "\n".join(path.read_text() for path in Path(case.corpus[0]).iterdir())
        assert [fact for fact in case.facts if text.count(fact) != 1] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_writes_the_same_bytes(kind: str, tmp_path: Path) -> None:
    def written(name: str, seed: int) -> dict[str, bytes]:
        folder = tmp_path / name
        generate_suite(folder, kinds=[kind], lengths=[3_000], cases=1, seed=seed)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    assert written("one", 1) == written("two", 1)
    assert written("one", 1) != written("three", 2)


def test_the_reference_itself_scores_one(cases: tuple[Case, ...]) -> None:
    assert [
        case.id
        for case in cases
        if score(case.metric, ", ".join(references_of(case.answer)), None, case.answer) != 1
    ] == []


def test_facts_are_hidden_among_the_paragraphs_given(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {number} of a book that somebody really wrote." for number in range(50)]
    generate_suite(tmp_path, kinds=["needle", "code"], lengths=[2_000], cases=1, paragraphs=paragraphs)
    for case in read_suite(tmp_path):
        (document,) = Path(case.corpus[0]).iterdir()
        text = document.read_text()
        assert text.count("of a book that somebody really wrote.") > 5
        if document.suffix == ".py":
            compile(text, document.name, "exec")


@given(
    st.lists(st.text(min_size=1, max_size=60), max_size=12, unique=True),
    st.integers(0, 200_000),
    st.integers(),
)
def test_passages_stand_where_the_haystack_says(passages: list[str], length: int, seed: int) -> None:
    hay = Haystack([], Random(seed)).hide(passages, length)
    for passage, placed in zip(passages, hay.placed, strict=True):
        assert hay.documents[placed.source_name][placed.start_char : placed.end_char] == passage
