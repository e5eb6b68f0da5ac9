"""Suites made from any corpus: what is asked for stands in it because it was put there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from random import Random

from rlm_rs.suites.generating.aggregation import aggregation, pairwise
from rlm_rs.suites.generating.code import code
from rlm_rs.suites.generating.haystack import Hay, Haystack
from rlm_rs.suites.generating.made import Made
from rlm_rs.suites.generating.multihop import multihop
from rlm_rs.suites.generating.needle import needle
from rlm_rs.suites.suite import SUITE_FILE, Case, ReferenceSpan, write_suite

Generator = Callable[[Random, int], Made]

KINDS: Mapping[str, Generator] = {
    "needle": needle,
    "aggregation": aggregation,
    "pairwise": pairwise,
    "multihop": multihop,
    "code": code,
}
"""Kind of question to what makes one for a corpus of so many characters."""
PREFIXES = {"py": "# "}
"""What a line of prose begins with, by the extension of the file it stands in."""


def generate_suite(
    folder: Path,
    *,
    kinds: Sequence[str],
    lengths: Sequence[int],
    cases: int,
    seed: int = 0,
    paragraphs: Sequence[str] = (),
) -> Path:
    """Write `cases` cases of every kind and length below a folder; returns the suite's file.

    lengths are in characters. paragraphs: what the facts are hidden among; by default made-up sentences.
    The same arguments write the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / SUITE_FILE
    write_suite(_cases(folder, kinds, lengths, cases, seed, paragraphs), place)
    return place


def _cases(
    folder: Path,
    kinds: Sequence[str],
    lengths: Sequence[int],
    cases: int,
    seed: int,
    paragraphs: Sequence[str],
) -> Iterator[Case]:
    for kind, length, number in product(kinds, lengths, range(1, cases + 1)):
        case_id = f"{kind}-{length}-{number:03d}"
        random = Random(f"{seed}/{case_id}")
        made = KINDS[kind](random, length)
        haystack = Haystack(paragraphs, random, PREFIXES.get(made.extension, ""))
        hay = haystack.hide(made.passages, length, made.extension)
        yield _case(case_id, kind, made, hay, _written(folder, case_id, hay))


def _written(folder: Path, case_id: str, hay: Hay) -> str:
    corpus = folder / "corpora" / case_id
    corpus.mkdir(parents=True, exist_ok=True)
    for name, text in hay.documents.items():
        (corpus / name).write_text(text, encoding="utf-8", newline="\n")
    return f"corpora/{case_id}"


def _case(case_id: str, kind: str, made: Made, hay: Hay, corpus: str) -> Case:
    answers = [hay.placed[number] for number in made.evidence]
    return Case(
        id=case_id,
        kind=kind,
        question=made.question,
        corpus=(corpus,),
        answer=made.answer,
        metric=made.metric,
        length=sum(map(len, hay.documents.values())),
        spans=tuple(ReferenceSpan(found.source_name, found.start_char, found.end_char) for found in answers),
        facts=made.facts,
    )
