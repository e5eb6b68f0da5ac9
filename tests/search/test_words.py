"""What is a word, what a query asks, and where a text is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.passages import LAST_CHARS, MAX_CHARS, MIN_CHARS, OVERLAP_CHARS, passages
from rlm_rs.core.searching import MAX_QUERY_WORDS, PREVIEW_CHARS, SearchQuery, preview, read_query
from rlm_rs.core.words import asked_words, fields_of, words_in_a_row, words_of

SENTENCE = "The tenant may leave; the landlord may not. "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Crème BRÛLÉE, naïve!", "creme brulee naive"),
        ("Straße œuvre Łódź smørrebrød", "strasse oeuvre lodz smorrebrod"),
        ("ΆΝΘΡΩΠΟΣ", "ανθρωποσ"),
        ("Ёлка й", "елка и"),
        ("العَرَبِيَّةُ ٢٠٢٤", "العربية 2024"),
        ("שָׁלוֹם", "שלום"),
        ("हिन्दी में", "हिन्दी में"),
        ("foo_bar INV-2024/17", "foo bar inv 2024 17"),
        ("ｆｕｌｌ ｗｉｄｔｈ ①", "full width 1"),
        ("終了", "終了 了"),
        ("契約期間、3年", "契約 約期 期間 間 3 年"),
        ("계약은", "계약 약은 은"),
        ("soft\u00adhyphen می\u200cخواهم", "softhyphen میخواهم"),
        ("", ""),
        ("…!?", ""),
    ],
)
def test_words_are_folded_as_their_script_wants_it(text: str, words: str) -> None:
    assert " ".join(words_of(text)) == words


def test_composed_and_decomposed_text_has_the_same_words() -> None:
    import unicodedata

    text = "Ångström Ελλάδα ガス 각"
    assert words_of(unicodedata.normalize("NFD", text)) == words_of(unicodedata.normalize("NFC", text))


def test_a_query_has_no_last_character_alone_where_the_text_may_go_on() -> None:
    assert asked_words("契約期間 x") == ["契約", "約期", "期間", "x"]
    assert words_in_a_row("契約 period 期間") == ["契約", "約", "period", "期間"]
    assert words_in_a_row("限") == ["限"]


@given(st.text())
def test_any_text_has_words_and_is_a_query(text: str) -> None:
    assert sorted(" ".join(fields_of(text)).split()) == sorted(words_of(text))
    found = read_query(text)
    assert found.is_empty or words_of(text)


def test_a_query_is_read_as_words_runs_beginnings_and_quotations() -> None:
    assert read_query('Notice "two  Months" terminat* INV-7 „drei Monate“ 税') == SearchQuery(
        words=("notice", "inv", "7"),
        runs=(("inv", "7"),),
        prefixes=("terminat", "税"),
        phrases=(("two", "months"), ("drei", "monate")),
    )


def test_a_query_is_bounded() -> None:
    found = read_query(" ".join(f"w{number}" for number in range(1_000)))
    assert len(found.words) == MAX_QUERY_WORDS
    assert read_query("a" * 100_000).is_empty
    begun = read_query(" ".join(f"{number}*" for number in range(100, 600)))
    assert len(begun.prefixes) == MAX_QUERY_WORDS


@pytest.mark.parametrize("text", ['"', '""', '"a', 'a"', "*", "**", "a OR", "((", "\ud800", "-", "!" * 9])
def test_what_is_no_word_is_left_out(text: str) -> None:
    found = read_query(text)
    assert set(found.words) <= {"a", "or"}
    assert not found.phrases


def test_a_preview_is_where_the_words_are() -> None:
    passage = SENTENCE * 20 + "The deposit is two months rent. " + SENTENCE * 20
    shown = preview(passage, read_query("deposit rent"))
    assert "deposit is two months rent" in shown
    assert len(shown) == PREVIEW_CHARS
    assert shown in passage
    assert preview("short", read_query("x")) == "short"


def cut(text: str, *starts: int, size: int = 1 << 20) -> list[tuple[int, str]]:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return list(passages(pieces, starts))


@pytest.mark.parametrize("size", [7, 1_000, 1 << 20])
@pytest.mark.parametrize(
    "text",
    [
        SENTENCE * 500,
        "x" * 12_345,
        "one two " * 3_000,
        "これは契約です。解除は六か月前に通知します。" * 600,
        "line\n" * 4_000,
        "Para.\n\n" * 2_000,
    ],
    ids=["sentences", "no border", "words", "japanese", "lines", "paragraphs"],
)
def test_passages_cover_the_text_with_exact_places(text: str, size: int) -> None:
    found = cut(text, size=size)
    assert found == cut(text)
    assert found[0][0] == 0
    assert found[-1][0] + len(found[-1][1]) == len(text)
    for start, passage in found:
        assert text[start : start + len(passage)] == passage
        assert len(passage) <= MAX_CHARS
    for (start, passage), (following, _) in pairwise(found):
        assert len(passage) >= MIN_CHARS
        assert start < following <= start + len(passage)
        assert start + len(passage) - following <= OVERLAP_CHARS


def test_passages_end_with_sentences_and_overlap_by_some() -> None:
    found = cut(SENTENCE * 500)
    assert all(passage.endswith(". ") for _, passage in found)
    assert all(passage.startswith("The tenant") for _, passage in found)
    assert found[1][0] < len(found[0][1])


def test_a_section_begins_a_passage() -> None:
    first = SENTENCE * 30
    text = first + "Next section. " + SENTENCE * 100
    found = cut(text, 0, len(first), len(first) + 400)
    assert [start for start, _ in found][:2] == [0, len(first)]
    assert found[0][1] == first


def test_a_short_text_is_one_passage_and_an_empty_one_none() -> None:
    assert cut("short") == [(0, "short")]
    assert cut("x" * LAST_CHARS) == [(0, "x" * LAST_CHARS)]
    assert cut("") == []


@given(st.text(alphabet="ab .\n。é字", max_size=9_000), st.lists(st.integers(0, 9_000), max_size=5))
def test_every_character_of_any_text_is_in_a_passage(text: str, starts: list[int]) -> None:
    at = 0
    for start, passage in passages([text], sorted(starts)):
        assert start <= at
        assert text[start : start + len(passage)] == passage
        at = start + len(passage)
    assert at == len(text)
