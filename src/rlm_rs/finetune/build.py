"""Datasets from traces, in two passes over the file: memory holds figures of each execution, never a text."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from rlm_rs.finetune.export import read_trace_at, read_traces
from rlm_rs.finetune.rewards import QualityName, Weights, judge_scores, penalty, quality, reward
from rlm_rs.finetune.rows import (
    Form,
    corpus_key,
    first_prompt,
    pair_row,
    program,
    question_key,
    sft_row,
    taught_turns,
    usable,
)

TRAIN, TEST = "train", "test"


@dataclass(frozen=True, slots=True)
class Choices:
    """How datasets are built. min_*: least judge scores of an execution; one without the score is left out.

    test_share: of the sessions, by their documents. max_tokens: longest row, by estimate. quality: what the
    preference pairs are ranked by. whole_replies: the root model's words around its code are learned too.
    """

    form: Form = "chat"
    min_faithfulness: float | None = None
    min_relevancy: float | None = None
    weights: Weights = Weights()
    quality: QualityName = "judge"
    include_failed: bool = False
    whole_replies: bool = False
    max_tokens: int | None = None
    test_share: float = 0.1
    seed: int = 0


@dataclass(slots=True)
class Dataset:
    """Rows as they were written: how many there are in each split, and their estimated tokens."""

    rows: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    longest: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Built:
    """What came of it."""

    executions: int = 0
    sft: Dataset = field(default_factory=Dataset)
    preferences: Dataset = field(default_factory=Dataset)
    models: Counter[str] = field(default_factory=Counter)
    prompt_versions: Counter[str] = field(default_factory=Counter)


class _Ranked(NamedTuple):
    """An execution and where its trace stands in the file."""

    reward: float
    execution_id: str
    at: int
    quality: float


@dataclass(slots=True)
class _Group:
    """The best and the worst execution of one question so far."""

    best: _Ranked
    worst: _Ranked
    side: str
    count: int = 1

    def take(self, one: _Ranked) -> None:
        """Count one more."""
        self.count += 1
        self.best, self.worst = max(self.best, one), min(self.worst, one)


class Rows:
    """Where the rows of one dataset go: a file per split, without repetition."""

    def __init__(self, places: Mapping[str, Path], dataset: Dataset, choices: Choices) -> None:
        self._places = places
        self._dataset = dataset
        self._choices = choices
        self._seen: set[bytes] = set()
        self._files: dict[str, BinaryIO] = {}
        self._open = ExitStack()

    def write(self, row: dict[str, Any], side: str) -> None:
        """Write a row, unless there is one like it or it is too long."""
        side = side if side in self._places else TRAIN
        tokens = int(row["metadata"]["tokens"])
        if self._choices.max_tokens is not None and tokens > self._choices.max_tokens:
            self._dataset.skipped["longer than max_tokens"] += 1
            return
        if self._is_known(row):
            self._dataset.skipped["the same as another row"] += 1
            return
        self._file(side).write(orjson.dumps(row) + b"\n")
        self._dataset.rows[side] += 1
        self._dataset.tokens[side] += tokens
        self._dataset.longest = max(self._dataset.longest, tokens)

    def close(self) -> None:
        """Put the files in their places, all at once; what would only be tested on is trained on."""
        self._open.close()
        for side, place in self._places.items():
            if side in self._files:
                _part(place).replace(place)
            else:
                place.unlink(missing_ok=True)
        if self._dataset.rows[TEST] and not self._dataset.rows[TRAIN] and TEST in self._places:
            self._places[TEST].replace(self._places[TRAIN])
            for counted in (self._dataset.rows, self._dataset.tokens):
                counted[TRAIN] = counted.pop(TEST)

    def _is_known(self, row: Mapping[str, Any]) -> bool:
        content = {name: value for name, value in row.items() if name != "metadata"}
        digest = hashlib.sha256(orjson.dumps(content)).digest()[:16]
        known = digest in self._seen
        self._seen.add(digest)
        return known

    def _file(self, side: str) -> BinaryIO:
        if side not in self._files:
            self._places[side].parent.mkdir(parents=True, exist_ok=True)
            self._files[side] = self._open.enter_context(_part(self._places[side]).open("wb"))
        return self._files[side]


def build(traces: Path, sft: Mapping[str, Path], preferences: Mapping[str, Path], choices: Choices) -> Built:
    """Write the datasets; sft and preferences: a file for each split, no file for what is not wanted.

    Raises `ValidationFailed` for a line that is no trace.
    """
    built, groups = Built(), dict[str, _Group]()
    rows = Rows(sft, built.sft, choices)
    for at, trace in read_traces(traces):
        built.executions += 1
        if reason := usable(trace):
            built.sft.skipped[reason] += 1
            built.preferences.skipped[reason] += 1
            continue
        side = side_of(corpus_key(trace), choices)
        if sft:
            _teach(trace, side, rows, built, choices)
        _rank(trace, at, side, groups, built, choices)
    rows.close()
    if preferences:
        _write_pairs(traces, groups, Rows(preferences, built.preferences, choices), built, choices)
    return built


def side_of(key: str, choices: Choices) -> str:
    """The split that sessions over these documents belong to: always the same for the same seed."""
    digest = hashlib.sha256(f"{choices.seed}/{key}".encode()).digest()
    return TEST if int.from_bytes(digest[:8], "big") / 2**64 < choices.test_share else TRAIN


def _teach(trace: Mapping[str, Any], side: str, rows: Rows, built: Built, choices: Choices) -> None:
    """The rows of an execution's turns."""
    skipped = built.sft.skipped
    if reason := _unfit(trace, choices):
        skipped[reason] += sum(1 for _ in trace["turns"])
        return
    worth = reward(trace, choices.weights, choices.quality)
    for turn, why_not in taught_turns(trace, choices.include_failed):
        if why_not:
            skipped[why_not] += 1
            continue
        built.models[turn["root_model"]] += 1
        built.prompt_versions[turn["root_prompt_version"] or "unknown"] += 1
        rows.write(sft_row(trace, turn, choices.form, whole_reply=choices.whole_replies, reward=worth), side)


def _unfit(trace: Mapping[str, Any], choices: Choices) -> str | None:
    if trace["execution"]["status"] != "COMPLETED" and not choices.include_failed:
        return "execution not completed"
    scores = judge_scores(trace)
    least = {"faithfulness": choices.min_faithfulness, "answer_relevancy": choices.min_relevancy}
    for name, bound in least.items():
        score = scores.get(name)
        if bound is not None and (score is None or score < bound):
            return f"no {name} score" if score is None else f"{name} below {bound:g}"
    return None


def _rank(
    trace: Mapping[str, Any], at: int, side: str, groups: dict[str, _Group], built: Built, choices: Choices
) -> None:
    """Put an execution among those of its question."""
    skipped, known = built.preferences.skipped, quality(trace, choices.quality)
    if known is None:
        skipped["no quality score"] += 1
    elif first_prompt(trace) is None:
        skipped["prompt not kept"] += 1
    elif not program(trace):
        skipped["no code"] += 1
    else:
        worth = known - penalty(trace, choices.weights)
        one = _Ranked(worth, str(trace["execution"]["execution_id"]), at, known)
        key = question_key(trace)
        if key in groups:
            groups[key].take(one)
        else:
            groups[key] = _Group(one, one, side)


def _write_pairs(
    traces: Path, groups: Mapping[str, _Group], rows: Rows, built: Built, choices: Choices
) -> None:
    with traces.open("rb") as file:
        for row, side in _pairs(file, groups, built, choices):
            rows.write(row, side)
    rows.close()


def _pairs(
    file: BinaryIO, groups: Mapping[str, _Group], built: Built, choices: Choices
) -> Iterator[tuple[dict[str, Any], str]]:
    skipped = built.preferences.skipped
    for group in groups.values():
        if group.count < 2:
            skipped["only execution of its question"] += 1
        elif group.best.reward == group.worst.reward:
            skipped["executions of equal reward"] += group.count
        else:
            skipped["between best and worst"] += group.count - 2
            chosen, rejected = (read_trace_at(file, one.at) for one in (group.best, group.worst))
            if program(chosen) == program(rejected):
                skipped["executions of the same code"] += 2
                continue
            qualities = (group.best.quality, group.worst.quality)
            rewards = (group.best.reward, group.worst.reward)
            yield pair_row(chosen, rejected, rewards, qualities, choices.form), group.side


def _part(place: Path) -> Path:
    return place.with_name(f"{place.name}.part")
