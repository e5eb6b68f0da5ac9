"""What the offline root model does next, from the prompt alone."""

from __future__ import annotations

from rlm_rs.core.model import Message
from rlm_rs.core.prompts.render import template
from rlm_rs.core.replies import read_reply
from rlm_rs.providers.fake_policy import next_reply
from rlm_rs.providers.fake_steps import ANSWER, FURTHER, JUDGE, OPENINGS, PLAINLY, SAY_SO, SEARCH, WITHOUT_SUB
from rlm_rs.providers.fake_task import read_task

QUESTION = "Who sold the mill?"
LEFT = "BUDGET LEFT: {} turns, 100 s, {} sub-calls, 900 spans"


def reply(
    *taken: tuple[str, str],
    question: str = QUESTION,
    turns: int = 9,
    calls: int = 50,
    corpus: str = "5 documents, 900",
) -> str:
    messages = [
        Message("system", template("documents")),
        Message("user", f"QUESTION\n{question}\n\nCORPUS: {corpus} characters"),
    ]
    for purpose, output in taken:
        messages += [
            Message("assistant", f"So.\n\n```repl\n{purpose}\n```"),
            Message("user", f"OUTPUT\n{output}"),
        ]
    last = messages[-1]
    messages[-1] = Message(last.role, f"{last.content}\n\n{LEFT.format(turns, calls)}")
    return next_reply(read_task(messages))


def purpose(text: str) -> str:
    code = read_reply(text).code
    assert code is not None
    compile(code, "<step>", "exec")
    return code.splitlines()[0]


FOUND = (SEARCH, "PASSAGES 7 in 3 documents")


def test_it_searches_then_judges_then_answers() -> None:
    assert purpose(reply()) == SEARCH
    assert purpose(reply(FOUND)) == JUDGE
    assert purpose(reply(FOUND, (JUDGE, "NEW 2\nQUOTES 2 in 1 documents"))) == ANSWER


def test_it_says_so_when_nothing_is_found() -> None:
    for taken in (
        [(SEARCH, "PASSAGES 0 in 0 documents")],
        [FOUND, (JUDGE, "NEW 0\nQUOTES 0 in 0 documents")],
    ):
        said = reply(*taken)
        assert purpose(said) == SAY_SO
        assert "The documents do not say" in said
        assert "mill" in said


def test_a_failed_search_is_not_repeated_but_made_simpler() -> None:
    failed = (SEARCH, "(nothing was printed)\nERROR STEP_TIMEOUT: too slow")
    assert purpose(reply(failed)) == PLAINLY


def test_failing_to_search_is_not_called_finding_nothing() -> None:
    error = "(nothing was printed)\nERROR STEP_TIMEOUT: too slow"
    said = reply((SEARCH, error), (PLAINLY, error))
    assert "could not" in said
    assert "do not say" not in said


def test_what_was_not_read_is_not_called_silent() -> None:
    many, none = (SEARCH, "PASSAGES 900 in 400 documents"), "NEW 0\nQUOTES 0 in 0 documents"
    said = reply(many, (JUDGE, none), (FURTHER, none))
    assert purpose(said) == SAY_SO
    assert "240 likeliest places, not all" in said
    assert "do not say" not in said


def test_failing_to_read_is_not_called_finding_nothing() -> None:
    error = "ERROR BUDGET_EXCEEDED: no spans are left"
    said = reply(FOUND, (JUDGE, error), (WITHOUT_SUB, error))
    assert "could not" in said
    assert "do not say" not in said


def test_without_a_sub_model_it_goes_by_the_words() -> None:
    assert purpose(reply(FOUND, calls=0)) == WITHOUT_SUB
    assert (
        purpose(reply(FOUND, (JUDGE, "FAILED 2 of 2 sub-calls: ERROR: no\nNEW 0\nQUOTES 0 in 0")))
        == WITHOUT_SUB
    )
    assert purpose(reply(FOUND, (JUDGE, "ERROR NameError: x"))) == WITHOUT_SUB


def test_a_list_is_read_on_while_it_grows() -> None:
    many = (SEARCH, "PASSAGES 300 in 200 documents")
    grown, same = (JUDGE, "NEW 9\nQUOTES 9 in 9 documents"), (FURTHER, "NEW 0\nQUOTES 9 in 9 documents")
    question = "Which reports speak of the mill?"
    assert purpose(reply(many, grown, question=question)) == FURTHER
    assert purpose(reply(many, grown, same, question=question)) == ANSWER
    assert purpose(reply(many, grown, question=QUESTION)) == ANSWER


def test_a_question_without_words_to_search_for_reads_the_openings() -> None:
    assert purpose(reply(question="What is this about?")) == OPENINGS


def test_in_one_turn_it_does_everything() -> None:
    code = read_reply(reply(turns=1)).code or ""
    assert "llm_query_batched" in code
    assert "FINAL(" in code
    assert purpose(reply(FOUND, turns=1)) == JUDGE
    assert "FINAL(" in reply(FOUND, turns=1)


def test_after_three_failures_it_stops() -> None:
    error = "ERROR NameError: x"
    assert purpose(reply((SEARCH, error), (PLAINLY, error), (JUDGE, error))) == SAY_SO


def test_a_budget_used_up_gets_plain_text_with_what_was_printed() -> None:
    judged = (
        JUDGE,
        ' 91  north.txt: "Anna sold the mill."\nNEW 1\nQUOTES 1 in 1\n\nYour budget is used up: max_turns',
    )
    said = reply(FOUND, judged)
    assert read_reply(said).code is None
    assert 'north.txt: "Anna sold the mill."' in said


def test_a_budget_used_up_before_anything_was_read_is_admitted() -> None:
    said = reply((SEARCH, "   4.2  north.txt around 90\nPASSAGES 1\n\nYour budget is used up: max_turns"))
    assert "could not finish" in said
    assert "north.txt around 90" in said


def test_over_a_very_large_text_plain_words_are_searched_for_literally() -> None:
    assert "LARGE = True" in reply(corpus="1 documents, 2,000,000,000")
    assert "LARGE = False" in reply()


def test_a_question_with_quotes_and_backslashes_makes_code_that_compiles() -> None:
    for question in (
        'Who said "a\'b\\"?',
        "What is \\d+ in 'x'?",
        'He said """no""" to C:\\new?',
        "日本語は？ ''",
    ):
        for taken in ([], [FOUND], [FOUND, (JUDGE, "NEW 1\nQUOTES 1 in 1 documents")]):
            purpose(reply(*taken, question=question))
