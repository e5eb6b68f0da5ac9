"""What `state` holds from step to step."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.sandbox.protocol import RESERVED_STATE_KEYS, StepLimits
from rlm_rs.sandbox.state import as_json

from .steps import failure, next_step, run


def kept(code: str, **fields: object) -> object:
    result = run(code, "some text", **fields)
    assert result.error is None, result.error
    return json.loads(json.dumps(result.state, allow_nan=False))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("(1, 2)", [1, 2]),
        ("{3, 1, 2}", [1, 2, 3]),
        ("frozenset('ab')", ["a", "b"]),
        ("{1, 'a'}", [1, "a"]),
        ("{1: 'x', None: 'y', (1, 2): 'z'}", {"1": "x", "None": "y", "(1, 2)": "z"}),
        ("'a\\ud800'", "a\ufffd"),
        ("llm_query('q')", "re: q"),
        ("True", True),
        ("1e300", 1e300),
        ("2**63", 2**63),
        ("collections.Counter('aab')", {"a": 2, "b": 1}),
        ("collections.namedtuple('P', 'x y')(1, 2)", [1, 2]),
        ("context.find('text')", [{"doc_index": 0, "start_char": 5, "end_char": 9}]),
    ],
)
def test_values_are_made_json(value: str, stored: object) -> None:
    assert kept(f"state['x'] = {value}") == {"x": stored}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10**60", 'state["x"]["deep"][1] is an integer beyond 64 bits'),
        ("-2**63 - 1", "64 bits"),
        ("float('nan')", "nan"),
        ("float('-inf')", "-inf"),
        ("object()", "an object"),
        ("print", "function"),
        ("b'x'", "bytes"),
        ("context[0]", "DocView"),
        ("(n for n in [])", "generator"),
        ("{object(): 1}", "key"),
        ("{1: 'a', '1': 'b'}", "both '1'"),
    ],
)
def test_what_json_cannot_hold_is_an_error_with_its_place(value: str, said: str) -> None:
    error = failure(f"state['x'] = {{'deep': [0, {value}]}}", "text")
    assert error.code == "STATE_INVALID_TYPE"
    assert said in error.message
    assert 'state["x"]["deep"][1]' in error.message


def test_cycles_and_depth_are_errors() -> None:
    assert "contains itself" in failure("state['x'] = []; state['x'].append(state)", "t").message
    deep = "d = []\nfor n in range(100_000): d = [d]\nstate['x'] = d"
    assert "nested more than 100" in failure(deep, "t").message
    assert kept("a = [1]; state['x'] = [a, a]") == {"x": [[1], [1]]}


def test_a_class_that_answers_with_errors_is_only_a_bad_value() -> None:
    code = """
class Evil(dict):
    def items(self): raise RuntimeError("no")
    def __iter__(self): raise RuntimeError("no")
state["x"] = Evil(a=1)
"""
    assert run(code, "t").error is not None


def test_state_may_be_rebound_and_must_stay_a_dict() -> None:
    assert kept("state = {'fresh': 1}", state={"old": 2}) == {"fresh": 1}
    assert "must stay a dict" in failure("state = [1]", "t").message
    assert "must stay a dict" in failure("del state", "t").message


def test_reserved_keys_can_be_read_and_are_restored() -> None:
    before = {"_tool_results": {"llm": {"k": {"text": "hi", "meta": {}}}}, "_budgets": {"n": 1}, "x": 1}
    code = """
print(state["_tool_results"]["llm"]["k"]["text"])
state["_tool_results"]["llm"]["k"]["text"] = "forged"
del state["_budgets"]
state["_trace"] = "forged"
state["x"] = 2
"""
    result = run(code, "t", state=before)
    assert result.stdout == "hi\n"
    assert result.state == {**before, "x": 2}
    assert set(before) - {"x"} <= RESERVED_STATE_KEYS


def test_a_failed_step_changes_nothing() -> None:
    before = {"list": [1]}
    result = run("state['list'].append(2); state['new'] = 1; 1/0", "t", state=before)
    assert result.state == {"list": [1]}
    assert before == {"list": [1]}


def test_too_large_a_state_is_an_error_that_names_the_largest() -> None:
    error = failure("state['big'] = 'x' * 200; state['small'] = 1", "t", limits=StepLimits(state_chars=100))
    assert error.code == "STATE_TOO_LARGE"
    assert "state['big']" in error.message


def test_reserved_keys_do_not_count_for_the_size() -> None:
    before = {"_tool_results": {"llm": {"k": {"text": "x" * 500}}}}
    assert run("state['n'] = 1", "t", state=before, limits=StepLimits(state_chars=100)).error is None


def test_state_goes_on_in_the_next_step() -> None:
    assert next_step(run("state['n'] = 1", "t"), "state['n'] += 1; print(state['n'])", "t").stdout == "2\n"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé"), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_json_stays_what_it_is(value: object) -> None:
    assert as_json(value, "state") == value
