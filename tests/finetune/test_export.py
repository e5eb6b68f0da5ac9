"""Exports: chosen, resumed, streamed, with children, and what is refused."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest
from scripted_executions import TENANT, Recorded, Rlm

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.finetune.build import TRAIN, Choices, build
from rlm_rs.finetune.export import read_traces
from rlm_rs.orchestrator.tracing.stored import trace_uri

MEGABYTE = 1 << 20


def ids_of(place: Path) -> list[str]:
    return [trace["execution"]["execution_id"] for _, trace in read_traces(place)]


def test_executions_are_chosen_by_id_session_and_status(
    rlm: Rlm, recorded: Recorded, exported: Path, tmp_path: Path
) -> None:
    place = tmp_path / "chosen.jsonl"
    wanted = recorded.ids[3:5]
    rlm("finetune", "export", "--output", place, *(a for one in wanted for a in ("--execution-id", one)))
    assert ids_of(place) == wanted
    _, first = next(read_traces(exported))
    session_id = first["execution"]["session_id"]
    rlm("finetune", "export", "--output", place, "--overwrite", "--session-id", session_id)
    assert len(ids_of(place)) == 24
    rlm("finetune", "export", "--output", place, "--overwrite", "--status", "MAX_TURNS_EXCEEDED")
    assert len(ids_of(place)) == 5
    rlm("finetune", "export", "--output", place, "--overwrite", "--tenant-id", "nobody")
    assert ids_of(place) == []


def test_an_interrupted_export_goes_on_where_it_stopped(rlm: Rlm, exported: Path, tmp_path: Path) -> None:
    place = tmp_path / "traces.jsonl"
    rlm("finetune", "export", "--output", place, "--limit", 7)
    whole = place.read_bytes()
    place.write_bytes(whole[:-100])
    done = rlm("finetune", "export", "--output", place)
    assert "34 traces written, 6 were there already." in done.stderr
    assert ids_of(place) == ids_of(exported)


def test_an_export_is_a_stream_too(rlm: Rlm, exported: Path) -> None:
    assert rlm("finetune", "export", "--limit", 2).stdout.encode() == b"".join(
        line + b"\n" for line in exported.read_bytes().splitlines()[:2]
    )


def test_a_redacted_export_teaches_nothing(rlm: Rlm, tmp_path: Path) -> None:
    place = tmp_path / "hidden.jsonl"
    rlm("finetune", "export", "--output", place, "--redact", "--limit", 3)
    assert b"lease" not in place.read_bytes()
    done = rlm("finetune", "build", "--input", place, "--output", tmp_path / "dataset", code=1)
    assert "left out: 3 (redacted)" in done.stderr


def test_a_file_with_texts_is_not_gone_on_with_where_they_are_to_be_left_out(
    rlm: Rlm, recorded: Recorded, tmp_path: Path
) -> None:
    place = tmp_path / "t.jsonl"
    wanted = ("finetune", "export", "--output", place, "--execution-id", recorded.ids[0])
    rlm(*wanted)
    with_texts = place.read_bytes()
    done = rlm(*wanted, "--redact", code=2)
    assert done.stderr.startswith(f"rlm: t.jsonl has the texts of {recorded.ids[0]}")
    assert "--overwrite" in done.stderr
    assert done.stderr.count("\n") == 1
    assert place.read_bytes() == with_texts
    rlm(*wanted, "--redact", "--overwrite")
    assert b"lease" not in place.read_bytes()
    assert "1 were there already" in rlm(*wanted, "--redact").stderr


def test_a_file_of_another_tenant_is_not_gone_on_with(rlm: Rlm, recorded: Recorded, tmp_path: Path) -> None:
    place = tmp_path / "t.jsonl"
    rlm("finetune", "export", "--output", place, "--execution-id", recorded.ids[0])
    done = rlm("finetune", "export", "--output", place, "--tenant-id", "nobody", code=2)
    assert done.stderr.count("\n") == 1
    assert f"{recorded.ids[0]}, which is another tenant's. To begin it anew, use --overwrite." in done.stderr


def test_a_trace_that_was_not_kept_is_rebuilt_where_that_is_wanted(
    rlm: Rlm, recorded: Recorded, tmp_path: Path
) -> None:
    execution_id = recorded.ids[-1]
    run = recorded.wait(recorded.service.ports.log.replay(TENANT, execution_id))
    assert run is not None
    blobs, uri = recorded.service.ports.blobs, trace_uri(run, recorded.service.ports.bucket)
    kept = recorded.wait(blobs.get(uri))
    place = tmp_path / "traces.jsonl"
    recorded.wait(blobs.delete(uri))
    try:
        done = rlm("finetune", "export", "--output", place, "--execution-id", execution_id)
        assert execution_id in done.stderr
        assert ids_of(place) == []
        rlm("finetune", "export", "--output", place, "--execution-id", execution_id, "--rebuild-missing")
        assert ids_of(place) == [execution_id]
    finally:
        recorded.wait(blobs.put(uri, kept))


def test_what_is_not_there_or_is_no_trace_is_one_line(rlm: Rlm, tmp_path: Path) -> None:
    done = rlm("finetune", "export", "--execution-id", "exec_none", code=1)
    assert done.stderr.startswith("rlm: There is no execution exec_none")
    assert done.stderr.count("\n") == 1
    place = tmp_path / "odd.jsonl"
    place.write_text('{"a": 1}\n')
    done = rlm("finetune", "build", "--input", place, "--output", tmp_path / "out", code=2)
    assert "odd.jsonl, line 1 is not an rlm_trace_v1" in done.stderr
    done = rlm("finetune", "export", "--output", place, code=2)
    assert "--overwrite" in done.stderr
    assert place.read_text() == '{"a": 1}\n'


@pytest.mark.parametrize(
    "args",
    [
        ("build", "--input", "FILE"),
        ("build", "--input", "FILE", "--output", "a", "--sft-output", "b"),
        ("recompute",),
        ("recompute", "exec_1", "--input", "FILE"),
        ("export", "--status", "DONE"),
    ],
)
def test_wrong_usage_says_what_to_give(rlm: Rlm, exported: Path, args: tuple[str, ...]) -> None:
    given = [exported if arg == "FILE" else arg for arg in args]
    assert f"See `rlm finetune {args[0]} --help`." in rlm("finetune", *given, code=2).stderr


def test_building_takes_no_more_memory_for_a_longer_file(exported: Path, tmp_path: Path) -> None:
    place = tmp_path / "many.jsonl"
    trace: dict[str, Any] = next(read_traces(exported))[1]
    with place.open("wb") as file:
        for number in range(150):
            trace["execution"] |= {"execution_id": f"exec_{number}", "question": f"Question {number // 2}"}
            trace["turns"][0]["repl_code"] = f"# {number}\n" + "x = 1\n" * 20_000
            file.write(orjson.dumps(trace) + b"\n")
    assert place.stat().st_size > 17 * MEGABYTE
    gc.collect()
    tracemalloc.start()
    try:
        built = build(place, {TRAIN: tmp_path / "sft.jsonl"}, {TRAIN: tmp_path / "pref.jsonl"}, Choices())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert built.sft.rows[TRAIN] == 150
    assert built.preferences.rows.total() + built.preferences.skipped.total() >= 75
    assert peak < 4 * MEGABYTE


def test_a_build_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    traces, rows = tmp_path / "traces.jsonl", tmp_path / "sft.jsonl"
    traces.write_text("not JSON\n")
    rows.write_text("earlier\n")
    with pytest.raises(ValidationFailed):
        build(traces, {TRAIN: rows}, {}, Choices())
    assert rows.read_text() == "earlier\n"
