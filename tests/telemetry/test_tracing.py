"""What a collector receives: one tree of spans for an execution, without a word of question or document."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from collector import Collector, Received, collecting
from rlm_rs import RLM
from rlm_rs.settings import load_settings
from rlm_rs.telemetry import genai
from rlm_rs.testing.models import ScriptedModel

QUESTION = "What is the unmistakable zebra period?"
TEXT = "The unmistakable zebra period is ninety days.\n"
STEPS = [
    "```repl\nx = llm_query('how long: ' + context[0][:])\n```",
    "```repl\n1 / 0\n```",
    "```repl\ny = rlm_query('Which animal?')\n```",
    "```repl\nFINAL(context[0][4:29])\n```",
    "```repl\nFINAL('zebra period ' + x)\n```",
]
SETTING = "OTEL_EXPORTER_OTLP_ENDPOINT"


def asked(collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: bool) -> str:
    monkeypatch.setenv(SETTING, collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=search")
    (tmp_path / "note.txt").write_text(TEXT)
    model = ScriptedModel(root=STEPS, sub="ninety days")
    made = load_settings(rlm_data_dir=tmp_path / "data", enable_otel_tracing=True, **settings)
    with RLM(settings=made, provider=model) as rlm:
        answer = rlm.ask(QUESTION, tmp_path / "note.txt")
    assert answer.text == "zebra period ninety days"
    return answer.execution_id


def kinds(spans: list[Received], execution_id: str) -> list[str]:
    own = [span for span in spans if span.attributes[genai.EXECUTION_ID] == execution_id]
    return sorted(span.name for span in own)


def test_an_execution_is_one_tree_of_spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        execution_id = asked(collector, tmp_path, monkeypatch)
    assert kinds(collector.spans, execution_id) == [
        *["chat scripted-root"] * 4,
        "chat scripted-sub",
        *["execute_tool python"] * 4,
        "execute_tool rlm",
        "invoke_agent rlm",
        *[f"turn {n}" for n in range(4)],
    ]
    assert len({span.trace_id for span in collector.spans}) == 1
    assert len({span.span_id for span in collector.spans}) == len(collector.spans)
    roots = [span for span in collector.spans if not span.parent_id]
    assert [span.attributes[genai.EXECUTION_ID] for span in roots] == [execution_id]
    for span in collector.spans:
        assert span.start <= span.end
        if span.parent_id:
            check_place(span, collector.parent(span))


def check_place(span: Received, parent: Received) -> None:
    """Each kind of span stands below its own kind of parent, and inside its time."""
    above = {
        "turn": "invoke_agent",
        "chat scripted-root": "turn",
        "chat scripted-sub": "execute_tool python",
        "execute_tool python": "turn",
        "execute_tool rlm": "execute_tool python",
        "invoke_agent": "execute_tool rlm",
    }
    wanted = next(above[name] for name in above if span.name.startswith(name))
    assert parent.name.startswith(wanted)
    # started with the clock of one event, ended with that of another
    slack = 5_000_000
    assert parent.start - slack <= span.start <= span.end <= parent.end + slack


def test_attributes_say_who_asked_what_model_and_what_it_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        execution_id = asked(collector, tmp_path, monkeypatch)
    whole = next(s for s in collector.named("invoke_agent rlm") if not s.parent_id)
    assert whole.service == "rlm-rs"
    assert collector.headers[0]["x-team"] == "search"
    expected = {
        genai.OPERATION: "invoke_agent",
        genai.AGENT_ID: execution_id,
        genai.TENANT_ID: "local",
        genai.STATUS: "COMPLETED",
        genai.TURNS: 4,
        genai.REQUEST_MODEL: "scripted-root",
    }
    assert {name: whole.attributes[name] for name in expected} == expected
    call = collector.named("chat scripted-sub")[0].attributes
    assert (call[genai.OPERATION], call[genai.CACHE_HIT]) == ("chat", False)
    assert call[genai.INPUT_TOKENS] > 0
    failed = [span for span in collector.spans if span.error]
    assert [(span.name, span.error, span.attributes[genai.TURN]) for span in failed] == [
        ("execute_tool python", "STEP_ERROR", 1)
    ]


def test_texts_are_left_out_unless_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        asked(collector, tmp_path, monkeypatch)
    for text in (b"zebra", b"ninety", b"how long", b"FINAL"):
        assert text not in collector.raw
    shown = tmp_path / "shown"
    shown.mkdir()
    with collecting() as collector:
        asked(collector, shown, monkeypatch, otel_instrumentation_genai_capture_message_content=True)
    whole = next(s for s in collector.named("invoke_agent rlm") if not s.parent_id)
    assert QUESTION in whole.attributes[genai.INPUT_MESSAGES]
    steps = collector.named("execute_tool python")
    assert any("zebra" in step.attributes[genai.TOOL_ARGUMENTS] for step in steps)


def test_rlm_ask_sends_its_trace_before_it_ends(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text(TEXT)
    with collecting() as collector:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "LLM_PROVIDER": "fake",
            "ENABLE_OTEL_TRACING": "true",
            "OTEL_SERVICE_NAME": "contracts",
            SETTING: collector.url,
        }
        command = [sys.executable, "-m", "rlm_rs", "ask", QUESTION, str(tmp_path / "note.txt")]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    whole = collector.named("invoke_agent rlm")
    assert [span.service for span in whole] == ["contracts"]
    assert b"zebra" not in collector.raw


def test_a_collector_that_is_away_costs_no_execution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        pass
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    assert asked(collector, tmp_path, monkeypatch)
    assert collector.spans == []


def test_names_are_those_of_the_conventions() -> None:
    known = {name for name in vars(gen_ai_attributes).values() if isinstance(name, str)}
    ours = {name for name in vars(genai).values() if isinstance(name, str) and name.startswith("gen_ai.")}
    assert ours
    assert ours - known == set()
