"""What a root reply means: a table of replies as models write them."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.model import ToolCall
from rlm_rs.core.replies import literal, read_reply

Q = '"""'

CODE = {
    "the label asked for": ("```repl\nx = 1\n```", "x = 1"),
    "python": ("```python\nx = 1\n```", "x = 1"),
    "py": ("```py\nx = 1\n```", "x = 1"),
    "python3": ("```python3\nx = 1\n```", "x = 1"),
    "capital letters": ("```Python\nx = 1\n```", "x = 1"),
    "a space before the label": ("``` repl\nx = 1\n```", "x = 1"),
    "attributes after the label": ("```repl title=step\nx = 1\n```", "x = 1"),
    "no label": ("```\nprint(len(context))\n```", "print(len(context))"),
    "no label, an import": ("```\nimport re\n```", "import re"),
    "no label, an index": ("```\ncontext[0][:100]\n```", "context[0][:100]"),
    "no label, a comprehension": ("```\n[d.name for d in context]\n```", "[d.name for d in context]"),
    "prose around": ("I will look.\n```repl\nx = 1\n```\nThat shows it.", "x = 1"),
    "no closing fence": ("```repl\nx = 1\ny = 2", "x = 1\ny = 2"),
    "no newline at the end": ("```repl\nx = 1```", "x = 1"),
    "closing fence glued to a call": ("```repl\nx = 1\nFINAL(x)```\nDone.", "x = 1\nFINAL(x)"),
    "blank lines around": ("\n\n```repl\n\nx = 1\n\n\n```\n\n", "\nx = 1"),
    "tilde fence": ("~~~repl\nx = 1\n~~~", "x = 1"),
    "tilde fence holding backticks": ("~~~repl\nx = '''\n```\n'''\n~~~", "x = '''\n```\n'''"),
    "four backticks": ("````repl\nx = 1\n````", "x = 1"),
    "a longer closing fence": ("```repl\nx = 1\n`````", "x = 1"),
    "CRLF": ("```repl\r\nx = 1\r\ny = 2\r\n```\r\n", "x = 1\ny = 2"),
    "indented fence": (
        "1. First:\n   ```repl\n   x = 1\n   if x:\n       y = 2\n   ```",
        "x = 1\nif x:\n    y = 2",
    ),
    "indented code under a flush fence": ("```repl\nif x:\n    y = 2\n```", "if x:\n    y = 2"),
    "two blocks": ("```repl\nx = 1\n```\nthen\n```python\ny = 2\n```", "x = 1\n\ny = 2"),
    "three blocks": (
        "```repl\na = 1\n```\n```repl\nb = 2\n```\n```repl\nc = 3\n```",
        "a = 1\n\nb = 2\n\nc = 3",
    ),
    "a block of another language is passed over": ('```json\n{"a": 1}\n```\n```repl\nx = 1\n```', "x = 1"),
    "an unlabelled block beside a labelled one": ("```repl\nx = 1\n```\nOutput:\n```\nx = 2\n```", "x = 1"),
    "an empty block beside a full one": ("```repl\n```\n```repl\nx = 1\n```", "x = 1"),
    "a fence in a triple-quoted string": (
        f"```repl\np = {Q}Reply:\n```json\n{{}}\n```\n{Q}\nllm_query(p)\n```\nDone.",
        f"p = {Q}Reply:\n```json\n{{}}\n```\n{Q}\nllm_query(p)",
    ),
    "a fence in a string of single quotes": ("```repl\np = '''\n```\n'''\n```\nbye", "p = '''\n```\n'''"),
    "two strings with fences": (
        f"```repl\na = {Q}\n```\n{Q}\nb = {Q}\n```\n{Q}\n```",
        f"a = {Q}\n```\n{Q}\nb = {Q}\n```\n{Q}",
    ),
    "triple quotes in a comment open nothing": (
        "```repl\nx = 1  # not ''' open\n```\nprose",
        "x = 1  # not ''' open",
    ),
    "triple quotes in a string open nothing": ("```repl\nx = \"'''\"\n```\nprose", "x = \"'''\""),
    "a string that never ends": (f"```repl\nx = {Q}abc\n```\nprose\n", f"x = {Q}abc"),
    "a backtick string on the last line": ("```repl\nx = s.split('```')[0]\n```", "x = s.split('```')[0]"),
    "inline backticks in prose": ("Use `x` and ``y``.\n```repl\nx = 1\n```", "x = 1"),
    "FINAL inside code": ("```repl\nFINAL('42')\n```", "FINAL('42')"),
    "FINAL in prose and code": ("I will then do FINAL(x).\n```repl\nx = 1\n```", "x = 1"),
    "a line separator inside a string": ("```repl\nx = 'a\u2028b\x0cc'\n```", "x = 'a\u2028b\x0cc'"),
    "thinking first": ("<think>\n```repl\nbad = 1\n```\n</think>\n```repl\ngood = 1\n```", "good = 1"),
    "thinking without its opening tag": (
        "```repl\nbad = 1\n```\n</think>\n\n```repl\ngood = 1\n```",
        "good = 1",
    ),
    "thinking tags of another name": ("<reasoning>x</reasoning>\n```repl\ny = 1\n```", "y = 1"),
    "think tags in code are code": (
        "```repl\nclean = reply.split('</think>')[-1]\nprint('<think>')\n```",
        "clean = reply.split('</think>')[-1]\nprint('<think>')",
    ),
}

NEITHER = {
    "nothing": "",
    "white space": " \n\n ",
    "prose": "I would first look at the documents.",
    "prose that talks about FINAL": "I will then do FINAL(x) and stop.",
    "FINAL at the start of a sentence": "FINAL(x) is what I would call once I am sure.",
    "FINAL quoted in the line": "`FINAL(x)` ends the task.",
    "FINAL that never closes": "FINAL(the answer is",
    "FINAL without parentheses": "FINAL answer: 42",
    "only inline code": "Run `x = 1` first.",
    "another language": "```bash\nls -la\n```",
    "an unlabelled quotation": "```\nEither party may terminate this Agreement.\n```",
    "an unlabelled JSON value": '```\n{"a": [1, 2]}\n```',
    "an empty block": "```repl\n\n```",
    "only thinking": "<think>FINAL(42)\n```repl\nx = 1\n```",
    "thinking to its end": "<think>I might say\nFINAL(42)\n</think>",
    "thinking without its opening tag": "FINAL(41)\n</think>\n\nWell.",
}

FINALS = {
    "a number": ("FINAL(42)", "FINAL", "42"),
    "after prose": ("The figures agree.\n\nFINAL(42)", "FINAL", "42"),
    "before prose on another line": ("FINAL(42)\n\nThat is all.", "FINAL", "42"),
    "indented": ("  FINAL(42)", "FINAL", "42"),
    "a full stop after": ("FINAL(42).", "FINAL", "42"),
    "bare words": ("FINAL(The notice period is 30 days)", "FINAL", "The notice period is 30 days"),
    "parentheses inside": ("FINAL(30 days (clause 4(a)))", "FINAL", "30 days (clause 4(a))"),
    "an unbalanced parenthesis in a string": ('FINAL("a :) b")', "FINAL", '"a :) b"'),
    "an escaped quote": (r'FINAL("a \") b")', "FINAL", r'"a \") b"'),
    "an apostrophe in bare words": ("FINAL(It's 30 days)", "FINAL", "It's 30 days"),
    "two apostrophes": ("FINAL(It's Bob's)", "FINAL", "It's Bob's"),
    "several lines": (f"FINAL({Q}one\ntwo (2)\n{Q})", "FINAL", f"{Q}one\ntwo (2)\n{Q}"),
    "several lines of bare words": ("FINAL(one\ntwo\n)", "FINAL", "one\ntwo"),
    "a variable": ("FINAL_VAR(result)", "FINAL_VAR", "result"),
    "a quoted variable": ('FINAL_VAR("result")', "FINAL_VAR", '"result"'),
    "the last of two": ("FINAL(1)\nNo:\nFINAL(2)", "FINAL", "2"),
    "the one that stands alone": ("FINAL(1)\nFINAL(2) would be wrong here", "FINAL", "1"),
    "in a fence of text": ("```text\nFINAL(42)\n```", "FINAL", "42"),
    "after thinking": ("<think>hm FINAL(1)</think>\nFINAL(2)", "FINAL", "2"),
    "empty": ("FINAL()", "FINAL", ""),
}


@pytest.mark.parametrize("name", CODE)
def test_code_is_found(name: str) -> None:
    text, code = CODE[name]
    assert read_reply(text).code == code
    assert read_reply(text).final is None


@pytest.mark.parametrize("name", NEITHER)
def test_no_code_and_no_answer_is_found(name: str) -> None:
    reply = read_reply(NEITHER[name])
    assert reply.code is None
    assert reply.final is None


@pytest.mark.parametrize("name", FINALS)
def test_a_final_call_alone_on_its_line_is_found(name: str) -> None:
    text, call, argument = FINALS[name]
    assert read_reply(text).final == (call, argument)
    assert read_reply(text).code is None


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("42", "42"),
        ('"forty-two"', "forty-two"),
        ("'it\\'s'", "it's"),
        (f"{Q}a\nb{Q}", "a\nb"),
        (r"r'\d'", r"\d"),
        ("bare words", "bare words"),
        ("{'a': [1, 2]}", "{'a': [1, 2]}"),
        ("{(1, 2): 3}", "{(1, 2): 3}"),
        ("0x" + "f" * 10_000, "0x" + "f" * 10_000),
        ('"a" + "b"', '"a" + "b"'),
        (r'"\ud800"', "\ufffd"),
        ("", ""),
        ("-" * 100_000 + "1", "-" * 100_000 + "1"),
    ],
)
def test_an_argument_is_a_string_literal_or_stands_as_it_is(argument: str, text: str) -> None:
    assert literal(argument) == text


def test_a_later_block_with_a_syntax_error_does_not_keep_the_earlier_ones_from_running() -> None:
    code = read_reply("```repl\nran = [1]\n```\n```repl\nran.append(2)\n```\n```repl\nthen(\n```").code
    ran: dict[str, object] = {}
    with pytest.raises(SyntaxError, match=r"block 3, line 1: then\("):
        exec(compile(str(code), "step", "exec"), ran)
    assert ran["ran"] == [1, 2]


def test_a_first_block_with_a_syntax_error_is_left_as_it_is() -> None:
    assert read_reply("```repl\nthen(\n```\n```repl\nx = 1\n```").code == "then(\n\nx = 1"


@pytest.mark.parametrize(
    "deep", ["-" * 15_000 + "1", "(" * 5_000, "a" + ".b" * 8_000, "lambda:" * 2_500 + "1"]
)
def test_a_block_too_deep_to_parse_is_an_error_when_it_is_reached(deep: str) -> None:
    code = str(read_reply(f"```repl\nx = 1\n```\n```repl\n{deep}\n```").code)
    assert code.startswith("x = 1\n\n")


@pytest.mark.parametrize("name", ["python", "repl", "execute_code", "Python"])
@pytest.mark.parametrize(
    "arguments", ['{"code": "x = 1"}', '{"input": "x = 1"}', '"x = 1"', "x = 1", '{"code": "\\nx = 1\\n"}']
)
def test_a_native_tool_call_is_code(name: str, arguments: str) -> None:
    assert read_reply("", [ToolCall(name, arguments)]).code == "x = 1"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("search", '{"code": "x"}'), ("python", "{}"), ("python", '{"code": 4}'), ("repl", "[1]"), ("repl", "")],
)
def test_any_other_tool_call_is_not_code(name: str, arguments: str) -> None:
    assert read_reply("", [ToolCall(name, arguments)]).code is None


def test_lone_surrogates_in_a_tool_call_become_storable() -> None:
    code = read_reply("", [ToolCall("python", json.dumps({"code": "x = '\ud800'"}))]).code
    assert code == "x = '\ufffd'"


AWKWARD = {
    "finals": "FINAL(\n",
    "open quotes": "FINAL('\n",
    "empty lines": "\n",
    "fences": "```\n",
    "labels": "```repl\n",
    "open tags": "<think>",
    "closing tags": "</think>\n",
    "assignments": "a = ",
    "brackets": "((((",
}


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("before", ["", f"```repl\nx = {Q}\n"], ids=["alone", "in a string"])
def test_no_reply_takes_long_to_read(name: str, before: str) -> None:
    text = before + AWKWARD[name] * (500_000 // len(AWKWARD[name]))
    started = time.process_time()
    read_reply(text)
    assert time.process_time() - started < 2


def test_code_is_found_in_five_million_characters_of_prose() -> None:
    prose = "The agreement says FINAL(x) about many things, and `notice` too.\n" * 38_000
    assert read_reply(f"{prose}```repl\nx = 1\n```\n{prose}").code == "x = 1"
    answer = "word " * 1_000_000
    assert read_reply(f"FINAL({Q}{answer}{Q})").final == ("FINAL", f"{Q}{answer}{Q}")


@given(st.text(alphabet="`~rpy \n'\"()FINAL_#\\x=<>think/", max_size=200))
def test_any_reply_can_be_read(text: str) -> None:
    reply = read_reply(text)
    assert reply.code is None or reply.code.strip()


@given(st.text(max_size=300))
def test_what_is_fenced_is_what_comes_out(code: str) -> None:
    plain = code.replace("\r\n", "\n").replace("`", "").replace("'", "").replace('"', "").replace("<", "")
    found = read_reply(f"```repl\n{plain}\n```").code
    assert found == (plain.rstrip() if plain.strip() else None)
