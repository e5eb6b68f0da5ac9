"""Write the generated parts of the documentation: tables and help from the code, and the output of commands.

usage: make_docs.py [--check]

A page holds `<!-- generated: NAME -->` and `<!-- end of NAME -->`; what stands between is replaced. A block
labelled `text output` gets what the `sh` block above it prints. With --check nothing is written, commands are
not run, and the exit code is 1 if a page would change; a test compares what commands print.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import click

from rlm_rs.api.app import create_app
from rlm_rs.cli.program import COMMANDS, program
from rlm_rs.core import errors
from rlm_rs.core.budget import Budgets
from rlm_rs.mcp.tools import TOOLS
from rlm_rs.parser import failures
from rlm_rs.sandbox.modules import NAMES
from rlm_rs.settings import Settings
from rlm_rs.storage.aws.tables import TABLES, Index

E = TypeVar("E", bound=Exception)

ROOT = Path(__file__).resolve().parent.parent
HELP_COLUMNS = 100
TRACE_SCHEMA = ROOT / "src/rlm_rs/orchestrator/tracing/rlm_trace_v1.schema.json"
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)

COMMAND_AND_OUTPUT = re.compile(r"(```sh\n((?:(?!```).)*)```\n\n```text output\n).*?(```)", re.DOTALL)

# defaults that depend on the machine, in words
COMPUTED_DEFAULTS = {"rlm_data_dir": "`$XDG_DATA_HOME/rlm`, else `~/.local/share/rlm`"}

AWS_KEYS = {
    "sessions": "`TENANT#t / SESSION#s`",
    "documents": "`SESSION#t#s / DOC#generation#d`",
    "executions": "`SESSION#t#s / EXEC#e`",
    "execution_state": "`EXEC#e / EVENT#seq`",
    "evaluations": "`EXEC#t#e / EVAL`",
    "api_keys": "`KEY#hash / KEY#hash`",
    "audit_log": "`TENANT#t / TS#time#id#REQ#r`",
    "work": "`WORK#kind#t / ITEM#id`, `TENANTS#kind / TENANT#t`",
    "idempotency": "`TENANT#t / KEY#hash`",
    "rates": "`RATE#key / RATE`",
}

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
    "max_tool_calls": "calls of custom tools, those of children included",
    "max_consecutive_errors": "failed turns in a row",
    "max_step_memory_mb": "memory of one step in MB, the documents not counted",
}


def main() -> int:
    """Write the pages, or check them, and return the exit code."""
    check = "--check" in sys.argv[1:]
    renewed = {path: renew(path, run_commands=not check) for path in pages()}
    stale = [path for path, text in renewed.items() if path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'out of date; run `make docs`' if check else 'written'}")
        if not check:
            path.write_text(renewed[path], encoding="utf-8")
    return 1 if check and stale else 0


def pages() -> list[Path]:
    """Every page that may have a generated part."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def renew(path: Path, *, run_commands: bool) -> str:
    """A page with its generated parts as they would be now."""
    text = path.read_text(encoding="utf-8")
    text = BLOCK.sub(lambda m: f"{m[1]}\n{BLOCKS[m[2]]()}\n{m[3]}", text)
    if not run_commands:
        return text
    return COMMAND_AND_OUTPUT.sub(lambda m: f"{m[1]}{printed(m[2])}\n{m[3]}", text)


def printed(command: str) -> str:
    """The standard output of a command line, run at the root of the checkout with an empty HOME."""
    # the environment that runs this, without a look at its lock
    program = f"'{sys.executable}' -I -m rlm_rs.cli"
    command_line = ["bash", "-euo", "pipefail", "-c", command.replace("./rlm", program)]
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        done = subprocess.run(
            command_line, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
    return done.stdout.rstrip()


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
    found = subclasses(errors, errors.RlmError)
    rows = [(f"`{e.code}`", str(e.status), str(e.exit_code), f"`{e.__name__}`", message(e)) for e in found]
    return table(("code", "HTTP", "exit", "class", "message"), rows)


def all_failures() -> str:
    """Every reason why one document cannot be read."""
    found = subclasses(failures, failures.DocumentFailed)
    return table(("code", "what it says"), [(f"`{e.code}`", message(e)) for e in found])


def subclasses(module: ModuleType, base: type[E]) -> list[type[E]]:
    """A class and those made from it in a module, in the order they stand there."""
    return [item for item in vars(module).values() if inspect.isclass(item) and issubclass(item, base)]


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
        if isinstance(command, click.Group):
            parts += [usage(f"rlm {name} {inner}", one) for inner, one in command.commands.items()]
    return "\n".join(parts)


def usage(name: str, command: click.Command) -> str:
    """One command's help under its name."""
    context = click.Context(command, info_name=name, terminal_width=HELP_COLUMNS)
    return f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


def modules() -> str:
    """What step code can import."""
    return ", ".join(f"`{name}`" for name in NAMES) + ".\n"


def routes() -> str:
    """Every route: what it does, what it takes, what it answers with."""
    described = create_app().openapi()
    parts = [
        route(f"{method.upper()} {path}", operation, described)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    return "\n".join(parts)


def mcp_tools() -> str:
    """Every tool of the MCP server: the first sentence of what it does, and what that means for the world."""
    rows = []
    for tool, _, hints in TOOLS:
        text = " ".join(inspect.cleandoc(tool.__doc__ or "").split("\n\n")[0].split())
        effect = "reads" if hints.read_only_hint else "ends, for good" if hints.destructive_hint else "makes"
        rows.append((f"`{tool.__name__}`", effect, text))
    return table(("tool", "effect", "what it does"), rows)


def route(name: str, operation: dict[str, Any], described: dict[str, Any]) -> str:
    """One route under its name."""
    text = " ".join(operation["description"].split())
    query = [f"`{item['name']}`" for item in operation.get("parameters", ()) if item["in"] == "query"]
    lines = [f"### {name}", "", text, ""]
    lines += [f"- query: {', '.join(query)}"] if query else []
    body = operation.get("requestBody", {}).get("content", {})
    lines += [f"- takes {kind}: {shape(content['schema'], described)}" for kind, content in body.items()]
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            for kind, content in response.get("content", {}).items():
                lines.append(f"- answers {status} {kind}: {shape(content.get('schema', {}), described)}")
    failures = [status for status in operation["responses"] if status[0] in "45"]
    lines.append(f"- errors: {', '.join(sorted(failures))}")
    return "\n".join(lines) + "\n"


def shape(schema: dict[str, Any], described: dict[str, Any]) -> str:
    """A schema's fields, those that must be there in bold."""
    if "anyOf" in schema:
        return " or ".join(shape(item, described) for item in schema["anyOf"] if item.get("type") != "null")
    reference = schema.get("$ref")
    found = described["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    needed = set(found.get("required", ())) if reference else set()
    fields = [f"**`{name}`**" if name in needed else f"`{name}`" for name in found.get("properties", {})]
    return ", ".join(fields) or str(found.get("format") or found.get("type") or "text")


def trace_fields() -> str:
    """Every field of a trace: its name, its type, what it is."""
    schema = json.loads(TRACE_SCHEMA.read_text(encoding="utf-8"))
    head = ("field", "type", "what it is")
    parts = ["### The trace\n", table(head, fields_of(schema))]
    for name in ("execution", "session", "metrics", "evaluation"):
        parts += [f"### {name}\n", table(head, fields_of(schema["properties"][name]))]
    parts += ["### documents, each\n", table(head, fields_of(schema["properties"]["documents"]["items"]))]
    parts += ["### turns, each\n", table(head, fields_of(schema["$defs"]["turn"]))]
    return "\n".join(parts)


def fields_of(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The fields of an object's schema."""
    return [
        (f"`{name}`", kind_of(field), field.get("description", ""))
        for name, field in schema["properties"].items()
    ]


def kind_of(field: dict[str, Any]) -> str:
    """A field's type in a word or two."""
    if "anyOf" in field:
        return kind_of(field["anyOf"][0])
    kind = field.get("type") or ("text" if "enum" in field or "const" in field else "object")
    kinds = [kind] if isinstance(kind, str) else kind
    return " or ".join({"string": "text", "array": "list"}.get(k, k) for k in kinds) if field else "any"


def aws_tables() -> str:
    """Every table of the AWS profile: its keys, its indexes, whether items expire."""
    rows = []
    for kept in TABLES:
        indexes = ", ".join(map(index_keys, kept.indexes)) or "none"
        rows.append((f"`{kept.name}`", AWS_KEYS[kept.name], indexes, "yes" if kept.expires else "no"))
    return table(("table", "PK / SK", "indexes (PK, SK)", "expires"), rows)


def index_keys(index: Index) -> str:
    """An index and its keys."""
    return f"`{index.name}` ({index.partition}, {index.sort})"


BLOCKS: dict[str, Callable[[], str]] = {
    "trace-fields": trace_fields,
    "settings": settings,
    "budgets": budgets,
    "errors": all_errors,
    "failures": all_failures,
    "commands": commands,
    "modules": modules,
    "aws-tables": aws_tables,
    "routes": routes,
    "mcp-tools": mcp_tools,
}


if __name__ == "__main__":
    sys.exit(main())
