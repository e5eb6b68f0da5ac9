"""The paper's convention: calls that return, by waiting and by replay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rlm_rs.sandbox.executor import ReplayOnly
from rlm_rs.sandbox.protocol import (
    SpanEntry,
    StepLimits,
    StepRequest,
    StepResult,
    SubcallRequest,
    SubcallResult,
    View,
)

from .steps import Scripted, answer, corpus_of, failure, output, replayed, run

PROGRAM = """
import random
seen = []
for doc in context:
    part = doc[: random.randint(2, 3)]
    seen.append(llm_query("what is " + part))
print(seen)
verdicts = llm_query_batched([f"check {s}" for s in seen] + ["!bad"])
print(verdicts[-1])
print(rlm_query("deeper", context[1]))
state["n"] = len(verdicts)
mark = context[0].cite(0, 2)
FINAL({"verdicts": verdicts, "mark": mark})
"""


def reply(request: SubcallRequest) -> str:
    return request.prompt if request.prompt.startswith("!") else f"<{request.prompt}>"


def test_waiting_and_replaying_give_the_same_result() -> None:
    channel = Scripted(reply)
    waited = run(PROGRAM, "alpha", "beta", channel=channel)
    again, runs = replayed(PROGRAM, "alpha", "beta", reply=reply)
    assert again == waited
    assert waited.final is not None
    assert (len(channel.asked), runs) == (4, 5)


def test_calls_are_numbered_by_turn_and_position() -> None:
    channel = Scripted()
    run("llm_query('a'); llm_query_batched(['b', 'c']); rlm_query('d')", "t", turn=3, channel=channel)
    assert [[(r.key, r.kind, r.prompt) for r in asked] for asked in channel.asked] == [
        [("3.0", "llm", "a")],
        [("3.1", "llm", "b"), ("3.2", "llm", "c")],
        [("3.3", "rlm", "d")],
    ]
    assert all(request.called for asked in channel.asked for request in asked)


def test_a_replay_that_asks_something_else_is_an_error() -> None:
    recorded = SubcallResult(
        "0.0", SubcallRequest("0.0", "llm", "before", called=True).digest(), "resolved", "x"
    )
    for code in (
        "llm_query('now')",
        "try: llm_query('now')\nexcept BaseException: pass\nprint('on')",
        "print('none')",
    ):
        result = run(code, "t", results=(recorded,), channel=ReplayOnly())
        assert result.error is not None
        assert (result.status, result.error.code) == ("finished", "REPLAY_DIVERGED")


def test_an_answer_to_another_question_is_an_error_when_waiting_too() -> None:
    class Confused:
        def ask(self, requests: list[SubcallRequest]) -> list[SubcallResult]:
            return [SubcallResult(r.key, "0" * 16, "resolved", "x") for r in requests]

    assert failure("llm_query('a')", "t", channel=Confused()).code == "REPLAY_DIVERGED"


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    llm_query('a')\nexcept BaseException:\n    pass\nprint('after')\nFINAL('wrong')",
        "try:\n    llm_query('a')\nfinally:\n    1 / 0",
        "while True:\n    try:\n        llm_query('a')\n    except:\n        break",
        "try:\n    llm_query('a')\nexcept:\n    context[0][0:2]",
    ],
)
def test_a_swallowed_suspension_is_still_one(code: str) -> None:
    result = run(code, "text", channel=ReplayOnly())
    assert result == StepResult("suspended", requests=(SubcallRequest("0.0", "llm", "a", called=True),))


def test_a_part_of_a_batch_may_be_recorded() -> None:
    first = answer(SubcallRequest("0.0", "llm", "a", called=True), reply)
    channel = Scripted(reply)
    result = run("print(llm_query_batched(['a', 'b']))", "t", results=(first,), channel=channel)
    assert result.stdout == "['<a>', '<b>']\n"
    assert [r.key for r in channel.asked[0]] == ["0.1"]


@pytest.mark.parametrize("name", ["llm_query_batched", "batch_llm_query", "llm_batch"])
def test_batches_keep_their_order_and_hold_errors_in_place(name: str) -> None:
    channel = Scripted(reply)
    assert (
        output(f"print({name}(['a', '!oops', 'c']))", "t", channel=channel)
        == "['<a>', 'ERROR: oops', '<c>']\n"
    )
    assert len(channel.asked) == 1


def test_a_failed_call_returns_its_error_as_text() -> None:
    assert (
        output("print(llm_query('!no'), rlm_query('!no'))", "t", channel=Scripted(reply))
        == "ERROR: no ERROR: no\n"
    )


def test_an_empty_batch_asks_nothing() -> None:
    channel = Scripted()
    assert output("print(llm_query_batched([]), rlm_query_batched([]))", "t", channel=channel) == "[] []\n"
    assert channel.asked == []


def asked(code: str, *texts: str, **fields: object) -> SubcallRequest:
    channel = Scripted()
    result = run(code, *texts, channel=channel, **fields)
    assert result.error is None, result.error
    return channel.asked[0][0]


def test_context_goes_after_the_prompt() -> None:
    assert asked("llm_query('sum up', context[0])", "text").prompt == "sum up\n\ntext"
    assert asked("llm_query('sum up', [context[0], 'more'])", "text").prompt == "sum up\n\ntext\n\nmore"


def test_options_of_a_call_reach_the_request() -> None:
    request = asked("llm_query('p', None, 'big', {'type': 'object'}, max_tokens=9, temperature=1)", "t")
    assert (request.model, request.schema, request.max_tokens, request.temperature) == (
        "big",
        {"type": "object"},
        9,
        1.0,
    )


def test_messages_are_taken_for_a_prompt() -> None:
    assert (
        asked("llm_query([{'role': 'user', 'content': 'a'}, {'role': 'user', 'content': 'b'}])", "t").prompt
        == "a\n\nb"
    )


@pytest.mark.parametrize(
    ("context", "views", "text"),
    [
        ("None", None, None),
        ("context", None, None),
        ("context[1]", (View(1),), None),
        ("context[0:2]", (View(0), View(1)), None),
        ("[1, -1]", (View(1), View(1)), None),
        ("context[1][2:6]", (View(1, 2, 6),), None),
        ("'anything'", None, ("anything",)),
        ("[context[0], 'other']", (View(0),), ("other",)),
        ("context[1][2:6].upper()", None, ("COND",)),
    ],
)
def test_a_child_works_over_what_it_is_given(context: str, views: object, text: object) -> None:
    request = asked(f"rlm_query('q', {context})", "first", "second")
    assert (request.views, request.text) == (views, text)


def test_a_child_of_a_window_gets_the_window() -> None:
    assert asked("rlm_query('q', context[0])", "0123456789", views=(View(0, 2, 5),)).views == (View(0, 2, 5),)
    assert asked("rlm_query('q', context[0])", views=(), texts=("abc",)).text == ("abc",)


def test_children_take_one_context_for_all_or_one_each() -> None:
    channel = Scripted()
    run(
        "rlm_query_batched(['a', 'b'], [context[0], context[1]]); rlm_query_batched(['a', 'b'], 'same')",
        "x",
        "y",
        channel=channel,
    )
    assert [r.views for r in channel.asked[0]] == [(View(0),), (View(1),)]
    assert [r.text for r in channel.asked[1]] == [("same",), ("same",)]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("llm_query_batched('one text')", "list"),
        ("rlm_query('q', object())", "context is"),
        ("rlm_query('q', 5)", "no document 5"),
        ("llm_query('p', model=3)", "model"),
        ("search('q')", "context.find"),
        ("context.search('q')", "context.find"),
        ("llm_query()", "prompt"),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(call: str, said: str) -> None:
    assert said in failure(call, "t").message


def test_limits_hold_when_asked() -> None:
    assert failure("llm_query('p' * 11)", "t", limits=StepLimits(prompt_chars=10)).code == "BUDGET_EXCEEDED"
    assert failure("llm_query_batched(['p'] * 1001)", "t").code == "BUDGET_EXCEEDED"


def hits(*found: dict[str, object]) -> object:
    class Searching:
        def ask(self, requests: list[SubcallRequest]) -> list[SubcallResult]:
            assert [r.kind for r in requests] == ["search"]
            return [SubcallResult(r.key, r.digest(), "resolved", hits=found) for r in requests]  # type: ignore[arg-type]

    return Searching()


def test_search_returns_hits_by_place_in_the_context() -> None:
    hit = {"score": 1.5, "doc_index": 1, "start_char": 3, "end_char": 5, "preview": "xx"}
    outside = hit | {"doc_index": 0}
    code = (
        "h = context.search('q', k=2); print(h, "
        "context[h[0]['doc_index']][h[0]['start_char'] : h[0]['end_char']])"
    )
    fields = {"search_enabled": True, "views": (View(1, 2),), "channel": hits(hit, outside)}
    seen = hit | {"doc_index": 0, "start_char": 1, "end_char": 3}
    assert output(code, "a" * 9, "0123456789", **fields) == f"[{seen}] 34\n"


def test_a_hit_counts_as_searched_and_what_is_read_of_it_as_read() -> None:
    hit = {"score": 1.0, "doc_index": 0, "start_char": 2, "end_char": 9, "preview": "234"}
    code = "x = search('q'); context[0][x[0]['start_char'] : 5]"
    assert run(code, "0123456789", search_enabled=True, channel=hits(hit)).spans == (
        SpanEntry(0, 2, 9, "scan:search"),
        SpanEntry(0, 2, 5),
    )


@pytest.mark.parametrize("texts", [("0123456789",), ("0123456789", "other")])
def test_a_context_of_texts_is_searched_too(texts: tuple[str, ...]) -> None:
    hit = {"score": 1.0, "doc_index": 0, "start_char": 2, "end_char": 9, "preview": "234"}
    fields = {"search_enabled": True, "channel": hits(hit), "context_shape": "text"}
    assert output("print(context.search('q') == search('q'), ctx.search('q'))", *texts, **fields) == (
        f"True [{hit}]\n"
    )


def test_one_text_of_several_is_not_searched_alone() -> None:
    error = failure("context[1].search('q')", "a", "b", search_enabled=True, context_shape="text")
    assert "search(query)" in error.message


def test_a_failed_search_is_an_error() -> None:
    error = failure("search('!broken')", "t", search_enabled=True, channel=Scripted(reply))
    assert "the search failed: broken" in error.message


def test_lone_surrogates_do_not_change_what_is_asked_on_the_way() -> None:
    import json

    from rlm_rs.sandbox.protocol import from_dict, to_json

    request = asked(r"llm_query('a\ud800b')", "t")
    result = StepResult("suspended", requests=(request,))
    assert from_dict(StepResult, json.loads(to_json(result))).requests[0].digest() == request.digest()


def test_random_is_the_same_in_every_run_of_a_step_and_differs_between_turns() -> None:
    code = "import random, uuid\nprint(random.random(), random.Random().random(), uuid.uuid4())"
    assert output(code, "t") == output(code, "t")
    assert output(code, "t") != output(code, "t", turn=1)
    seeded = "import random\nrandom.seed(7); a = random.random(); print(a == random.Random(7).random())"
    assert output(seeded, "t") == "True\n"


def test_a_request_survives_the_way_to_the_process() -> None:
    import json

    from rlm_rs.sandbox.executor import run_step
    from rlm_rs.sandbox.protocol import from_dict, to_json

    request = replace(StepRequest("e", 0, PROGRAM), views=(View(1), View(0)))
    sent = from_dict(StepRequest, json.loads(to_json(request)))
    corpus = corpus_of("alpha", "beta")
    assert run_step(sent, corpus, Scripted(reply)) == run_step(request, corpus, Scripted(reply))
