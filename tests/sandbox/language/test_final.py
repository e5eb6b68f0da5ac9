"""Final answers in all the ways code gives them."""

from __future__ import annotations

import pytest

from rlm_rs.sandbox.protocol import Cite, Final, SpanEntry, StepLimits

from .steps import failure, next_step, run


def final(code: str, *texts: str, **fields: object) -> Final:
    result = run(code, *(texts or ("some text",)), **fields)
    assert result.error is None, result.error
    assert result.final is not None
    return result.final


@pytest.mark.parametrize(
    ("value", "answer", "json_value"),
    [
        ("'plain'", "plain", "plain"),
        ("''", "", ""),
        ("None", "", None),
        ("42", "42", 42),
        ("1.5", "1.5", 1.5),
        ("True", "True", True),
        ("10**60", str(10**60), None),
        ("float('nan')", "nan", None),
        ("1e300", "1e+300", 1e300),
        ("{'a': (1, 2)}", '{"a": [1, 2]}', {"a": [1, 2]}),
        ("[1, 'é']", '[1, "é"]', [1, "é"]),
        ("{3, 1}", "[1, 3]", [1, 3]),
        ("{1: 'x'}", '{"1": "x"}', {"1": "x"}),
        ("'a\\ud800b'", "a\ufffdb", "a\ufffdb"),
        ("context[0]", "some text", "some text"),
        ("llm_query('q')", "re: q", "re: q"),
        ("[object]", "[<class 'object'>]", None),
        ("b'raw'", "b'raw'", None),
        ("10**5000", hex(10**5000), None),
    ],
)
def test_any_value_is_an_answer(value: str, answer: str, json_value: object) -> None:
    for call in (
        f"FINAL({value})",
        f"tool.FINAL({value})",
        f"x = {value}\nFINAL_VAR('x')",
        f"SUBMIT({value})",
    ):
        assert final(call) == Final(answer, json_value)


def test_a_cycle_is_an_answer_too() -> None:
    assert final("x = []; x.append(x); FINAL(x)") == Final("[[...]]", None)


@pytest.mark.parametrize("name", ["'x'", "'\"x\"'", "' x '", "x"])
def test_final_var_takes_a_name_or_a_value(name: str) -> None:
    assert final(f"x = 'value'\nFINAL_VAR({name})").answer == "value"


def test_final_var_prefers_the_name() -> None:
    assert final("key = 'x'; x = 5; FINAL_VAR('x')").answer == "5"
    assert final("place = 'Paris'; FINAL_VAR(place)").answer == "Paris"


def test_final_var_of_an_unknown_name_says_what_there_is() -> None:
    assert "there are x" in failure("x = 1\nFINAL_VAR('y')", "t").message
    assert final("FINAL_VAR('the answer is 5')").answer == "the answer is 5"


def test_submit_takes_named_fields() -> None:
    assert final("SUBMIT(answer='x')") == Final("x", {"answer": "x"})
    assert final("SUBMIT(a=1, b=(2,))") == Final('{"a": 1, "b": [2]}', {"a": 1, "b": [2]})
    assert "not both" in failure("SUBMIT(1, a=2)", "t").message


@pytest.mark.parametrize(
    "code",
    ["answer['content'] = 'x'; answer['ready'] = True", "answer = {'content': 'x', 'ready': True}"],
)
def test_the_dict_answer_is_final_when_ready(code: str) -> None:
    assert final(code).answer == "x"
    assert run(code + "\n1/0", "t").final is None


def test_the_dict_answer_can_be_filled_over_steps() -> None:
    first = run("answer['content'] = 'draft'", "t")
    assert first.final is None
    second = next_step(first, "answer['ready'] = True", "t")
    assert second.final == Final("draft", "draft")


def test_an_answer_of_another_kind_is_just_a_variable() -> None:
    first = run("answer = llm_query('q')", "t")
    assert first.final is None
    assert next_step(first, "print(answer)", "t").stdout == "re: q\n"


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    FINAL('first')\nexcept Exception:\n    FINAL('wrong')",
        "try:\n    FINAL('first')\nexcept BaseException:\n    pass\nFINAL('second')",
        "try:\n    FINAL('first')\nfinally:\n    1 / 0",
        "for n in range(3):\n    try:\n        FINAL('first')\n    except:\n        continue",
        "try:\n    FINAL('first')\nexcept:\n    print('swallowed')",
    ],
)
def test_the_first_final_wins_and_cannot_be_swallowed(code: str) -> None:
    assert final(code).answer == "first"


def test_nothing_is_read_after_the_final() -> None:
    result = run("try:\n    FINAL('x')\nexcept:\n    y = context[0][0:3]", "text")
    assert result.spans == ()


def test_an_answer_that_is_too_long_is_an_error_the_model_sees() -> None:
    error = failure("FINAL('x' * 11)", "t", limits=StepLimits(answer_chars=10))
    assert (error.code, "at most 10" in error.message) == ("BUDGET_EXCEEDED", True)


def test_a_state_that_cannot_be_kept_does_not_lose_the_answer() -> None:
    result = run("state['x'] = object; FINAL('done')", "t", state={"n": 1})
    assert result.final == Final("done", "done")
    assert (result.error, result.state) == (None, {"n": 1})
    assert result.not_kept[0].startswith('state["x"]')


CITED = (Cite(1, 2, 4, None),)


@pytest.mark.parametrize(
    "citations",
    [
        "[(1, 2, 4)]",
        "(1, 2, 4)",
        "[(context[1], 2, 4)]",
        "context[1].cite(2, 4)",
        "[context[1].cite(2, 4)]",
        "[{'doc_index': 1, 'start_char': 2, 'end_char': 4}]",
        "[{'doc_id': 'doc_1', 'start_char': 2, 'end_char': 4, 'checksum': 'sha256:0'}]",
        "context.find('cd')",
    ],
)
def test_citations_are_taken_in_the_forms_code_has_them(citations: str) -> None:
    result = run(f"FINAL('x', citations={citations})", "none", "abcdef")
    assert result.error is None, result.error
    assert result.cites == CITED
    assert SpanEntry(1, 2, 4, "cite") in result.spans


@pytest.mark.parametrize(
    "citations", ["['[2]']", "[(0, 0, 99)]", "[(9, 0, 1)]", "[{'doc_index': 0}]", "[3.5]", "['x']"]
)
def test_a_citation_of_nothing_is_an_error_before_the_end(citations: str) -> None:
    result = run(f"FINAL('x', citations={citations})", "text")
    assert result.error is not None
    assert (result.final, result.error.code) == (None, "STEP_ERROR")
