"""What `context` and its documents do in the `documents` shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.sandbox.protocol import SpanEntry, StepLimits, View

from .steps import corpus_of, failure, output, run


def spans(code: str, *texts: str, **fields: object) -> list[tuple[int, int, int, str | None]]:
    result = run(code, *texts, **fields)
    assert result.error is None, result.error
    return [(s.doc_index, s.start_char, s.end_char, s.tag) for s in result.spans]


def test_context_counts_and_hands_out_documents() -> None:
    code = "print(len(context), context[-1].name, [d.doc_index for d in context], context[0] is context[0])"
    assert output(code, "one", "two") == "2 file1.txt [0, 1] True\n"


def test_documents_are_found_by_name_or_id() -> None:
    assert (
        output("print(context['file1.txt'].doc_id, context['doc_0'].name)", "a", "b") == "doc_1 file0.txt\n"
    )
    assert "no document is named" in failure("context['nope']", "a").message


def test_a_document_knows_what_it_is() -> None:
    code = "d = context[0]; print(len(d), d.name, d.doc_id, d.doc_index, d.mime_type, d.page_count)"
    assert output(code, "žluť") == "4 file0.txt doc_0 0 text/plain 0\n"


@given(st.text(st.sampled_from("aé😀\u0301\n"), max_size=12), *[st.none() | st.integers(-15, 15)] * 2)
def test_slices_are_those_of_str(text: str, start: int | None, end: int | None) -> None:
    assert output(f"print(ascii(context[0][{start}:{end}]))", text) == ascii(text[start:end]) + "\n"


def test_every_read_is_logged_once_and_empty_ones_not() -> None:
    code = "d = context[0]; d[2:4]; d[2:4]; d.slice(-3, None, 'context:a'); d[3]; d[4:2]"
    assert spans(code, "abcdefgh") == [(0, 2, 4, None), (0, 5, 8, "context:a"), (0, 3, 4, None)]


def test_a_step_other_than_one_is_an_error() -> None:
    assert "ValueError" in failure("context[0][::2]", "abc").message


def test_an_index_beyond_the_end_is_an_error() -> None:
    assert "IndexError" in failure("context[0][3]", "abc").message
    assert "context[0] to context[0]" in failure("context[1]", "abc").message


def test_find_and_regex_give_offsets_and_log_the_searched_range() -> None:
    code = "d = context[0]; print(d.find('b'), d.regex(r'b.', start=2)); x = d.find('b')"
    assert output(code, "abcb!") == (
        "[{'start_char': 1, 'end_char': 2}, {'start_char': 3, 'end_char': 4}] "
        "[{'start_char': 3, 'end_char': 5}]\n"
    )
    assert spans(code, "abcb!") == [(0, 0, 5, "scan:find"), (0, 2, 5, "scan:regex")]


def test_find_counts_overlapping_places_and_stops_at_max_hits() -> None:
    assert output("print([h['start_char'] for h in context[0].find('aa')])", "aaaa") == "[0, 1, 2]\n"
    assert output("h = context[0].find('a', max_hits=2); print(len(h), h.complete)", "aaaa") == "2 False\n"
    assert output("print(len(context[0].find('a')))", "a" * 50) == "20\n"


def test_find_can_ignore_case() -> None:
    assert output("print(context[0].find('STRASSE', ignore_case=True))", "die Straße") == (
        "[{'start_char': 4, 'end_char': 10}]\n"
    )


def test_a_bad_pattern_is_an_error_and_never_no_hits() -> None:
    error = failure("context[0].regex('(')", "abc")
    assert error.message.startswith("error: missing )") or "missing )" in error.message


@pytest.mark.parametrize("call", ["find('')", "find(3)", "regex(3)", "find('a', max_hits=-1)"])
def test_searches_refuse_nonsense(call: str) -> None:
    assert failure(f"context[0].{call}", "abc").code == "STEP_ERROR"


def test_membership_and_lines_read_without_a_copy() -> None:
    code = "d = context[0]; print('bc' in d, 'x' in d, list(d))"
    assert output(code, "ab\nbc\n") == "True False ['ab', 'bc']\n"


def test_going_through_lines_logs_one_read_that_grows() -> None:
    text = "line of text\n" * 20_000
    code = "for n, line in enumerate(context[0]):\n    if n == 10: break"
    assert spans(code, text) == [(0, 0, 65_536, None)]
    assert spans("print(len(list(context[0])))", text) == [(0, 0, len(text), None)]


def test_lines_are_those_of_split() -> None:
    text = "".join(f"žluť {n}\n" for n in range(20_000)) + "end"
    assert output("print(list(context[0]) == context[0].text.split('\\n'))", text) == "True\n"


@pytest.mark.parametrize("whole", ["str(d)", "d.text", "d.read()", "f'{d}'", "d[:]", "d + ''", "d.lower()"])
def test_the_whole_text_is_there_in_the_ways_code_asks_for_it(whole: str) -> None:
    assert spans(f"d = context[0]; assert {whole} == 'abc'", "abc") == [(0, 0, 3, None)]


def test_a_read_larger_than_the_step_can_hold_is_refused_with_the_limit() -> None:
    error = failure("context[0][:]", "a" * 70_000, limits=StepLimits(memory_mb=1))
    assert error.code == "BUDGET_EXCEEDED"
    assert "65,536" in error.message


def test_structure_is_given_as_it_was_found() -> None:
    section = {"title": "A", "level": 1, "start_char": 0, "end_char": 6, "page": 1, "children": []}
    page = {"page_num": 1, "start_char": 0, "end_char": 6}
    table = {"start_char": 2, "end_char": 4, "page": 1, "rows": 1, "cols": 1}
    found = {0: {"structure": {"title": "T", "sections": [section]}, "pages": [page], "tables": [table]}}
    code = (
        "d = context[0]; print(d.sections() == [%r], d.page_spans() == [%r], "
        "d.tables() == [%r], d.page_count)"
    )
    assert (
        output(code % (section, page, table), corpus=corpus_of("abcdef", structures=found))
        == "True True True 1\n"
    )
    assert output("print(context[0].sections(), context[0].page_spans())", "abc") == "[] []\n"


def test_a_window_shows_relative_offsets_and_logs_absolute_ones() -> None:
    pages = [{"page_num": n, "start_char": 4 * n, "end_char": 4 * n + 4} for n in range(3)]
    corpus = corpus_of("skip", "0123456789ab", structures={1: {"pages": pages}})
    code = "d = context[0]; print(len(context), len(d), d[0:2], d.find('6'), d.doc_index, d.page_spans())"
    result = run(code, corpus=corpus, views=(View(1, 5, 9),))
    assert result.stdout == (
        "1 4 56 [{'start_char': 1, 'end_char': 2}] 0 [{'page_num': 1, 'start_char': 0, 'end_char': 3}, "
        "{'page_num': 2, 'start_char': 3, 'end_char': 4}]\n"
    )
    assert result.spans == (SpanEntry(1, 5, 7), SpanEntry(1, 5, 9, "scan:find"))


def test_texts_of_the_request_follow_the_documents_and_are_not_logged() -> None:
    code = "print(len(context), context[1][:5], context[1].find('o'), context.find('l', per_document=1))"
    result = run(code, "all", texts=("hello",))
    assert result.stdout == (
        "2 hello [{'start_char': 4, 'end_char': 5}] [{'doc_index': 0, 'start_char': 1, 'end_char': 2}, "
        "{'doc_index': 1, 'start_char': 2, 'end_char': 3}]\n"
    )
    assert [s.tag for s in result.spans] == ["scan:find"]
    assert "cannot be cited" in failure("context[0].cite(0, 2)", views=(), texts=("hello",)).message


def test_an_unknown_attribute_says_what_there_is() -> None:
    assert "page_spans" in failure("context[0].contents", "a").message
    assert "context[i]" in failure("context.text", "a").message


def test_a_step_parses_no_row_it_does_not_touch() -> None:
    corpus = corpus_of(*["a"] * 50)
    touched: list[int] = []
    row = corpus.row
    corpus.row = lambda number: touched.append(number) or row(number)  # type: ignore[func-returns-value, method-assign]
    run("context[7][:]; context[3][:]; len(context)", corpus=corpus)
    assert touched == [7, 3]


def test_citing_gives_a_mark_and_logs_the_evidence() -> None:
    result = run(
        "print(context[0].cite(1, 3, 'why'), context[0].cite(0, 1), context[0].cite(1, 3))", "abcdef"
    )
    assert result.stdout == "[1] [2] [1]\n"
    assert [(c.start_char, c.end_char, c.note) for c in result.cites] == [(1, 3, "why"), (0, 1, None)]
    assert [(s.start_char, s.end_char, s.tag) for s in result.spans] == [(1, 3, "cite"), (0, 1, "cite")]


def test_marks_go_on_counting_over_steps() -> None:
    first = run("context[0].cite(0, 2)", "abcdef")
    second = run("print(context[0].cite(0, 2), context[0].cite(2, 4))", "abcdef", cites=first.cites)
    assert second.stdout == "[1] [2]\n"
    assert [(c.start_char, c.end_char) for c in second.cites] == [(2, 4)]


@pytest.mark.parametrize("bounds", ["-1, 2", "2, 2", "3, 2", "0, 7"])
def test_a_citation_out_of_range_is_an_error(bounds: str) -> None:
    assert "cannot cite" in failure(f"context[0].cite({bounds})", "abcdef").message


@pytest.mark.parametrize("tag", ["'scan:find'", "'cite'", "3", "'x' * 300"])
def test_reserved_and_odd_tags_are_refused(tag: str) -> None:
    assert "tag" in failure(f"context[0].slice(0, 2, {tag})", "abc").message
