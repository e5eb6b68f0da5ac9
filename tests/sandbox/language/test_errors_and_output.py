"""What the model sees of a step that fails, and of what it printed."""

from __future__ import annotations

import pytest

from rlm_rs.sandbox.executor import Meter
from rlm_rs.sandbox.limits import StepTimedOut
from rlm_rs.sandbox.protocol import StepLimits, StepRequest, StepUsage

from .steps import Scripted, corpus_of, failure, output, run


def test_an_error_names_its_line_and_its_own_frames_only() -> None:
    code = "import json\ndef f(x):\n    return json.loads(x)\n\nprint('before')\nf('{')\n"
    result = run(code, "t")
    assert result.error is not None
    assert (result.error.code, result.error.line, result.stdout) == ("STEP_ERROR", 3, "before\n")
    assert result.error.message.startswith("JSONDecodeError: Expecting property name")
    assert result.error.traceback == "line 6\n    f('{')\nline 3, in f\n    return json.loads(x)"


def test_a_long_traceback_is_cut_to_its_last_frames() -> None:
    error = failure("def f(n):\n    return f(n + 1)\nf(0)", "t")
    assert error.message.startswith("RecursionError")
    assert len(error.traceback.splitlines()) <= 16


def test_an_error_in_a_kept_function_says_so() -> None:
    from .steps import next_step

    first = run("def f():\n    return 1 / 0", "t")
    error = next_step(first, "x = 1\nf()", "t").error
    assert error is not None
    assert (error.line, error.traceback.splitlines()[-1]) == (
        2,
        "line 2 of a function kept from an earlier step, in f",
    )


@pytest.mark.parametrize(
    ("code", "line"),
    [("x = (1,\ny = 2", 1), ("if True:\nx = 1", 2), ("x = 1\n  y = 2", 2), ("return 1", 1), ("'abc", 1)],
)
def test_a_syntax_error_names_its_line(code: str, line: int) -> None:
    error = failure(code, "t")
    assert (error.code, error.line) == ("STEP_SYNTAX", line)


@pytest.mark.parametrize("code", ["x = '\0'", "(" * 500 + ")" * 500, "x = " + "-" * 100_000 + "1"])
def test_code_that_cannot_be_parsed_is_an_error(code: str) -> None:
    assert failure(code, "t").code in ("STEP_SYNTAX", "STEP_ERROR", "STEP_MEMORY")


def test_an_empty_step_does_nothing() -> None:
    assert output("", "t") == output("# nothing", "t") == ""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise ValueError", "ValueError"),
        ("raise ValueError('a\\nb   c')", "ValueError: a b c"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class Own(BaseException): pass\nraise Own('x')", "Own: x"),
        (
            "class Bad(Exception):\n    def __str__(self): raise OSError\nraise Bad",
            "Bad: (its __str__ raised OSError)",
        ),
        ("raise ValueError('a\\ud800')", "ValueError: a\ufffd"),
    ],
)
def test_any_error_is_said_in_one_line(code: str, message: str) -> None:
    assert failure(code, "t").message == message


def test_a_huge_error_message_is_cut() -> None:
    assert len(failure("raise ValueError('x' * 10**6)", "t").message) <= 2_100


def test_running_out_of_memory_is_a_typed_error() -> None:
    error = failure("print('kept')\nraise MemoryError", "t")
    assert (error.code, error.line) == ("STEP_MEMORY", 2)
    assert "512 MB" in error.message


class TimingOut:
    """Stands for the signal handler: the third answer finds the time used up, and so does every later one."""

    def __init__(self) -> None:
        self.asked = 0
        self.inner = Scripted()

    def ask(self, requests: list[object]) -> object:
        self.asked += 1
        if self.asked >= 3:
            raise StepTimedOut
        return self.inner.ask(requests)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "code",
    [
        "print('kept')\nx = 5\nwhile True:\n    llm_query('a')",
        "print('kept')\nx = 5\nfor n in range(9):\n    try:\n        llm_query('a')\n"
        "    except Exception:\n        pass",
    ],
)
def test_a_timeout_is_a_typed_error_that_keeps_output_and_variables(code: str) -> None:
    result = run(code, "t", channel=TimingOut(), state={"n": 1})
    assert result.error is not None
    assert (result.error.code, result.stdout, result.state) == ("STEP_TIMEOUT", "kept\n", {"n": 1})
    assert result.variables["x"] == 5
    assert result.error.line is not None


def test_a_timeout_while_saving_still_gives_a_result() -> None:
    code = """
class Slow:
    __slots__ = ()
    def __getattr__(self, name):
        llm_query("a")
print("kept")
s = Slow()
"""
    channel = TimingOut()
    channel.asked = 2
    result = run(code, "t", channel=channel, state={"n": 1}, variables={"old": 1})
    assert result.error is not None
    assert (result.error.code, result.stdout) == ("STEP_TIMEOUT", "kept\n")
    assert (result.state, result.variables) == ({"n": 1}, {"old": 1})


@pytest.mark.parametrize(
    ("code", "echoed"),
    [
        ("1 + 1", "2\n"),
        ("'text'", "'text'\n"),
        ("None", ""),
        ("x = 1", ""),
        ("print('a')\n'b'", "a\n'b'\n"),
        ("x = [1]\nx.append(2)\nx", "[1, 2]\n"),
        ("for n in 'a': n", ""),
        ("await llm_query('q')", "'re: q'\n"),
        ("context", "<1 documents>\n"),
        ("context[0]", "<document 0 'file0.txt', 4 characters>\n"),
    ],
)
def test_the_last_expression_is_echoed(code: str, echoed: str) -> None:
    assert output(code, "text") == echoed


def test_an_error_in_the_last_expression_names_its_line() -> None:
    assert failure("x = 1\n\nx / 0", "t").line == 3


def test_output_keeps_head_and_tail_and_counts_the_rest() -> None:
    result = run("for n in range(1000): print(f'line {n}')", "t", limits=StepLimits(stdout_chars=300))
    printed = "".join(f"line {n}\n" for n in range(1000))
    head, _, tail = result.stdout.partition("\n[… ")
    assert len(result.stdout) <= 300
    assert printed.startswith(head)
    assert printed.endswith(tail.partition("…]\n")[2])
    assert result.stdout_dropped == len(printed) - len(head) - len(tail.partition("…]\n")[2])


@pytest.mark.parametrize(
    "code", ["print('x' * 300)", "print('x' * 299)", "for n in range(300): print('x', end='')"]
)
def test_output_within_the_limit_is_whole(code: str) -> None:
    result = run(code, "t", limits=StepLimits(stdout_chars=301))
    assert result.stdout_dropped == 0
    assert len(result.stdout) >= 300


def test_one_huge_print_is_cut_like_many_small_ones() -> None:
    limits = StepLimits(stdout_chars=200)
    one = run("print('a' * 5000 + 'z' * 5000)", "t", limits=limits)
    many = run("for c in 'a' * 5000 + 'z' * 5000: print(c, end='')\nprint()", "t", limits=limits)
    assert one.stdout == many.stdout
    assert one.stdout_dropped == many.stdout_dropped > 9_000


def test_tiny_limits_hold_too() -> None:
    assert len(run("print('x' * 500)", "t", limits=StepLimits(stdout_chars=10)).stdout) <= 10
    assert run("print('x')", "t", limits=StepLimits(stdout_chars=0)).stdout == ""


def test_print_takes_what_print_takes() -> None:
    assert (
        output("print(1, 'a', None, sep='-', end='!')\nprint()\nprint('b\\ud800')", "t")
        == "1-a-None!\nb\ufffd\n"
    )


def test_usage_is_what_the_meter_says() -> None:
    class Fixed:
        def usage(self) -> StepUsage:
            return StepUsage(1.0, 2.0, 3)

    from rlm_rs.sandbox.executor import run_step

    meter: Meter = Fixed()
    assert run_step(StepRequest("e", 0, "1"), corpus_of("t"), Scripted(), meter).usage == StepUsage(
        1.0, 2.0, 3
    )


def test_history_can_be_read_and_not_changed() -> None:
    past = ({"turn": 0, "code": "x"},)
    result = run("print(history[0]['code'], len(history)); history.clear()", "t", history=past)
    assert (result.stdout, past) == ("x 1\n", ({"turn": 0, "code": "x"},))
