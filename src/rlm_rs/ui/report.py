"""An execution as one HTML file that needs no network: the same views as the web UI, over data of its own.

It holds the journals of the execution and its children, the text around what is cited, and how each citation
was found to stand when the report was made.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from html import escape
from typing import Any

import orjson

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.execution import Event, Run, SubcallResolved, fold
from rlm_rs.core.spans import Range, SpanRef, merge
from rlm_rs.orchestrator.event_log import event_data, replayed
from rlm_rs.orchestrator.executions import documents_left
from rlm_rs.orchestrator.ports import Ports
from rlm_rs.orchestrator.verifying import verify
from rlm_rs.ui.site import report_script, report_style
from rlm_rs.version import __version__

AROUND_CHARS = 2_000
"""Text shown before and after each citation."""
MAX_CHILDREN = 500
AT_ONCE = 16

_PAGE = """<!doctype html>
<html lang="en" data-report>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="app"></div>
<noscript>This report needs JavaScript, and no network.</noscript>
<script type="application/json" id="report-data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


async def report_of(tenant_id: str, execution_id: str, ports: Ports) -> str:
    """The report of an execution as its journal has it. Raises `ExecutionNotFound`."""
    run = await replayed(ports.log, tenant_id, execution_id)
    return report_page(await report_data(run, ports), run.execution.question)


async def report_data(run: Run, ports: Ports) -> dict[str, Any]:
    """What the report shows, as JSON values."""
    execution = run.execution
    journals = await _journals(execution.tenant_id, execution.execution_id, ports)
    corpus = await documents_left(run, ports)
    refs = [ref for events in journals.values() for ref in _refs(event for _, event in events)]
    return {
        "version": __version__,
        "made_at": max(event.at for _, event in journals[execution.execution_id]),
        "root": execution.execution_id,
        "journals": {
            name: [[seq, event_data(event)] for seq, event in events] for name, events in journals.items()
        },
        "documents": [_document(document) for document in corpus.documents],
        "pages": {d.doc_id: (await ports.texts.meta(d)).get("pages", []) for d in _cited(corpus, refs)},
        "excerpts": await _excerpts(corpus, refs, ports),
        "checks": await _checks(corpus, refs, ports),
    }


def report_page(data: Mapping[str, Any], title: str) -> str:
    """The file. Nothing of the data can end the element it stands in: every `<` of it is escaped."""
    script, style = report_script(), report_style()
    policy = f"default-src 'none'; base-uri 'none'; script-src {_hash(script)}; style-src {_hash(style)}"
    return _PAGE.format(
        policy=escape(policy),
        title=escape(title[:200] or "Execution"),
        style=style,
        script=script,
        data=orjson.dumps(data).decode().replace("<", "\\u003c"),
    )


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


async def _journals(tenant_id: str, execution_id: str, ports: Ports) -> dict[str, list[tuple[int, Event]]]:
    """The events of an execution and of its children, theirs included."""
    found: dict[str, list[tuple[int, Event]]] = {}
    wanted = [execution_id]
    while wanted and len(found) <= MAX_CHILDREN:
        name = wanted.pop(0)
        events = await ports.log.events(tenant_id, name)
        if events:
            found[name] = events
        wanted += [
            event.child_id for _, event in events if isinstance(event, SubcallResolved) and event.child_id
        ]
    return found


def _refs(events: Iterable[Event]) -> list[SpanRef]:
    run = fold(events)
    return [citation.ref for citation in run.finished.citations] if run and run.finished else []


def _cited(corpus: Corpus, refs: Iterable[SpanRef]) -> list[Document]:
    names = {ref.doc_id for ref in refs}
    return [document for document in corpus.documents if document.doc_id in names and document.readable]


async def _excerpts(corpus: Corpus, refs: Iterable[SpanRef], ports: Ports) -> dict[str, list[Any]]:
    """The text around what is cited: `[start_char, end_char, text]` by document."""
    refs = tuple(refs)
    found: dict[str, list[Any]] = {}
    for document in _cited(corpus, refs):
        around = [
            Range(document.doc_index, max(0, ref.start_char - AROUND_CHARS), ref.end_char + AROUND_CHARS)
            for ref in refs
            if ref.doc_id == document.doc_id
        ]
        for place in merge(around):
            end = min(place.end_char, document.char_length)
            text = await ports.texts.read(document, place.start_char, end)
            found.setdefault(document.doc_id, []).append([place.start_char, end, text])
    return found


async def _checks(corpus: Corpus, refs: Iterable[SpanRef], ports: Ports) -> dict[str, Any]:
    """Each citation recomputed, by document, range and checksum."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def check(ref: SpanRef) -> tuple[str, dict[str, Any]]:
        async with slots:
            found = await verify(ref, corpus, ports.texts)
        return f"{ref.doc_id}:{ref.start_char}:{ref.end_char}:{ref.checksum}", asdict(found)

    return dict(await asyncio.gather(*(check(ref) for ref in refs)))


def _document(document: Document) -> dict[str, Any]:
    return {
        "doc_id": document.doc_id,
        "doc_index": document.doc_index,
        "source_name": document.source_name,
        "mime_type": document.mime_type,
        "ingest_status": str(document.ingest_status),
        "failure_reason": document.failure.message if document.failure else None,
        "failure_code": document.failure.code if document.failure else None,
        "warnings": list(document.warnings),
        "char_length": document.char_length,
        "page_count": document.page_count,
    }
