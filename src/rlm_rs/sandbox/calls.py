"""The calls that return (sub-model, child execution, search), answered from the record or by waiting."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from rlm_rs.sandbox.awaiting import Call, Deferred
from rlm_rs.sandbox.context import ContextView, DocView, Hits, shelf_of, source_of
from rlm_rs.sandbox.hidden import conceal
from rlm_rs.sandbox.ledger import SCAN_SEARCH
from rlm_rs.sandbox.limits import (
    BATCH_REQUESTS,
    Ending,
    LimitExceeded,
    StepDiverged,
    StepSuspended,
    ToolRefused,
)
from rlm_rs.sandbox.output import readable
from rlm_rs.sandbox.protocol import JsonObject, StepRequest, SubcallRequest, SubcallResult, View
from rlm_rs.sandbox.shelf import Shelf
from rlm_rs.sandbox.state import as_json


class Channel(Protocol):
    """How a step gets answers that are not in its record."""

    def ask(self, requests: Sequence[SubcallRequest]) -> Sequence[SubcallResult]:
        """The answers, in any order; returns when all are there. Raises `StepSuspended` if it cannot wait."""


class ReplayOnly:
    """A channel that has no answers: the step is suspended and later run again with a longer record."""

    def ask(self, requests: Sequence[SubcallRequest]) -> Sequence[SubcallResult]:
        """Always raises `StepSuspended`."""
        raise StepSuspended(requests)


class Answer(str):
    """The text of a sub-call. It can be used at once and it can be awaited."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        return self
        yield  # an awaitable is a generator function that need not wait


class Asker:
    """Numbers the calls of a step and answers each from the record or through the channel."""

    def __init__(self, request: StepRequest, channel: Channel, ending: Ending) -> None:
        self._turn = request.turn
        self._recorded = {result.key: result for result in request.results}
        self._channel = channel
        self._ending = ending
        self._asked = 0

    def ask(self, requests: Sequence[SubcallRequest]) -> list[SubcallResult]:
        """The answers in the order of the requests."""
        self._ending.check()
        keyed = [self._keyed(request) for request in requests]
        answers = {item.key: self._recorded.pop(item.key) for item in keyed if item.key in self._recorded}
        missing = [item for item in keyed if item.key not in answers]
        answers |= {result.key: result for result in self._from_channel(missing)}
        return [self._checked(item, answers.get(item.key)) for item in keyed]

    def unused(self) -> int:
        """How many recorded answers were not asked for."""
        return len(self._recorded)

    def _keyed(self, request: SubcallRequest) -> SubcallRequest:
        self._asked += 1
        return replace(request, key=f"{self._turn}.{self._asked - 1}")

    def _from_channel(self, missing: list[SubcallRequest]) -> Sequence[SubcallResult]:
        if not missing:
            return ()
        try:
            return self._channel.ask(missing)
        except StepSuspended as suspended:
            raise self._ending.end(suspended) from None

    def _checked(self, request: SubcallRequest, result: SubcallResult | None) -> SubcallResult:
        if result is None:
            raise self._ending.end(StepDiverged(f"call {request.key} got no answer"))
        if result.digest != request.digest():
            raise self._ending.end(
                StepDiverged(
                    f"run again, the step's call {request.key} asks something else than was recorded. A step "
                    "must do the same each time: avoid id() and the order of sets of objects."
                )
            )
        return result


class Tool:
    """A function of step code that asks sub-calls. `deferred` is what `await` of it is compiled to."""

    __slots__ = ("__dict__", "_asking")

    def __init__(
        self, name: str, draft: Callable[..., Call], ask: Callable[..., list[SubcallResult]]
    ) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = draft.__doc__
        _put_asking(self, (draft, ask))

    def __call__(self, *args: Any, **options: Any) -> Any:
        draft, ask = _asking_of(self)
        call: Call = draft(*args, **options)
        return call.value_of(ask(call.requests) if call.requests else [])

    def deferred(self, *args: Any, **options: Any) -> Deferred:
        """The same call, asked when it is awaited."""
        draft, ask = _asking_of(self)
        return Deferred(draft(*args, **options), ask)

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"


_asking_of, _put_asking = conceal(Tool, "_asking")


class Drafts:
    """Turns the arguments of the calls into requests, and answers into values."""

    def __init__(self, request: StepRequest, shelf: Shelf) -> None:
        self._limits = request.limits
        self._tools_enabled = request.tools_enabled
        self._search_enabled = request.search_enabled
        self._shelf = shelf

    def llm_query(
        self,
        prompt: Any,
        context: Any = None,
        model: str | None = None,
        schema: JsonObject | None = None,
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
    ) -> Call:
        """Ask the sub-model; returns its answer as text, or a text that begins with "ERROR:".

        `context` (a document, some documents, or text) is put after the prompt. `schema` is a JSON Schema
        for the answer.
        """
        return Call((self._llm(prompt, context, model, schema, max_tokens, temperature),), _only_text)

    def llm_query_batched(
        self,
        prompts: Any,
        model: str | None = None,
        *,
        context: Any = None,
        schema: JsonObject | None = None,
        max_tokens: int | None = None,
        temperature: float = 0.0,
    ) -> Call:
        """Ask the sub-model many prompts at once; returns the answers in the same order.

        A failed one is a text that begins with "ERROR:". `context`, if given, goes with every prompt.
        """
        asked = [
            self._llm(prompt, context, model, schema, max_tokens, temperature)
            for prompt in _batch("prompts", prompts)
        ]
        return Call(tuple(asked), _texts)

    def rlm_query(self, question: Any, context: Any = None, model: str | None = None) -> Call:
        """Ask a child execution; returns its answer as text, or a text that begins with "ERROR:".

        It works over `context`: None for all documents, a document, a slice of one, a list of documents or
        their numbers, or any text. What it cites from documents joins your citations.
        """
        return Call((self._rlm(question, context, model),), _only_text)

    def rlm_query_batched(self, questions: Any, contexts: Any = None, model: str | None = None) -> Call:
        """Ask many child executions at once; returns the answers in the same order.

        `contexts` is one context for all, or a list with one for each question.
        """
        asked = _batch("questions", questions)
        paired = isinstance(contexts, (list, tuple)) and len(contexts) == len(asked)
        each = contexts if paired else [contexts] * len(asked)
        return Call(tuple(self._rlm(q, c, model) for q, c in zip(asked, each, strict=True)), _texts)

    def search(self, query: Any, k: int = 10, filters: JsonObject | None = None) -> Call:
        """The `k` best passages for a query in words: `{score, doc_index, start_char, end_char, preview}`.

        `filters={"doc_ids": […]}` limits it to some documents.
        """
        return Call((replace(self.search_request(query, k, filters), called=True),), self._hits)

    def search_request(self, query: Any, k: int, filters: Any) -> SubcallRequest:
        """A search, its arguments checked."""
        self._refuse_when_disabled()
        if not self._search_enabled:
            raise ToolRefused(
                "this session has no search index; use context.find(term) or context.regex(pattern)"
            )
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= BATCH_REQUESTS:
            raise ToolRefused(f"k is a number from 1 to {BATCH_REQUESTS}")
        checked = None if filters is None else as_json(filters, "filters")
        return SubcallRequest(key="", kind="search", prompt=self.prompt(query), k=k, filters=checked)

    def prompt(self, value: Any) -> str:
        """A prompt as text. Raises `LimitExceeded` when it is too long."""
        self._refuse_when_disabled()
        text = _prompt_text(value)
        if len(text) > self._limits.prompt_chars:
            raise LimitExceeded(
                f"the prompt is {len(text):,} characters; at most {self._limits.prompt_chars:,} may be sent. "
                "Split it, or pass documents to rlm_query."
            )
        return text

    def _refuse_when_disabled(self) -> None:
        if not self._tools_enabled:
            raise ToolRefused(
                "sub-calls are off for this execution; answer from the documents with Python alone"
            )

    def _llm(
        self, prompt: Any, context: Any, model: Any, schema: Any, max_tokens: Any, temperature: Any
    ) -> SubcallRequest:
        whole = prompt if context is None else f"{_prompt_text(prompt)}\n\n{_context_text(context)}"
        return SubcallRequest(
            key="",
            kind="llm",
            prompt=self.prompt(whole),
            called=True,
            model=model_name(model),
            max_tokens=positive("max_tokens", max_tokens),
            temperature=number("temperature", temperature),
            schema=None if schema is None else as_json(schema, "schema"),
        )

    def _rlm(self, question: Any, context: Any, model: Any) -> SubcallRequest:
        views, texts = self._ground(context)
        return SubcallRequest(
            key="",
            kind="rlm",
            prompt=self.prompt(question),
            called=True,
            model=model_name(model),
            views=views,
            text=texts,
        )

    def _ground(self, context: Any) -> tuple[tuple[View, ...] | None, tuple[str, ...] | None]:
        if context is None or (isinstance(context, ContextView) and shelf_of(context) is self._shelf):
            return None, None
        several = isinstance(context, (list, tuple, set, frozenset, range))
        grounds = [self._one_ground(item) for item in (context if several else [context])]
        views = tuple(item for item in grounds if isinstance(item, View))
        texts = tuple(item for item in grounds if isinstance(item, str))
        return views or None, texts or (None if views else ())

    def _one_ground(self, item: Any) -> View | str:
        if isinstance(item, DocView):
            source = source_of(item)
            return source.view() if source.citable else source.peek(0, source.length)
        if isinstance(item, int) and not isinstance(item, bool):
            return self._numbered(item)
        if isinstance(item, str):
            return self._shelf.origin(item) or readable(item)
        raise ToolRefused(
            f"context is a document, text, the number of a document, or a list of these, "
            f"not {type(item).__name__}"
        )

    def _numbered(self, number: int) -> View | str:
        if not -len(self._shelf) <= number < len(self._shelf):
            raise ToolRefused(f"there is no document {number}: they are 0 to {len(self._shelf) - 1}")
        return self._one_ground(self._shelf.at(number % len(self._shelf)))

    def _hits(self, results: Sequence[SubcallResult]) -> Hits:
        if results[0].status == "error":
            raise ToolRefused(f"the search failed: {results[0].text}")
        return Hits(hit for raw in results[0].hits if (hit := self.seen(raw)))

    def seen(self, hit: JsonObject) -> dict[str, Any] | None:
        """A hit as code sees it, its document by place in `context`; None if it lies outside."""
        place = self._shelf.locate(hit["doc_index"], hit["start_char"], hit["end_char"])
        if place is None:
            return None
        # what a search shows of the text points the way: it is read, and can be cited, when code reads it
        self._shelf.source(place.position).scanned(place.start, place.end, SCAN_SEARCH)
        return {**hit, "doc_index": place.position, "start_char": place.start, "end_char": place.end}


def model_name(model: Any) -> str | None:
    """The model asked for; "sub" and None are the default one."""
    if model is not None and not isinstance(model, str):
        raise ToolRefused("model is the name of a model")
    return None if model in (None, "", "sub") else readable(model)


def positive(name: str, value: Any) -> int | None:
    """A whole number of 1 or more, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 31:
        raise ToolRefused(f"{name} is a whole number of 1 or more")
    return int(value)


def number(name: str, value: Any) -> float:
    """A number from 0 to 2."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 2:
        raise ToolRefused(f"{name} is a number from 0 to 2")
    return float(value)


def _batch(name: str, items: Any) -> list[Any]:
    if isinstance(items, str) or not hasattr(items, "__iter__"):
        raise ToolRefused(f"{name} is a list; for a single one use the call without _batched")
    asked = list(items)
    if len(asked) > BATCH_REQUESTS:
        raise LimitExceeded(
            f"{len(asked):,} {name} at once; at most {BATCH_REQUESTS:,} may be asked in one call"
        )
    return asked


def _prompt_text(value: Any) -> str:
    if (
        isinstance(value, list)
        and value
        and all(isinstance(item, dict) and "content" in item for item in value)
    ):
        return "\n\n".join(_prompt_text(item["content"]) for item in value)
    return readable(str(value))


def _context_text(context: Any) -> str:
    if isinstance(context, (list, tuple, ContextView)):
        return "\n\n".join(_prompt_text(item) for item in context)
    return _prompt_text(context)


def _texts(results: Sequence[SubcallResult]) -> list[Answer]:
    return [_answer(result) for result in results]


def _only_text(results: Sequence[SubcallResult]) -> Answer:
    return _answer(results[0])


def _answer(result: SubcallResult) -> Answer:
    failed = result.status == "error" and not result.text.startswith("ERROR")
    return Answer(f"ERROR: {result.text}" if failed else result.text)
