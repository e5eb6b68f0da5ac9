"""`rlm finetune`: traces of executions, datasets from them, and how good a policy is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rlm_rs.cli.finetune_data import build, evaluate
from rlm_rs.cli.options import shared, shared_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_rs.finetune.export import Exported, Wanted
    from rlm_rs.orchestrator.ports import Service

STATUSES = (
    *("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "BUDGET_EXCEEDED", "MAX_TURNS_EXCEEDED", "RUNNING"),
)


@click.group("finetune", short_help="Turn executions into training data.")
@shared_options
def command() -> None:
    """Turn recorded executions into training data, and measure the policy that made them.

    \b
    rlm finetune export --output traces.jsonl
    rlm finetune build --input traces.jsonl --output dataset
    """


command.add_command(build)
command.add_command(evaluate)


@command.command("export", short_help="Write traces as JSON lines.")
@click.option("--execution-id", "execution_ids", multiple=True, metavar="ID", help="This one; repeatable.")
@click.option("--session-id", metavar="ID", help="Those of a session.")
@click.option("--tenant-id", default="local", show_default=True, metavar="ID", help="Whose executions.")
@click.option("--status", type=click.Choice(STATUSES), help="Those that ended so.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option(
    "--output",
    default="-",
    show_default=True,
    metavar="FILE",
    help="Where to; a file that is there is gone on with. - is standard output.",
)
@click.option("--overwrite", is_flag=True, help="Begin the file anew.")
@click.option(
    "--rebuild-missing", is_flag=True, help="Read the journal of an execution whose trace was not kept."
)
@click.option("--children", is_flag=True, help="Child executions too, each as a trace of its own.")
@click.option("--redact", is_flag=True, help="Leave out every word that was written or read.")
@shared_options
@click.pass_context
def export(ctx: click.Context, /, output: str, overwrite: bool, **chosen: Any) -> int:
    """Write the traces of executions that have ended, newest first, one JSON object a line.

    Interrupted, the same command goes on where it stopped.
    """
    from rlm_rs.cli.amounts import count
    from rlm_rs.cli.streams import tell
    from rlm_rs.core.records import ExecutionStatus
    from rlm_rs.finetune.export import Wanted

    status = ExecutionStatus(chosen.pop("status")) if chosen["status"] else None
    wanted = Wanted(**{key: value for key, value in chosen.items() if key != "status"}, status=status)
    exported = _with_service(ctx, lambda service: _exported(wanted, service, output, overwrite))
    already = f", {exported.known} were there already" if exported.known else ""
    tell(f"{count(exported.written, 'trace')} written{already}.")
    if exported.missing:
        tell(
            f"Left out, because no trace was kept: {count(len(exported.missing), 'execution')}, such as "
            f"{exported.missing[0]}. --rebuild-missing reads their journals."
        )
    return 0


async def _exported(wanted: Wanted, service: Service, output: str, overwrite: bool) -> Exported:
    import sys
    from pathlib import Path

    from rlm_rs.finetune.export import export, export_to

    if output == "-":
        return await export_to(wanted, service, sys.stdout.buffer)
    return await export(wanted, service, Path(output), fresh=overwrite)


@command.command("recompute", short_help="Evaluate an execution, or check recorded figures.")
@click.argument("execution_id", metavar="[EXECUTION_ID]", required=False)
@click.option("--tenant-id", default="local", show_default=True, metavar="ID", help="Whose execution it is.")
@click.option("--recompute-baseline", is_flag=True, help="Ask the baseline afresh, and pay for it.")
@click.option("--judge-model", metavar="NAME", help="Who judges (or set EVAL_JUDGE_MODEL).")
@click.option(
    "--reference-answer",
    "reference_answers",
    multiple=True,
    metavar="TEXT",
    help="A right answer to score against; repeatable.",
)
@click.option(
    "--input",
    "traces",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Derive the figures of these traces again from what they recorded, and compare; no model is asked.",
)
@shared_options
@click.pass_context
def recompute(
    ctx: click.Context,
    execution_id: str | None,
    tenant_id: str,
    recompute_baseline: bool,
    judge_model: str | None,
    reference_answers: Sequence[str],
    traces: str | None,
) -> int:
    """Evaluate a completed execution, for the first time or again, and print the result as JSON.

    What a judge was asked before comes from the call cache. With --input, check traces instead: exit code 1
    if a recorded figure is not what the record gives.
    """
    from rlm_rs.cli.streams import say_json
    from rlm_rs.orchestrator.tracing.evaluated import evaluation_of_run

    if traces is not None and execution_id is None:
        return _checked(traces)
    if traces is not None or execution_id is None:
        raise click.UsageError("Name an execution, or a file of traces with --input.")
    wanted = {
        "renew_baseline": recompute_baseline,
        "reference_answers": list(reference_answers) or None,
    }
    run, record = _with_service(
        ctx,
        lambda service: _evaluated(tenant_id, execution_id, service, wanted),
        eval_judge_model=judge_model,
    )
    say_json(evaluation_of_run(run, record))
    return 0 if record.status == "COMPLETED" else 1


async def _evaluated(tenant_id: str, execution_id: str, service: Service, wanted: dict[str, Any]) -> Any:
    from rlm_rs.orchestrator.evaluating import evaluate, request_evaluation

    run, _ = await request_evaluation(tenant_id, execution_id, service, **wanted)
    return run, await evaluate(tenant_id, execution_id, service)


def _checked(traces: str) -> int:
    from pathlib import Path

    from rlm_rs.cli.amounts import count
    from rlm_rs.cli.streams import say, tell
    from rlm_rs.evaluation.rederiving import differences
    from rlm_rs.finetune.export import read_traces
    from rlm_rs.orchestrator.tracing.redaction import is_redacted

    checked = wrong = 0
    for _, trace in read_traces(Path(traces)):
        if trace["evaluation"] is None or is_redacted(trace):
            continue
        checked += 1
        found = differences(trace["evaluation"])
        wrong += bool(found)
        for difference in found:
            say(f"{trace['execution']['execution_id']}: {difference}")
    tell(f"{count(checked, 'evaluation')} derived again, {wrong} not as recorded.")
    return 1 if wrong else 0


def _with_service(ctx: click.Context, use: Any, **flags: Any) -> Any:
    from pathlib import Path

    from rlm_rs.cli.running import run
    from rlm_rs.settings import load_settings
    from rlm_rs.wiring import wire

    data_dir = shared(ctx).data_dir
    settings = load_settings(rlm_data_dir=Path(data_dir) if data_dir else None, **flags)

    async def used() -> Any:
        wiring = wire(settings)
        try:
            return await use(wiring.service())
        finally:
            await wiring.close()

    return run(used())
