"""Processes of the AWS profile killed at any moment: nothing is lost, doubled, or paid again."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import pytest
from aws_service import REGION, Api, programs

from rlm_rs.core.execution import RootReplied
from rlm_rs.core.records import WorkKind
from rlm_rs.settings import load_settings
from rlm_rs.storage.aws.account import Account
from rlm_rs.testing.aws_emulator import AwsEmulator
from rlm_rs.testing.openai_script import Prompt, ServedReply
from rlm_rs.testing.openai_server import OpenAITestServer
from rlm_rs.wiring import Wiring, wire

pytestmark = pytest.mark.timeout(300)

TENANT = "acme"
TEXT = "The notice period is ninety days. The rent is due monthly."
EXECUTIONS = 8
STEPS = ("x = context[0][4:17]", "r = llm_query('Sub {n}: ' + x)", "FINAL(x + r)")
MODELS = {
    "OPENAI_API_KEY": "sk-test",
    "DEFAULT_ROOT_MODEL": "root",
    "DEFAULT_SUB_MODEL": "sub",
    "WORKER_LEASE_SECONDS": "2",
    "WORKER_CONCURRENCY": "3",
}


def number_of(prompt: Prompt) -> int:
    found = re.search(r"(?:Number|Sub) (\d+)", prompt.text)
    assert found
    return int(found[1])


class Provider:
    """What the root model was asked, in the order it was."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, prompt: Prompt) -> ServedReply:
        n = number_of(prompt)
        if prompt.model == "sub":
            return ServedReply(f" {n}", latency=0.2)
        self.seen.append((n, prompt.turn))
        return ServedReply(f"```repl\n{STEPS[prompt.turn].format(n=n)}\n```", latency=0.4)


async def recorded(ids: list[str], wiring: Wiring) -> list[int]:
    """Root replies that each journal has."""
    journals = [await wiring.ports.log.events(TENANT, execution_id) for execution_id in ids]
    return [sum(isinstance(event, RootReplied) for _, event in events) for events in journals]


async def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    await asyncio.to_thread(process.wait, 10)


def started(api: Api) -> list[str]:
    """Executions over one new session."""
    session_id = api.session(TEXT)
    asked = [{"question": f"Number {n}?"} for n in range(EXECUTIONS)]
    return [
        str(api.post(f"/v1/sessions/{session_id}/executions", 202, json=body)["execution_id"])
        for body in asked
    ]


async def test_killed_processes_lose_and_repay_nothing(
    emulator: AwsEmulator, account: Account, prefix: str, bucket: str, tmp_path: Path
) -> None:
    provider = Provider()
    before: list[tuple[int, list[int]]] = []
    async with OpenAITestServer(provider) as server:
        more = {**MODELS, "OPENAI_BASE_URL": server.base_url}
        settings = load_settings(
            rlm_profile="aws",
            rlm_data_dir=tmp_path / "here",
            aws_region=REGION,
            aws_endpoint_url=emulator.endpoint,
            ddb_table_prefix=prefix,
            s3_bucket=bucket,
            llm_provider="fake",
        )
        wiring = wire(settings)
        with programs(tmp_path, emulator.endpoint, prefix, bucket, **more) as made:
            workers = [made.worker() for _ in range(3)]
            key = await asyncio.to_thread(made.key)
            one, two = made.api(key), made.api(key)
            await asyncio.to_thread(lambda: (one.until_ready(), two.until_ready()))
            ids = await asyncio.to_thread(started, one)
            await killed(one.process)
            for enough in (4, 10, 16):
                async with asyncio.timeout(120):
                    await server.until(lambda _, enough=enough: len(provider.seen) >= enough)  # type: ignore[misc]
                await killed(workers.pop(0))
                # first the journals: what is asked after they were read has not been paid in them
                paid = await recorded(ids, wiring)
                before.append((len(provider.seen), paid))
                workers.append(made.worker())
            ended = await asyncio.to_thread(
                lambda: [two.post(f"/v1/executions/{i}/wait", json={"timeout_seconds": 60}) for i in ids]
            )
        assert [row["status"] for row in ended] == ["COMPLETED"] * EXECUTIONS
        assert [row["answer"] for row in ended] == [f"notice period {n}" for n in range(EXECUTIONS)]
        assert await recorded(ids, wiring) == [len(STEPS)] * EXECUTIONS
        assert await wiring.work.waiting(WorkKind.EXECUTION) == 0
        for asked, paid in before:
            assert all(turn >= paid[n] for n, turn in provider.seen[asked:])
        repeated = len(provider.seen) - len(set(provider.seen))
        # a call under way when its worker is killed cannot be known to have been paid
        assert repeated <= 3 * int(MODELS["WORKER_CONCURRENCY"])
        assert set(provider.seen) == {(n, turn) for n in range(EXECUTIONS) for turn in range(len(STEPS))}
        await wiring.close()


async def test_a_cancellation_in_one_process_stops_a_worker_in_another(
    emulator: AwsEmulator, prefix: str, bucket: str, tmp_path: Path
) -> None:
    def slow(prompt: Prompt) -> ServedReply:
        return ServedReply("```repl\nFINAL('late')\n```", latency=60)

    async with OpenAITestServer(slow) as server:
        more = {**MODELS, "OPENAI_BASE_URL": server.base_url}
        with programs(tmp_path, emulator.endpoint, prefix, bucket, **more) as made:
            made.worker()
            api = made.api(await asyncio.to_thread(made.key))
            await asyncio.to_thread(api.until_ready)
            session_id = await asyncio.to_thread(api.session, TEXT)
            started = await asyncio.to_thread(
                api.post, f"/v1/sessions/{session_id}/executions", 202, json={"question": "Number 1?"}
            )
            async with asyncio.timeout(120):
                await server.until(lambda requests: len(requests) >= 1)
            place = f"/v1/executions/{started['execution_id']}"
            await asyncio.to_thread(api.post, f"{place}/cancel")
            done = await asyncio.to_thread(api.post, f"{place}/wait", json={"timeout_seconds": 30})
    assert done["status"] == "CANCELLED"
