"""`context` as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.sandbox.protocol import SpanEntry, StepLimits

from .steps import failure, next_step, output, run

TEXT = "The quick brown fox.\nžluť 😀 jumps\nover The lazy dog 2024-05-06.\n"

EXPRESSIONS = [
    "len(context)", "context[4:9]", "context[-6:-1]", "context[3]", "context[:]", "'fox' in context",
    "'cat' in context", "'cat' not in context", "context.find('The')", "context.find('The', 5)",
    "context.find('The', 5, 20)", "context.find('nope')", "context.find('')", "context.find('', 10_000)",
    "context.index('lazy')", "context.rfind('The')", "context.rfind('nope')", "context.count('The')",
    "context.count('o', 10)", "context.count('')", "context.lower()", "context.upper()[:5]",
    "context.split()", "context.split('\\n')", "context.splitlines()", "context.strip()[-3:]",
    "context.startswith('The')", "context.startswith(('x', 'The'))", "context.endswith('.\\n')",
    "context.endswith('x')", "context.startswith('quick', 4)", "context.replace('fox', 'cat')",
    "str(context)", "f'{context}'", "f'{context:>100}'", "f'{context[:5]}'", "context + '!'",
    "'!' + context", "context == str(context)", "context == 'other'", "context != 'other'",
    "isinstance(context, str)", "isinstance(context, list)", "bool(context)", "context.partition('fox')",
    "context.title()[:9]", "context.encode()[:5]", "context.isdigit()", "len(context.split('\\n'))",
    "sorted(set(context.lower().split()))[:3]", "[m.group() for m in re.finditer(r'\\w+', context)]",
    "re.findall(r'(\\d+)-(\\d+)', context)", "re.findall('o', context)",
    "re.search(r'(?P<y>\\d{4})-(\\d\\d)', context).groupdict()",
    "re.search(r'(\\d{4})-(\\d\\d)', context).groups()", "re.search('fox', context).span()",
    "re.search(r'(x)?fox', context).group(1)", "re.search('nope', context)",
    "re.match('The', context).end()", "re.match('quick', context)",
    "re.fullmatch('(?s).*', context).span()", "re.split(r'\\s+', context)", "re.sub('The', 'A', context)",
    "re.subn('The', 'A', context)", "re.search('THE', context, re.I).start()",
    "re.compile('jumps').search(context).start()", "re.compile('o').findall(context, 10, 30)",
    "re.search('fox', context).lastindex", "re.search('(?P<a>f)(?P<b>o)', context).lastgroup",
    "re.search('(f)(o)', context).group(1, 2)", "re.search('(f)o', context)[1]",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_answers_like_the_str_it_stands_for(expression: str) -> None:
    import re

    wanted = eval(expression, {"context": TEXT, "re": re})
    assert (
        output(f"import re\nprint(ascii({expression}))", TEXT, context_shape="text") == ascii(wanted) + "\n"
    )


@given(st.text("abé😀\n", max_size=15), st.text("abé", max_size=2), *[st.none() | st.integers(-20, 20)] * 2)
def test_finding_is_that_of_str(text: str, term: str, start: int | None, end: int | None) -> None:
    calls = [
        f"{name}({term!r}, {start}, {end})" for name in ("find", "rfind", "count", "startswith", "endswith")
    ]
    code = "\n".join(f"print(context.{call})" for call in calls)
    wanted = [eval(f"text.{call}", {"text": text}) for call in calls]
    assert output(code, text, context_shape="text").split() == [str(value) for value in wanted]


def test_going_through_it_gives_lines() -> None:
    assert output("print(list(context))", "a\nb\n", context_shape="text") == "['a', 'b']\n"


def test_reads_and_searches_are_logged() -> None:
    result = run("x = context[2:4], 'c' in context, context.find('e')", "abcdef", context_shape="text")
    assert result.spans == (SpanEntry(0, 2, 4), SpanEntry(0, 0, 6, "scan:find"))
    result = run("m = re.search('c(d)', context); x = m.group(1)", "abcdef", context_shape="text")
    assert result.spans == (SpanEntry(0, 0, 6, "scan:regex"), SpanEntry(0, 3, 4))


def test_thousands_of_matches_do_not_use_up_the_spans() -> None:
    code = "print(len(re.findall('a', context)), len([m.group() for m in re.finditer('ab', context)]))"
    result = run(code, "ab-" * 2_000, context_shape="text")
    assert (result.error, result.stdout) == (None, "2000 2000\n")
    assert SpanEntry(0, 0, 6_000, "scan:regex") in result.spans
    assert len([s for s in result.spans if not s.tag]) <= StepLimits().max_spans


def test_several_documents_are_a_list_of_texts() -> None:
    code = (
        "print(len(context), isinstance(context, list), context[1].find('b'), "
        "context_0[:1], context_1[0], ctx[0] is context_0)"
    )
    assert output(code, "abc", "xbz", context_shape="text") == "2 True 1 a x True\n"
    assert (
        output("print([c[:1] for c in context], 'x' in context[1])", "abc", "xbz", context_shape="text")
        == "['a', 'x'] True\n"
    )


def test_aliases_name_the_same_text() -> None:
    assert output("print(ctx is context, context_0 is context)", "abc", context_shape="text") == "True True\n"


def test_nothing_is_decoded_whole_by_length_slice_search_or_membership() -> None:
    limits = StepLimits(memory_mb=1)
    text = "é" * 200_000 + "needle" + "é" * 200_000
    code = (
        "print(len(context), context[200_000:200_006], context.find('needle'), "
        "'needle' in context, re.search('n.*e', context).span())"
    )
    assert output(code, text, context_shape="text", limits=limits) == (
        "400006 needle 200000 True (200000, 200006)\n"
    )
    assert failure("context.lower()", text, context_shape="text", limits=limits).code == "BUDGET_EXCEEDED"


def test_a_function_that_needs_a_real_str_refuses_instead_of_seeing_nothing() -> None:
    for code in ("''.join([context])", "json.dumps(context)", "int(context)", "len(str.lower(context))"):
        assert "TypeError" in failure(code, "abc", context_shape="text").message


def test_echo_of_a_text_does_not_print_it() -> None:
    assert output("context", "abc", context_shape="text") == "<text 'file0.txt', 3 characters>\n"


def test_a_text_is_kept_as_a_variable_and_given_to_children() -> None:
    first = run("t = context", "abc", context_shape="text")
    assert (
        next_step(first, "print(t is context, rlm_query('q', t))", "abc", context_shape="text").stdout
        == "True re: q\n"
    )


def test_texts_of_a_child_execution_are_its_context() -> None:
    assert (
        output("print(context[1:3], len(context))", views=(), texts=("abcd",), context_shape="text")
        == "bc 4\n"
    )


@pytest.mark.parametrize(
    "call",
    ["search('x(a)', d).group(1)", "compile('a').search(d).start()", "findall('a', d)", "sub('a', '', d)"],
)
def test_patterns_take_documents_in_the_other_shape_too(call: str) -> None:
    import re

    wanted = eval(f"re.{call}", {"re": re, "d": "xxa a"})
    assert output(f"import re\nd = context[0]\nprint(re.{call})", "xxa a") == f"{wanted}\n"
