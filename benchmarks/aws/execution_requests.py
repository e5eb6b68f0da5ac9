"""Counts the requests to DynamoDB, S3 and SQS that an execution of the service makes.

The service runs in this process on the AWS profile, with a scripted model, against an emulator behind a proxy
that sees every request. Executions of few and of many turns are compared: their difference is what a turn
costs. What is done now and then, however many executions there are, is named apart.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rlm_rs.core.records import ExecutionStatus
from rlm_rs.orchestrator.executions import NewExecution, submit, wait
from rlm_rs.orchestrator.lifecycle import NewDocument, NewSession, create_session, session_view, store_upload
from rlm_rs.orchestrator.ports import Service
from rlm_rs.settings import load_settings
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.provision import provision
from rlm_rs.testing.aws_proxy import WRITES, Asked, AwsProxy
from rlm_rs.testing.models import ScriptedModel
from rlm_rs.wiring import wire

TENANT, PREFIX, BUCKET, REGION = "acme", "bench", "rlm-bench", "eu-central-1"
TEXT = "The notice period is ninety days. The rent is due monthly.\n" * 50
PLAIN = "```repl\nx = context[0][4:17]\nprint(x)\n```"
ASKING = "```repl\nprint(llm_query('What is it? ' + context[0][{n}:{n} + 17]))\n```"
LAST = "```repl\nFINAL(context[0][4:17])\n```"
FEW, MANY = 2, 10
NOW_AND_THEN = "DeleteItem, now and then"
READY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests of whole executions, by operation. subcalls: sub-calls of each turn but the last."""

    subcalls: int
    few: Counter[str]
    many: Counter[str]

    def per_turn(self) -> dict[str, float]:
        """Requests that one more turn adds, by operation."""
        operations = sorted({*self.few, *self.many})
        return {name: (self.many[name] - self.few[name]) / (MANY - FEW) for name in operations}

    def writes_per_turn(self) -> float:
        """Requests that change something, of one more turn. A lease is renewed by time, not by turn."""
        return sum(count for name, count in self.per_turn().items() if name in WRITES)

    def writes_beside(self) -> float:
        """Requests that change something, of an execution, its turns left out."""
        writes = sum(count for name, count in self.few.items() if name in WRITES)
        return writes - FEW * self.writes_per_turn()


async def measure(endpoint: str) -> tuple[list[Measured], AwsProxy]:
    """Executions with and without sub-calls; and the proxy, which counted every request there was."""
    await provision(Account(REGION, endpoint), PREFIX, BUCKET)
    measured = []
    async with AwsProxy(endpoint) as proxy:
        for subcalls in (0, 1):
            few, many = [await _requests(proxy, turns, subcalls) for turns in (FEW, MANY)]
            measured.append(Measured(subcalls, few, many))
    return measured, proxy


async def _requests(proxy: AwsProxy, turns: int, subcalls: int) -> Counter[str]:
    """The requests of one execution, from its submission to its end and one look at it."""
    # other prompts than any execution had before, so that none is answered from the call cache
    first = turns * 10
    replies = [ASKING.format(n=n) if subcalls else PLAIN for n in range(first, first + turns - 1)]
    model = ScriptedModel([*replies, LAST], "ninety days")
    async with _service(proxy, model) as service:
        session_id = await _session(service)
        begin = len(proxy.seen)
        run = await submit(TENANT, session_id, NewExecution("What is the period?"), service)
        ended = await wait(TENANT, run.execution.execution_id, READY_SECONDS, service)
        assert ended.finished is not None
        assert ended.finished.status == ExecutionStatus.COMPLETED, ended.finished
        assert len(ended.turns) == turns
        await _idle(service)
        return Counter(map(_named, proxy.seen[begin:]))


def _named(asked: Asked) -> str:
    """Its operation; apart where a worker takes a tenant that has no more work off its list."""
    forgotten = asked.operation == "DeleteItem" and b'"TENANTS#' in asked.body
    return NOW_AND_THEN if forgotten else asked.operation


@asynccontextmanager
async def _service(proxy: AwsProxy, model: ScriptedModel) -> AsyncIterator[Service]:
    """The service with its workers, on a fresh disk."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            rlm_profile="aws",
            rlm_data_dir=Path(folder),
            aws_region=REGION,
            aws_endpoint_url=proxy.endpoint,
            ddb_table_prefix=PREFIX,
            s3_bucket=BUCKET,
        )
        wiring, stop = wire(settings, provider=model), asyncio.Event()
        service = wiring.service()
        workers = [asyncio.create_task(worker.run(stop)) for worker in wiring.workers(service)]
        try:
            yield service
        finally:
            stop.set()
            await asyncio.gather(*workers)
            await wiring.close()


async def _session(service: Service) -> str:
    async def content() -> AsyncIterator[bytes]:
        yield TEXT.encode()

    uri = (await store_upload(TENANT, "lease.txt", content(), service)).raw_s3_uri
    new = NewSession((NewDocument("lease.txt", uri, "text/plain"),))
    session_id = (await create_session(TENANT, new, service)).session.session_id
    async with asyncio.timeout(READY_SECONDS):
        while not (await session_view(TENANT, session_id, service)).ready:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await _idle(service)
    return session_id


async def _idle(service: Service) -> None:
    """Wait until the workers have given back all they held."""
    async with asyncio.timeout(READY_SECONDS):
        while True:
            rows, _ = await service.ports.catalog.list_executions(TENANT, 50, status=ExecutionStatus.RUNNING)
            if not rows:
                return
            await asyncio.sleep(0.05)
