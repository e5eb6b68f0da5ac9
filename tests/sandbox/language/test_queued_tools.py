"""The explicit convention: queue, yield, finish."""

from __future__ import annotations

import pytest

from rlm_rs.sandbox.protocol import SpanEntry, StepLimits

from .steps import failure, output, run


def test_what_is_queued_comes_back_in_order() -> None:
    code = """
tool.queue_llm("a", "first", model_hint="big", max_output_tokens=50, temperature=0.5, metadata={"n": (1, 2)})
tool.queue_search("s", "words", k=3, filters={"doc_ids": ["doc_0"]})
tool.queue_llm("b", "second")
tool.YIELD("waiting")
print("never")
"""
    result = run(code, "text", search_enabled=True)
    a, s, b = result.requests
    assert (a.key, a.kind, a.prompt, a.model, a.max_tokens, a.temperature, a.metadata) == (
        "a", "llm", "first", "big", 50, 0.5, {"n": [1, 2]},
    )  # fmt: skip
    assert (s.key, s.kind, s.prompt, s.k, s.filters) == ("s", "search", "words", 3, {"doc_ids": ["doc_0"]})
    assert (b.model, b.max_tokens, b.called) == (None, None, False)
    assert (result.yielded, result.stdout, result.error) == ("waiting", "", None)


def test_a_step_that_ends_without_yield_still_hands_over_its_requests() -> None:
    result = run("tool.queue_llm('a', 'p')", "text")
    assert (len(result.requests), result.yielded) == (1, None)


def test_a_failed_step_hands_over_none() -> None:
    assert run("tool.queue_llm('a', 'p'); 1/0", "text").requests == ()


def test_output_characters_are_counted_as_tokens() -> None:
    assert run("tool.queue_llm('a', 'p', max_output_chars=401)", "t").requests[0].max_tokens == 101


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("queue_llm('a', 'p', max_tokens=1, max_output_chars=4)", "at most one"),
        ("queue_llm('a', 'p', max_tokens=0)", "max_tokens"),
        ("queue_llm('a', 'p', max_tokens='many')", "max_tokens"),
        ("queue_llm('a', 'p', temperature=9)", "temperature"),
        ("queue_llm('a', 'p', metadata=3)", "metadata"),
        ("queue_llm('', 'p')", "key"),
        ("queue_llm('k' * 300, 'p')", "key"),
        ("queue_llm('a', 'p', metadata={'requires_llm_keys': ['x', 'done', 'y']})", "x, y"),
        ("queue_search('a', 'q', k=0)", "k is"),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(call: str, said: str) -> None:
    state = {
        "_tool_results": {"llm": {"done": {"text": "", "meta": {}}}},
        "_tool_status": {"done": "resolved"},
    }
    error = failure(f"tool.{call}", "text", state=state, search_enabled=True)
    assert said in error.message


def test_a_key_is_queued_once() -> None:
    error = failure("tool.queue_llm('a', 'p'); tool.queue_search('a', 'q')", "t", search_enabled=True)
    assert "'a' is queued already" in error.message


def test_a_result_that_is_there_satisfies_what_requires_it() -> None:
    state = {"_tool_results": {"llm": {"x": {"text": "t", "meta": {}}}}, "_tool_status": {"x": "resolved"}}
    code = "tool.queue_llm('a', 'p', metadata={'requires_llm_keys': ['x']})"
    assert len(run(code, "text", state=state).requests) == 1
    forged = "state['_tool_results'] = {'llm': {'z': {}}}\n" + code.replace("x", "z")
    assert "z" in failure(forged, "text", state=state).message


def test_limits_hold_when_queued() -> None:
    limits = StepLimits(prompt_chars=10, max_tool_requests=2)
    assert failure("tool.queue_llm('a', 'p' * 11)", "t", limits=limits).code == "BUDGET_EXCEEDED"
    code = "for n in range(3): tool.queue_llm(n, 'p')"
    assert "max_tool_requests_per_step is 2" in failure(code, "t", limits=limits).message


def test_a_limit_can_be_caught_and_lived_with() -> None:
    code = """
try:
    for n in range(9): tool.queue_llm(str(n), "p")
except Exception as error:
    print(type(error).__name__)
"""
    result = run(code, "t", limits=StepLimits(max_tool_requests=2))
    assert (result.stdout, len(result.requests)) == ("LimitExceeded\n", 2)


def test_the_schema_says_what_is_available() -> None:
    code = "print([(t['name'], t['availability']['enabled']) for t in tool.schema()['tools']])"
    assert output(code, "t") == (
        "[('queue_llm', True), ('queue_search', False), ('YIELD', True), ('FINAL', True)]\n"
    )


def test_what_is_off_is_refused() -> None:
    assert "context.find" in failure("tool.queue_search('a', 'q')", "t").message
    assert "sub-calls are off" in failure("tool.queue_llm('a', 'p')", "t", tools_enabled=False).message
    assert "sub-calls are off" in failure("llm_query('p')", "t", tools_enabled=False).message


def test_final_ends_the_step_and_drops_what_was_queued() -> None:
    result = run("context[0][0:2]; tool.queue_llm('a', 'p'); tool.FINAL('done'); print('never')", "text")
    assert result.final is not None
    assert (result.final.answer, result.requests, result.stdout) == ("done", (), "")
    assert result.spans == (SpanEntry(0, 0, 2),)


def test_the_queue_can_be_looked_at_but_not_changed() -> None:
    code = "tool.queue_llm('a', 'p'); tool.tool_requests.clear(); print(tool.tool_requests)"
    assert output(code, "t") == "[{'kind': 'llm', 'key': 'a', 'prompt': 'p'}]\n"
