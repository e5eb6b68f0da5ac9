"""Searches as sub-calls: resolved, recorded, cached, shared, bounded, and never a citation by themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from stage import BUCKET, SESSION, TENANT, Stage, last_step, outcome, step, subcalls

from rlm_rs.core.corpus import Corpus, IngestStatus
from rlm_rs.core.errors import SearchFailed
from rlm_rs.core.execution import Run
from rlm_rs.core.records import DocumentRecord, ExecutionStatus, SessionRecord, SessionStatus
from rlm_rs.core.searching import SearchHit
from rlm_rs.orchestrator import searching
from rlm_rs.orchestrator.indexing import SEARCH_FAILURE
from rlm_rs.orchestrator.searches import Searches
from rlm_rs.sandbox.protocol import View
from rlm_rs.search.embedded import EmbeddedIndex

MakeStage = Callable[..., Awaitable[Stage]]

LEASE = "The tenant may end this lease on six months' notice."
SUPPLY = "The supplier delivers pallets. Notice is thirty days."
LONG = "Filler about rivers. " * 300 + "The escrow agent is Mrs Okafor. " + "Filler about rivers. " * 300
TEXTS = (LEASE, SUPPLY, LONG)

FIND_AND_READ = """
hit = context.search("escrow agent", k=3)[0]
doc = context[hit["doc_index"]]
text = doc[hit["start_char"]:hit["end_char"]]
at = hit["start_char"] + text.index("Mrs Okafor")
FINAL(doc[at:at + 10])
"""


class CountingIndex(EmbeddedIndex):
    """Counts what it is asked to build and what it answers."""

    queries = 0
    builds = 0
    asked: asyncio.Event | None = None

    async def build(self, corpus: Corpus) -> None:
        self.builds += 1
        await super().build(corpus)

    async def query(
        self, corpus: Corpus, query: str, k: int, views: Sequence[View] | None = None
    ) -> Sequence[SearchHit]:
        if self.asked:
            self.asked.set()
        hits = await super().query(corpus, query, k, views)
        self.queries += 1
        return hits


def searched(stage: Stage, **changes: Any) -> CountingIndex:
    """Give a stage a search engine."""
    index = CountingIndex(stage.blobs, BUCKET, stage.directory.parent / "indexes")
    searches = Searches(index, stage.blobs, stage.ports.texts, BUCKET)
    stage.ports = replace(stage.ports, search=searches, **changes)
    return index


async def asked(stage: Stage, **changes: Any) -> Run:
    return await stage.ask(search_enabled=True, **changes)


async def test_a_search_finds_what_is_then_read_and_cited(staged: MakeStage) -> None:
    stage = await staged([step(FIND_AND_READ)], texts=TEXTS)
    index = searched(stage)
    run = await asked(stage)
    end = outcome(run)
    assert (end.status, end.answer) == (ExecutionStatus.COMPLETED, "Mrs Okafor")
    # the hit is what was searched; only the passage that was read is cited
    assert {citation.ref.doc_index for citation in end.citations} == {2}
    assert [span.tag for span in last_step(run).spans if span.tag] == ["scan:search"]
    (found,) = subcalls(await stage.events())
    assert found.result.meta == {"cache_hit": False, "engine": "embedded"}
    assert found.spend.searches == run.spend.searches == 1
    assert run.spend.llm_subcalls == 0
    assert (index.builds, index.queries) == (1, 1)


async def test_a_hit_that_is_not_read_is_no_citation(staged: MakeStage) -> None:
    stage = await staged([step("print(search('notice')); FINAL('Six months.')")], texts=TEXTS)
    searched(stage)
    run = await asked(stage)
    assert "preview" in last_step(run).stdout
    assert outcome(run).citations == ()


async def test_hits_have_the_promised_fields_and_a_preview_where_the_words_are(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(search('escrow okafor', k=1))")], texts=TEXTS)
    searched(stage)
    (hit,) = outcome(await asked(stage)).value
    assert list(hit) == ["score", "doc_index", "start_char", "end_char", "preview"]
    assert "escrow agent is Mrs Okafor" in hit["preview"]
    assert hit["preview"] in LONG[hit["start_char"] : hit["end_char"]]


async def test_a_queued_search_is_in_the_state_of_the_next_step(staged: MakeStage) -> None:
    queue = "tool.queue_search('s', 'pallets', k=2)\ntool.YIELD('waiting')"
    found = "state['_tool_results']['search']['s']"
    read = f"FINAL([{found}['hits'][0]['doc_index'], {found}['meta']])"
    stage = await staged([step(queue), step(read)], texts=TEXTS)
    searched(stage)
    assert outcome(await asked(stage)).value == [1, {"cache_hit": False, "engine": "embedded"}]


async def test_the_schema_and_the_prompt_say_whether_there_is_search(staged: MakeStage) -> None:
    code = "FINAL([t['availability'] for t in tool.schema()['tools'] if t['name'] == 'queue_search'][0])"
    for enabled, reason in ((True, None), (False, "this session has no search index")):
        stage = await staged([step(code)], texts=TEXTS)
        searched(stage)
        run = await stage.ask(search_enabled=enabled)
        assert outcome(run).value == {"enabled": enabled, "disabled_reason": reason}
        told = stage.model.requests[0].messages[0].content
        assert ("context.search(query" in told) is enabled


async def test_without_search_the_code_is_told_what_to_use_instead(staged: MakeStage) -> None:
    stage = await staged([step("search('x')"), step("FINAL('no')")], texts=TEXTS)
    searched(stage)
    run = await stage.ask()
    error = run.turns[0].step and run.turns[0].step.error
    assert error
    assert "context.find" in error.message


async def test_the_same_search_again_comes_from_the_cache(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(search('notice', k=5))")] * 2, texts=TEXTS)
    index = searched(stage)
    first = await asked(stage)
    second = await asked(stage, execution_id="exec_2")
    assert outcome(first).value == outcome(second).value
    assert index.queries == 1
    (missed,), (hit,) = [subcalls(await stage.events(name)) for name in ("exec_1", "exec_2")]
    assert (hit.cache_hit, hit.result.meta["cache_hit"], missed.cache_hit) == (True, True, False)
    assert hit.cached_at == missed.cached_at
    record = json.loads(await stage.blobs.get(hit.cached_at or ""))
    assert record["request"]["query"] == "notice"
    assert (hit.cached_at or "").startswith(f"s3://{BUCKET}/cache/{TENANT}/search/")


async def test_other_documents_are_another_search(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(len(search('notice')))")] * 2, texts=TEXTS)
    searched(stage)
    assert outcome(await asked(stage)).value == 2
    stage.corpus = replace(stage.corpus, documents=stage.corpus.documents[:1])
    assert outcome(await asked(stage, execution_id="exec_2")).value == 1


async def test_searches_asked_together_are_made_once(staged: MakeStage) -> None:
    code = "FINAL([len(h) for h in await asyncio.gather(*(search('notice') for _ in range(5)))])"
    stage = await staged([step(code)], texts=TEXTS)
    index = searched(stage)
    assert outcome(await asked(stage)).value == [2] * 5
    assert (index.builds, index.queries) == (1, 1)


async def test_a_replay_asks_nothing_again(staged: MakeStage) -> None:
    stage = await staged([step(FIND_AND_READ)], texts=TEXTS)
    searched(stage)
    await asked(stage)
    for count in range(1, len(stage.journal.appended)):
        again = await stage.reopened(count, with_call_cache=False)
        index = searched(again)
        recorded = any(b'"SubcallResolved"' in record for _, _, record in stage.journal.appended[:count])
        if b'"RootReplied"' not in b"".join(record for _, _, record in stage.journal.appended[:count]):
            continue
        run = await again.resume()
        assert outcome(run).answer == "Mrs Okafor"
        assert bool(index.queries) is not recorded


@pytest.mark.parametrize(
    ("filters", "documents"),
    [
        ("{'doc_ids': [context[1].doc_id]}", [1]),
        ("{'doc_ids': [d.doc_id for d in context]}", [0, 1]),
        ("{'doc_ids': context[0].name}", [0]),
        ("{'doc_ids': []}", []),
        ("{}", [0, 1]),
    ],
)
async def test_filters_limit_a_search_to_documents(
    staged: MakeStage, filters: str, documents: list[int]
) -> None:
    code = f"FINAL(sorted(h['doc_index'] for h in search('notice', filters={filters})))"
    stage = await staged([step(code)], texts=TEXTS)
    searched(stage)
    assert outcome(await asked(stage)).value == documents


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ("{'doc_ids': ['doc_9']}", "'doc_9'"),
        ("{'names': ['x']}", "'names'"),
        ("{'doc_ids': 7}", "list of doc.doc_id"),
        ("{'doc_ids': [7]}", "list of doc.doc_id"),
    ],
)
async def test_filters_that_mean_nothing_are_refused_in_words(
    staged: MakeStage, filters: str, said: str
) -> None:
    stage = await staged([step(f"search('notice', filters={filters})"), step("FINAL('x')")], texts=TEXTS)
    searched(stage)
    run = await asked(stage)
    error = run.turns[0].step and run.turns[0].step.error
    assert error
    assert said in error.message


async def test_a_child_searches_what_it_was_given(staged: MakeStage) -> None:
    root = step("FINAL(rlm_query('Which?', context=[context[1], context[2][0:7000]]))")
    inside = (
        "tool.queue_search('q', 'escrow', k=1)\ntool.YIELD()",
        "queued = state['_tool_results']['search']['q']['hits'][0]\n"
        "called = search('escrow', k=1)[0]\n"
        "text = context[called['doc_index']][called['start_char']:called['end_char']]\n"
        "FINAL([len(context), search('tenant'), called == queued, 'Okafor' in text])",
    )
    stage = await staged([root, *map(step, inside)], texts=TEXTS)
    searched(stage)
    assert outcome(await asked(stage)).answer == "[2, [], true, true]"


async def test_a_child_over_text_alone_has_no_search(staged: MakeStage) -> None:
    root = step("FINAL(rlm_query('Which?', context='just text'))")
    stage = await staged([root, step("search('x')"), step("FINAL('none')")], texts=TEXTS)
    searched(stage)
    assert outcome(await asked(stage)).answer == "none"
    assert "context.search(query" not in stage.model.requests[1].messages[0].content


@pytest.mark.parametrize("texts", [(LONG,), TEXTS])
async def test_a_context_of_text_is_searched_in_the_same_words(
    staged: MakeStage, texts: tuple[str, ...]
) -> None:
    code = (
        "hit = context.search('escrow agent', k=1)[0]\n"
        "text = context if isinstance(context, str) else context[hit['doc_index']]\n"
        "passage = text[hit['start_char']:hit['end_char']]\n"
        "FINAL('Mrs Okafor' in passage)"
    )
    stage = await staged([step(code)], texts=texts)
    searched(stage)
    assert outcome(await asked(stage, context_shape="text")).value is True


async def test_a_search_waits_for_the_worker_that_builds_the_index(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(len(search('notice')))")], texts=TEXTS)
    index = searched(stage, index_on_demand=False)
    index.asked = asyncio.Event()
    waiting = asyncio.ensure_future(asked(stage))
    await index.asked.wait()
    assert index.builds == 0
    await index.build(stage.corpus)
    assert outcome(await waiting).value == 2


async def test_what_does_not_come_in_time_is_an_answer_the_code_can_read(staged: MakeStage) -> None:
    code = "tool.queue_search('s', 'notice')\ntool.YIELD()"
    read = "FINAL(state['_tool_results']['search']['s']['meta']['error'])"
    stage = await staged([step(code), step(read)], texts=TEXTS)
    index = searched(stage, index_on_demand=False, index_wait_seconds=0.0)
    error = outcome(await asked(stage)).value
    assert error["code"] == "SEARCH_NOT_READY"
    assert "context.find" in error["message"]
    assert index.builds == 0


async def test_an_index_that_was_given_up_is_said_at_once(staged: MakeStage) -> None:
    stage = await staged([step("search('notice')"), step("FINAL('x')")], texts=TEXTS)
    searched(stage, index_on_demand=False)
    options = {"enable_search": True, SEARCH_FAILURE: "the disk was full"}
    session = SessionRecord(TENANT, SESSION, SessionStatus.READY, 0.0, options=options)
    await stage.catalog.put_session(session, [])
    run = await asked(stage)
    error = run.turns[0].step and run.turns[0].step.error
    assert error
    assert "the disk was full" in error.message


async def test_an_index_that_was_lost_is_built_anew(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(len(search('notice')))")], texts=TEXTS)
    index = searched(stage, index_on_demand=False)
    documents = tuple(replace(d, ingest_status=IngestStatus.INDEXED) for d in stage.corpus.documents)
    stage.corpus = replace(stage.corpus, documents=documents)
    assert outcome(await asked(stage)).value == 2
    assert index.builds == 1


async def test_an_index_made_on_demand_is_shown_by_the_documents(staged: MakeStage) -> None:
    stage = await staged([step("FINAL(len(search('notice')))")], texts=TEXTS)
    searched(stage)
    rows = [DocumentRecord(TENANT, SESSION, document) for document in stage.corpus.documents]
    await stage.catalog.put_session(SessionRecord(TENANT, SESSION, SessionStatus.READY, 0.0), rows)
    await asked(stage)
    kept = await stage.catalog.list_documents(TENANT, SESSION)
    assert {row.document.ingest_status for row in kept} == {IngestStatus.INDEXED}


async def test_a_failed_search_is_an_answer_and_is_not_cached(staged: MakeStage) -> None:
    class Failing(CountingIndex):
        broken = True

        async def query(self, *asked: Any) -> Sequence[SearchHit]:
            if self.broken:
                raise SearchFailed(reason="no answer")
            return await super().query(*asked)

    stage = await staged([step("search('notice')"), step("FINAL(len(search('notice')))")], texts=TEXTS)
    index = Failing(stage.blobs, BUCKET, stage.directory.parent / "indexes")
    stage.ports = replace(stage.ports, search=Searches(index, stage.blobs, stage.ports.texts, BUCKET))
    stage.log.listen(lambda *_: setattr(index, "broken", False) if stage.model.requests[1:] else None)
    run = await asked(stage)
    first = run.turns[0].step
    assert first
    assert first.error
    assert "SEARCH_FAILED" in first.error.message
    assert outcome(run).value == 2


async def test_time_that_runs_out_ends_the_wait_for_an_index(staged: MakeStage) -> None:
    stage = await staged([step("search('notice')"), step("FINAL('partial')")], texts=TEXTS)
    index = searched(stage, index_on_demand=False)
    run = await asked(stage, max_total_seconds=1.5)
    assert outcome(run).status == ExecutionStatus.TIMEOUT
    assert index.builds == 0
    assert searching.LOOK_SECONDS < 1.5
