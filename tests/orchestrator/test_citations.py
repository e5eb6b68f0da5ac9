"""What an answer is said to rest on: only what was read, where it stands, on which page, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from stage import Stage, outcome, step

from rlm_rs.core.budget import Budgets
from rlm_rs.core.citing import Citation
from rlm_rs.core.corpus import Failure, IngestStatus
from rlm_rs.core.execution import Execution, Models, RootReplied, Run, Started, StepRan, SubcallResolved, fold
from rlm_rs.core.model import ModelRequest
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.core.spans import Range, checksum
from rlm_rs.orchestrator.outcome import outcome as outcome_of
from rlm_rs.sandbox.protocol import Cite, Final, SpanEntry, StepResult, SubcallRequest, SubcallResult

MakeStage = Callable[..., Awaitable[Stage]]

CLAUSE = "Either party may terminate this Agreement on thirty (30) days written notice."
FIRST = f"1. Term. It lasts five years.\n2. Notice. {CLAUSE}\n3. Fees. They stay due — in €.\n"
SECOND = "The supplier warrants good title. The buyer pays within fourteen days of the invoice date.\n"
TEXTS = [FIRST, SECOND, "Unread. Nobody looks here at all."]


def places(citations: tuple[Citation, ...]) -> list[tuple[str, int, str]]:
    """Support, document and text of each citation."""
    return [
        (c.support, c.ref.doc_index, TEXTS[c.ref.doc_index][c.ref.start_char : c.ref.end_char])
        for c in citations
    ]


async def cited(staged: MakeStage, code: str, sub: str = "") -> list[tuple[str, int, str]]:
    stage = await staged([step(code)], sub, TEXTS)
    return places(outcome(await stage.ask()).citations)


async def test_nothing_read_is_nothing_cited(staged: MakeStage) -> None:
    assert await cited(staged, f"FINAL({CLAUSE!r})") == []


async def test_what_was_only_searched_is_not_cited(staged: MakeStage) -> None:
    assert (
        await cited(
            staged, "h = context[0].find('terminate')\nr = context[0].regex('thirty')\nFINAL(str(len(h)))"
        )
        == []
    )


async def test_what_the_answer_quotes_comes_first_with_a_place_of_its_own(staged: MakeStage) -> None:
    start = FIRST.index("Either")
    code = f"a = context[1][:33]\nb = context[0][:]\nFINAL('It says: ' + b[{start}:{start + len(CLAUSE)}])"
    found = await cited(staged, code)
    assert found[0] == ("quoted", 0, CLAUSE[:-1])
    assert [support for support, _, _ in found[1:]] == ["read", "read"]
    assert {document for _, document, _ in found} == {0, 1}


async def test_what_went_into_a_subcall_is_evidence(staged: MakeStage) -> None:
    code = "a = context[1][:33]\nb = context[0][:29]\nFINAL(llm_query('Judge: ' + a))"
    assert await cited(staged, code, "It is fine.") == [("evidence", 1, SECOND[:33]), ("read", 0, FIRST[:29])]


async def test_what_was_printed_is_evidence(staged: MakeStage) -> None:
    assert await cited(staged, "print(context[1][:33])\nFINAL('fine')") == [("evidence", 1, SECOND[:33])]


async def test_overlapping_reads_are_one_citation(staged: MakeStage) -> None:
    found = await cited(staged, "for i in range(0, 50, 10): context[1][i:i + 20]\nFINAL('x')")
    assert found == [("read", 1, SECOND[:60])]


async def test_reads_near_each_other_are_one_citation_when_the_gap_says_so(staged: MakeStage) -> None:
    stage = await staged(
        [step("context[1][:10]\ncontext[1][15:20]\nFINAL('x')")], "", TEXTS, merge_gap_chars=5
    )
    assert places(outcome(await stage.ask()).citations) == [("read", 1, SECOND[:20])]


async def test_marks_point_at_the_list_and_it_holds_nothing_else(staged: MakeStage) -> None:
    code = """
whole = context[0][:]
second = context[1].cite(0, 33, "title")
first = context[0].cite(40, 60)
again = context[1].cite(0, 33)
FINAL(f"One {first}, two {second}, {again}.")
"""
    stage = await staged([step(code)], "", TEXTS)
    end = outcome(await stage.ask())
    assert end.answer == "One [2], two [1], [1]."
    assert places(end.citations) == [("evidence", 1, SECOND[:33]), ("evidence", 0, FIRST[40:60])]
    assert [c.note for c in end.citations] == ["title", None]


async def test_marks_go_on_counting_over_steps_and_errors(staged: MakeStage) -> None:
    stage = await staged(
        [step("a = context[0].cite(0, 10)\n1 / 0"), step("b = context[1].cite(0, 10)\nFINAL(a + b)")],
        "",
        TEXTS,
    )
    end = outcome(await stage.ask())
    assert end.answer == "[1][2]"
    assert [c.ref.doc_index for c in end.citations] == [0, 1]


async def test_a_quoted_cite_says_so(staged: MakeStage) -> None:
    start = FIRST.index("Either")
    code = f"m = context[0].cite({start}, {start + len(CLAUSE)})\nFINAL({CLAUSE!r} + m)"
    assert await cited(staged, code) == [("quoted", 0, CLAUSE)]


async def test_citations_named_with_the_answer(staged: MakeStage) -> None:
    code = "m = context[1].cite(0, 10)\nFINAL('x', citations=[(0, 5, 20), m])"
    found = await cited(staged, code)
    assert {(document, text) for _, document, text in found} == {(1, SECOND[:10]), (0, FIRST[5:20])}


async def test_what_children_cite_joins_their_parents_citations(staged: MakeStage) -> None:
    def root(request: ModelRequest) -> str:
        if request.messages[1].content.startswith("QUESTION\nchild"):
            return step("FINAL('child says ' + context[0].cite(4, 12))")
        return step("own = context[0].cite(0, 9)\nFINAL(own + rlm_query('child', context[1]))")

    stage = await staged(root, "", TEXTS)
    end = outcome(await stage.ask())
    assert [(c.ref.doc_index, c.ref.start_char, c.ref.end_char) for c in end.citations] == [
        (0, 0, 9),
        (1, 4, 12),
    ]


async def test_what_a_child_read_of_a_part_stands_at_its_place_in_the_whole(staged: MakeStage) -> None:
    def root(request: ModelRequest) -> str:
        if request.messages[1].content.startswith("QUESTION\nchild"):
            return step("FINAL(context[0][2:8])")
        return step("FINAL(rlm_query('child', context[1][10:50]))")

    stage = await staged(root, "", [TEXTS[0], TEXTS[1] * 20])
    run = await stage.ask()
    assert outcome(run).answer == SECOND[12:18]
    assert run.spans[-1] == SpanEntry(1, 12, 18, "child")


async def test_every_citation_can_be_recomputed(staged: MakeStage) -> None:
    text = "Übergröße: der Preis beträgt 5 € — 𝄞. " * 500
    stage = await staged(
        [step("a = context[0][3:60]\nb = context[0][12_345:12_400]\nFINAL('x')")], "", [text]
    )
    end = outcome(await stage.ask())
    assert len(end.citations) == 2
    for citation in end.citations:
        ref = citation.ref
        assert ref.checksum == checksum(text[ref.start_char : ref.end_char])
        assert (ref.tenant_id, ref.session_id, ref.doc_id) == ("local", "sess_1", "doc_0")


async def test_citations_name_their_page(staged: MakeStage) -> None:
    stage = await staged(
        [step("context[0][:5]\ncontext[0][35:40]\nFINAL('x')")],
        "",
        [FIRST],
        pages=[(0, 30), (30, len(FIRST))],
    )
    assert [c.page for c in outcome(await stage.ask()).citations] == [1, 2]


async def test_a_text_without_pages_has_none(staged: MakeStage) -> None:
    stage = await staged([step("context[0][:5]\nFINAL('x')")], "", TEXTS)
    assert [c.page for c in outcome(await stage.ask()).citations] == [None]


async def test_contexts_mode_returns_the_tagged_spans_one_to_one(staged: MakeStage) -> None:
    code = """
context[1].slice(0, 33, tag="context")
context[0].slice(5, 20, tag="context:term")
context[0].slice(30, 60)
context[1].slice(0, 33, tag="context")
FINAL("done")
"""
    stage = await staged([step("context[0].slice(0, 3, tag='context')"), step(code)], "", TEXTS)
    end = outcome(await stage.ask(output_mode="CONTEXTS"))
    assert end.answer is None
    assert [(i.sequence_index, i.turn_index, i.tag, i.text) for i in end.contexts] == [
        (0, 0, "context", FIRST[:3]),
        (1, 1, "context", SECOND[:33]),
        (2, 1, "context:term", FIRST[5:20]),
    ]
    assert [c.ref for c in end.citations] == [item.ref for item in end.contexts]
    assert [item.text_char_length for item in end.contexts] == [3, 33, 15]
    assert "context:topic" in stage.model.requests[0].messages[0].content


async def test_contexts_collected_before_a_budget_ran_out_are_returned(staged: MakeStage) -> None:
    stage = await staged(lambda request: step("context[0].slice(0, 9, tag='context')"), "", TEXTS)
    end = outcome(await stage.ask(output_mode="CONTEXTS", max_turns=2))
    assert (end.status, end.partial) == (ExecutionStatus.MAX_TURNS_EXCEEDED, True)
    assert [item.text for item in end.contexts] == [FIRST[:9]]


EXECUTION = Execution("exec_1", "local", "sess_1", "q", Models("r", "s"), Budgets())


def run_with(result: StepResult, *subcalls: SubcallResolved) -> Run:
    run = fold(
        [
            Started(execution=EXECUTION),
            RootReplied(turn=0, text="", code="x"),
            *subcalls,
            StepRan(turn=0, result=result),
        ]
    )
    assert run is not None
    return run


@pytest.mark.parametrize(
    "span",
    [
        SpanEntry(0, 5, len(FIRST) + 1),
        SpanEntry(0, -3, 5),
        SpanEntry(9, 0, 5),
        SpanEntry(-1, 0, 5),
        SpanEntry(0, 5, 5),
        SpanEntry(0, 9, 5),
        SpanEntry(0, 0, 5, "scan:find"),
    ],
)
async def test_a_span_that_is_not_in_the_text_is_dropped(staged: MakeStage, span: SpanEntry) -> None:
    stage = await staged([], "", TEXTS)
    good = SpanEntry(1, 0, 9)
    run = run_with(StepResult("finished", spans=(span, good), final=Final("x")))
    end = await outcome_of(run, stage.corpus, stage.ports, None)
    assert places(end.citations) == [("read", 1, SECOND[:9])]


@pytest.mark.parametrize(
    "cite", [Cite(0, 5, 25), Cite(2, 0, 5), Cite(7, 0, 5), Cite(0, 0, 10**9), Cite(0, 3, 3)]
)
async def test_a_cite_of_what_was_not_read_is_dropped(staged: MakeStage, cite: Cite) -> None:
    stage = await staged([], "", TEXTS)
    read = (SpanEntry(0, 0, 10), SpanEntry(0, 10, 20))
    run = run_with(StepResult("finished", spans=read, cites=(cite, Cite(0, 5, 15)), final=Final("x")))
    end = await outcome_of(run, stage.corpus, stage.ports, None)
    assert places(end.citations) == [("evidence", 0, FIRST[5:15])]


async def test_a_document_that_failed_to_parse_is_never_cited(staged: MakeStage) -> None:
    stage = await staged([], "", TEXTS)
    failed = replace(
        stage.corpus.documents[0],
        ingest_status=IngestStatus.FAILED,
        failure=Failure("X", "no"),
        char_length=0,
    )
    corpus = replace(stage.corpus, documents=(failed, *stage.corpus.documents[1:]))
    run = run_with(StepResult("finished", spans=(SpanEntry(0, 0, 5),), final=Final("x")))
    assert (await outcome_of(run, corpus, stage.ports, None)).citations == ()


async def test_text_put_into_a_prompt_for_the_code_is_evidence(staged: MakeStage) -> None:
    stage = await staged([], "", TEXTS)
    asked = SubcallResolved(
        turn=0,
        request=SubcallRequest("0.0", "rlm", "q", called=True),
        result=SubcallResult("0.0", "d", "resolved", "a"),
        citations=(SpanEntry(1, 0, 33, "prompt"),),
    )
    end = await outcome_of(
        run_with(StepResult("finished", final=Final("x")), asked), stage.corpus, stage.ports, None
    )
    assert places(end.citations) == [("evidence", 1, SECOND[:33])]
    assert Range(1, 0, 33).length == 33
