"""What every sandbox must do. A runner's tests are a subclass that says how to open one.

class TestMyRunner(SandboxContract):
    @pytest.fixture
    def blobs(self): ...
    @pytest.fixture
    def sandbox(self, blobs): ...
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, ClassVar

import pytest

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.core.ports import Blobs, Sandbox
from rlm_rs.sandbox.protocol import (
    SpanEntry,
    StepLimits,
    StepRequest,
    StepResult,
    StepUsage,
    SubcallRequest,
    SubcallResult,
    View,
)

CHECKPOINT_CHARS = 4096
PLAIN = "Either party may terminate this Agreement on thirty days notice.\n" * 100
MIXED = "Größe: 5 € — 𝄞 e\u0301. " * 1_000

SUSPENDING = {
    "one call": "print('before')\na = llm_query('one')\nprint(a)",
    "calls in a row": "a = [llm_query(f'n{i}') for i in range(4)]\nstate['a'] = a\na",
    "a batch": "b = llm_query_batched(['x', 'y', 'z'])\nprint(b)\nFINAL(b[1])",
    "a call that depends on another": "a = llm_query('one')\nb = llm_query('two ' + a)\nFINAL(b)",
    "reads between": "s = context[0][:10]\na = llm_query(s)\nb = llm_query(context[1][3:9])\nkept = [a, b]",
    "an error after it was paid": "a = llm_query('one')\nstate['lost'] = a\nprint(a)\n1 / 0",
    "caught inside": "try:\n    raise KeyError(llm_query('one'))\nexcept KeyError as e:\n    print(e)",
    "children and queued calls": "tool.queue_llm('q', 'p')\nstate['a'] = rlm_query('child', context[0])",
    "chance": "import random\na = random.random()\nb = llm_query(str(a))\nprint(a, b, random.random())",
    "awaited": "import asyncio\na, b = await asyncio.gather(llm_query('a'), llm_query('b'))\nprint(a, b)",
}

MISTAKES = {
    "no Python": "this is no Python",
    "a name that is not there": "print(undefined)",
    "an exit": "import sys\nsys.exit(3)",
    "an error of its own": "class Mine(BaseException): pass\nraise Mine('x')",
    "recursion": "def f(): return f()\nf()",
    "a forbidden import": "import socket",
    "a null character": "x = '\0'",
    "nothing": "",
    "an error that cannot be shown": "class E(Exception):\n    def __str__(self): 1 / 0\nraise E()",
    "a deleted builtin": "del __builtins__['print']\nprint(1)",
}


async def stored_corpus(blobs: Blobs, texts: Sequence[str]) -> Corpus:
    """A session of these texts, stored as ingestion stores them."""
    documents = [await _stored(blobs, index, text) for index, text in enumerate(texts)]
    return Corpus("tenant", "session", tuple(documents))


async def _stored(blobs: Blobs, index: int, text: str) -> Document:
    base, data = f"s3://bucket/parsed/tenant/session/doc_{index}", text.encode()
    sizes = [len(text[at : at + CHECKPOINT_CHARS].encode()) for at in range(0, len(text), CHECKPOINT_CHARS)]
    offsets = list(accumulate(sizes[:-1], initial=0))
    await blobs.put(f"{base}/text.txt", data)
    await blobs.put(f"{base}/meta.json", b'{"pages": []}')
    await blobs.put(f"{base}/offsets.u64", struct.pack(f"<{len(offsets)}Q", *offsets))
    return Document(
        doc_id=f"doc_{index}",
        doc_index=index,
        source_name=f"{index}.txt",
        mime_type="text/plain",
        ingest_status=IngestStatus.PARSED,
        text_s3_uri=f"{base}/text.txt",
        meta_s3_uri=f"{base}/meta.json",
        offsets_index_uri=None if text.isascii() else f"{base}/offsets.u64",
        char_length=len(text),
        byte_length=len(data),
    )


def request(code: str, **fields: Any) -> StepRequest:
    """A step of the execution `exec`, turn 0."""
    return replace(StepRequest("exec", 0, code), **fields)


def answered(step: StepRequest, asked: Sequence[SubcallRequest]) -> StepRequest:
    """The step with its calls answered by their own prompts."""
    results = tuple(
        SubcallResult(ask.key, ask.digest(), "resolved", f"<{ask.prompt}>", meta={"cache_hit": False})
        for ask in asked
    )
    return replace(step, results=step.results + results)


def told(result: StepResult) -> StepResult:
    """The result without what it took, which differs from run to run."""
    return replace(result, usage=StepUsage())


class SandboxContract:
    """The promises of `core.ports.Sandbox`. Subclasses provide `blobs` and `sandbox`.

    enforces_limits: whether time and memory of a step are bounded, which only another process can do.
    """

    enforces_limits: ClassVar[bool] = True

    @pytest.fixture
    def blobs(self) -> Blobs:
        raise NotImplementedError("a subclass provides the blobs")

    @pytest.fixture
    def sandbox(self) -> Sandbox:
        raise NotImplementedError("a subclass provides the sandbox")

    @pytest.fixture
    async def corpus(self, blobs: Blobs) -> Corpus:
        """An ASCII document and one of mixed widths."""
        return await stored_corpus(blobs, [PLAIN, MIXED])

    async def _to_its_end(self, sandbox: Sandbox, step: StepRequest, corpus: Corpus) -> StepResult:
        result = await sandbox.run(step, corpus)
        while result.status == "suspended":
            step = answered(step, result.requests)
            result = await sandbox.run(step, corpus)
        return result

    async def test_what_is_read_is_logged(self, sandbox: Sandbox, corpus: Corpus) -> None:
        result = await sandbox.run(request("print(context[0][7:12])\nprint(context[1][4_500:4_510])"), corpus)
        assert result.stdout == f"{PLAIN[7:12]}\n{MIXED[4_500:4_510]}\n"
        assert [(s.doc_index, s.start_char, s.end_char) for s in result.spans] == [
            (0, 7, 12),
            (1, 4500, 4510),
        ]

    async def test_a_window_reads_as_a_document_and_logs_its_place(
        self, sandbox: Sandbox, corpus: Corpus
    ) -> None:
        step = request("print(len(context), len(context[0]), context[0][:5])", views=(View(1, 100, 200),))
        result = await sandbox.run(step, corpus)
        assert result.stdout == f"1 100 {MIXED[100:105]}\n"
        assert result.spans == (SpanEntry(1, 100, 105),)

    async def test_a_text_of_the_request_is_read_and_not_logged(
        self, sandbox: Sandbox, corpus: Corpus
    ) -> None:
        step = request("print(len(context), context[0][:4])", views=(), texts=("größer",))
        result = await sandbox.run(step, corpus)
        assert (result.stdout, result.spans) == ("1 größ\n", ())

    async def test_state_and_variables_are_kept(self, sandbox: Sandbox, corpus: Corpus) -> None:
        first = await sandbox.run(
            request("state['n'] = [1, 2]\nx = {'a': 5}\ndef twice(v): return 2 * v\nd = context[1]"), corpus
        )
        again = request(
            "print(twice(x['a']), state['n'], d[0:5])", turn=1, state=first.state, variables=first.variables
        )
        assert (await sandbox.run(again, corpus)).stdout == f"10 [1, 2] {MIXED[:5]}\n"

    async def test_a_failed_step_keeps_its_output_and_its_variables_and_reverts_state(
        self, sandbox: Sandbox, corpus: Corpus
    ) -> None:
        code = "x = 5\nstate['n'] = 2\ntool.queue_llm('k', 'p')\nprint('seen')\nundefined"
        result = await sandbox.run(request(code, state={"n": 1}), corpus)
        assert result.error is not None
        assert (result.error.line, "undefined" in result.error.message) == (5, True)
        assert (result.stdout, result.state["n"], result.requests) == ("seen\n", 1, ())
        again = request("print(x)", turn=1, state=result.state, variables=result.variables)
        assert (await sandbox.run(again, corpus)).stdout == "5\n"

    async def test_queued_requests_come_with_the_finished_step(
        self, sandbox: Sandbox, corpus: Corpus
    ) -> None:
        code = "tool.queue_llm('a', 'p', max_tokens=7)\ntool.YIELD('waiting')\nprint('never')"
        result = await sandbox.run(request(code), corpus)
        assert (result.status, result.yielded, result.stdout) == ("finished", "waiting", "")
        (queued,) = result.requests
        assert (queued.key, queued.prompt, queued.called, queued.max_tokens) == ("a", "p", False, 7)

    async def test_an_answer_ends_the_step(self, sandbox: Sandbox, corpus: Corpus) -> None:
        result = await sandbox.run(request("FINAL({'a': (1, 2)})\nprint('never')"), corpus)
        assert result.final is not None
        assert (result.final.answer, result.final.value) == ('{"a": [1, 2]}', {"a": [1, 2]})
        assert result.stdout == ""

    async def test_a_step_suspends_at_its_calls_and_goes_on(self, sandbox: Sandbox, corpus: Corpus) -> None:
        step = request(SUSPENDING["a call that depends on another"])
        first = await sandbox.run(step, corpus)
        assert (first.status, [r.prompt for r in first.requests]) == ("suspended", ["one"])
        step = answered(step, first.requests)
        second = await sandbox.run(step, corpus)
        assert (second.status, [r.prompt for r in second.requests]) == ("suspended", ["two <one>"])
        last = await sandbox.run(answered(step, second.requests), corpus)
        assert last.final is not None
        assert last.final.answer == "<two <one>>"

    @pytest.mark.parametrize("name", SUSPENDING)
    async def test_going_on_and_running_again_from_the_record_give_the_same_result(
        self, sandbox: Sandbox, corpus: Corpus, name: str
    ) -> None:
        step = request(SUSPENDING[name], state={"before": 1})
        suspended = [await sandbox.run(step, corpus)]
        while suspended[-1].status == "suspended":
            step = answered(step, suspended[-1].requests)
            suspended.append(await sandbox.run(step, corpus))
        await sandbox.drop("exec")
        again = await sandbox.run(step, corpus)
        assert told(again) == told(suspended[-1])
        assert again.status == "finished"

    @pytest.mark.parametrize("name", SUSPENDING)
    async def test_a_step_dropped_while_it_waits_goes_on_all_the_same(
        self, sandbox: Sandbox, corpus: Corpus, name: str
    ) -> None:
        step = request(SUSPENDING[name])
        result = await sandbox.run(step, corpus)
        while result.status == "suspended":
            await sandbox.drop("exec")
            step = answered(step, result.requests)
            result = await sandbox.run(step, corpus)
        whole = await self._to_its_end(sandbox, request(SUSPENDING[name]), corpus)
        assert told(result) == told(whole)

    async def test_a_record_that_does_not_fit_the_code_is_an_error(
        self, sandbox: Sandbox, corpus: Corpus
    ) -> None:
        step = request("print(llm_query('one'))")
        other = SubcallResult("0.0", SubcallRequest("0.0", "llm", "another").digest(), "resolved", "x")
        result = await sandbox.run(replace(step, results=(other,)), corpus)
        assert result.status == "finished"
        assert result.error is not None
        assert "recorded" in result.error.message

    async def test_a_record_of_calls_the_code_does_not_make_is_an_error(
        self, sandbox: Sandbox, corpus: Corpus
    ) -> None:
        first = await sandbox.run(request("llm_query('one')"), corpus)
        step = replace(answered(request("x = 1"), first.requests))
        result = await sandbox.run(step, corpus)
        assert result.error is not None
        assert "recorded" in result.error.message

    async def test_dropping_what_is_not_there_is_no_error(self, sandbox: Sandbox) -> None:
        await sandbox.drop("nobody")

    @pytest.mark.parametrize("name", MISTAKES)
    async def test_whatever_the_code_does_there_is_a_result(
        self, sandbox: Sandbox, corpus: Corpus, name: str
    ) -> None:
        assert (await sandbox.run(request(MISTAKES[name]), corpus)).status == "finished"
        assert (await sandbox.run(request("print('alive')"), corpus)).stdout == "alive\n"

    async def test_output_is_bounded_and_says_how_much_is_missing(
        self, sandbox: Sandbox, corpus: Corpus
    ) -> None:
        step = request("print('a' * 100_000)", limits=StepLimits(stdout_chars=1_000))
        result = await sandbox.run(step, corpus)
        assert len(result.stdout) < 3_000
        assert result.stdout_dropped > 90_000

    async def test_steps_at_the_same_time_do_not_mix(self, sandbox: Sandbox, corpus: Corpus) -> None:
        code = "x = llm_query(f'{me}')\nprint(me, x, context[0][:3])"
        steps = [request(f"me = {i}\n{code}", execution_id=f"exec_{i}") for i in range(6)]
        results = await asyncio.gather(*(self._to_its_end(sandbox, step, corpus) for step in steps))
        assert [result.stdout for result in results] == [f"{i} <{i}> Eit\n" for i in range(6)]

    async def test_chance_is_the_same_again_and_other_for_another_turn(
        self, sandbox: Sandbox, corpus: Corpus
    ) -> None:
        step = request("import random\nprint(random.random(), hash('a'))")
        first, again, other = [
            (await sandbox.run(replace(step, turn=turn), corpus)).stdout for turn in (0, 0, 1)
        ]
        assert first == again
        assert first.split()[0] != other.split()[0]

    async def test_a_step_without_end_is_ended(self, sandbox: Sandbox, corpus: Corpus) -> None:
        if not self.enforces_limits:
            pytest.skip("this sandbox does not bound time")
        code = (
            "print('seen')\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass"
        )
        result = await sandbox.run(request(code, limits=StepLimits(seconds=0.3)), corpus)
        assert result.error is not None
        assert result.error.code == "STEP_TIMEOUT"
        assert (await sandbox.run(request("print('alive')"), corpus)).stdout == "alive\n"
