"""Substitutes for what is not deterministic or not pure in the modules that step code may import."""

from __future__ import annotations

import ast
import calendar
import contextlib
import datetime
import importlib
import io
import operator
import random
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NoReturn

from rlm_rs.sandbox import step_re
from rlm_rs.sandbox.failure import described
from rlm_rs.sandbox.output import Output, stream
from rlm_rs.sandbox.policy import INTERNALS

# datetime.strptime imports it when first called, which a locked process could not do
importlib.import_module("_strptime")

Names = Mapping[str, Any]


def substitutes(
    seed: str, output: Output, code: str, more: Mapping[str, Callable[[], Names]]
) -> dict[str, Callable[[], Names]]:
    """Per module, what makes the names that differ from the real one.

    seed: for `random` and `uuid4`. code: the step's own, quoted by `traceback`. more: modules whose
    names are made elsewhere.
    """
    randomness = cache(lambda: _seeded(seed))
    return {
        "ast": lambda: {"literal_eval": ast.literal_eval},
        "concurrent": dict,
        "datetime": lambda: {"date": Date, "datetime": DateTime},
        "io": lambda: {"StringIO": io.StringIO, "BytesIO": io.BytesIO},
        "operator": lambda: {"attrgetter": attrgetter, "methodcaller": methodcaller},
        "random": lambda: _random_names(randomness()),
        "re": step_re.names,
        "sys": lambda: _sys_names(output),
        "time": _time_names,
        "traceback": lambda: _traceback_names(output, code),
        "urllib": dict,
        "uuid": lambda: _uuid_names(randomness()()),
        "warnings": _warnings_names,
        **more,
    }


def _no_clock(*_args: Any, **_options: Any) -> NoReturn:
    raise RuntimeError(
        "a step has no clock, so that it can be repeated; if the date matters, take it from the question"
    )


class _Like(type):
    """Instances of the real class count as instances of its substitute."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.__mro__[1])


class Date(datetime.date, metaclass=_Like):
    """`datetime.date` without today."""

    today = classmethod(_no_clock)


class DateTime(datetime.datetime, metaclass=_Like):
    """`datetime.datetime` without now; local time is UTC."""

    now = utcnow = today = classmethod(_no_clock)

    @classmethod
    def fromtimestamp(cls, timestamp: float, tz: datetime.tzinfo | None = None) -> DateTime:
        """The time of a POSIX timestamp, in UTC unless `tz` is given."""
        moment = super().fromtimestamp(timestamp, tz or datetime.UTC)
        return moment if tz else moment.replace(tzinfo=None)


for _class, _name in ((Date, "date"), (DateTime, "datetime")):
    _class.__name__ = _class.__qualname__ = _name
    _class.__module__ = "datetime"


def methodcaller(name: str, /, *args: Any, **options: Any) -> Callable[[Any], Any]:
    """`operator.methodcaller`, but not for what belongs to the interpreter."""
    attrgetter(name)
    return operator.methodcaller(name, *args, **options)


def attrgetter(*names: str) -> Callable[[Any], Any]:
    """`operator.attrgetter`, but not for what belongs to the interpreter."""
    for name in names:
        refused = INTERNALS.intersection(name.split("."))
        if refused:
            raise AttributeError(f"the attribute {min(refused)} is not available")
    return operator.attrgetter(*names)


def _seeded(seed: str) -> type[random.Random]:
    class Random(random.Random):
        """`random.Random`, seeded by execution and turn unless given a seed."""

        def __new__(cls, x: Any = None) -> Random:
            return super().__new__(cls, 0)  # type: ignore[call-arg]  # without a number it would ask the system for one

        def seed(self, a: Any = None, version: int = 2) -> None:
            super().seed(seed if a is None else a, version)

    return Random


def _random_names(randomness: type[random.Random]) -> Names:
    shared = randomness()
    names = {name: getattr(shared, name) for name in random.__all__ if hasattr(shared, name)}
    return names | {"Random": randomness, "SystemRandom": randomness}


def _uuid_names(source: random.Random) -> Names:
    return {
        "uuid1": _no_clock,
        "uuid4": lambda: uuid.UUID(int=source.getrandbits(128), version=4),
        "getnode": _no_clock,
    }


def _no_sleep(_seconds: float = 0) -> NoReturn:
    raise RuntimeError(
        "a step cannot sleep; there is nothing to wait for, sub-calls return when they are answered"
    )


def _time_names() -> Names:
    zero = {name: lambda: 0.0 for name in ("perf_counter", "monotonic", "process_time", "thread_time")}
    zero_ns = {f"{name}_ns": lambda: 0 for name in zero}
    refused = dict.fromkeys(("time", "time_ns", "ctime", "clock_gettime", "clock_gettime_ns"), _no_clock)
    hidden = dict.fromkeys(("clock_settime", "clock_settime_ns", "tzset", "pthread_getcpuclockid"), _no_clock)
    return {
        **zero,
        **zero_ns,
        **refused,
        **hidden,
        "sleep": _no_sleep,
        "gmtime": _given(time.gmtime),
        "localtime": _given(time.gmtime),
        "mktime": calendar.timegm,
        "strftime": lambda format, t: time.strftime(format, t),
        "asctime": _given(time.asctime),
        "timezone": 0,
        "tzname": ("UTC", "UTC"),
    }


def _given(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda value=None: _no_clock() if value is None else function(value)


def _exit(code: object = None) -> NoReturn:
    """End the step here."""
    raise SystemExit(code)


def _sys_names(output: Output) -> Names:
    return {
        "argv": [""],
        "byteorder": sys.byteorder,
        "exit": _exit,
        "float_info": sys.float_info,
        "getrecursionlimit": sys.getrecursionlimit,
        "getsizeof": sys.getsizeof,
        "int_info": sys.int_info,
        "intern": sys.intern,
        "maxsize": sys.maxsize,
        "maxunicode": sys.maxunicode,
        "platform": sys.platform,
        "setrecursionlimit": lambda limit: None,
        "stderr": stream(output),
        "stdout": stream(output),
        "version": sys.version,
        "version_info": sys.version_info,
    }


def _traceback_names(output: Output, code: str) -> Names:
    def format_exc(*_args: Any, **_options: Any) -> str:
        """The error being handled, with the lines of the step's own code."""
        error = sys.exc_info()[1]
        return "None\n" if error is None else described(error, code) + "\n"

    return {"format_exc": format_exc, "print_exc": lambda *_args, **_options: output.write(format_exc())}


def _warnings_names() -> Names:
    ignore = lambda *_args, **_options: None  # noqa: E731
    return {
        "catch_warnings": lambda *_args, **_options: contextlib.nullcontext([]),
        "filterwarnings": ignore,
        "simplefilter": ignore,
        "warn": ignore,
    }
