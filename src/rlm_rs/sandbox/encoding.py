"""Values of step code as JSON and back: what JSON has as itself, the rest tagged by `"$"`.

There is no pickle: a value is rebuilt from data, or from the source of its class.
"""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import enum
import fractions
import functools
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rlm_rs.sandbox.context import ContextView, DocView, source_of
from rlm_rs.sandbox.definitions import Definitions, Source
from rlm_rs.sandbox.limits import NESTING
from rlm_rs.sandbox.modules import Importer
from rlm_rs.sandbox.output import readable
from rlm_rs.sandbox.protocol import View
from rlm_rs.sandbox.shelf import Shelf
from rlm_rs.sandbox.step_re import Pattern
from rlm_rs.sandbox.substitutes import Date, DateTime

TAG = "$"

_SLICE_CHARS = 200
"""Text at least this long that was read from a document is kept as the range it came from."""

_FACTORIES: dict[str, Any] = {kind.__name__: kind for kind in (list, dict, set, tuple, int, float, str, bool)}


class NotKept(Exception):
    """The value has no form that could be kept; the message says why."""


class Given:
    """What code did not make itself: names it was given, builtins, and what it imported."""

    def __init__(self, names: Mapping[str, Any], importer: Importer) -> None:
        self._names = {"": names, "builtins": names["__builtins__"]}
        self._importer = importer

    def place_of(self, value: Any) -> tuple[str, str] | None:
        """The module (empty for a given name) and name of a value; None if code made it."""
        for module, names in self._names.items():
            for name, member in names.items():
                if member is value:
                    return module, name
        return self._importer.place_of(value)

    def at(self, module: str, name: str) -> Any:
        """The value at a place."""
        if module in self._names:
            return self._names[module][name]
        return getattr(self._importer.module(module), name)

    def module(self, name: str) -> Any:
        """A module."""
        return self._importer.module(name)


class Encoder:
    """Turns values into JSON."""

    def __init__(
        self,
        shelf: Shelf,
        definitions: Definitions,
        namespace: Mapping[str, Any],
        given: Given,
        max_chars: int,
    ) -> None:
        """`max_chars` bounds the JSON of one value, so that no more than that is ever made of it."""
        self._max_chars = self._room = max_chars
        self._shelf = shelf
        self._definitions = definitions
        self._given = given
        self._classes = {id(value): name for name, value in namespace.items() if isinstance(value, type)}

    def encode(self, name: str, value: Any) -> Any:
        """The value of the global `name` as JSON. Raises `NotKept`."""
        self._room = self._max_chars
        defined = self._definition(name, value)
        return self._encode(value, ()) if defined is None else defined

    def _definition(self, name: str, value: Any) -> Any:
        if not callable(value) or isinstance(value, (DocView, ContextView, functools.partial)):
            return None
        source = self._definitions.of(name, value)
        if source is not None:
            return {TAG: "source", "name": source.name, "text": readable(source.text)}
        place = self._given.place_of(value)
        if place is not None:
            return {TAG: "given", "module": place[0], "name": place[1]}
        if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
            return {TAG: "namedtuple", "name": value.__name__, "fields": list(value._fields)}
        return None

    def _encode(self, value: Any, inside: tuple[int, ...]) -> Any:
        kind = type(value)
        self._take(2)
        if value is None or kind is bool:
            return value
        if issubclass(kind, enum.Enum):
            return self._of_class(kind, {TAG: "member", "name": value.name})
        if issubclass(kind, str):
            return self._text(str.__str__(value))
        if kind in _SCALARS:
            return _SCALARS[kind](value)
        if issubclass(kind, DocView):
            return {TAG: "document", "position": source_of(value).position}
        if issubclass(kind, types.ModuleType):
            return {TAG: "module", "name": value.__name__}
        if id(value) in inside:
            raise NotKept("it contains itself")
        if len(inside) >= NESTING:
            raise NotKept(f"it is nested more than {NESTING} deep")
        return self._structured(kind, value, (*inside, id(value)))

    def _text(self, text: str) -> Any:
        origin = self._shelf.origin(text) if len(text) >= _SLICE_CHARS else None
        if origin is None:
            self._take(len(text))
            return readable(text)
        return {TAG: "slice", "of": [origin.doc_index, origin.start_char, origin.end_char]}

    def _take(self, chars: int) -> None:
        self._room -= chars
        if self._room < 0:
            raise NotKept(
                f"it is longer than the {self._max_chars:,} characters that all variables together may take. "
                "Keep offsets, not text"
            )

    def _structured(self, kind: type, value: Any, inside: tuple[int, ...]) -> Any:
        if issubclass(kind, list):
            return self._each(value, inside)
        if issubclass(kind, dict):
            return self._mapping(kind, value, inside)
        if kind in (tuple, set, frozenset):
            return {TAG: kind.__name__, "of": self._each(value, inside)}
        if kind is collections.deque:
            return {TAG: "deque", "of": self._each(value, inside), "maxlen": value.maxlen}
        if kind is functools.partial:
            return {
                TAG: "partial",
                "of": [
                    self._function(value.func),
                    self._each(value.args, inside),
                    self._encode(value.keywords, inside),
                ],
            }
        if kind is types.SimpleNamespace:
            return {TAG: "namespace", "of": self._encode(vars(value), inside)}
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return self._of_class(kind, {TAG: "record", "of": self._each(value, inside)})
        return self._instance(kind, value, inside)

    def _each(self, items: Iterable[Any], inside: tuple[int, ...]) -> list[Any]:
        return [self._encode(item, inside) for item in items]

    def _mapping(self, kind: type, value: dict[Any, Any], inside: tuple[int, ...]) -> Any:
        if kind is dict and TAG not in value and all(type(key) is str for key in value):
            return {readable(key): self._encode(item, inside) for key, item in value.items()}
        pairs = [[self._encode(key, inside), self._encode(item, inside)] for key, item in value.items()]
        if kind is collections.defaultdict:
            return {TAG: "defaultdict", "of": pairs, "factory": self._factory(value)}
        names = {dict: "dict", collections.Counter: "counter", collections.OrderedDict: "ordereddict"}
        if kind not in names:
            raise NotKept(f"it is of the class {kind.__name__}, made from dict")
        return {TAG: names[kind], "of": pairs}

    def _factory(self, value: Any) -> Any:
        factory = value.default_factory
        if factory is None:
            return None
        name = getattr(factory, "__name__", "")
        if _FACTORIES.get(name) is factory:
            return name
        return self._function(factory)

    def _function(self, function: Any) -> Any:
        defined = self._definition(getattr(function, "__name__", ""), function)
        if defined is None:
            raise NotKept("it holds a function whose source is not known")
        return defined

    def _instance(self, kind: type, value: Any, inside: tuple[int, ...]) -> Any:
        simple = kind.__module__ == "__main__" and hasattr(value, "__dict__")
        if not simple or issubclass(kind, (BaseException, int, float, bytes, set, frozenset, tuple)):
            raise NotKept(_why_not(kind, value))
        return self._of_class(kind, {TAG: "instance", "of": self._encode(vars(value), inside)})

    def _of_class(self, kind: type, encoded: dict[str, Any]) -> dict[str, Any]:
        if id(kind) not in self._classes:
            raise NotKept(f"its class {kind.__name__} is not a variable of its own")
        return encoded | {"class": self._classes[id(kind)]}


def _why_not(kind: type, value: Any) -> str:
    if issubclass(kind, types.FunctionType):
        return "it is a function that uses variables of the function around it, or whose source is not known"
    if hasattr(value, "__next__"):
        return f"it is a {kind.__name__}, which runs once; keep list(...) of it"
    return f"it is of the class {kind.__name__}; keep its data as text, numbers, lists and dicts"


def _integer(value: int) -> Any:
    return value if -(1 << 63) <= value < 1 << 63 else {TAG: "int", "hex": hex(value)}


def _float(value: float) -> Any:
    return value if math.isfinite(value) else {TAG: "float", "text": repr(value)}


def _tagged(tag: str, text_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: {TAG: tag, "text": text_of(value)}


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_SCALARS: dict[type, Callable[[Any], Any]] = {
    int: _integer,
    float: _float,
    complex: lambda value: {TAG: "complex", "of": [_float(value.real), _float(value.imag)]},
    bytes: _tagged("bytes", _base64),
    bytearray: _tagged("bytearray", _base64),
    range: lambda value: {
        TAG: "range",
        "of": [_integer(value.start), _integer(value.stop), _integer(value.step)],
    },
    slice: lambda value: {TAG: "range_of", "of": [value.start, value.stop, value.step]},
    decimal.Decimal: _tagged("decimal", str),
    fractions.Fraction: lambda value: {
        TAG: "fraction",
        "of": [_integer(value.numerator), _integer(value.denominator)],
    },
    datetime.timedelta: lambda value: {
        TAG: "timedelta",
        "of": [value.days, value.seconds, value.microseconds],
    },
    datetime.time: _tagged("time", str),
    datetime.date: _tagged("date", str),
    Date: _tagged("date", str),
    datetime.datetime: _tagged("datetime", str),
    DateTime: _tagged("datetime", str),
    datetime.timezone: lambda value: {
        TAG: "timezone",
        "of": _SCALARS[datetime.timedelta](value.utcoffset(None)),
    },
    re.Pattern: lambda value: _pattern(value),
    Pattern: lambda value: _pattern(value),
}


def _pattern(value: Any) -> Any:
    if not isinstance(value.pattern, str):
        raise NotKept("it is a pattern for bytes")
    return {TAG: "pattern", "text": readable(value.pattern), "flags": value.flags & ~re.UNICODE}


class Decoder:
    """Rebuilds values in the namespace of a step."""

    def __init__(
        self, shelf: Shelf, definitions: Definitions, namespace: dict[str, Any], given: Given
    ) -> None:
        self._shelf = shelf
        self._definitions = definitions
        self._namespace = namespace
        self._given = given

    def decode(self, encoded: Any) -> Any:
        """The value. Raises whatever a class or source of step code raises."""
        if isinstance(encoded, list):
            return [self.decode(item) for item in encoded]
        if not isinstance(encoded, Mapping):
            return encoded
        if TAG not in encoded:
            return {key: self.decode(item) for key, item in encoded.items()}
        return _DECODERS[encoded[TAG]](self, encoded)

    def items(self, encoded: Mapping[str, Any]) -> Any:
        """What a container holds."""
        return self.decode(encoded["of"])

    def defaultdict(self, encoded: Mapping[str, Any]) -> Any:
        factory = encoded["factory"]
        made = _FACTORIES[factory] if isinstance(factory, str) else self.decode(factory)
        return collections.defaultdict(made, self.items(encoded))

    def partial(self, encoded: Mapping[str, Any]) -> Any:
        function, args, keywords = self.items(encoded)
        return functools.partial(function, *args, **keywords)

    def document(self, encoded: Mapping[str, Any]) -> Any:
        return self._shelf.at(encoded["position"])

    def slice(self, encoded: Mapping[str, Any]) -> str:
        return self._shelf.again(View(*encoded["of"]))

    def module(self, encoded: Mapping[str, Any]) -> Any:
        return self._given.module(encoded["name"])

    def given(self, encoded: Mapping[str, Any]) -> Any:
        return self._given.at(encoded["module"], encoded["name"])

    def source(self, encoded: Mapping[str, Any]) -> Any:
        return self._definitions.make(Source(encoded["name"], encoded["text"]), self._namespace)

    def member(self, encoded: Mapping[str, Any]) -> Any:
        return self._namespace[encoded["class"]][encoded["name"]]

    def record(self, encoded: Mapping[str, Any]) -> Any:
        return self._namespace[encoded["class"]]._make(self.items(encoded))

    def instance(self, encoded: Mapping[str, Any]) -> Any:
        made = object.__new__(self._namespace[encoded["class"]])
        vars(made).update(self.items(encoded))
        return made


_DECODERS: dict[str, Callable[[Decoder, Mapping[str, Any]], Any]] = {
    "tuple": lambda decoder, encoded: tuple(decoder.items(encoded)),
    "set": lambda decoder, encoded: set(decoder.items(encoded)),
    "frozenset": lambda decoder, encoded: frozenset(decoder.items(encoded)),
    "deque": lambda decoder, encoded: collections.deque(decoder.items(encoded), encoded["maxlen"]),
    "dict": lambda decoder, encoded: dict(decoder.items(encoded)),
    "counter": lambda decoder, encoded: collections.Counter(dict(decoder.items(encoded))),
    "ordereddict": lambda decoder, encoded: collections.OrderedDict(decoder.items(encoded)),
    "defaultdict": Decoder.defaultdict,
    "partial": Decoder.partial,
    "namespace": lambda decoder, encoded: types.SimpleNamespace(**decoder.items(encoded)),
    "namedtuple": lambda _, encoded: collections.namedtuple(
        encoded["name"], encoded["fields"], module="__main__"
    ),
    "record": Decoder.record,
    "instance": Decoder.instance,
    "member": Decoder.member,
    "document": Decoder.document,
    "slice": Decoder.slice,
    "module": Decoder.module,
    "source": Decoder.source,
    "given": Decoder.given,
    "int": lambda _, encoded: int(encoded["hex"], 16),
    "float": lambda _, encoded: float(encoded["text"]),
    "complex": lambda decoder, encoded: complex(*decoder.items(encoded)),
    "bytes": lambda _, encoded: base64.b64decode(encoded["text"]),
    "bytearray": lambda _, encoded: bytearray(base64.b64decode(encoded["text"])),
    "range": lambda decoder, encoded: range(*decoder.items(encoded)),
    "range_of": lambda decoder, encoded: slice(*decoder.items(encoded)),
    "decimal": lambda _, encoded: decimal.Decimal(encoded["text"]),
    "fraction": lambda decoder, encoded: fractions.Fraction(*decoder.items(encoded)),
    "timedelta": lambda _, encoded: datetime.timedelta(*encoded["of"]),
    "time": lambda _, encoded: datetime.time.fromisoformat(encoded["text"]),
    "date": lambda _, encoded: Date.fromisoformat(encoded["text"]),
    "datetime": lambda _, encoded: DateTime.fromisoformat(encoded["text"]),
    "timezone": lambda decoder, encoded: datetime.timezone(decoder.items(encoded)),
    "pattern": lambda _, encoded: Pattern(re.compile(encoded["text"], encoded["flags"])),
}

LATE = frozenset({"record", "instance", "member"})
"""Tags of values that need a class of step code to be made first."""
