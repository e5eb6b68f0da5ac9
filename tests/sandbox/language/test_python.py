"""Ordinary Python in a step: what runs, what can be imported, what is refused and how."""

from __future__ import annotations

import pytest

from rlm_rs.sandbox.modules import NAMES

from .steps import failure, output, run

PROGRAMS = {
    "classes": (
        "class A:\n    x = 1\n    @property\n    def y(self):\n"
        "        return self.x + 1\nclass B(A):\n    pass\nprint(B().y)",
        "2",
    ),
    "closures": (
        "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n"
        "        return n\n    return g\ng = f(); g(); print(g())",
        "2",
    ),
    "global": ("n = 1\ndef f():\n    global n\n    n = 5\nf(); print(n)", "5"),
    "match": ("match {'a': [1, 2]}:\n    case {'a': [x, *_]}:\n        print(x)", "1"),
    "with": (
        "import contextlib\n@contextlib.contextmanager\ndef c():\n    yield 3\nwith c() as x:\n    print(x)",
        "3",
    ),
    "generators": ("print(list(x * x for x in range(3)), *(y for y in 'ab'))", "[0, 1, 4] a b"),
    "errors": (
        "class E(ValueError):\n    pass\ntry:\n    raise E('x') from KeyError('k')\n"
        "except* E as group:\n    print(len(group.exceptions))",
        "1",
    ),
    "walrus": ("if (n := 5) > 3: print(f'{n=} {n:03d} {n!r:>3}')", "n=5 005   5"),
    "builtins": (
        "print(ord('a'), chr(98), divmod(7, 2), next(iter([1])), pow(2, 3), "
        "type(1).__name__, callable(print))",
        "97 b (3, 1) 1 8 int True",
    ),
    "names": (
        "print('x' in globals(), __name__, [n for n in dir([]) if n == 'sort'], "
        "vars(type('T', (), {'a': 1})).get('a'))",
        "False __main__ ['sort'] 1",
    ),
    "sorting": (
        "print(sorted('bca', key=lambda c: -ord(c)), {*'aa'}, dict(zip('ab', [1, 2])))",
        "['c', 'b', 'a'] {'a'} {'a': 1, 'b': 2}",
    ),
    "typed": (
        "from __future__ import annotations\nfrom typing import Any\n"
        "def f(x: Any) -> int:\n    return 1\nprint(f(0), f.__name__)",
        "1 f",
    ),
    "dunders": (
        "class A:\n    def __init__(self): self.v = 1\n"
        "    def __eq__(self, o): return self.__class__ is o.__class__\n"
        "print(A() == A(), A().__dict__)",
        "True {'v': 1}",
    ),
    "ready modules": (
        "print(json.dumps({'a': 1}), math.floor(1.5), re.sub('a', 'b', 'a'), collections.Counter('aa')['a'])",
        '{"a": 1} 1 b 2',
    ),
    "star": ("from math import *\nprint(floor(2.5), pi > 3)", "2 True"),
    "submodules": (
        "import collections.abc, urllib.parse\n"
        "print(isinstance([], collections.abc.Sequence), urllib.parse.quote('a b'))",
        "True a%20b",
    ),
    "from package": (
        "from urllib import parse\nfrom concurrent import futures\n"
        "print(parse.unquote('%41'), futures.ThreadPoolExecutor is not None)",
        "A True",
    ),
    "optional": ("try:\n    import numpy as np\nexcept ImportError:\n    np = None\nprint(np)", "None"),
    "eval in data": ("import ast\nprint(ast.literal_eval('[1, (2,)]'))", "[1, (2,)]"),
    "string io": (
        "import io, csv\nb = io.StringIO(); csv.writer(b).writerow([1, 'a,b']); print(b.getvalue().strip())",
        '1,"a,b"',
    ),
    "print to": (
        "import sys, io\nb = io.StringIO()\nprint('x', file=b)\n"
        "print('y', file=sys.stderr, flush=True)\nprint(b.getvalue(), end='')",
        "y\nx",
    ),
    "dates": (
        "from datetime import datetime, date, timedelta\n"
        "d = datetime.strptime('2024-05-06', '%Y-%m-%d')\n"
        "print(d + timedelta(days=1), isinstance(d, date), isinstance(d.date(), date), d.date() "
        "- date(2024, 5, 1))",
        "2024-05-07 00:00:00 True True 5 days, 0:00:00",
    ),
    "utc": (
        "from datetime import datetime\nimport time\n"
        "print(datetime.fromtimestamp(0), time.gmtime(0).tm_year, time.strftime('%Y', time.gmtime(0)))",
        "1970-01-01 00:00:00 1970 1970",
    ),
    "durations": ("import time\nprint(time.perf_counter() - time.monotonic())", "0.0"),
    "traceback": (
        "import traceback\ntry:\n    1/0\nexcept Exception:\n    print(traceback.format_exc())",
        "line 3\n    1/0\nZeroDivisionError: division by zero\n",
    ),
    "exit": ("print('a')\nexit()\nprint('b')", "a"),
    "sys exit": ("import sys\nsys.exit(1)", None),
    "own open": ("def open(x):\n    return x + 1\nprint(open(1))", "2"),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 1\nprint(P())",
        "P(x=1)",
    ),
    "named escapes": (r"print('\N{GREEK SMALL LETTER ALPHA}', 'é'.encode('latin-1'))", r"α b'\xe9'"),
    "shadowed": ("list = [1]\nprint(list)", "[1]"),
}


@pytest.mark.parametrize(("code", "printed"), PROGRAMS.values(), ids=PROGRAMS)
def test_ordinary_python_runs(code: str, printed: str | None) -> None:
    assert output(code, "text") == ("" if printed is None else printed + "\n")


@pytest.mark.parametrize("name", NAMES)
def test_every_module_that_is_named_can_be_imported(name: str) -> None:
    assert output(f"import {name}\nfrom {name} import *\nprint('ok')", "t") == "ok\n"


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("x = 1\nimport os", 2, "os"),
        ("from pathlib import Path", 1, "documents are in context"),
        ("import numpy as np", 1, "statistics"),
        ("import os.path", 1, "os.path"),
        ("from . import x", 1, "Importable: abc"),
        ("def f():\n    import subprocess", 2, "subprocess"),
        ("data = open('x').read()", 1, "context[i][start:end]"),
        ("eval('1')", 1, "literal_eval"),
        ("exec('1')", 1, "statements"),
        ("input('?')", 1, "nobody can answer"),
        ("__import__('os')", 1, "import statement"),
        ("print(().__class__.__base__.__subclasses__())", 1, "__subclasses__"),
        ("g = (x for x in [1])\ng.gi_frame", 2, "gi_frame"),
        ("try:\n    1/0\nexcept Exception as e:\n    e.__traceback__", 4, "__traceback__"),
        ("match 1:\n    case object(__globals__=x):\n        pass", 2, "__globals__"),
        ("f = lambda: 0\nf.__code__", 2, "__code__"),
    ],
)
def test_what_is_refused_is_refused_before_anything_runs(code: str, line: int, said: str) -> None:
    result = run("print('began')\n" + code, "text")
    assert result.error is not None
    assert (result.error.code, result.error.line, result.stdout) == ("SANDBOX_AST_REJECTED", line + 1, "")
    assert said in result.error.message


@pytest.mark.parametrize(
    "code",
    [
        "getattr(print, '__globals__')",
        "getattr((x for x in []), 'gi_' + 'frame')",
        "import operator\noperator.attrgetter('a.__globals__')",
        "try:\n    import os\nexcept ValueError:\n    pass",
        "__builtins__['open']('x')",
        "import operator\noperator.methodcaller('__getattribute__', '__globals__')(print)",
        "import typing\ntyping.get_type_hints",
        "class T:\n    __match_args__ = ('tb_frame',)",
        "import importlib",
        "from os import path",
        "import typing\ntyping.sys",
        "import json\njson.codecs",
        "import re\nre._parser",
        "import random\nrandom._os",
    ],
)
def test_detours_fail_too(code: str) -> None:
    assert failure(code, "text").code in ("STEP_ERROR", "SANDBOX_AST_REJECTED")


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "import time\ntime.sleep(1)",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import date\ndate.today()",
        "import datetime\ndatetime.datetime.utcnow()",
        "import time\ntime.localtime()",
        "import uuid\nuuid.uuid1()",
    ],
)
def test_there_is_no_clock(code: str) -> None:
    message = failure(code, "text").message
    assert "no clock" in message or "cannot sleep" in message


def test_the_hash_of_a_step_is_that_of_any_step() -> None:
    assert output("print(len({object() for n in range(3)}))", "t") == "3\n"


def test_one_step_does_not_change_another() -> None:
    run("import json, math\njson.dumps = None\nmath.pi = 3\n__builtins__['len'] = None", "t")
    assert output("import json, math\nprint(json.dumps(1), math.pi > 3.1, len('a'))", "t") == "1 True 1\n"
