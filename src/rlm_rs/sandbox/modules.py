"""What step code can import: pure modules, each as a copy that shows its public names only.

Where the real module reads a clock, the system or a file, the copy has a substitute that is deterministic or
says what to do instead (`substitutes`).
"""

from __future__ import annotations

import abc
import array
import base64
import binascii
import bisect
import calendar
import cmath
import collections
import collections.abc
import contextlib
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import enum
import fractions
import functools
import graphlib
import hashlib
import heapq
import html
import html.entities
import html.parser
import itertools
import json
import keyword
import math
import numbers
import operator
import pprint
import random
import re
import statistics
import string
import struct
import sys
import textwrap
import time
import types
import typing
import unicodedata
import urllib.parse
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

_PLAIN: dict[str, ModuleType] = {
    module.__name__: module
    for module in (
        abc, array, base64, binascii, bisect, calendar, cmath, collections, contextlib, copy, csv,
        dataclasses, decimal, difflib, enum, fractions, functools, graphlib, hashlib, heapq, html, itertools,
        json, keyword, math, numbers, pprint, statistics, struct, textwrap, typing, unicodedata, zlib,
    )
}  # fmt: skip
_PLAIN |= {
    "collections.abc": collections.abc,
    "html.entities": html.entities,
    "html.parser": html.parser,
    "urllib.parse": urllib.parse,
}

_REPLACED: dict[str, ModuleType | None] = {
    "ast": None,
    "asyncio": None,
    "concurrent": None,
    "concurrent.futures": None,
    "datetime": datetime,
    "io": None,
    "operator": operator,
    "random": random,
    "re": re,
    "sys": None,
    "time": time,
    "traceback": None,
    "urllib": None,
    "uuid": uuid,
    "warnings": None,
}
"""Modules whose public names are changed or chosen by `substitutes`; None where all of them are."""

_CHOSEN: dict[str, tuple[ModuleType, str]] = {
    "string": (
        string,
        "ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits printable "
        "punctuation whitespace Template",
    ),
    "types": (types, "GenericAlias MappingProxyType NoneType SimpleNamespace UnionType new_class"),
}
"""Modules of which only these names are shown."""

NAMES = tuple(sorted({*_PLAIN, *_REPLACED, *_CHOSEN} - {"concurrent", "urllib"}))

_HINTS = {
    "os": "there are no files or environment here",
    "pathlib": "there are no files here; the documents are in context",
    "numpy": "use statistics, math and lists",
    "pandas": "use csv, collections and lists of dicts",
    "requests": "there is no network here; the documents are in context",
    "threading": "use llm_query_batched for many sub-calls at once",
    "multiprocessing": "use llm_query_batched for many sub-calls at once",
    "pickle": "variables are kept between steps by themselves; use json",
    "logging": "use print",
    "nltk": "use re and str methods",
    "tiktoken": "count len(text) // 4 for tokens",
}


def importable(name: str) -> bool:
    """Whether step code may import a module of that name."""
    return name == "__future__" or name in _PLAIN or name in _REPLACED or name in _CHOSEN


def refusal(name: str) -> str:
    """Why a module cannot be imported and what there is."""
    hint = _HINTS.get(name.partition(".")[0])
    return f"there is no module {name} here{f' ({hint})' if hint else ''}. Importable: {', '.join(NAMES)}."


class Importer:
    """The `__import__` of one step."""

    def __init__(self, substitutes: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        """`substitutes` makes, per module name, the names that differ from the real module's."""
        self._substitutes = substitutes
        self._made: dict[str, ModuleType] = {}

    def __call__(
        self,
        name: str,
        _globals: object = None,
        _locals: object = None,
        fromlist: Iterable[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if isinstance(fromlist, list) and not fromlist and name in sys.modules:
            return ModuleType(name)  # C code importing for itself: it takes the real one from sys.modules
        if level or not isinstance(name, str) or not importable(name):
            raise ImportError(refusal("." * level + str(name)))
        module = self.module(name)
        for member in fromlist or ():
            if f"{name}.{member}" in _PLAIN:
                self.module(f"{name}.{member}")
        return module if fromlist else self.module(name.partition(".")[0])

    def module(self, name: str) -> ModuleType:
        """The step's copy of a module; a submodule also becomes an attribute of its package."""
        if name not in self._made:
            self._made[name] = _shown(name, self._names(name))
            package, _, member = name.rpartition(".")
            if package:
                setattr(self.module(package), member, self._made[name])
        return self._made[name]

    def place_of(self, value: Any) -> tuple[str, str] | None:
        """The module and name under which step code imported `value`, if it did."""
        for module in self._made.values():
            for name, member in vars(module).items():
                if member is value:
                    return module.__name__, name
        return None

    def _names(self, name: str) -> dict[str, Any]:
        if name == "__future__":
            return {"annotations": None}
        if name in _CHOSEN:
            real, chosen = _CHOSEN[name]
            return {member: getattr(real, member) for member in chosen.split()}
        whole = _PLAIN.get(name) or _REPLACED.get(name)
        public = dict(_public(whole)) if whole else {}
        return public | dict(self._substitutes[name]()) if name in _REPLACED else public


_EVALUATING = frozenset({"get_type_hints", "ForwardRef", "singledispatch", "singledispatchmethod"})
"""Public names of plain modules that run text as code."""


def _shown(name: str, members: Mapping[str, Any]) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(members)
    return module


def prepare() -> None:
    """Look up what modules show, ahead of use."""
    for module in _PLAIN.values():
        _public(module)


@functools.cache
def _public(module: ModuleType) -> Mapping[str, Any]:
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    members = {name: getattr(module, name) for name in names if name not in _EVALUATING}
    return {name: value for name, value in members.items() if not isinstance(value, ModuleType)}
