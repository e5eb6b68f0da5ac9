"""What a root reply means: code to run, a final answer in plain text, or neither.

Forgiving where the meaning is clear, because a misread reply wastes a turn; strict about text-level
`FINAL(...)`, because prose often talks about it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rlm_rs.core.model import ToolCall

CODE_LABELS = frozenset({"repl", "python", "py", "python3", ""})
CODE_TOOLS = frozenset({"python", "repl", "execute_code"})
_CODE_ARGUMENTS = ("code", "source", "input", "script")

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n`]*$")
_FINAL_LINE = re.compile(r"^[ \t]*(FINAL|FINAL_VAR)[ \t]*\(", re.MULTILINE)
_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)

NO_CODE = (
    "Your reply had no code to run. Reply with one fenced block labelled repl, for example:\n"
    "```repl\nprint(len(context))\n```\n"
    "When you have the answer, call FINAL(answer) inside such a block."
)


@dataclass(frozen=True, slots=True)
class Reply:
    """code: all blocks joined in order; final: (name, argument source) of a text-level FINAL call."""

    code: str | None = None
    final: tuple[str, str] | None = None


def read_reply(text: str, tool_calls: Sequence[ToolCall] = ()) -> Reply:
    """Find the code of a root reply, else a text-level `FINAL(...)`/`FINAL_VAR(...)` on a line of its own.

    Text inside think tags is never taken for code or answer.
    """
    said = _THINKING.sub("", text)
    blocks = [*_fenced_blocks(said), *_tool_blocks(tool_calls)]
    if blocks:
        return Reply(code="\n\n".join(blocks))
    return Reply(final=_final_call(said))


def _fenced_blocks(text: str) -> Iterable[str]:
    """Code of every fence with a code label; a missing closing fence ends at the end of the text."""
    fence, label, lines = "", "", list[str]()
    for line in text.splitlines():
        opening = _FENCE.match(line)
        if not fence and opening:
            fence, label, lines = opening.group(1), opening.group(2).lower(), []
        elif fence and line.strip() and set(line.strip()) == {fence[0]} and len(line.strip()) >= len(fence):
            yield from _labelled(label, lines)
            fence = ""
        elif fence:
            lines.append(line)
    if fence:
        yield from _labelled(label, lines)


def _labelled(label: str, lines: list[str]) -> Iterable[str]:
    code = "\n".join(lines).rstrip()
    if label in CODE_LABELS and code.strip() and (label or _looks_like_python(code)):
        yield code


def _looks_like_python(code: str) -> bool:
    """An unlabelled block may be a quotation; it counts only if it parses and is more than one bare name."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return not all(
        isinstance(n, ast.Expr) and isinstance(n.value, ast.Name | ast.Constant) for n in tree.body
    )


def _tool_blocks(tool_calls: Sequence[ToolCall]) -> Iterable[str]:
    for call in tool_calls:
        if call.name.lower() in CODE_TOOLS and (code := _tool_code(call.arguments)):
            yield code


def _tool_code(arguments: str) -> str:
    try:
        decoded = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if isinstance(decoded, dict):
        decoded = next((decoded[name] for name in _CODE_ARGUMENTS if name in decoded), "")
    return decoded if isinstance(decoded, str) else ""


def _final_call(text: str) -> tuple[str, str] | None:
    """The last FINAL call that begins a line and is followed by nothing else on its last line."""
    for match in reversed(list(_FINAL_LINE.finditer(text))):
        argument, rest = _balanced(text[match.end() :])
        if argument is not None and not rest.split("\n", 1)[0].strip(" \t.;`"):
            return match.group(1), argument.strip()
    return None


def _balanced(text: str) -> tuple[str | None, str]:
    """Split at the parenthesis that closes a call, minding quotes; (None, "") if it never closes."""
    depth, quote, i = 1, "", 0
    while i < len(text):
        char = text[i]
        if quote:
            if char == "\\":
                i += 1
            elif text.startswith(quote, i):
                i += len(quote) - 1
                quote = ""
        elif char in "\"'" and not (i and text[i - 1].isalnum()):
            quote = char * 3 if text.startswith(char * 3, i) else char
            i += len(quote) - 1
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if not depth:
                return text[:i], text[i + 1 :]
        i += 1
    if quote:
        # an apostrophe in prose looks like an open quote: fall back to the last parenthesis
        end = text.rfind(")")
        return (text[:end], text[end + 1 :]) if end >= 0 else (None, "")
    return None, ""


def literal(argument: str) -> object:
    """The value of a FINAL argument: a Python literal, else its text as it stands."""
    try:
        return ast.literal_eval(argument)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return argument
