"""Datasets load as they are, offline, with the columns trainers expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

import datasets
from rlm_rs.finetune.build import TRAIN, Choices, build
from rlm_rs.finetune.card import NAMES, card, places

METRICS = ("turns", "llm_subcalls", "span_chars", "scan_span_chars", "search_requests")


def trace(number: int, question: int, relevancy: float | None) -> dict[str, Any]:
    """A trace with what building reads of it."""
    prompt, asked = "You write Python.", f"QUESTION {question} ü"
    text = f"{prompt}\n\n{asked}"
    places_ = [
        {"role": "system", "start_char": 0, "end_char": len(prompt)},
        {"role": "user", "start_char": len(prompt) + 2, "end_char": len(text)},
    ]
    code = f"FINAL({number})"
    turn = {
        "turn_index": 0,
        "root_prompt": text,
        "root_prompt_messages": places_,
        "root_prompt_version": "v",
        "root_model": "m",
        "root_reply": f"```repl\n{code}\n```",
        "repl_code": code,
        "exhausted": None,
        "step": {"success": True},
    }
    scores = {"answer_relevancy": relevancy, "faithfulness": relevancy}
    return {
        "schema_version": "rlm_trace_v1",
        "execution": {
            "execution_id": f"exec_{number}",
            "session_id": f"sess_{question % 5}",
            "question": asked,
            "mode": "ANSWERER",
            "status": "COMPLETED",
            "output_mode": "ANSWER",
            "context_shape": "documents",
            "output_schema": None,
            "earlier": [],
        },
        "documents": [{"text_checksum": f"sha256:{question % 5}", "doc_id": "d"}],
        "evaluation": {"judge_metrics": {"answerer": scores}},
        "metrics": dict.fromkeys(METRICS, 1),
        "turns": [turn],
    }


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    place = tmp_path / "traces.jsonl"
    made = [trace(n, n // 4, None if n % 4 == 3 else (n % 4) / 4) for n in range(80)]
    place.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in made))
    return place


@pytest.fixture
def folder(traces: Path, tmp_path: Path) -> Path:
    """What `rlm finetune build --output` writes."""
    folder, choices = tmp_path / "dataset", Choices(test_share=0.4)
    sft, preferences = (places(folder, name, choices) for name in NAMES)
    built = build(traces, sft, preferences, choices)
    (folder / "README.md").write_text(card(built, choices))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> None:
    datasets.config.HF_DATASETS_CACHE = str(tmp_path / "cache")


def test_the_folder_is_a_dataset_by_its_card(folder: Path) -> None:
    sft = datasets.load_dataset(str(folder), "sft")
    assert set(sft) == {"train", "test"}
    assert sft["train"].num_rows + sft["test"].num_rows == 80
    preferences = datasets.load_dataset(str(folder), "preferences")
    assert sum(split.num_rows for split in preferences.values()) == 20


def test_sft_rows_are_conversations(folder: Path) -> None:
    loaded = datasets.load_dataset("json", data_files=str(folder / "data/sft-train.jsonl"), split="train")
    assert set(loaded.column_names) == {"messages", "metadata"}
    row = loaded[0]
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
    assert row["messages"][1]["content"].startswith("QUESTION")
    assert row["messages"][1]["content"].endswith("ü")
    assert row["messages"][-1]["content"].startswith("```repl\nFINAL(")


def test_prompt_and_completion_are_kept_apart_where_that_is_wanted(traces: Path, tmp_path: Path) -> None:
    sft = tmp_path / "sft.jsonl"
    build(traces, {TRAIN: sft}, {}, Choices(form="completion"))
    loaded = datasets.load_dataset("json", data_files=str(sft), split="train")
    assert set(loaded.column_names) == {"prompt", "completion", "metadata"}
    assert [message["role"] for message in loaded[0]["prompt"]] == ["system", "user"]
    assert loaded[0]["completion"] == [{"role": "assistant", "content": "```repl\nFINAL(0)\n```"}]


def test_pairs_are_what_dpo_takes(folder: Path) -> None:
    loaded = datasets.load_dataset("json", data_files=str(folder / "data/preferences-*.jsonl"), split="train")
    assert set(loaded.column_names) == {"prompt", "chosen", "rejected", "metadata"}
    for row in loaded:
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        assert [message["role"] for message in row["chosen"]] == ["assistant"]
        assert row["chosen"] != row["rejected"]
        assert row["metadata"]["chosen_reward"] > row["metadata"]["rejected_reward"]


def test_the_seeds_rows_load_too(traces: Path, tmp_path: Path) -> None:
    sft, pairs = tmp_path / "sft.jsonl", tmp_path / "pref.jsonl"
    build(traces, {TRAIN: sft}, {TRAIN: pairs}, Choices(form="seed"))
    loaded = datasets.load_dataset("json", data_files=str(sft), split="train")
    assert set(loaded.column_names) == {"input", "output", "metadata"}
    assert loaded[0]["output"] == "FINAL(0)"
    loaded = datasets.load_dataset("json", data_files=str(pairs), split="train")
    assert isinstance(loaded[0]["chosen"], str)
