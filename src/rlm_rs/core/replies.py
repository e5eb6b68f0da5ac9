"""What a root reply means: code to run, a final answer in plain text, or neither.

Forgiving where the meaning is clear, because a misread reply wastes a turn; strict about text-level
`FINAL(...)`, because prose often talks about it.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rlm_rs.core.model import ToolCall
from rlm_rs.core.wellformed import well_formed

CODE_LABELS = frozenset({"repl", "python", "py", "python3"})
CODE_TOOLS = frozenset({"python", "repl", "execute_code"})
_CODE_ARGUMENTS = ("code", "source", "input", "script")

PARSED_CHARS = 20_000
"""A longer block is not looked into here: what the parser needs grows faster than what it is given."""
STRING_LINES = 2_000
"""How far the end of a string is looked for after a fence in it."""

FINALS_TRIED = 8
"""FINAL calls looked at, from the last one back: each may take a pass over the reply."""

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n`]*$")
_FINAL_LINE = re.compile(r"^[ \t]*(FINAL|FINAL_VAR)[ \t]*\(", re.MULTILINE)
_THINKING = re.compile(r"^[ \t]*<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.I | re.MULTILINE)
# some chat templates put the opening tag into the prompt, so that a reply has the closing one only
_THOUGHT = re.compile(r"\A.*?^[ \t]*</(think|thinking|reasoning)>[ \t]*$", re.DOTALL | re.I | re.MULTILINE)
_CODE_LINE = re.compile(
    r"""^[ \t]*(?:
        (?:import|from)\s+\w
      | (?:for|while|if|with|def|class|try|async)\b.*:
      | (?:await\s+)?[\w.]+[(\[]
      | \[.*\ for\ .*\ in\s
      | [\w.,\[\]'"\ ]{1,200}?[-+*/|&]?=[^=]
    )""",
    re.MULTILINE | re.VERBOSE,
)
_TOKEN = re.compile(r"""\#.*|\"{3}|'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""")
_BRACKET = re.compile(r"\"{3}|'{3}|[\"'()\[\]{}]")
_STRING = re.compile(r"""[rRuU]?('''|\"{3}|'|")(?:[^\\'"]+|\\.|(?!\1).)*+\1""", re.DOTALL)

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

    Blocks without a label count where no block has a code label, unless they look like a quotation.
    Text inside think tags is never taken for code or answer.
    """
    said = without_thinking(text.replace("\r\n", "\n"))
    fenced = list(_fenced_blocks(said))
    labelled = [code for label, code in fenced if label in CODE_LABELS]
    blocks = labelled or [code for label, code in fenced if not label and _CODE_LINE.search(code)]
    blocks += _tool_blocks(tool_calls)
    if blocks:
        return Reply(code=_in_order(blocks))
    return Reply(final=_final_call(said))


def without_thinking(text: str) -> str:
    """The text less what stands in think tags, or before a closing one alone on its line."""
    if "<" not in text:
        return text
    said = _THINKING.sub("", text)
    return _THOUGHT.sub("", said) if "</" in said else said


def _in_order(blocks: Sequence[str]) -> str:
    """One text that runs the blocks in order: a later one that cannot be parsed raises when it is reached."""
    runnable = list(blocks[:1])
    for number, block in enumerate(blocks[1:], 2):
        error = _syntax_error(block)
        if error is not None:
            where = f"block {number}, line {error.lineno}: {(error.text or '').strip()[:200]}"
            runnable.append(f"raise SyntaxError({f'{error.msg} ({where})'!r})")
            break
        runnable.append(block)
    return "\n\n".join(runnable)


def _syntax_error(code: str) -> SyntaxError | None:
    if len(code) > PARSED_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            # a stray backslash in a string is the code's own affair
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error) or type(error).__name__)
    return None


def _fenced_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Label and code of every fence; a missing closing fence ends at the end of the text."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        opening = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if opening:
            indent, fence, label = opening.groups()
            body, number = _body(lines, number, fence)
            code = "\n".join(_outdented(item, len(indent)) for item in body).rstrip()
            if code.strip():
                yield label.lower(), code


def _body(lines: list[str], start: int, fence: str) -> tuple[list[str], int]:
    """The lines of a block and where the text goes on. A fence inside a triple-quoted string is text."""
    quote, first_close = "", None
    for number in range(start, len(lines)):
        line = lines[number]
        if first_close is not None and number - first_close > STRING_LINES:
            break
        if _closes(line, fence):
            if not quote:
                return lines[start:number], number + 1
            first_close = number if first_close is None else first_close
        elif not quote and line.rstrip().endswith(fence) and not _quote_after(line, quote):
            return [*lines[start:number], line.rstrip()[: -len(fence)]], number + 1
        quote = _quote_after(line, quote)
    if first_close is not None:
        # the string never ended: the first fence was meant after all
        return lines[start:first_close], first_close + 1
    return lines[start:], len(lines)


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip()
    return len(stripped) >= len(fence) and set(stripped) == {fence[0]}


def _outdented(line: str, indent: int) -> str:
    blanks = len(line) - len(line.lstrip(" \t"))
    return line[min(indent, blanks) :]


def _quote_after(line: str, quote: str) -> str:
    """The triple quote that is open after a line, given the one open before it; empty for none."""
    at = 0
    while True:
        if quote:
            end = line.find(quote, at)
            if end < 0:
                return quote
            at, quote = end + 3, ""
        token = _TOKEN.search(line, at)
        if token is None:
            return ""
        at = token.end()
        if token.group() in ('"""', "'''"):
            quote = token.group()


def _tool_blocks(tool_calls: Sequence[ToolCall]) -> Iterable[str]:
    for call in tool_calls:
        if call.name.lower() in CODE_TOOLS and (code := _tool_code(call.arguments).strip("\n")):
            yield well_formed(code)


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
    calls = list(_FINAL_LINE.finditer(text))
    for match in reversed(calls[-FINALS_TRIED:]):
        argument, rest = _balanced(text[match.end() :])
        if argument is not None and not rest.split("\n", 1)[0].strip(" \t.;`"):
            return match.group(1), argument.strip()
    return None


def _balanced(text: str) -> tuple[str | None, str]:
    """Split at the parenthesis that closes a call, minding quotes; (None, "") if it never closes."""
    depth, at = 1, 0
    while mark := _BRACKET.search(text, at):
        at, found = mark.end(), mark.group()
        if found in "([{":
            depth += 1
        elif found in ")]}":
            depth -= 1
            if not depth:
                return text[: mark.start()], text[at:]
        elif not text[mark.start() - 1 : mark.start()].isalnum() or mark.start() == 0:
            end = _closing_quote(text, at, found)
            if end < 0:
                # an apostrophe in prose looks like an open quote: fall back to the last parenthesis
                end = text.rfind(")")
                return (text[:end], text[end + 1 :]) if end >= 0 else (None, "")
            at = end
    return None, ""


def _closing_quote(text: str, start: int, quote: str) -> int:
    """Where the string that began with `quote` is over, or -1."""
    end = text.find(quote, start)
    while end >= 0:
        before = text[start:end]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return end + len(quote)
        end = text.find(quote, end + 1)
    return -1


def literal(argument: str) -> str:
    """What a FINAL argument says: the text of a plain string literal, else the argument as it stands."""
    if _STRING.fullmatch(argument) is None:
        return argument
    try:
        return well_formed(str(ast.literal_eval(argument)))
    except (ValueError, SyntaxError):
        return argument
