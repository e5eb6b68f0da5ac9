"""The root prompt: the same beginning every turn, never document text, and never larger than its room."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.budget import Budgets, Exhausted, Spend
from rlm_rs.core.corpus import Corpus, Document, Failure, IngestStatus
from rlm_rs.core.execution import Execution, Models, RootReplied, Run, SubcallResolved, Turn
from rlm_rs.core.prompts.render import (
    DEFAULT_WINDOW_TOKENS,
    best_answer_prompt,
    clipped,
    root_prompt,
    root_prompt_version,
    template,
)
from rlm_rs.sandbox.protocol import StepError, StepResult, SubcallRequest, SubcallResult, View

EXECUTION = Execution("e", "t", "s", "What is the notice period?", Models("root", "sub"))


def document(index: int, chars: int = 1_000, **changes: object) -> Document:
    plain = Document(
        f"d{index}", index, f"file-{index}.pdf", "application/pdf", IngestStatus.PARSED, char_length=chars
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


CORPUS = Corpus("t", "s", (document(0, page_count=7), document(1, 2_500_000), document(2)))


def turn(index: int, stdout: str = "out", code: str = "x = 1", **step: object) -> Turn:
    result = replace(StepResult("finished", stdout=stdout), **step)  # type: ignore[arg-type]
    return Turn(RootReplied(turn=index, text=f"Reply {index}.\n```repl\n{code}\n```", code=code), result)


def run_of(*turns: Turn, **changes: object) -> Run:
    return replace(Run(EXECUTION, turns=turns, spend=Spend(turns=len(turns))), **changes)  # type: ignore[arg-type]


def said(run: Run, corpus: Corpus = CORPUS, window: int | None = None) -> str:
    return "\n".join(message.content for message in root_prompt(run, corpus, window_tokens=window).messages)


def test_the_beginning_is_the_same_at_every_turn() -> None:
    turns = [turn(i) for i in range(4)]
    prompts = [root_prompt(run_of(*turns[:n]), CORPUS).messages for n in range(5)]
    assert len({prompt[0] for prompt in prompts}) == 1
    for earlier, later in pairwise(prompts[1:]):
        assert earlier[:-1] == later[: len(earlier) - 1]


def test_roles_alternate_and_the_last_word_is_the_users() -> None:
    for count in (0, 1, 3, 40):
        many = run_of(*(turn(i, "y" * 9_000) for i in range(count)))
        roles = [message.role for message in root_prompt(many, CORPUS, window_tokens=8_000).messages]
        assert roles == ["system", "user", *["assistant", "user"] * ((len(roles) - 2) // 2)]


def test_the_version_is_that_of_the_template_and_nothing_else() -> None:
    version = root_prompt_version(EXECUTION)
    assert version == hashlib.sha256(template("documents").encode()).hexdigest()
    assert version == root_prompt_version(replace(EXECUTION, question="another", execution_id="f"))
    assert version != root_prompt_version(replace(EXECUTION, context_shape="text"))
    assert version != root_prompt_version(replace(EXECUTION, output_mode="CONTEXTS"))
    assert root_prompt(run_of(), CORPUS).version == version


def test_the_corpus_is_described_by_count_names_and_sizes() -> None:
    facts = root_prompt(run_of(), CORPUS).messages[1].content
    assert "3 documents, 2,502,000 characters" in facts
    assert "[0] file-0.pdf: 1,000 characters, 7 pages" in facts
    assert "[1] file-1.pdf: 2,500,000 characters" in facts
    assert "What is the notice period?" in facts


def test_a_document_that_failed_is_said_to_be_empty() -> None:
    failed = document(0, 0, ingest_status=IngestStatus.FAILED, failure=Failure("X", "no"))
    assert "[0] file-0.pdf: not readable, empty here" in said(run_of(), replace(CORPUS, documents=(failed,)))


def test_views_are_described_as_the_code_sees_them() -> None:
    views = (View(1, 100, 400), View(2))
    facts = said(run_of(execution=replace(EXECUTION, views=views, texts=("abc",))))
    assert "3 documents, 1,303 characters" in facts
    assert "[0] file-1.pdf: 300 characters (a part of its 2,500,000)" in facts
    assert "[1] file-2.pdf: 1,000 characters" in facts
    assert "[2] text: 3 characters" in facts


def test_thousands_of_documents_or_texts_are_not_all_named() -> None:
    many = Corpus("t", "s", tuple(document(i, source_name="n" * 5_000) for i in range(5_000)))
    assert len(said(run_of(), many)) < 50_000
    assert "4,900 more" in said(run_of(), many)
    texts = run_of(execution=replace(EXECUTION, views=(), texts=("a",) * 5_000))
    assert "4,900 more" in said(texts)


def test_texts_handed_to_a_child_are_not_shown() -> None:
    child = run_of(execution=replace(EXECUTION, views=(), texts=("SECRET text",)))
    assert "SECRET" not in said(child)


def test_output_errors_and_what_was_not_kept_are_told() -> None:
    step = turn(
        0, error=StepError("STEP_ERROR", "KeyError: 'a'", 3, "line 3\n    x['a']"), not_kept=("f: a file",)
    )
    told = said(run_of(step))
    assert "OUTPUT\nout" in told
    assert "ERROR STEP_ERROR: KeyError: 'a'\nline 3\n    x['a']" in told
    assert "NOT KEPT: f: a file" in told


def test_queued_subcalls_are_told_with_the_place_of_their_results() -> None:
    queued = [
        SubcallResolved(
            turn=0,
            request=SubcallRequest("a", "llm", "p"),
            result=SubcallResult("a", "d", "resolved", "SECRET"),
        ),
        SubcallResolved(
            turn=0, request=SubcallRequest("b", "search", "q"), result=SubcallResult("b", "d", "error")
        ),
    ]
    told = said(run_of(replace(turn(0), subcalls=tuple(queued))))
    assert 'a: resolved, state["_tool_results"]["llm"]["a"]["text"]' in told
    assert 'b: error, state["_tool_results"]["search"]["b"]["hits"]' in told
    assert "SECRET" not in told


def test_what_is_kept_is_summed_up_without_values() -> None:
    kept = run_of(
        turn(0), state={"notes": ["SECRET"] * 3, "n": 5, "t": "SECRET"}, variables={"df": {"json": "SECRET"}}
    )
    told = said(kept)
    assert "state['notes']: list of 3" in told
    assert "state['t']: str of 6 characters" in told
    assert "variables: df" in told
    assert "SECRET" not in told
    assert "KEPT" not in "".join(
        m.content for m in root_prompt(kept, CORPUS, state_summary=False).messages[2:]
    )


def test_budgets_left_come_last() -> None:
    budgets = Budgets(max_total_tokens=10_000, max_cost_usd=0.5)
    run = run_of(
        execution=replace(EXECUTION, budgets=budgets),
        spend=Spend(turns=3, llm_subcalls=4, input_tokens=1_000),
    )
    last = root_prompt(run, CORPUS).messages[-1].content
    assert last.endswith("BUDGET LEFT: 17 turns, 180 s, 46 sub-calls, 2000 spans, 9,000 tokens, $0.5000")


def test_older_turns_are_cut_to_a_line_each_where_the_window_is_full() -> None:
    run = run_of(*(turn(i, "y" * 10_000, code=f"step_{i} = {i}") for i in range(30)))
    told = said(run, window=32_000)
    assert len(told) < 32_000 * 4
    assert "turn 0: step_0 = 0 … -> printed 10,000 characters" in told
    assert "Reply 29." in told
    assert "Reply 0." not in told
    assert "turn 29:" not in told


@pytest.mark.parametrize("window", [4_000, 8_192, 128_000, None])
def test_whatever_was_said_and_printed_the_prompt_fits(window: int | None) -> None:
    huge = "Some prose. " * 500_000
    turns = [
        Turn(RootReplied(turn=0, text=huge, problem="no code")),
        turn(1, huge, yielded=huge, not_kept=(huge,), error=StepError("E", huge, 1, huge)),
        Turn(RootReplied(turn=2, text="", code=huge), StepResult("finished", stdout=huge)),
    ]
    queued = tuple(
        SubcallResolved(
            turn=2, request=SubcallRequest("k" * 900, "llm", "p"), result=SubcallResult("k", "d", "resolved")
        )
        for _ in range(500)
    )
    run = run_of(*turns[:2], replace(turns[2], subcalls=queued))
    room = (window or DEFAULT_WINDOW_TOKENS) * 4
    assert len(said(run, window=window)) < room
    out = Exhausted("max_turns", 3, "MAX_TURNS_EXCEEDED")
    best = best_answer_prompt(run, CORPUS, out, window_tokens=window).messages
    assert sum(len(message.content) for message in best) < room


def test_a_best_answer_is_asked_for_in_words() -> None:
    out = Exhausted("max_turns", 20, "MAX_TURNS_EXCEEDED")
    prompt = best_answer_prompt(run_of(turn(0)), CORPUS, out)
    assert "max_turns is used up (limit 20)" in prompt.messages[-1].content
    assert prompt.messages[0] == root_prompt(run_of(), CORPUS).messages[0]


@given(st.text(max_size=300), st.integers(2, 60))
def test_clipping_keeps_both_ends_and_counts_what_is_missing(text: str, limit: int) -> None:
    cut = clipped(text, limit)
    if len(text) <= limit:
        assert cut == text
    else:
        half = limit // 2
        assert cut.startswith(text[:half])
        assert cut.endswith(text[-half:])
        assert f"({len(text) - 2 * half:,} characters left out)" in cut


@pytest.mark.parametrize("name", ["documents", "text"])
def test_templates_show_one_block_and_name_what_there_is(name: str) -> None:
    text = template(name)
    assert text.count("```repl") == 1
    for word in ("context", "llm_query", "rlm_query", "FINAL", "FINAL_VAR", "SHOW_VARS", "history"):
        assert word in text
