"""Searches over all documents at once."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.sandbox.protocol import SpanEntry, View

from .steps import corpus_of, output, run

pieces = st.lists(st.sampled_from(["ab", "a", "b", "é", "", "ß", "\n"]), max_size=6).map("".join)


def places(call: str, *texts: str, **fields: object) -> list[tuple[int, int, int]]:
    result = run(
        f"hits = {call}\nfor h in hits: print(h['doc_index'], h['start_char'], h['end_char'])",
        *texts,
        **fields,
    )
    assert result.error is None, result.error
    return [tuple(map(int, line.split())) for line in result.stdout.splitlines()]  # type: ignore[misc]


@given(st.lists(pieces, max_size=6), st.data())
def test_find_finds_what_a_loop_would(texts: list[str], data: st.DataObject) -> None:
    alone = data.draw(st.sets(st.integers(0, 5)))
    wanted = [
        (n, i, i + 2) for n, text in enumerate(texts) for i in range(len(text)) if text.startswith("ab", i)
    ]
    assert places("context.find('ab')", corpus=corpus_of(*texts, alone=sorted(alone))) == wanted


@given(st.lists(pieces, max_size=6))
def test_regex_searches_each_document_alone(texts: list[str]) -> None:
    wanted = [(n, *m.span()) for n, text in enumerate(texts) for m in re.finditer(r"^a|b$|\bé", text)]
    assert places(r"context.regex(r'^a|b$|\bé')", *texts) == wanted


def test_a_hit_never_crosses_a_border() -> None:
    assert places("context.find('ab')", "a", "b", "ab") == [(2, 0, 2)]
    assert places("context.regex('a.*b')", "a", "b", "ab") == [(2, 0, 2)]


def test_find_can_ignore_case_across_documents() -> None:
    assert places("context.find('MASSE', ignore_case=True)", "Maße", "x", "die Masse") == [
        (0, 0, 4),
        (2, 4, 9),
    ]


def test_hits_are_bounded_in_all_and_per_document() -> None:
    assert places("context.find('a', per_document=1)", "aa", "a") == [(0, 0, 1), (1, 0, 1)]
    assert places("context.find('a', max_hits=2)", "aaa", "a") == [(0, 0, 1), (0, 1, 2)]
    assert (
        output("print(context.find('a', max_hits=2).complete, context.find('a').complete)", "aaa")
        == "False True\n"
    )


def test_one_search_is_one_entry_however_often_it_is_made() -> None:
    result = run("context.find('a'); context.find('b'); context.regex('a')", "aé", "b")
    assert result.spans == (SpanEntry(-1, 0, 3, "scan:find"), SpanEntry(-1, 0, 3, "scan:regex"))


def test_a_preview_is_text_around_the_hit_and_logged_as_read() -> None:
    result = run("print(context.find('x', preview=2)[0]['preview'])", "0123x5678")
    assert result.stdout == "23x56\n"
    assert SpanEntry(0, 2, 7) in result.spans


def test_only_what_is_in_view_is_searched() -> None:
    assert places("context.find('a')", "aaaa", "zzaz", views=(View(1), View(0, 2, 4))) == [
        (0, 2, 3),
        (1, 0, 1),
        (1, 1, 2),
    ]


def test_ten_thousand_documents_are_searched_in_one_call() -> None:
    corpus = corpus_of(*(f"document {n} says needle-{n}." for n in range(10_000)))
    code = (
        "print(context.find('needle-9999')[0]['doc_index'], len(context.find('says', max_hits=None)),"
        " context.regex(r'needle-(77)+\\.')[1]['doc_index'])"
    )
    assert run(code, corpus=corpus).stdout == "9999 10000 7777\n"
