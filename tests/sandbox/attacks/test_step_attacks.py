"""Attacks that come as a step: from within the language, on time and memory, on the reply, on the record."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.runners.image import CorpusImages, open_all
from rlm_rs.runners.process import ProcessConfig, ProcessRunner
from rlm_rs.sandbox.frames import PROBE
from rlm_rs.sandbox.protocol import StepLimits, StepRequest, StepResult, SubcallResult
from rlm_rs.storage.blobs import MemoryBlobs

from .attack import NOTHING, REACHED, Attack, read_table
from .configurations import CONFIGURATIONS
from .conftest import SECRET, Prize

LIMITS = StepLimits(seconds=0.3, memory_mb=64)
TEXT = "The text. " * 100
INNOCENT = "total = 0\nfor n in range(300_000): total += n\nprint(total)"

REACH = """
def reach():
    for cls in vars(type)["__subclasses__"](object):
        if cls.__name__ == "_wrap_close":
            function = vars(cls)["__init__"]
            return vars(type(function))["__globals__"].__get__(function)
    raise LookupError("the language kept it away")
"""

FORGE = """
import os, json, struct
def write(data):
    data = memoryview(data)
    while data: data = data[os.write(reply, data):]
def send(body, kind=b"R", length=None):
    write(struct.pack("<cI", kind, len(body) if length is None else length) + body)
def result(**fields):
    send(json.dumps({"status": "finished", **fields}).encode())
"""

Play = Callable[[ProcessRunner, Attack, Corpus], Awaitable[StepResult]]

INTROSPECTION = read_table("introspection_attacks.txt")
ESCAPES = read_table(
    "escape_attacks.txt",
    (
        NOTHING,
        "STEP_ERROR",
        "STEP_TIMEOUT",
        "STEP_MEMORY",
        "SANDBOX_VIOLATION",
        "SANDBOX_CRASHED",
        "SANDBOX_PROTOCOL_ERROR",
    ),
)
EXHAUSTION = read_table("exhaustion_attacks.txt")
FORGERY = read_table("forgery_attacks.txt")
DIVERGENCE = read_table("divergence_attacks.txt")


@asynccontextmanager
async def battlefield(
    tmp_path: Path, leave_out: Iterable[str]
) -> AsyncIterator[tuple[ProcessRunner, Corpus]]:
    """A runner with one document; at the end ordinary steps still run, in the zygote there was before."""
    blobs = MemoryBlobs()
    await blobs.put("s3://b/text", TEXT.encode())
    corpus = Corpus("t", "s", (document(),))
    config = ProcessConfig(
        running=6, spares=3, wall_factor=1.0, wall_grace_seconds=5.0, leave_out=frozenset(leave_out)
    )
    runner = ProcessRunner(CorpusImages(blobs, tmp_path / "images"), config)
    try:
        await control(runner, corpus)
        zygote = runner._nursery
        yield runner, corpus
        await control(runner, corpus)
        assert runner._nursery is zygote
    finally:
        await runner.close()


def document() -> Document:
    return Document(
        "d", 0, "d.txt", "text/plain", IngestStatus.PARSED,
        text_s3_uri="s3://b/text", char_length=len(TEXT), byte_length=len(TEXT),
    )  # fmt: skip


async def control(runner: ProcessRunner, corpus: Corpus) -> None:
    result = await runner.run(step("print(context[0][4:8], sorted('ba'))"), corpus)
    assert (result.error, result.stdout.strip()) == (None, "text ['a', 'b']")


def step(code: str, execution_id: str = "e") -> StepRequest:
    return StepRequest(execution_id, 1, code, state={"kept": SECRET}, limits=LIMITS)


async def as_step(runner: ProcessRunner, attack: Attack, corpus: Corpus) -> StepResult:
    return await runner.run(step(attack.code, attack.name), corpus)


async def as_forgery(runner: ProcessRunner, attack: Attack, corpus: Corpus) -> StepResult:
    """The code writes on the reply socket itself; what it writes is judged as a step's reply."""
    asked = step(FORGE + attack.code)
    source = FORGE + attack.code + "\nos._exit(0)"
    body = orjson.dumps({"code": source, "limits": LIMITS})
    descriptors = open_all(await runner._images.ensure(corpus))
    try:
        async with runner._slots, runner._child_given(PROBE, body, descriptors) as held:
            return await runner._conclude(held, asked, corpus)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


async def as_replay(runner: ProcessRunner, attack: Attack, corpus: Corpus) -> StepResult:
    """Run to the first call, answer it, run again from the beginning in another process."""
    asked = step(REACH + attack.code, attack.name)
    first = await runner.run(asked, corpus)
    await runner.drop(attack.name)
    if first.status == "finished":
        return first
    results = tuple(
        SubcallResult(request.key, request.digest(), "resolved", "yes") for request in first.requests
    )
    return await runner.run(replace(asked, results=results), corpus)


async def fight(play: Play, attacks: Iterable[Attack], runner: ProcessRunner, corpus: Corpus) -> None:
    """All attacks, and beside them an innocent step that must not notice."""
    innocent = asyncio.create_task(runner.run(step(INNOCENT, "innocent"), corpus))
    attacks = tuple(attacks)
    results = await asyncio.gather(*(play(runner, attack, corpus) for attack in attacks))
    assert [complaint for pair in zip(attacks, results, strict=True) if (complaint := judge(*pair))] == []
    assert (await innocent).stdout.strip() == "44999850000"


def judge(attack: Attack, result: StepResult) -> str | None:
    """What is wrong with the end an attack came to."""
    ended = result.error.code if result.error else NOTHING
    said = f"{result.stdout} {result.final} {result.error and result.error.message}"
    if REACHED in result.stdout or (result.final and REACHED in result.final.answer):
        return f"{attack.name}: {said[:300]}"
    if result.error and result.state != {"kept": SECRET}:
        return f"{attack.name}: it changed the state and failed"
    return None if ended in attack.ends else f"{attack.name}: {ended}: {said[:300]}"


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
async def test_introspection_reaches_nothing(configuration: str, tmp_path: Path, prize: Prize) -> None:
    preamble = f"FOLDER = {prize.scene.folder!r}\n"
    attacks = [replace(attack, code=preamble + attack.code) for attack in INTROSPECTION]
    async with battlefield(tmp_path, CONFIGURATIONS[configuration]) as (runner, corpus):
        await fight(as_step, attacks, runner, corpus)
    prize.check()


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
async def test_who_escapes_the_language_meets_the_kernel(
    configuration: str, tmp_path: Path, prize: Prize, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", SECRET)
    preamble = f"FOLDER = {prize.scene.folder!r}\n{REACH}"
    attacks = [replace(attack, code=preamble + attack.code) for attack in ESCAPES]
    async with battlefield(tmp_path, CONFIGURATIONS[configuration]) as (runner, corpus):
        await fight(as_step, attacks, runner, corpus)
    prize.check()


@pytest.mark.parametrize("configuration", ["all layers", "seccomp only"])
async def test_exhaustion_is_an_error_of_the_step_alone(configuration: str, tmp_path: Path) -> None:
    async with battlefield(tmp_path, CONFIGURATIONS[configuration]) as (runner, corpus):
        await fight(as_step, EXHAUSTION, runner, corpus)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
async def test_no_forged_reply_is_taken(configuration: str, tmp_path: Path) -> None:
    async with battlefield(tmp_path, CONFIGURATIONS[configuration]) as (runner, corpus):
        await fight(as_forgery, FORGERY, runner, corpus)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
async def test_a_divergent_replay_is_noticed(configuration: str, tmp_path: Path) -> None:
    async with battlefield(tmp_path, CONFIGURATIONS[configuration]) as (runner, corpus):
        await fight(as_replay, DIVERGENCE, runner, corpus)


def test_there_are_enough_attacks_and_no_two_are_alike() -> None:
    from .kernel import KERNEL_ATTACKS

    every = [*INTROSPECTION, *ESCAPES, *EXHAUSTION, *FORGERY, *DIVERGENCE, *KERNEL_ATTACKS]
    assert len(every) >= 300
    assert len({attack.code for attack in every}) == len(every)
    assert all(attack.ends for attack in every)
