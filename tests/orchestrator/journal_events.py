"""Strategies for every kind of event, with the values that once killed an orchestrator."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from rlm_rs.core.budget import Budgets, Spend
from rlm_rs.core.citing import Citation, ContextItem
from rlm_rs.core.execution import (
    CancelRequested,
    Event,
    Execution,
    Finished,
    Models,
    Parent,
    Problem,
    RootReplied,
    StepRan,
    SubcallResolved,
)
from rlm_rs.core.model import Usage
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.core.spans import SpanRef
from rlm_rs.sandbox.protocol import (
    Cite,
    Final,
    SpanEntry,
    StepError,
    StepResult,
    StepUsage,
    SubcallRequest,
    SubcallResult,
    View,
)

TEXT = st.text(max_size=20)
KEYS = st.sampled_from(["a", "$ref", "payloads", "event", "type", "", "at", "uri", "ü"]) | TEXT
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)
COUNTS = st.integers(0, 2**40)
SECONDS = st.floats(0, 1e9)
RANGES = st.tuples(st.integers(-1, 5), COUNTS, COUNTS)
SPANS = st.builds(lambda r, tag: SpanEntry(r[0], r[1], r[2], tag), RANGES, st.none() | TEXT)
VIEWS = st.builds(View, st.integers(0, 5), COUNTS, st.none() | COUNTS)
SPENDS = st.builds(
    Spend,
    **{f.name: COUNTS for f in fields(Spend) if f.type == "int"},
    cost_usd=st.none() | SECONDS,
    seconds=SECONDS,
)
REQUESTS = st.builds(
    SubcallRequest,
    key=TEXT,
    kind=st.sampled_from(["llm", "rlm", "search"]),
    prompt=TEXT,
    called=st.booleans(),
    model=st.none() | TEXT,
    schema=st.none() | OBJECTS,
    metadata=st.none() | OBJECTS,
    views=st.none() | st.lists(VIEWS, max_size=2).map(tuple),
    text=st.none() | st.lists(TEXT, max_size=2).map(tuple),
    filters=st.none() | OBJECTS,
)
RESULTS = st.builds(
    SubcallResult,
    key=TEXT,
    digest=TEXT,
    status=st.sampled_from(["resolved", "error"]),
    text=TEXT,
    hits=st.lists(OBJECTS, max_size=2).map(tuple),
    meta=OBJECTS,
)
STEPS = st.builds(
    StepResult,
    status=st.sampled_from(["finished", "suspended"]),
    stdout=TEXT,
    stdout_dropped=COUNTS,
    error=st.none() | st.builds(StepError, TEXT, TEXT, st.none() | COUNTS, TEXT),
    state=OBJECTS,
    variables=OBJECTS,
    not_kept=st.lists(TEXT, max_size=2).map(tuple),
    spans=st.lists(SPANS, max_size=3).map(tuple),
    cites=st.lists(
        st.builds(lambda r, n: Cite(r[0], r[1], r[2], n), RANGES, st.none() | TEXT), max_size=2
    ).map(tuple),
    requests=st.lists(REQUESTS, max_size=2, unique_by=lambda r: r.key).map(tuple),
    final=st.none() | st.builds(Final, TEXT, JSON),
    yielded=st.none() | TEXT,
    usage=st.builds(StepUsage, SECONDS, SECONDS, COUNTS),
)
REFS = st.builds(SpanRef, TEXT, TEXT, TEXT, COUNTS, COUNTS, COUNTS, TEXT)
CITATIONS = st.builds(
    Citation,
    REFS,
    TEXT,
    st.sampled_from(["quoted", "evidence", "read"]),
    st.none() | COUNTS,
    st.none() | TEXT,
)
CONTEXTS = st.builds(ContextItem, COUNTS, COUNTS, COUNTS, TEXT, TEXT, COUNTS, TEXT, TEXT, REFS)
STAMPS = {"at": SECONDS, "elapsed": SECONDS}

ROOT_REPLIED = st.builds(
    RootReplied,
    turn=st.integers(0, 30),
    text=TEXT,
    code=st.none() | TEXT.filter(bool),
    final=st.none() | st.builds(Final, TEXT, JSON),
    problem=st.none() | TEXT,
    reasoning=TEXT,
    usage=st.none() | st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS),
    cost_usd=st.none() | SECONDS,
    exhausted=st.none() | st.sampled_from(["TIMEOUT", "BUDGET_EXCEEDED"]),
    **STAMPS,
)
STEP_RAN = st.builds(StepRan, turn=st.integers(0, 30), result=STEPS, **STAMPS)
SUBCALL_RESOLVED = st.builds(
    SubcallResolved,
    turn=st.integers(0, 30),
    request=REQUESTS,
    result=RESULTS,
    spend=SPENDS,
    child_id=st.none() | TEXT,
    citations=st.lists(SPANS, max_size=2).map(tuple),
    **STAMPS,
)
CANCEL = st.builds(CancelRequested, reason=TEXT, **STAMPS)
FINISHED = st.builds(
    Finished,
    status=st.sampled_from(ExecutionStatus),
    answer=st.none() | TEXT,
    value=JSON,
    error=st.none() | st.builds(Problem, TEXT, TEXT),
    citations=st.lists(CITATIONS, max_size=2).map(tuple),
    contexts=st.lists(CONTEXTS, max_size=2).map(tuple),
    **STAMPS,
)
AFTER_A_REPLY = STEP_RAN | SUBCALL_RESOLVED | CANCEL | ROOT_REPLIED | FINISHED
HISTORIES: st.SearchStrategy[list[Event]] = st.builds(
    lambda reply, rest: [reply, *rest], ROOT_REPLIED, st.lists(AFTER_A_REPLY, max_size=8)
)

EXECUTION = Execution(
    execution_id="exec_1",
    tenant_id="local",
    session_id="sess_1",
    question="Wie lange ist die Kündigungsfrist?",
    models=Models("scripted-root", "scripted-sub"),
    budgets=Budgets(max_cost_usd=0.5, max_total_tokens=10_000),
    views=(View(0), View(1, 5, 10)),
    texts=("a text",),
    parent=Parent("exec_0", "0.1"),
    created_at=1.5,
)
