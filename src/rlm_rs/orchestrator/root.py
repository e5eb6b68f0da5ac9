"""Asking the root model: the prompt, the call, and what its reply means."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from rlm_rs.core.budget import RESERVE_SHARE, Exhausted, exhausted, working_seconds
from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import ProviderFailed
from rlm_rs.core.execution import RootReplied, Run
from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.core.pricing import context_window
from rlm_rs.core.prompts.render import RootPrompt, best_answer_prompt, root_prompt
from rlm_rs.core.replies import NO_CODE, Reply, literal, read_reply, without_thinking
from rlm_rs.orchestrator.affording import room_for_reply
from rlm_rs.orchestrator.completions import Caller, Completion
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.steps import settled_answer
from rlm_rs.sandbox.protocol import Final

BEST_ANSWER_TOKENS = 4096
REFUSALS = 200
"""Sub-calls a step may be refused before it is cut short: code that ignores errors would go on for ever."""


def used_up(run: Run, ports: Ports) -> Exhausted | None:
    """The budget that is used up, unless a best answer was asked for already.

    A step in progress is cut short only by time, or when it goes on asking though it was refused again and
    again; the rest is checked before each root call.
    """
    if run.exhausted is not None:
        return None
    elapsed = ports.log.elapsed(run)
    limit = working_seconds(run.execution.budgets)
    if elapsed >= limit:
        return Exhausted("max_total_seconds", run.execution.budgets.max_total_seconds, "TIMEOUT")
    if run.pending and run.refused >= REFUSALS:
        return Exhausted("max_llm_subcalls", run.execution.budgets.max_llm_subcalls, "BUDGET_EXCEEDED")
    if run.pending or run.code is not None:
        return None
    return exhausted(run.execution.budgets, run.spend, run.consecutive_errors)


async def ask_root(run: Run, corpus: Corpus, ports: Ports) -> Run:
    """Ask for the next step and record the reply. Out of time, the run comes back as it was."""
    models = run.execution.models
    prompt = root_prompt(
        run,
        corpus,
        window_tokens=context_window(models.root, ports.windows),
        state_summary=ports.state_summary,
    )
    room = room_for_reply(run, prompt, ports.prices, share=1 - RESERVE_SHARE)
    if room.out:
        return await ask_best_answer(run, corpus, room.out, ports)
    seconds = working_seconds(run.execution.budgets) - ports.log.elapsed(run)
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            completion = await _complete(run, prompt, ports, max_tokens=room.tokens)
    except TimeoutError:
        return run
    return await ports.log.append(run, _held_to_schema(_replied(run, prompt, completion), run, ports))


async def ask_best_answer(run: Run, corpus: Corpus, out: Exhausted, ports: Ports) -> Run:
    """Ask once, within the reserve, for the best answer from what there is; none may come."""
    window = context_window(run.execution.models.root, ports.windows)
    prompt = best_answer_prompt(run, corpus, out, window_tokens=window)
    room = room_for_reply(run, prompt, ports.prices, share=1.0)
    if room.out:
        return await ports.log.append(run, _silent(run, out, f"{room.out}: no room for a best answer"))
    most = min(BEST_ANSWER_TOKENS, room.tokens or BEST_ANSWER_TOKENS)
    budgets = run.execution.budgets
    try:
        async with asyncio.timeout(max(1.0, budgets.max_total_seconds - working_seconds(budgets))):
            completion = await _complete(run, prompt, ports, max_tokens=most)
    except TimeoutError:
        return await ports.log.append(run, _silent(run, out, str(out)))
    except ProviderFailed as error:
        return await ports.log.append(run, _silent(run, out, f"{out}, and then: {error.message}"))
    reply = _best_answer(run, prompt, completion, out)
    return await ports.log.append(run, _held_to_schema(reply, run, ports))


async def _complete(run: Run, prompt: RootPrompt, ports: Ports, max_tokens: int | None = None) -> Completion:
    execution = run.execution
    request = ModelRequest(execution.models.root, prompt.messages, max_tokens=max_tokens)
    caller = Caller(execution.tenant_id, f"{execution.execution_id}/{run.seq}/root")
    return await ports.completions.complete(request, caller, shared=False)


def _replied(run: Run, prompt: RootPrompt, completion: Completion) -> RootReplied:
    reply = read_reply(completion.reply.text, completion.reply.tool_calls)
    code, final = _meant(run, reply)
    problem = None if code or final else _problem(reply)
    return RootReplied(code=code, final=final, problem=problem, **_facts(run, prompt, completion))


def _best_answer(run: Run, prompt: RootPrompt, completion: Completion, out: Exhausted) -> RootReplied:
    """Plain text is the answer itself; code still runs once, since some models know no other way."""
    code, final = _meant(run, read_reply(completion.reply.text, completion.reply.tool_calls))
    said = without_thinking(completion.reply.text).strip()
    if final is None and code is None and said:
        final = Final(said)
    return RootReplied(code=code, final=final, exhausted=out.status, **_facts(run, prompt, completion))


def _held_to_schema(reply: RootReplied, run: Run, ports: Ports) -> RootReplied:
    """The reply, its answer refused where it breaks the output schema."""
    if reply.final is None:
        return reply
    settled = settled_answer(reply.final, run, ports)
    if isinstance(settled, Final):
        return replace(reply, final=settled)
    return replace(reply, final=None, problem=settled)


def _meant(run: Run, reply: Reply) -> tuple[str | None, Final | None]:
    """The code to run or the answer given. An answer that names what a step kept is for a step to look up."""
    if reply.final is None:
        return reply.code, None
    call, argument = reply.final
    name = literal(argument) if call == "FINAL_VAR" else argument
    if name in run.variables:
        return f"FINAL_VAR({name!r})", None
    if name in run.state:
        return f"FINAL(state[{name!r}])", None
    return None, Final(literal(argument)) if call == "FINAL" else None


def _silent(run: Run, out: Exhausted, problem: str) -> RootReplied:
    return RootReplied(turn=len(run.turns), text="", exhausted=out.status, problem=problem, cost_usd=0.0)


def _facts(run: Run, prompt: RootPrompt, completion: Completion) -> dict[str, Any]:
    reply = completion.reply
    return {
        "turn": len(run.turns),
        "text": reply.text,
        "reasoning": reply.reasoning,
        "model": reply.model,
        "usage": reply.usage,
        "cost_usd": completion.cost_usd,
        "prompt_chars": sum(len(message.content) for message in prompt.messages),
        "prompt_version": prompt.version,
        "prompt_sha256": prompt.digest,
        "cache_hit": completion.cache_hit,
        "cached_at": completion.uri,
        "seconds": reply.seconds,
    }


def _problem(reply: Reply) -> str:
    if reply.final is None:
        return NO_CODE
    return f"There is no variable {reply.final[1]} to answer with. {NO_CODE}"


def user_prompt(model: str, prompt: str, **limits: Any) -> ModelRequest:
    """A request of one user message: what a sub-call asks."""
    return ModelRequest(model, (Message("user", prompt),), **limits)
