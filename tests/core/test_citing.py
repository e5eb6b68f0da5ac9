"""How citations are supported: what is called quoted really is in the answer, word for word."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.citing import QUOTE_WORDS, Cited, Passage, Quotes, named, supported
from rlm_rs.core.spans import Range
from rlm_rs.sandbox.protocol import Cite

VOCABULARY = "the notice period is thirty days of either party Müller GmbH 30 §5 a"
WORD = st.sampled_from(VOCABULARY.split(" "))
TEXT = st.lists(WORD, max_size=40).flatmap(
    lambda words: st.lists(
        st.sampled_from([" ", "\n", ", ", " (", ") ", "—"]), min_size=len(words), max_size=len(words)
    ).map(lambda gaps: "".join(word + gap for word, gap in zip(words, gaps, strict=True)))
)
CLAUSE = "Either party may terminate this Agreement on thirty days notice."


def words(text: str) -> str:
    """The words in order, with blanks around each."""
    return "".join(f" {word} " for word in re.findall(r"\w+", text.casefold()))


@given(TEXT, TEXT)
def test_every_quoted_run_is_in_the_answer_word_for_word(answer: str, passage: str) -> None:
    for start, end in Quotes(answer).runs(passage):
        assert words(passage[start:end]) in words(answer)
        assert len(passage[start:end].split()) >= 1
        assert len(words(passage[start:end]).split()) >= QUOTE_WORDS


@given(TEXT, TEXT)
def test_a_passage_the_answer_holds_is_in_it_word_for_word(answer: str, passage: str) -> None:
    held = Quotes(answer).holds(passage)
    assert held == (words(passage).strip() != "" and words(passage) in words(answer))


@given(TEXT, TEXT, TEXT)
def test_a_passage_quoted_inside_an_answer_is_found(before: str, passage: str, after: str) -> None:
    quotes = Quotes(f"{before} {passage} {after}")
    if passage.strip():
        assert quotes.holds(passage)


@given(st.lists(TEXT, max_size=5), TEXT, TEXT)
def test_nothing_outside_the_passages_is_cited(texts: list[str], answer: str, evidence: str) -> None:
    passages = [Passage(Range(i, 100, 100 + len(text)), text) for i, text in enumerate(texts)]
    for cited in supported(passages, answer, evidence):
        assert any(passage.range.contains(cited.range) for passage in passages)


@given(st.lists(TEXT, max_size=5), TEXT, TEXT)
def test_the_best_support_comes_first(texts: list[str], answer: str, evidence: str) -> None:
    passages = [Passage(Range(i, 0, len(text)), text) for i, text in enumerate(texts)]
    order = [("quoted", "evidence", "read").index(c.support) for c in supported(passages, answer, evidence)]
    assert order == sorted(order)


def test_the_words_an_answer_quotes_get_a_citation_of_their_own() -> None:
    text = f"14.2 Termination. {CLAUSE} Fees stay due."
    found = supported([Passage(Range(3, 1000, 1000 + len(text)), text)], f'The agreement says "{CLAUSE}"', "")
    start = 1000 + text.index("Either")
    assert found[0] == Cited(Range(3, start, start + len(CLAUSE) - 1), "quoted")
    assert found[1] == Cited(Range(3, 1000, 1000 + len(text)), "read")


def test_case_and_line_breaks_do_not_hide_a_quotation() -> None:
    passage = CLAUSE.upper().replace(" ", "\n")
    assert Quotes(f"It says: {CLAUSE}").holds(passage)


def test_scripts_without_spaces_are_quoted_by_character() -> None:
    passage = "第十四条 当事者は三十日前の通知により本契約を解除できる。"
    assert list(Quotes("三十日前の通知により解除").runs(passage))
    assert not list(Quotes("別のことを言う").runs(passage))


@pytest.mark.parametrize("answer", ["", "42", "Yes.", "thirty days"])
def test_a_short_answer_does_not_quote_a_long_passage(answer: str) -> None:
    assert supported([Passage(Range(0, 0, len(CLAUSE)), CLAUSE)], answer, "")[0].support == "read"


def test_what_went_into_a_prompt_is_evidence_even_when_trimmed() -> None:
    text = "x " * 300 + CLAUSE + " y" * 300
    passages = [Passage(Range(0, 0, len(text)), text)]
    assert supported(passages, "", f"Judge this: {text.strip()}")[0].support == "evidence"
    assert supported(passages, "", "Judge something else")[0].support == "read"


def test_one_read_of_a_merged_passage_in_a_prompt_is_evidence() -> None:
    text = f"{CLAUSE} And much else that was only read."
    reads = (Range(0, 50, 50 + len(CLAUSE)), Range(0, 50 + len(CLAUSE), 50 + len(text)))
    passage = Passage(Range(0, 50, 50 + len(text)), text, reads)
    assert supported([passage], "", f"Q: {CLAUSE}")[0].support == "evidence"


def test_own_citations_keep_the_order_of_their_marks_and_their_notes() -> None:
    texts = {Range(0, 0, 10): "unquoted text here", Range(1, 5, 9): CLAUSE}
    cites = [Cite(0, 0, 10, "weak"), Cite(1, 5, 9)]
    assert named(cites, texts, f"[1] and [2]: {CLAUSE}") == [
        Cited(Range(0, 0, 10), "evidence", "weak"),
        Cited(Range(1, 5, 9), "quoted"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "42",
        "the parties disagree about everything else " * 50,
        "the parties agree that " * 500,
        "the " * 3_000,
    ],
    ids=["short", "other", "repeated", "one word"],
)
def test_a_corpus_read_whole_is_cited_quickly(answer: str) -> None:
    text = "the parties agree that the the the the the the " * 20_000
    started = time.process_time()
    supported([Passage(Range(0, 0, len(text)), text)], answer, "")
    assert time.process_time() - started < 3


def test_a_long_answer_that_repeats_itself_is_compared_in_passing() -> None:
    # what is quadratic in both would take hours
    answer = "0 " * 2_000_000 + "1"
    text = "0 " * 500_000
    found = supported([Passage(Range(0, 0, len(text)), text)], answer, "")
    assert [cited.support for cited in found] == ["quoted"]
    assert not Quotes(answer).holds(f"{text} 1 0")
