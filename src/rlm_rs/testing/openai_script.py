"""What the OpenAI test server answers: replies in order, replies by rule, and faults."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rlm_rs.core.model import ToolCall
from rlm_rs.testing.openai_faults import check_fault

Api = Literal["chat", "responses"]


@dataclass(frozen=True)
class Prompt:
    """What a client asked, the same for chat completions and for responses."""

    api: Api
    model: str
    messages: tuple[tuple[str, str], ...]
    body: Mapping[str, Any] = field(repr=False)

    @cached_property
    def text(self) -> str:
        """All messages, one after the other."""
        return "\n".join(text for _, text in self.messages)

    @cached_property
    def sha256(self) -> str:
        """Hex SHA-256 over roles and texts: equal for equal prompts, whatever the model or API."""
        return hashlib.sha256(json.dumps(self.messages).encode()).hexdigest()

    @property
    def last(self) -> str:
        """The last message's text."""
        return self.messages[-1][1] if self.messages else ""

    @property
    def turn(self) -> int:
        """How many replies of the assistant the conversation has already."""
        return sum(role == "assistant" for role, _ in self.messages)


@dataclass(frozen=True, slots=True)
class ServedReply:
    """One reply. latency is in seconds before the first byte; fault names are in `openai_faults`."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    latency: float = 0.0
    fault: str | None = None

    def __post_init__(self) -> None:
        check_fault(self.fault)


Scripted: TypeAlias = "str | ServedReply"
Script: TypeAlias = "Callable[[Prompt], Scripted | None]"


@dataclass(frozen=True, slots=True)
class Rule:
    """When to give a reply: every condition that is set must hold.

    model is a shell pattern, contains a text anywhere in the prompt, turn the number of assistant
    messages in it. times bounds how often the rule answers.
    """

    reply: ServedReply
    model: str = "*"
    contains: str = ""
    turn: int | None = None
    times: int | None = None

    def matches(self, prompt: Prompt) -> bool:
        """Whether the conditions hold for that prompt, used up or not."""
        return (
            fnmatch.fnmatchcase(prompt.model, self.model)
            and self.contains in prompt.text
            and (self.turn is None or self.turn == prompt.turn)
        )


class RuleScript:
    """The first rule that matches and is not used up answers; then the default, if there is one."""

    def __init__(self, rules: Iterable[Rule], default: Scripted | None = None) -> None:
        self._rules = tuple(rules)
        self._used = [0] * len(self._rules)
        self._default = default

    def __call__(self, prompt: Prompt) -> Scripted | None:
        for index, rule in enumerate(self._rules):
            if rule.matches(prompt) and (rule.times is None or self._used[index] < rule.times):
                self._used[index] += 1
                return rule.reply
        return self._default


@dataclass(frozen=True, slots=True)
class HouseRules:
    """What the server refuses, as the real service does.

    keys: the API keys let in (empty: any). models: the models there are (empty: any). rejects: the
    parameters refused, by model pattern. context_tokens: prompt size limit by model pattern.
    """

    keys: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    rejects: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: dict.fromkeys(("gpt-[56]*", "o[134]*"), ("max_tokens", "temperature"))
    )
    context_tokens: Mapping[str, int] = field(default_factory=dict)

    def rejected(self, model: str) -> frozenset[str]:
        """Names of the parameters that model does not take."""
        found = (names for pattern, names in self.rejects.items() if fnmatch.fnmatchcase(model, pattern))
        return frozenset(name for names in found for name in names)

    def window(self, model: str) -> int | None:
        """The prompt size limit of that model in tokens, or None."""
        sizes = (n for pattern, n in self.context_tokens.items() if fnmatch.fnmatchcase(model, pattern))
        return next(sizes, None)


def in_order(replies: Iterable[Scripted], model: str = "*") -> RuleScript:
    """A script that gives each reply once, in order, to requests for that model pattern."""
    return RuleScript(Rule(as_reply(reply), model=model, times=1) for reply in replies)


def as_reply(value: Scripted) -> ServedReply:
    """A reply from a text or a reply."""
    return ServedReply(value) if isinstance(value, str) else value


def load_script(path: Path) -> tuple[RuleScript, HouseRules]:
    """Read a script file: JSON as in `parse_script`. Raises ValueError with what is wrong."""
    try:
        return parse_script(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def parse_script(data: Mapping[str, Any]) -> tuple[RuleScript, HouseRules]:
    """A script from its JSON form.

    `{"root_model": "gpt-5", "root": [reply, …], "rules": [{"model", "contains", "turn", "times", and a
    reply's fields}], "default": reply, "keys": […], "models": […], "rejects": {…}, "context_tokens": {…}}`.
    A reply is a text or `{"reply": text, "reasoning", "tool_calls": [{"name", "arguments"}],
    "finish_reason", "latency", "fault"}`. Rules come before the root's replies in order.
    """
    _only(data, {"root_model", "root", "rules", "default", *_names(HouseRules)})
    rules = [_rule(entry) for entry in data.get("rules", ())]
    root_model = data.get("root_model", "*")
    rules += [Rule(_reply(entry), model=root_model, times=1) for entry in data.get("root", ())]
    default = data.get("default")
    house = {name: data[name] for name in _names(HouseRules) if name in data}
    house.update({name: tuple(house[name]) for name in ("keys", "models") if name in house})
    return RuleScript(rules, None if default is None else _reply(default)), HouseRules(**house)


def _rule(entry: Mapping[str, Any]) -> Rule:
    _only(entry, {"reply", *_names(Rule), *_names(ServedReply)})
    conditions = {name: entry[name] for name in _names(Rule) if name in entry and name != "reply"}
    return Rule(_reply({key: value for key, value in entry.items() if key not in conditions}), **conditions)


def _reply(entry: str | Mapping[str, Any]) -> ServedReply:
    if isinstance(entry, str):
        return ServedReply(entry)
    _only(entry, {"reply", *_names(ServedReply)})
    made = {key: value for key, value in entry.items() if key not in ("reply", "tool_calls")}
    calls = tuple(ToolCall(call["name"], call["arguments"]) for call in entry.get("tool_calls", ()))
    reply = ServedReply(**made, tool_calls=calls)
    return replace(reply, text=entry["reply"]) if "reply" in entry else reply


def _names(kind: type[Rule | HouseRules | ServedReply]) -> set[str]:
    return {one.name for one in fields(kind)}


def _only(entry: Mapping[str, Any], known: set[str]) -> None:
    if not isinstance(entry, Mapping):
        raise ValueError(f"expected a JSON object, got {entry!r:.60}")
    if unknown := entry.keys() - known:
        raise ValueError(f"unknown {sorted(unknown)}; known are {sorted(known)}")
