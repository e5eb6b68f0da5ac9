"""Write the generated parts of `docs/` from the code: settings, budgets, errors, failures, command line.

usage: make_docs.py [--check]

A page holds `<!-- generated: NAME -->` and `<!-- end of NAME -->`; what stands between is replaced. With
--check nothing is written, and the exit code is 1 if a page would change.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import click

from rlm_rs.cli.program import COMMANDS, program
from rlm_rs.core import errors
from rlm_rs.core.budget import Budgets
from rlm_rs.parser import failures
from rlm_rs.sandbox.modules import NAMES
from rlm_rs.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
HELP_COLUMNS = 100
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)

# defaults that depend on the machine, in words
COMPUTED_DEFAULTS = {"rlm_data_dir": "`$XDG_DATA_HOME/rlm`, else `~/.local/share/rlm`"}

BUDGET_MEANINGS = {
    "max_turns": "root replies",
    "max_total_seconds": "seconds of work in all; the pause before a resume does not count",
    "max_step_seconds": "seconds one step may run; its waiting for sub-calls does not count",
    "max_spans_total": "ranges read in all steps together",
    "max_spans_per_step": "ranges read in one step",
    "max_tool_requests_per_step": "requests one step may queue or be suspended at",
    "max_llm_subcalls": "sub-model calls and child executions, those of children included",
    "max_llm_prompt_chars": "characters of one sub-call's prompt",
    "max_total_llm_prompt_chars": "characters of all sub-calls' prompts together",
    "max_stdout_chars": "characters one step may print; the rest is counted and dropped",
    "max_state_chars": "characters of `state` as JSON",
    "max_total_tokens": "input and output tokens of all calls together",
    "max_cost_usd": "US dollars; needs a price for each model",
    "max_depth": "levels of child executions; at 0 `rlm_query` is one sub-model call",
    "max_consecutive_errors": "failed turns in a row",
    "max_step_memory_mb": "memory of one step in MB, the documents not counted",
}


def main() -> int:
    """Write the pages, or check them, and return the exit code."""
    check = "--check" in sys.argv[1:]
    stale = [path for path in pages() if path.read_text(encoding="utf-8") != renewed(path)]
    for path in stale:
        print(f"{path.relative_to(DOCS.parent)}: {'out of date; run `make docs`' if check else 'written'}")
        if not check:
            path.write_text(renewed(path), encoding="utf-8")
    return 1 if check and stale else 0


def pages() -> Iterator[Path]:
    """Every page with a generated part."""
    for path in sorted(DOCS.rglob("*.md")):
        if BLOCK.search(path.read_text(encoding="utf-8")):
            yield path


def renewed(path: Path) -> str:
    """A page with its generated parts as the code has them now."""
    text = path.read_text(encoding="utf-8")
    return BLOCK.sub(lambda m: f"{m[1]}\n{BLOCKS[m[2]]()}\n{m[3]}", text)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def settings() -> str:
    """Every setting: its variable, its default, what it is."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = COMPUTED_DEFAULTS.get(name) or shown(field.default)
        rows.append((f"`{name.upper()}`", default, field.description or ""))
    return table(("variable", "default", "what it is"), rows)


def budgets() -> str:
    """Every budget: its name, its default, what it bounds."""
    rows = [(f"`{f.name}`", shown(f.default), BUDGET_MEANINGS[f.name]) for f in fields(Budgets)]
    return table(("budget", "default", "bounds"), rows)


def shown(value: object) -> str:
    """A default as a reader would type it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,g}".replace(",", "") if isinstance(value, float) else str(value)


def all_errors() -> str:
    """Every error class: its code, HTTP status, exit code and message."""
    found = [
        cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, errors.RlmError)
    ]
    rows = [(f"`{e.code}`", str(e.status), str(e.exit_code), f"`{e.__name__}`", message(e)) for e in found]
    return table(("code", "HTTP", "exit", "class", "message"), rows)


def all_failures() -> str:
    """Every reason why one document cannot be read."""
    base = failures.DocumentFailed
    found = [cls for cls in vars(failures).values() if inspect.isclass(cls) and issubclass(cls, base)]
    return table(("code", "what it says"), [(f"`{e.code}`", message(e)) for e in found])


def message(error: type[Exception]) -> str:
    """A class's docstring as one line, its fields in code style."""
    return re.sub(r"\{(\w+)[^}]*\}", r"`\1`", " ".join(inspect.cleandoc(error.__doc__ or "").split()))


def commands() -> str:
    """The help of every command, as the program prints it."""
    parts = [usage("rlm", program)]
    for name in COMMANDS:
        command = program.get_command(click.Context(program), name)
        assert command is not None
        parts.append(usage(f"rlm {name}", command))
    return "\n".join(parts)


def usage(name: str, command: click.Command) -> str:
    """One command's help under its name."""
    context = click.Context(command, info_name=name, terminal_width=HELP_COLUMNS)
    return f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


def modules() -> str:
    """What step code can import."""
    return ", ".join(f"`{name}`" for name in NAMES) + ".\n"


BLOCKS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "budgets": budgets,
    "errors": all_errors,
    "failures": all_failures,
    "commands": commands,
    "modules": modules,
}


if __name__ == "__main__":
    sys.exit(main())
