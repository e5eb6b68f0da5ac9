"""Taking a step: the one path by which code runs, whoever wrote it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.execution import Run, StepRan, Turn
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.sandbox.protocol import Final, StepError, StepRequest, StepResult

SCHEMA_VIOLATION = "OUTPUT_SCHEMA_VIOLATION"


async def take_step(run: Run, corpus: Corpus, ports: Ports) -> Run:
    """Run the pending code, or go on with it, and record how far it came."""
    result = held_to_schema(await ports.sandbox.run(step_request(run), corpus), run, ports)
    return await ports.log.append(run, StepRan(turn=run.turns[-1].index, result=result))


def held_to_schema(result: StepResult, run: Run, ports: Ports) -> StepResult:
    """The result, its answer refused as an error of the step where it breaks the output schema.

    That is settled before it is recorded, so that a replay needs no schema.
    """
    if result.final is None or run.execution.output_schema is None:
        return result
    settled = settled_answer(result.final, run, ports)
    if isinstance(settled, Final):
        return replace(result, final=settled)
    return replace(result, final=None, error=StepError(SCHEMA_VIOLATION, settled))


def settled_answer(final: Final, run: Run, ports: Ports) -> Final | str:
    """The answer as the output schema has it, or what the root model is told of its violation."""
    schema = run.execution.output_schema
    if schema is None:
        return final
    settled = ports.schemas.settled(schema, final)
    if isinstance(settled, Final):
        return settled
    return f"the answer does not satisfy the output schema: {settled}. Answer again with a value that does."


def step_request(run: Run) -> StepRequest:
    """What the sandbox is given for the run's pending code."""
    execution = run.execution
    if run.code is None:
        raise ValueError("the run has no code to step")
    return StepRequest(
        execution_id=execution.execution_id,
        turn=run.turns[-1].index,
        code=run.code,
        state={**run.state, **reserved_state(run)},
        variables=run.variables,
        results=run.results,
        views=execution.views,
        texts=execution.texts,
        context_shape=execution.context_shape,
        history=tuple(_remembered(turn) for turn in run.turns[:-1]),
        cites=run.cites,
        limits=execution.budgets.step_limits(run.step_spend),
        tools=execution.tools,
        search_enabled=execution.search_enabled,
    )


def reserved_state(run: Run) -> dict[str, Any]:
    """The keys of `state` that step code reads and cannot change."""
    return {
        "_tool_results": run.tool_results,
        "_tool_status": dict(run.tool_status),
        "_budgets": {"limits": asdict(run.execution.budgets), "spend": asdict(run.step_spend)},
        "_trace": {"execution_id": run.execution.execution_id, "turn_index": run.turns[-1].index},
    }


def _remembered(turn: Turn) -> dict[str, Any]:
    step = turn.step
    return {
        "turn": turn.index,
        "reply": turn.reply.text,
        "code": turn.reply.code or "",
        "stdout": step.stdout if step else "",
        "error": step.error.message if step and step.error else None,
    }
