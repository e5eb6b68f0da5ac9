"""The span log: complete, bounded, and out of the reach of ordinary code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.sandbox.ledger import Ledger
from rlm_rs.sandbox.limits import LimitExceeded
from rlm_rs.sandbox.protocol import SpanEntry, StepLimits

from .steps import failure, run


def test_too_many_separate_reads_are_an_error_that_says_what_to_do() -> None:
    limits = StepLimits(max_spans=3)
    error = failure("for n in range(0, 40, 4): context[0][n : n + 2]", "x" * 40, limits=limits)
    assert error.code == "BUDGET_EXCEEDED"
    assert "max_spans_per_step is 3" in error.message


def test_reads_that_touch_are_joined_before_the_limit_is_one() -> None:
    code = "for n in range(0, 4000, 4): context[0][n : n + 4]"
    result = run(code, "x" * 4_000, limits=StepLimits(max_spans=3))
    assert result.error is None
    assert result.spans[0].start_char == 0
    assert result.spans[-1].end_char == 4_000
    covered = {char for span in result.spans for char in range(span.start_char, span.end_char)}
    assert len(covered) == 4_000


def test_reads_are_kept_apart_while_there_is_room() -> None:
    result = run("context[0][0:2]; context[0][2:4]", "abcdef")
    assert result.spans == (SpanEntry(0, 0, 2), SpanEntry(0, 2, 4))


def test_tagged_reads_are_never_joined() -> None:
    code = "for n in range(0, 8, 2): context[0].slice(n, n + 2, 'context')"
    assert run(code, "abcdefgh", limits=StepLimits(max_spans=3)).error is not None


def test_a_read_refused_for_the_limit_stays_refused() -> None:
    code = """
got = []
for n in range(0, 40, 4):
    for again in range(3):
        try:
            got.append(context[0][n : n + 2])
        except Exception:
            pass
print(len(got))
"""
    result = run(code, "x" * 40, limits=StepLimits(max_spans=3))
    assert (result.stdout, len(result.spans)) == ("9\n", 3)


def test_searches_do_not_use_up_the_limit() -> None:
    code = "for n in range(50): context[0].find('x', start=n)"
    assert run(code, "x" * 60, limits=StepLimits(max_spans=3)).error is None


@pytest.mark.parametrize(
    "code",
    [
        "context.span_log",
        "context[0]._source",
        "context[0]._DocView__source",
        "context._shelf",
        "tool._queue",
        "context[0].__dict__",
        "vars(context[0])",
        "getattr(context[0], '_so' + 'urce')",
        "context[0].__slots__ and context[0].slice.__self__",
        "context[0].slice.__func__.__globals__",
        "llm_query.__call__.__globals__",
        "context._searcher",
        "llm_query._ask",
        "llm_query._asking",
        "import sys\nsys.stdout._output",
        "import copy\ncopy.copy(context[0])._source",
    ],
)
def test_no_ordinary_attribute_leads_to_the_log(code: str) -> None:
    assert run("context[0][0:2]\n" + code, "text").error is not None


@pytest.mark.parametrize(
    "code",
    [
        "import copy\nd = copy.deepcopy(context[0])\nd[0:2]",
        "d = context[0]\ntype(d).slice(d, 0, 2)",
        "class Mine(type(context[0])):\n    pass\ncontext[0][0:2]",
        "for d in context: d[0:2]",
        "[*context][0][0:2]",
    ],
)
def test_every_road_to_the_text_is_logged(code: str) -> None:
    result = run(code, "text")
    assert SpanEntry(0, 0, 2) in result.spans


def test_a_view_made_by_hand_holds_nothing() -> None:
    assert failure("type(context[0])()[0:2]", "text").code == "STEP_ERROR"


def test_hits_of_searches_make_way_for_what_is_read() -> None:
    code = "x = re.findall('a', context[0])\nfor n in range(0, 30, 3): context[0][n : n + 1]"
    result = run(code, "ab" * 500, limits=StepLimits(max_spans=10))
    assert result.error is None
    assert [s for s in result.spans if not s.tag] == [SpanEntry(0, n, n + 1) for n in range(0, 30, 3)]
    assert SpanEntry(0, 0, 1_000, "scan:regex") in result.spans


def test_a_hit_that_is_read_again_is_read() -> None:
    code = "x = context[0][0:1], re.findall('a', context[0]), context[0][2:3]\ny = context[0][5:6]"
    result = run(code, "abab--", limits=StepLimits(max_spans=2))
    assert result.error is not None
    assert [(s.start_char, s.end_char) for s in result.spans if not s.tag] == [(0, 1), (2, 3)]


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_whatever_is_read_in_whatever_order_is_covered(limit: int) -> None:
    text = "".join(f"{n:07d}\n" for n in range(40_000))
    code = """
seen = []
try:
    for number, line in enumerate(context[0]):
        if number % 9000 == 0:
            at = 300_000 + number % 7 * 3
            context[0][at : at + 3]
            seen.append((at, at + 3))
        seen.append((number * 8, number * 8 + 7))
except Exception:
    pass
state["seen"] = seen[::500] + seen[-1:]
"""
    result = run(code, text, limits=StepLimits(max_spans=limit))
    reads = [(s.start_char, s.end_char) for s in result.spans if not s.tag]
    for start, end in result.state["seen"]:
        assert any(first <= start and end <= last for first, last in reads), (start, end, reads)
    assert len(reads) <= limit


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(
            st.sampled_from(["read", "tagged", "hit", "lines"]),
            st.integers(0, 1),
            st.integers(0, 20),
            st.integers(0, 6),
        ),
        max_size=30,
    ),
)
def test_the_ledger_covers_every_read_it_allowed(limit: int, steps: list[tuple[str, int, int, int]]) -> None:
    ledger, allowed, growing = Ledger(limit), [], {}
    for kind, document, start, length in steps:
        try:
            if kind == "hit":
                ledger.read_if_room(document, start, start + length)
                continue
            if kind == "lines":
                entry, start = growing.get(document, (None, 100))
                growing[document] = ledger.grown(entry, document, start, start + length), start + length
            else:
                ledger.read(document, start, start + length, "t" if kind == "tagged" else None)
        except LimitExceeded:
            continue
        allowed.append((document, start, start + length))
    spans = ledger.spans()
    assert len(spans) <= limit
    for document, start, end in allowed:
        covered = {c for s in spans if s.doc_index == document for c in range(s.start_char, s.end_char)}
        assert set(range(start, end)) <= covered


def test_the_log_of_a_failed_step_is_kept() -> None:
    assert run("context[0][0:2]; 1/0", "text").spans == (SpanEntry(0, 0, 2),)
