"""Top-level names that survive from step to step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rlm_rs.sandbox.encoding import LATE, TAG, Decoder, Encoder, NotKept
from rlm_rs.sandbox.protocol import JsonObject

_ORDER = "order"

MAX_NAMES = 1_000
"""Top-level names that are kept."""


def own_names(namespace: Mapping[str, Any], given: Mapping[str, Any], fixed: frozenset[str]) -> list[str]:
    """The names that step code made: not those it was given and left alone, nor the `fixed` ones."""
    return [
        name
        for name, value in namespace.items()
        if not (name.startswith("__") and name.endswith("__"))
        and name not in fixed
        and not (name in given and given[name] is value)
    ]


def kept(
    names: list[str], namespace: Mapping[str, Any], encoder: Encoder, max_chars: int
) -> tuple[dict[str, Any], list[str]]:
    """The variables as JSON, and in words which could not be kept.

    When together they are longer than `max_chars`, the largest are left out; of very many, the last.
    """
    encoded, lost = {}, []
    for order, name in enumerate(names[:MAX_NAMES]):
        try:
            encoded[name] = _ordered(encoder.encode(name, namespace[name]), order)
        except NotKept as reason:
            lost.append(f"{name}: {reason}")
        except Exception as error:  # noqa: BLE001  (an object of step code may answer any question with any error)
            lost.append(f"{name}: looking at it raised {type(error).__name__}")
    too_large = dict(_too_large(encoded, max_chars))
    lost += [
        f"{name}: {size:,} characters; all variables together may take {max_chars:,}. Keep offsets, not text"
        for name, size in too_large.items()
    ]
    if len(names) > MAX_NAMES:
        lost.append(f"{len(names) - MAX_NAMES:,} more names: at most {MAX_NAMES:,} are kept; use a dict")
    return {name: value for name, value in encoded.items() if name not in too_large}, lost


def _ordered(encoded: Any, order: int) -> Any:
    """Definitions carry their order, since a JSON object need not keep its own."""
    is_source = isinstance(encoded, dict) and encoded.get(TAG) == "source"
    return encoded | {_ORDER: order} if is_source else encoded


def _too_large(encoded: Mapping[str, Any], max_chars: int) -> Iterator[tuple[str, int]]:
    sizes = {name: len(json.dumps(value, ensure_ascii=False)) for name, value in encoded.items()}
    total = 0
    for name, size in sorted(sizes.items(), key=lambda item: item[1]):
        total += size
        if total > max_chars:
            total -= size
            yield name, size


def restore(variables: JsonObject, namespace: dict[str, Any], decoder: Decoder) -> list[str]:
    """Put the kept variables back: data first, then definitions in their order, then instances of classes.

    Returns in words which could not be.
    """
    lost = []
    for name in sorted(variables, key=lambda name: _rank(variables[name])):
        try:
            namespace[name] = decoder.decode(variables[name])
        except Exception as error:  # noqa: BLE001  (the source of a kept function may raise anything when run again)
            lost.append(f"{name}: could not be made again, {type(error).__name__}: {error}")
    return lost


def _rank(encoded: Any) -> tuple[int, int]:
    if isinstance(encoded, Mapping) and encoded.get(TAG) == "source":
        return 2, encoded[_ORDER]
    if isinstance(encoded, Mapping) and encoded.get(TAG) in ("module", "given"):
        return 0, 0
    return (3, 0) if _is_late(encoded) else (1, 0)


def _is_late(encoded: Any) -> bool:
    if isinstance(encoded, Mapping):
        return encoded.get(TAG) in LATE or any(map(_is_late, encoded.values()))
    return isinstance(encoded, list) and any(map(_is_late, encoded))
