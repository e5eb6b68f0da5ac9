"""Top-level names from step to step."""

from __future__ import annotations

import json

import pytest

from rlm_rs.sandbox.protocol import StepLimits

from .steps import next_step, run


def carried(first: str, second: str, *texts: str) -> str:
    """What the second step prints."""
    before = run(first, *(texts or ("some text",)))
    assert (before.error, before.not_kept) == (None, ()), before
    after = next_step(before, second, *(texts or ("some text",)))
    assert (after.error, after.not_kept) == (None, ()), after
    return after.stdout


@pytest.mark.parametrize(
    "value",
    [
        "None", "True", "'text é 😀'", "1.5", "10**60", "-(10**30)", "float('inf')", "1j",
        "[1, [2, (3, {4})]]", "(1,)", "{1, 2}", "frozenset({1})", "{'a': {'b': 1}}",
        "{1: 'x', (2, 3): 'y', None: 'z'}", "{'$': 'tuple', 'of': []}", "collections.Counter('aab')",
        "collections.OrderedDict(a=1)", "collections.deque([1, 2], 5)", "b'raw'", "bytearray(b'x')",
        "range(1, 9, 2)", "slice(1, 2)", "decimal.Decimal('1.10')", "fractions.Fraction(1, 3)",
        "datetime.datetime(2024, 5, 6, 7, 8, 9)", "datetime.date(2024, 5, 6)", "datetime.time(7, 8)",
        "datetime.timedelta(days=3, seconds=2)", "datetime.timezone(datetime.timedelta(hours=2))",
        "datetime.datetime(2024, 5, 6, tzinfo=datetime.timezone.utc)", "types.SimpleNamespace(a=1)",
        "re.compile('a+', re.I)", "len", "llm_query", "re.findall", "collections.Counter",
    ],
)  # fmt: skip
def test_a_value_is_kept_as_it_was(value: str) -> None:
    imports = "import collections, decimal, fractions, datetime, types, re\n"
    check = f"y = {value}\nprint(x == y and repr(x) == repr(y) and type(x) is type(y))"
    assert carried(imports + f"x = {value}", check) == "True\n"


def test_nan_is_kept() -> None:
    assert carried("x = float('nan')", "print(x)") == "nan\n"


def test_a_default_dict_goes_on_defaulting() -> None:
    first = (
        "from collections import defaultdict\nd = defaultdict(list)\nd['a'].append(1)\n"
        "e = defaultdict(lambda: 7)"
    )
    assert carried(first, "d['b'].append(2); print(dict(d), e['x'])") == "{'a': [1], 'b': [2]} 7\n"


def test_documents_and_modules_are_kept() -> None:
    first = "import math as m\nfrom collections import Counter\nd = context[0]; ds = {'x': [context[0]]}"
    second = "print(m.pi > 3, Counter('a'), d is context[0], ds['x'][0] is d)"
    assert carried(
        first.replace("from collections import Counter\n", ""), second.replace("Counter('a')", "1")
    ) == ("True 1 True True\n")


FUNCTIONS = {
    "plain": ("def f(x):\n    return x + 1", "print(f(1))", "2\n"),
    "later globals": ("def f():\n    return later", "later = 5\nprint(f())", "5\n"),
    "changed globals": ("n = 1\ndef f():\n    return n", "n = 2\nprint(f())", "2\n"),
    "recursive": ("def f(n):\n    return 1 if n < 2 else n * f(n - 1)", "print(f(5))", "120\n"),
    "calls another": ("def g(x):\n    return h(x)\ndef h(x):\n    return -x", "print(g(1))", "-1\n"),
    "lambda": ("f = lambda x, y=2: x * y", "print(f(3))", "6\n"),
    "lambdas on a line": ("f, g = (lambda x: x + 1), (lambda x: x * 2)", "print(f(5), g(5))", "6 10\n"),
    "lambda over lines": ("f = lambda x: (\n    x +\n    1)", "print(f(3))", "4\n"),
    "alias": ("def f():\n    return 1\ng = f", "print(f(), g())", "1 1\n"),
    "in a branch": ("if True:\n    def f():\n        return '''a\n  b'''", "print(f())", "a\n  b\n"),
    "decorated": (
        "import functools\n@functools.lru_cache\ndef f(x):\n    return x",
        "print(f(4), f.cache_info().hits)",
        "4 0\n",
    ),
    "own decorator": (
        "def twice(f):\n    return lambda x: f(f(x))\n@twice\ndef f(x):\n    return x + 1",
        "print(f(1))",
        "3\n",
    ),
    "default from a constant": ("N = 3\ndef f(x=N):\n    return x", "print(f())", "3\n"),
    "async": ("async def f(p):\n    return await llm_query(p)", "print(await f('a'))", "re: a\n"),
    "generator": ("def f():\n    yield from [1, 2]", "print(list(f()))", "[1, 2]\n"),
    "partial": (
        "import functools\ndef f(a, b):\n    return a - b\ng = functools.partial(f, 9)",
        "print(g(4))",
        "5\n",
    ),
    "in a container": (
        "fs = {'x': 1}\ndef f():\n    return fs",
        "fs['y'] = 2\nprint(f())",
        "{'x': 1, 'y': 2}\n",
    ),
    "imports inside": ("def f():\n    import math\n    return math.floor(1.5)", "print(f())", "1\n"),
}


@pytest.mark.parametrize(("first", "second", "printed"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_are_kept_by_their_source(first: str, second: str, printed: str) -> None:
    assert carried(first, second) == printed


@pytest.mark.parametrize(("first", "second", "printed"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_are_kept_over_many_steps(first: str, second: str, printed: str) -> None:
    result = run(first, "text")
    for _ in range(3):
        result = next_step(result, "pass", "text")
        assert result.not_kept == ()
    assert next_step(result, second, "text").stdout == printed


CLASSES = {
    "instance": (
        "class A:\n    def __init__(self, n):\n        self.n = n\na = A([1])",
        "print(a.n, type(a) is A)",
        "[1] True\n",
    ),
    "subclass": (
        "class A:\n    k = 1\nclass B(A):\n    pass\nb = B()",
        "print(b.k, isinstance(b, A))",
        "1 True\n",
    ),
    "dataclass": (
        "from dataclasses import dataclass, field\n@dataclass\nclass P:\n    x: int\n"
        "    y: list = field(default_factory=list)\np = P(1, [2])\ndel dataclass, field",
        "print(p, p == P(1, [2]))",
        "P(x=1, y=[2]) True\n",
    ),
    "namedtuple": (
        "import collections\nP = collections.namedtuple('P', 'x y')\np = [P(1, 2)]",
        "print(p, p[0].y)",
        "[P(x=1, y=2)] 2\n",
    ),
    "enum": ("import enum\nclass C(enum.Enum):\n    RED = 1\nc = C.RED", "print(c is C.RED)", "True\n"),
    "exception": (
        "class Bad(Exception):\n    pass",
        "try:\n    raise Bad('x')\nexcept Bad as e:\n    print(e)",
        "x\n",
    ),
}


@pytest.mark.parametrize(("first", "second", "printed"), CLASSES.values(), ids=CLASSES)
def test_classes_and_simple_instances_are_kept(first: str, second: str, printed: str) -> None:
    if first.startswith("from dataclasses"):
        first = first.replace("from dataclasses import dataclass, field", "import dataclasses")
        first = first.replace("@dataclass\n", "@dataclasses.dataclass\n").replace(
            "= field(", "= dataclasses.field("
        )
        first = first.removesuffix("\ndel dataclass, field")
    assert carried(first, second) == printed


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("g = (n for n in [1])", "g: it is a generator, which runs once; keep list(...) of it"),
        (
            "def make():\n    n = 1\n    return lambda: n\nf = make()",
            "f: it is a function that uses variables",
        ),
        ("x = []; x.append(x)", "x: it contains itself"),
        ("m = re.search('a', 'a')", "m: it is of the class Match"),
        ("context = 'mine'", "context: the name is taken"),
        ("class Evil:\n    __slots__ = ()\n    def __getattr__(self, n):\n        1/0\ne = Evil()", "e: "),
    ],
)
def test_what_is_not_kept_is_named_with_why(code: str, why: str) -> None:
    result = run(code, "text")
    assert result.error is None
    assert [lost for lost in result.not_kept if lost.startswith(why)], result.not_kept


def test_a_name_imported_from_a_module_is_kept() -> None:
    first = (
        "from collections import Counter, defaultdict\nfrom math import sqrt\n"
        "from datetime import datetime\nfrom re import findall"
    )
    second = (
        "print(Counter('a'), sqrt(4), datetime(2024, 1, 2).year, findall('a', 'aa'), defaultdict(int)['x'])"
    )
    assert carried(first, second) == "Counter({'a': 1}) 2.0 2024 ['a', 'a'] 0\n"


def test_long_text_that_was_read_is_kept_by_reference() -> None:
    text = "".join(f"line {n} žluť\n" for n in range(5_000))
    before = run("chunks = [context[0][i : i + 1000] for i in range(0, len(context[0]), 1000)]", text)
    assert len(json.dumps(before.variables)) < 5_000
    after = next_step(before, "print(''.join(chunks) == context[0].text, rlm_query('q', chunks[1]))", text)
    assert after.stdout == "True re: q\n"


def test_variables_that_are_too_large_are_named_and_the_others_kept() -> None:
    result = run("big = 'x' * 5000; small = 'y' * 100", "t", limits=StepLimits(state_chars=1000))
    assert list(result.variables) == ["small"]
    assert result.not_kept[0].startswith("big: it is longer than the 1,000 characters")


def test_very_many_names_are_said_to_be_too_many() -> None:
    result = run("for n in range(1500): globals()[f'v{n}'] = n", "t")
    assert (len(result.variables), len(result.not_kept)) == (1_000, 1)
    assert "501 more names" in result.not_kept[0]


@pytest.mark.parametrize(
    "value", ["list(range(3_000_000))", "'é' * 20_000_000", "[['x' * 99] * 10**5] * 10**4"]
)
def test_a_huge_value_is_given_up_early(value: str) -> None:
    result = run(f"x = {value}; y = 1", "t")
    assert (result.error, list(result.variables)) == (None, ["y"])
    assert [lost[:40] for lost in result.not_kept] == ["x: it is longer than the 500,000 charact"]


def test_of_variables_that_do_not_fit_together_the_largest_go() -> None:
    result = run("a = 'x' * 600; b = 'y' * 700; c = 'z' * 100", "t", limits=StepLimits(state_chars=1000))
    assert list(result.variables) == ["a", "c"]
    assert result.not_kept[0].startswith("b: 702 characters")


def test_variables_survive_a_failed_step_but_not_a_step_that_never_began() -> None:
    first = run("x = 1\n1/0", "t")
    assert first.error is not None
    assert next_step(first, "print(x)", "t").stdout == "1\n"
    broken = next_step(first, "x = 2 +", "t")
    assert (broken.error is not None, broken.variables) == (True, first.variables)


def test_deleting_a_variable_forgets_it() -> None:
    assert "x" not in next_step(run("x = 1; y = 2", "t"), "del x", "t").variables


def test_a_function_that_cannot_be_made_again_is_named() -> None:
    first = run("N = 3\ndef f(x=N):\n    return x\nFINAL_LATER = 1", "t")
    second = next_step(first, "del N", "t")
    third = next_step(second, "print('on')", "t")
    assert third.stdout == "on\n"
    assert third.not_kept[0].startswith("f: could not be made again, NameError")


def test_tools_mean_the_same_in_every_step() -> None:
    first = run("history = ['mine']; ctx = 'cut'; llm_query = None", "t")
    second = next_step(first, "print(history, ctx, llm_query('p'))", "t")
    assert second.stdout == "['mine'] cut re: p\n"


def test_show_vars_lists_what_code_made() -> None:
    assert run("x = [1, 2]; y = 'a'; SHOW_VARS()", "t").stdout == "x: list, length 2\ny: str, length 1\n"
    assert run("print(SHOW_VARS())", "t").stdout == "There are no variables yet.\n"
