"""What a runner and the step program say to each other: frozen values, to and from JSON.

A runner sends a `StepRequest`; the step program replies with a `StepResult` that is either finished or
suspended at the sub-calls it needs answered. Offsets are Unicode code points of the canonical text.
The request comes from the host and is trusted; the result comes from a process that ran untrusted code,
so the host validates it strictly (`runners.reply`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")

JsonObject = Mapping[str, Any]

SubcallKind = Literal["llm", "rlm", "search", "tool"]
ContextShape = Literal["documents", "text"]

STEP_NAMES = frozenset(
    {
        "context", "state", "tool", "llm_query", "llm_query_batched", "batch_llm_query", "llm_batch",
        "rlm_query", "rlm_query_batched", "FINAL", "FINAL_VAR", "SUBMIT", "SHOW_VARS",
    }
)  # fmt: skip
"""Names that always mean the same to step code."""

RESERVED_STATE_KEYS = frozenset({"_tool_results", "_tool_status", "_budgets", "_trace", "_tool_schema"})


@dataclass(frozen=True, slots=True)
class SpanEntry:
    """A range of one document that step code read. `scan:*` tags mark ranges searched, not read.

    `doc_index` -1 stands for the whole corpus (a search over all documents at once).
    """

    doc_index: int
    start_char: int
    end_char: int
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Cite:
    """Evidence that step code named itself with `doc.cite` or `FINAL(…, citations=…)`."""

    doc_index: int
    start_char: int
    end_char: int
    note: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One document of the step's context: all of it, or the window `[start_char, end_char)`.

    Step code sees offsets relative to the window; the span log always holds absolute ones.
    """

    doc_index: int
    start_char: int = 0
    end_char: int | None = None


@dataclass(frozen=True, slots=True)
class SubcallRequest:
    """A sub-model call, child execution, search or call of a custom tool that step code asks for.

    key: the code's own name for a queued request; `<turn>.<position>` for a call that returns.
    called: True for calls that return (the step is suspended at them), False for queued requests.
    prompt: the prompt (llm), the question (rlm), the query (search) or the call as text (tool).
    views, text: what a child execution runs over (both None: all documents of the parent).
    schema: JSON Schema the reply must satisfy. tool: the custom tool; arguments: what it
    is given, by name.
    """

    key: str
    kind: SubcallKind
    prompt: str
    called: bool = False
    model: str | None = None
    max_tokens: int | None = None
    temperature: float = 0.0
    schema: JsonObject | None = None
    metadata: JsonObject | None = None
    views: tuple[View, ...] | None = None
    text: tuple[str, ...] | None = None
    k: int = 10
    filters: JsonObject | None = None
    tool: str | None = None
    arguments: JsonObject | None = None

    def digest(self) -> str:
        """Identity of what is asked, without the key: 16 hex digits. Replay compares it."""
        asked = {name: value for name, value in asdict(self).items() if name != "key"}
        if self.kind != "tool":
            del asked["tool"], asked["arguments"]
        canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SubcallResult:
    """The answer to one `SubcallRequest`. `digest` is that of the request it answers.

    A failed call has status "error", `text` saying so in one line, and `meta["error"]` with its code. What a
    custom tool returned is `text`, as JSON.
    """

    key: str
    digest: str
    status: Literal["resolved", "error"]
    text: str = ""
    hits: tuple[JsonObject, ...] = ()
    meta: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolDescription:
    """A custom tool as step code calls it: a function whose arguments and result are JSON.

    params: names of the parameters in order, of which the first `positional` may be given by place.
    signature: for people, from the opening bracket on. version: changes when the tool does. pure: the same
    arguments always give the same result, so that a result may be kept.
    """

    name: str
    params: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    positional: int = 0
    signature: str = "()"
    doc: str = ""
    version: str = ""
    pure: bool = False


@dataclass(frozen=True, slots=True)
class StepLimits:
    """What one step may use. Times in seconds of the step's own work, sizes in characters."""

    seconds: float = 30.0
    memory_mb: int = 512
    stdout_chars: int = 15_000
    max_spans: int = 200
    max_tool_requests: int = 25
    prompt_chars: int = 200_000
    state_chars: int = 500_000
    answer_chars: int = 20_000_000


@dataclass(frozen=True, slots=True)
class StepRequest:
    """One step: the code, what was kept from earlier steps, and the sub-calls already answered.

    results: answers to this step's own calls so far, in call order.
    views: the documents the code sees as `context` (None: all of the corpus); texts: extra in-memory
    documents (a child execution over text), after the views; they cannot be cited.
    cites: what earlier steps cited, so that marks go on counting.
    """

    execution_id: str
    turn: int
    code: str
    state: JsonObject = field(default_factory=dict)
    variables: JsonObject = field(default_factory=dict)
    results: tuple[SubcallResult, ...] = ()
    views: tuple[View, ...] | None = None
    texts: tuple[str, ...] = ()
    context_shape: ContextShape = "documents"
    history: tuple[JsonObject, ...] = ()
    cites: tuple[Cite, ...] = ()
    limits: StepLimits = StepLimits()
    tools_enabled: bool = True
    search_enabled: bool = False
    tools: tuple[ToolDescription, ...] = ()


@dataclass(frozen=True, slots=True)
class StepError:
    """Why a step failed, for the model: a code, one clear message, the line of its own code."""

    code: str
    message: str
    line: int | None = None
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Final:
    """The value given to FINAL and its kin: as text, and as JSON for typed answers."""

    answer: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class StepUsage:
    """What the step itself used: its waiting for sub-calls is not counted."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StepResult:
    """A finished step, or one suspended at `requests`.

    Suspended: only `requests` counts. Finished: `requests` are the queued ones, to be resolved before
    the next turn; `state` is the state to keep (the one before, if the step failed); `variables` are the
    kept top-level names and `not_kept` says in words which could not be.
    """

    status: Literal["finished", "suspended"]
    stdout: str = ""
    stdout_dropped: int = 0
    error: StepError | None = None
    state: JsonObject = field(default_factory=dict)
    variables: JsonObject = field(default_factory=dict)
    not_kept: tuple[str, ...] = ()
    spans: tuple[SpanEntry, ...] = ()
    cites: tuple[Cite, ...] = ()
    requests: tuple[SubcallRequest, ...] = ()
    final: Final | None = None
    yielded: str | None = None
    usage: StepUsage = StepUsage()


_TUPLES_OF: dict[str, type] = {
    "spans": SpanEntry,
    "cites": Cite,
    "requests": SubcallRequest,
    "results": SubcallResult,
    "views": View,
    "tools": ToolDescription,
}
_VALUES_OF: dict[str, type] = {
    "limits": StepLimits,
    "usage": StepUsage,
    "error": StepError,
    "final": Final,
}


def to_json(value: StepRequest | StepResult | SubcallResult) -> bytes:
    """Compact UTF-8 JSON of a protocol value. Lone surrogates become U+FFFD."""
    text = json.dumps(asdict(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def from_dict(cls: type[T], data: Mapping[str, Any]) -> T:
    """Rebuild a protocol value from trusted, decoded JSON. An unknown name is a TypeError."""
    return cls(**{name: _rebuild(name, value) for name, value in data.items()})


def _rebuild(name: str, value: Any) -> Any:
    if value is None or name == "value":
        return value
    if name in _TUPLES_OF:
        return tuple(from_dict(_TUPLES_OF[name], item) for item in value)
    if name in _VALUES_OF:
        return from_dict(_VALUES_OF[name], value)
    return tuple(value) if isinstance(value, list) else value
