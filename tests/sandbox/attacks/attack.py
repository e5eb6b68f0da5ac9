"""What an attack is, and how a table of them is read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REACHED = "REACHED"
"""An attack that got what it wanted says so with this word."""
REFUSED = "refused"
NOTHING = "nothing"
"""The end of a step without an error."""

VIOLATION = "SANDBOX_VIOLATION"
TIMEOUT = "STEP_TIMEOUT"
HARMLESS = " (harmless)"


@dataclass(frozen=True, slots=True)
class Attack:
    """Code that tries to reach something, and the ends it may come to.

    ends: error codes, "refused" (kernel attacks: an OSError) or "nothing". harmless: it may also be run
    with no sandbox, where it has to succeed: an attack that cannot succeed anywhere proves nothing.
    """

    name: str
    code: str
    ends: tuple[str, ...]
    harmless: bool = False


def read_table(name: str, ends: tuple[str, ...] = ()) -> tuple[Attack, ...]:
    """The attacks of a file beside this one: `name (harmless) -> END, END:` and indented code.

    `ends` are those of attacks that name none.
    """
    lines = Path(__file__).with_name(name).read_text().splitlines()
    return tuple(_attack(header, code, ends) for header, code in _blocks(lines))


def _blocks(lines: list[str]) -> Iterator[tuple[str, str]]:
    header, code = "", [""]
    for line in [*lines, "end:"]:
        if line.startswith("    ") or not line:
            code.append(line)
        elif not line.startswith("#"):
            if header:
                yield header, textwrap.dedent("\n".join(code)).strip("\n")
            header, code = line.rstrip(":"), []


def _attack(header: str, code: str, ends: tuple[str, ...]) -> Attack:
    name, _, named = header.partition(" -> ")
    own = tuple(named.split(", ")) if named else ends
    return Attack(name.removesuffix(HARMLESS), code, own, name.endswith(HARMLESS))
