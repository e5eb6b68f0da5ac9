"""The loop (arXiv 2512.24601, section 2): ask the root model for a step, run it, resolve what it asks for.

Everything that happens is an event in the execution's journal, and a run is the fold of its events. So
this function may be killed at any point: called again with the replayed run it goes on where the journal
ends, and pays for no call that was recorded.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Mapping

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import Fenced, ProviderFailed, RlmError
from rlm_rs.core.execution import Problem, Run
from rlm_rs.orchestrator.children import run_child
from rlm_rs.orchestrator.outcome import finish
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.root import ask_best_answer, ask_root, used_up
from rlm_rs.orchestrator.searching import run_search
from rlm_rs.orchestrator.steps import take_step
from rlm_rs.orchestrator.subcalls import Resolver, ask_sub_model, resolve
from rlm_rs.orchestrator.tool_calls import call_tool

RESOLVERS: Mapping[str, Resolver] = {
    "llm": ask_sub_model,
    "rlm": run_child,
    "search": run_search,
    "tool": call_tool,
}


async def answer(run: Run, corpus: Corpus, ports: Ports) -> Run:
    """Drive an execution from wherever its journal stands to its outcome.

    Raises `Fenced` if another worker goes on with it, and `ProviderFailed` if the root model cannot be
    reached after work was recorded: the execution stays open, so that it can go on when the provider is
    back. Whatever else goes wrong is the outcome.
    """
    try:
        while not run.concluded:
            if out := used_up(run, ports):
                run = await ask_best_answer(run, corpus, out, ports)
            elif run.pending:
                run = await resolve(run, corpus, ports, answer, RESOLVERS)
            elif run.code is None:
                run = await ask_root(run, corpus, ports)
            else:
                run = await take_step(run, corpus, ports)
    except Fenced:
        raise
    except CancelledError:
        # nobody here will answer what a step waits for
        await ports.sandbox.drop(run.execution.execution_id)
        raise
    except RlmError as error:
        if isinstance(error, ProviderFailed) and run.turns and run.execution.parent is None:
            error.details["execution_id"] = run.execution.execution_id
            raise
        return await finish(run, corpus, ports, Problem(error.code, error.message))
    else:
        return await finish(run, corpus, ports)
    finally:
        ports.log.forget(run.execution.execution_id)
