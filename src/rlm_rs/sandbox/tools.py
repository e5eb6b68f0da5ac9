"""The explicit convention: `tool` queues requests that are resolved before the next step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rlm_rs.sandbox.calls import Drafts, model_name, number, positive
from rlm_rs.sandbox.final import final_of
from rlm_rs.sandbox.hidden import conceal
from rlm_rs.sandbox.limits import Ending, LimitExceeded, StepFinished, StepYielded, ToolRefused
from rlm_rs.sandbox.output import readable
from rlm_rs.sandbox.protocol import StepRequest, SubcallRequest, ToolDescription
from rlm_rs.sandbox.state import as_json

CHARS_PER_TOKEN = 4
"""How `max_output_chars` is turned into tokens."""

_KEY_CHARS = 200

SIGNATURE = (
    'tool.queue_llm(key, prompt, *, model_hint="sub", max_tokens=None, max_output_tokens=None, '
    "max_output_chars=None, temperature=0, metadata=None)\n"
    "tool.queue_search(key, query, *, k=10, filters=None)\n"
    "tool.YIELD(reason=None)\n"
    "tool.FINAL(answer, citations=None)\n"
    "tool.schema()"
)


class Queue:
    """The requests queued by one step, each checked as it is queued."""

    def __init__(self, request: StepRequest, drafts: Drafts, ending: Ending) -> None:
        self._request = request
        self._drafts = drafts
        self._ending = ending
        self._queued: dict[str, SubcallRequest] = {}

    @property
    def requests(self) -> tuple[SubcallRequest, ...]:
        """What was queued, in order."""
        return tuple(self._queued.values())

    def llm(
        self, key: Any, prompt: Any, model_hint: Any, limit: int | None, temperature: Any, metadata: Any
    ) -> None:
        """Queue a sub-model call."""
        self._add(
            SubcallRequest(
                key=self._free(key),
                kind="llm",
                prompt=self._drafts.prompt(prompt),
                model=model_name(model_hint),
                max_tokens=limit,
                temperature=number("temperature", temperature),
                metadata=self._metadata(metadata),
            )
        )

    def search(self, key: Any, query: Any, k: int, filters: Any) -> None:
        """Queue a search."""
        name = self._free(key)
        draft = self._drafts.search_request(query, k, filters)
        self._add(
            SubcallRequest(key=name, kind="search", prompt=draft.prompt, k=draft.k, filters=draft.filters)
        )

    def _add(self, request: SubcallRequest) -> None:
        limit = self._request.limits.max_tool_requests
        if len(self._queued) >= limit:
            raise LimitExceeded(
                f"max_tool_requests_per_step is {limit} and that many are queued. YIELD now and queue the "
                "rest in the next step."
            )
        self._queued[request.key] = request

    def _free(self, key: Any) -> str:
        self._ending.check()
        name = readable(key) if isinstance(key, str) else str(key)
        if not name or len(name) > _KEY_CHARS:
            raise ToolRefused(f"a key is a text of 1 to {_KEY_CHARS} characters")
        if name in self._queued:
            raise ToolRefused(f"the key {name!r} is queued already in this step; use another")
        return name

    def _metadata(self, metadata: Any) -> dict[str, Any] | None:
        if metadata is None:
            return None
        if not isinstance(metadata, dict):
            raise ToolRefused("metadata is a dict")
        checked: dict[str, Any] = as_json(metadata, "metadata")
        missing = [key for key in self._required(checked) if key not in self._resolved()]
        if missing:
            raise ToolRefused(
                f"requires_llm_keys names results that are not there yet: {', '.join(missing)}. "
                "Queue those first, YIELD, and queue this one in a later step."
            )
        return checked

    def _required(self, metadata: dict[str, Any]) -> list[str]:
        required = metadata.get("requires_llm_keys") or []
        if not isinstance(required, list) or not all(isinstance(key, str) for key in required):
            raise ToolRefused("requires_llm_keys is a list of keys")
        return required

    def _resolved(self) -> set[str]:
        """The keys answered in earlier steps, from the state as it came, not as code may have changed it."""
        state = self._request.state
        statuses = state.get("_tool_status") or {}
        results = (state.get("_tool_results") or {}).get("llm") or {}
        return {key for key in results if statuses.get(key, "resolved") == "resolved"}


class ToolView:
    """`tool`: queue sub-calls, yield, finish."""

    __slots__ = ("_finish", "_queue", "_schema_of")

    def queue_llm(
        self,
        key: str,
        prompt: str,
        *,
        model_hint: str = "sub",
        max_tokens: int | None = None,
        max_output_tokens: int | None = None,
        max_output_chars: int | None = None,
        temperature: float = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Queue a sub-model call; its answer is in `state["_tool_results"]["llm"][key]` in the next step.

        At most one of the three limits may be given; `max_output_chars` counts about four characters a token.
        """
        limit = _one_limit(max_tokens, max_output_tokens, max_output_chars)
        _queue_of(self).llm(key, prompt, model_hint, limit, temperature, metadata)

    def queue_search(
        self, key: str, query: str, *, k: int = 10, filters: dict[str, Any] | None = None
    ) -> None:
        """Queue a search; its hits are in `state["_tool_results"]["search"][key]` in the next step."""
        _queue_of(self).search(key, query, k, filters)

    def YIELD(self, reason: str | None = None) -> None:
        """End the step here; the queued requests are resolved and the next step follows."""
        queue = _queue_of(self)
        raise queue._ending.end(StepYielded("" if reason is None else readable(str(reason))[:2_000]))

    def FINAL(self, answer: Any = None, citations: Any = None) -> None:
        """End the execution with this answer."""
        _finish_of(self)(answer, citations)

    def schema(self) -> dict[str, Any]:
        """What the tools are, as JSON."""
        described: dict[str, Any] = _schema_of(self)()
        return described

    @property
    def tool_requests(self) -> list[dict[str, Any]]:
        """What is queued so far."""
        return [{"kind": r.kind, "key": r.key, "prompt": r.prompt} for r in _queue_of(self).requests]


_queue_of: Callable[[Any], Queue]
_finish_of: Callable[[Any], Callable[[Any, Any], None]]
_schema_of: Callable[[Any], Callable[[], dict[str, Any]]]
_queue_of, _put_queue = conceal(ToolView, "_queue")
_finish_of, _put_finish = conceal(ToolView, "_finish")
_schema_of, _put_schema = conceal(ToolView, "_schema_of")


def tool_view(queue: Queue, finish: Callable[[Any, Any], None], request: StepRequest) -> ToolView:
    """The `tool` of a step; `finish` ends it with an answer and its citations."""
    view = ToolView()
    _put_queue(view, queue)
    _put_finish(view, finish)
    _put_schema(view, lambda: schema(request.tools_enabled, request.search_enabled, request.tools))
    return view


def schema(
    tools_enabled: bool, search_enabled: bool, custom: Sequence[ToolDescription] = ()
) -> dict[str, Any]:
    """The description that also stands in `state["_tool_schema"]`."""
    off = None if tools_enabled else "sub-calls are off for this execution"
    no_search = off or (None if search_enabled else "this session has no search index")
    return {
        "version": "v1",
        "signature_text": "\n".join([SIGNATURE, *(f"{one.name}{one.signature}" for one in custom)]),
        "tools": [
            _described("queue_llm", ["key", "prompt", "model_hint", "temperature", "metadata", *_LIMITS], off)
            | {"constraints": {"at_most_one_of": list(_LIMITS)}},
            _described("queue_search", ["key", "query", "k", "filters"], no_search),
            _described("YIELD", ["reason"], None),
            _described("FINAL", ["answer", "citations"], None),
            *(_described(one.name, list(one.params), off) | {"description": one.doc} for one in custom),
        ],
    }


_LIMITS = ("max_tokens", "max_output_tokens", "max_output_chars")


def _described(name: str, params: list[str], disabled: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "params": params,
        "availability": {"enabled": disabled is None, "disabled_reason": disabled},
    }


def _one_limit(max_tokens: Any, max_output_tokens: Any, max_output_chars: Any) -> int | None:
    given = {
        "max_tokens": positive("max_tokens", max_tokens),
        "max_output_tokens": positive("max_output_tokens", max_output_tokens),
        "max_output_chars": positive("max_output_chars", max_output_chars),
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ToolRefused(
            f"give at most one of max_tokens, max_output_tokens, max_output_chars, not {' and '.join(named)}"
        )
    if max_output_chars is not None:
        return -(-int(max_output_chars) // CHARS_PER_TOKEN)
    return given[named[0]] if named else None


def finisher(ending: Ending, max_chars: int, cite: Callable[[Any], None]) -> Callable[[Any, Any], None]:
    """What ends a step with an answer: the first one given counts."""

    def finish(answer: Any, citations: Any = None) -> None:
        ending.check()
        final = final_of(answer, max_chars)
        cite(citations)
        raise ending.end(StepFinished(final))

    return finish
