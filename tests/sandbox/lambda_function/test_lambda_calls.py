"""Calls of a function that fails, lies, hangs or is not there: each ends in a result or a named error."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.errors import LambdaFailed, SandboxFailed
from rlm_rs.runners.lambda_runner import LambdaConfig, LambdaRunner, Stored
from rlm_rs.runners.probe import all_held, prove
from rlm_rs.runners.stored_image import StoredImages
from rlm_rs.sandbox.protocol import StepLimits, StepResult
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.testing.lambda_service import SECRETS, LambdaService, throttled
from rlm_rs.testing.local_server import answer
from rlm_rs.testing.object_server import ObjectServer
from rlm_rs.testing.sandbox_contract import request, stored_corpus

from .conftest import calls_of

NOTHING = Corpus("tenant", "session", ())

LYING = """
import json, os, time
def handler(event, context):
    return {answer}
"""
FORGED_SPAN = '{"status": "finished", "spans": [{"doc_index": 0, "start_char": 0, "end_char": 1000000000}]}'
LIES = {
    "nothing": ("None", LambdaFailed),
    "a list": ("[1, 2]", LambdaFailed),
    "another release's words": ("{'result': 1}", LambdaFailed),
    "layers that are none": ("{'reply': {'text': '{}'}, 'layers': {'a': 1}}", LambdaFailed),
    "a reply that is no JSON": ("{'reply': {'text': 'x'}}", "SANDBOX_PROTOCOL_ERROR"),
    "a reply of another shape": ("{'reply': {'text': '{}'}}", "SANDBOX_PROTOCOL_ERROR"),
    "what cannot be inflated": ("{'reply': {'deflated': '////'}}", "SANDBOX_PROTOCOL_ERROR"),
    "a span outside the documents": (
        f"{{'reply': {{'text': {FORGED_SPAN!r}}}}}",
        "SANDBOX_PROTOCOL_ERROR",
    ),
    "too long a reply": ("{'reply': {'text': 'x' * 7_000_000}}", "STATE_TOO_LARGE"),
    "an exception": ("1 / 0", LambdaFailed),
    "the end of the process": ("os._exit(1)", "SANDBOX_CRASHED"),
    "no end": ("time.sleep(60)", "STEP_TIMEOUT"),
}


@pytest.fixture
async def lying(
    tmp_path: Path, blobs: MemoryBlobs, objects: ObjectServer
) -> AsyncIterator[Callable[[str], Any]]:
    """A runner over a function that returns what is said."""
    opened: list[Any] = []

    async def make(expression: str) -> LambdaRunner:
        root = tmp_path / "root"
        root.mkdir()
        (root / "lying.py").write_text(LYING.replace("{answer}", expression))
        service = await LambdaService(root, handler="lying.handler", timeout=1.0).__aenter__()
        images = StoredImages(blobs, "bucket", tmp_path / "spool")
        calls = calls_of(service.endpoint, "liar")
        runner = LambdaRunner(calls, Stored(blobs, objects, images), LambdaConfig("bucket"))
        opened.extend([service, runner])
        return runner

    yield make
    service, runner = opened
    await runner.close()
    await service.__aexit__(None, None, None)


@pytest.mark.parametrize("name", LIES)
async def test_whatever_a_function_says_is_judged(
    lying: Callable[[str], Any], blobs: MemoryBlobs, name: str
) -> None:
    expression, expected = LIES[name]
    runner = await lying(expression)
    corpus = await stored_corpus(blobs, ["the text"])
    if isinstance(expected, str):
        result = await runner.run(request("1", state={"n": 1}), corpus)
        assert (code_of(result), result.state) == (expected, {"n": 1})
    else:
        with pytest.raises(expected):
            await runner.run(request("1"), corpus)


def code_of(result: StepResult) -> str:
    assert result.error is not None
    return result.error.code


async def test_throttled_calls_are_made_again(runner: LambdaRunner, service: LambdaService) -> None:
    service.faults.extend([throttled(), answer(503, b"{}", x_amzn_errortype="ServiceException")])
    assert (await runner.run(request("print(1)"), NOTHING)).stdout == "1\n"
    assert len(service.events) == 3


async def test_a_function_that_is_not_there_is_named(runner: LambdaRunner, service: LambdaService) -> None:
    service.faults.append(answer(404, b"{}", x_amzn_errortype="ResourceNotFoundException"))
    with pytest.raises(LambdaFailed, match="rlm-sandbox could not run the step: ResourceNotFoundException"):
        await runner.run(request("1"), NOTHING)


async def test_a_step_too_long_for_an_event_is_handed_over_as_an_object(
    runner: LambdaRunner, service: LambdaService, blobs: MemoryBlobs
) -> None:
    state = {"noise": random.Random(1).randbytes(4_000_000).hex()}
    limits = StepLimits(state_chars=10_000_000, memory_mb=1024)
    step = request("print(len(state['noise'])); del state['noise']", state=state, limits=limits)
    result = await runner.run(step, NOTHING)
    assert (result.stdout, len(service.events[0]) < 10_000) == ("8000000\n", True)
    assert await blobs.list("s3://bucket/steps/") == []


async def test_a_result_too_long_to_return_is_an_error_of_the_step(runner: LambdaRunner) -> None:
    code = "import random\nFINAL(''.join(chr(random.randrange(0x4e00, 0x9fff)) for _ in range(4_000_000)))"
    result = await runner.run(request(code, limits=StepLimits(memory_mb=1024)), NOTHING)
    assert code_of(result) == "STATE_TOO_LARGE"


async def test_a_killed_child_is_an_error_of_the_step_and_the_function_goes_on(
    runner: LambdaRunner, service: LambdaService
) -> None:
    limits = StepLimits(seconds=0.3, memory_mb=64)
    assert code_of(await runner.run(request("sum(range(10**12))", limits=limits), NOTHING)) == "STEP_TIMEOUT"
    assert code_of(await runner.run(request("x = 'a' * 10**9", limits=limits), NOTHING)) == "STEP_MEMORY"
    assert (await runner.run(request("print(1)"), NOTHING)).stdout == "1\n"
    assert len(service.environments) == 1


async def test_nothing_is_in_reach_of_a_step_in_the_function(runner: LambdaRunner) -> None:
    checks = await prove(runner)
    assert [check for check in checks if not check.held] == []
    assert all_held(checks)


async def test_what_is_locked_is_told_and_logged(runner: LambdaRunner, service: LambdaService) -> None:
    layers = await runner.start()
    assert layers.seccomp
    log = service.environments[0].log()
    assert f'"locked": "{layers.in_words()}"' in log
    assert '"outcome": "reply"' in log


READ_STACK = """
import ctypes
at = ctypes.cast(ctypes.c_void_p.in_dll(ctypes.CDLL(None), 'program_invocation_name'), ctypes.c_void_p).value
outcome = ''
while not outcome.endswith('\\0' * 8):
    page = ctypes.string_at(at, 4096 - at % 4096)
    outcome, at = outcome + page.decode('latin-1'), at + len(page)
"""
"""From the first argument to the top of the stack, where the environment that a process began with stays."""


async def test_the_credentials_of_the_function_are_not_in_the_memory_of_a_step(runner: LambdaRunner) -> None:
    seen = await runner.probe(READ_STACK, StepLimits(seconds=2.0, memory_mb=64))
    assert "PYTHONHASHSEED=0" in seen
    assert [name for name, value in SECRETS.items() if name in seen or value in seen] == []


async def test_what_one_tenant_read_is_not_what_another_reads(
    runner: LambdaRunner, blobs: MemoryBlobs, service: LambdaService
) -> None:
    service.concurrency = 1
    corpora = []
    for tenant in ("one", "two"):
        uri = f"s3://bucket/parsed/{tenant}/text.txt"
        (document,) = (await stored_corpus(MemoryBlobs(), [f"of tenant {tenant}"])).documents
        await blobs.put(uri, f"of tenant {tenant}".encode())
        here = replace(document, text_s3_uri=uri, meta_s3_uri=None, text_checksum=None)
        corpora.append(Corpus(tenant, "session", (here,)))
    read = request("print(context[0][:], len(context))")
    told = [(await runner.run(read, corpus)).stdout for corpus in (*corpora, *corpora)]
    assert told == ["of tenant one 1\n", "of tenant two 1\n"] * 2
    assert len(service.environments) == 1


async def test_a_child_holds_no_files_but_those_of_its_own_image(
    runner: LambdaRunner, blobs: MemoryBlobs
) -> None:
    await runner.run(request("print(context[0][:])"), await stored_corpus(blobs, ["text of a tenant"]))
    source = (
        "import os\nheld = 0\n"
        "for number in range(300):\n"
        "    try:\n        os.lseek(number, 0, 1)\n        held += 1\n"
        "    except OSError:\n        pass\n"
        "outcome = str(held)"
    )
    # a probe is given four empty files in place of documents
    assert await runner.probe(source, StepLimits(seconds=2.0, memory_mb=64)) == "4"


async def test_a_closed_runner_refuses(runner: LambdaRunner) -> None:
    await runner.close()
    with pytest.raises(SandboxFailed, match="closed"):
        await runner.run(request("1"), NOTHING)


async def test_images_go_with_their_session(runner: LambdaRunner, blobs: MemoryBlobs) -> None:
    await runner.run(request("1"), await stored_corpus(blobs, ["the text"]))
    assert await blobs.list("s3://bucket/images/")
    await runner.forget("tenant", "session")
    assert await blobs.list("s3://bucket/images/") == []
