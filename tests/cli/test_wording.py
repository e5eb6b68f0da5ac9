"""A turn in words."""

from __future__ import annotations

from rlm_rs.cli.wording import what_happened
from rlm_rs.core.execution import RootReplied, SubcallResolved, Turn
from rlm_rs.sandbox.protocol import Final, SpanEntry, StepError, StepResult, SubcallRequest, SubcallResult


def turn(
    code: str | None, step: StepResult | None = None, *subcalls: SubcallResolved, **reply: object
) -> Turn:
    return Turn(RootReplied(turn=0, text="", code=code, **reply), step, subcalls)  # type: ignore[arg-type]


def subcall(kind: str = "llm", status: str = "resolved", *, cache_hit: bool = False) -> SubcallResolved:
    request = SubcallRequest("k", kind, "?")  # type: ignore[arg-type]
    result = SubcallResult("k", request.digest(), status)  # type: ignore[arg-type]
    return SubcallResolved(turn=0, request=request, result=result, cache_hit=cache_hit)


def test_a_search_names_its_terms_and_the_documents_searched() -> None:
    step = StepResult("finished", spans=(SpanEntry(0, 0, 9, "scan:find"), SpanEntry(1, 0, 9, "scan:regex")))
    code = "for d in context:\n    d.find('renew')\n    d.regex('auto\\w+')\n    d.find(term)"
    assert what_happened(turn(code, step)) == "searched 2 documents for “renew” and “auto\\w+”"


def test_many_terms_are_cut_and_long_ones_shortened() -> None:
    step = StepResult("finished", spans=(SpanEntry(-1, 0, 9, "scan:find"),))
    code = "\n".join(f"context.find({term!r})" for term in ["a" * 50, "b", "c", "d", "e"])
    words = what_happened(turn(code, step))
    assert words == f"searched all documents for “{'a' * 31}…”, “b”, “c” and 2 more"


def test_reading_asking_and_answering_are_told_in_order() -> None:
    step = StepResult("finished", spans=(SpanEntry(0, 0, 9), SpanEntry(1, 5, 9)), final=Final("x"))
    told = what_happened(turn("FINAL(llm_query(context[0][:9]))", step, subcall(), subcall()))
    assert told == "read 2 passages in 2 documents, asked the sub-model 2 questions and answered"


def test_failed_and_known_sub_calls_are_counted() -> None:
    told = what_happened(
        turn(
            "llm_query_batched(p)",
            StepResult("finished"),
            subcall(status="error"),
            subcall(cache_hit=True),
            subcall("rlm"),
        )
    )
    assert told == "asked the sub-model 2 questions (1 known already, 1 failed) and ran 1 child execution"


def test_calls_of_tools_are_counted_too() -> None:
    told = what_happened(turn("rate('USD')", StepResult("finished"), subcall("tool"), subcall("tool")))
    assert told == "made 2 tool calls"


def test_an_error_says_its_line() -> None:
    step = StepResult("finished", error=StepError("STEP_ERROR", "NameError: name 'x' is not defined", line=3))
    told = what_happened(turn("print(x)", step))
    assert told == "worked on what it had and met an error in line 3: NameError: name 'x' is not defined"


def test_code_that_is_not_python_is_still_told() -> None:
    step = StepResult("finished", error=StepError("STEP_SYNTAX", "SyntaxError: invalid syntax", line=1))
    assert "met an error in line 1" in what_happened(turn("this is (not python", step))


def test_replies_without_code() -> None:
    assert what_happened(turn(None, problem="no code")) == "replied without code to run"
    assert what_happened(turn(None, final=Final("x"))) == "answered in plain text"
    assert (
        what_happened(turn(None, final=Final("x"), exhausted="TIMEOUT"))
        == "gave its best answer from what it had"
    )
    assert "gave none" in what_happened(turn(None, exhausted="TIMEOUT"))
