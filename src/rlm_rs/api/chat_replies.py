"""An execution's outcome in the shapes of OpenAI's chat completions."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from rlm_rs.core.errors import BudgetExceeded, MaxTurnsExceeded, ProviderFailed, RlmError, SandboxFailed
from rlm_rs.core.execution import Event, Finished, RootReplied, Run, StepRan
from rlm_rs.core.records import ExecutionStatus

MODEL = "rlm"
_PREVIEW_CHARS = 2_000


def completion_id(execution_id: str) -> str:
    """The id of a completion: that of its execution, as OpenAI names them."""
    return f"chatcmpl-{execution_id}"


def completion(run: Run, model: str) -> dict[str, Any]:
    """A whole chat completion. Raises what the execution ended with, if there is no answer."""
    end = _answered(run)
    message = {"role": "assistant", "content": end.answer or "", "refusal": None, **_beyond(run, end)}
    choice = {"index": 0, "message": message, "finish_reason": _reason(end), "logprobs": None}
    return {**_head(run, model, "chat.completion"), "choices": [choice], "usage": usage(run)}


def chunk(run: Run, model: str, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """One piece of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    return {**_head(run, model, "chat.completion.chunk"), "choices": [choice]}


def usage_chunk(run: Run, model: str) -> dict[str, Any]:
    """The last piece, where the client asked for the tokens."""
    return {**_head(run, model, "chat.completion.chunk"), "choices": [], "usage": usage(run)}


def last_chunks(run: Run, model: str) -> list[dict[str, Any]]:
    """The answer and the end of a stream. Raises what the execution ended with, if there is none."""
    end = _answered(run)
    delta = {"content": end.answer or "", **_beyond(run, end)}
    return [chunk(run, model, delta), chunk(run, model, {}, _reason(end))]


def usage(run: Run) -> dict[str, Any]:
    """What was paid for, over all calls together."""
    spend = run.spend
    return {
        "prompt_tokens": spend.input_tokens,
        "completion_tokens": spend.output_tokens,
        "total_tokens": spend.tokens,
        "prompt_tokens_details": {"cached_tokens": spend.cached_input_tokens},
    }


def reasoning(event: Event) -> str | None:
    """What a turn looked like, for clients that show a model's thinking."""
    if isinstance(event, RootReplied) and event.code:
        return f"```repl\n{event.code}\n```\n"
    if isinstance(event, StepRan) and event.result.status == "finished":
        told = event.result.error.message if event.result.error else event.result.stdout
        return f"{told[:_PREVIEW_CHARS]}\n" if told else None
    return None


def _head(run: Run, model: str, kind: str) -> dict[str, Any]:
    execution = run.execution
    return {
        "id": completion_id(execution.execution_id),
        "object": kind,
        "created": int(execution.created_at),
        "model": model,
        "rlm": {"execution_id": execution.execution_id, "session_id": execution.session_id},
    }


def _beyond(run: Run, end: Finished) -> dict[str, Any]:
    """What OpenAI's shape has no place for."""
    citations = [
        {**asdict(citation.ref), "source_name": citation.source_name, "support": citation.support}
        for citation in end.citations
    ]
    return {"citations": citations, "partial": end.partial}


def _reason(end: Finished) -> str:
    return "length" if end.partial else "stop"


def _answered(run: Run) -> Finished:
    end = run.finished
    if end is not None and end.answer is not None:
        return end
    raise _failure(run, end)


def _failure(run: Run, end: Finished | None) -> RlmError:
    ids = {"execution_id": run.execution.execution_id, "session_id": run.execution.session_id}
    if end is None:
        return RlmError("The execution has not ended in time; it goes on.", **ids)
    code, told = (end.error.code, end.error.message) if end.error else (str(end.status), str(end.status))
    if end.status == ExecutionStatus.MAX_TURNS_EXCEEDED:
        return MaxTurnsExceeded(told, **ids)
    if end.status in (ExecutionStatus.BUDGET_EXCEEDED, ExecutionStatus.TIMEOUT):
        return BudgetExceeded(told, **ids)
    kinds: dict[str, type[RlmError]] = {
        ProviderFailed.code: ProviderFailed,
        SandboxFailed.code: SandboxFailed,
    }
    return kinds.get(code, RlmError)(told, **ids)


def model_entry(name: str) -> dict[str, Any]:
    """A model in a list."""
    return {"id": name, "object": "model", "created": int(time.time()), "owned_by": "rlm-rs"}
