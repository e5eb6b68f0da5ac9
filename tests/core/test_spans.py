"""Ranges merge to their union, and checksums are those of the canonical form."""

from __future__ import annotations

import hashlib
import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.core.spans import Range, RunningChecksum, checksum, is_context, is_scan, merge, read_ranges
from rlm_rs.core.wellformed import well_formed
from rlm_rs.sandbox.protocol import SpanEntry

RANGES = st.lists(
    st.builds(
        lambda doc, start, length: Range(doc, start, start + length),
        st.integers(0, 3),
        st.integers(0, 60),
        st.integers(1, 15),
    ),
    max_size=25,
)


def covered(ranges: list[Range]) -> set[tuple[int, int]]:
    return {(r.doc_index, char) for r in ranges for char in range(r.start_char, r.end_char)}


@given(RANGES)
def test_merging_covers_exactly_the_union(ranges: list[Range]) -> None:
    assert covered(merge(ranges)) == covered(ranges)


@given(RANGES, st.integers(0, 20))
def test_merged_ranges_are_sorted_and_further_apart_than_the_gap(ranges: list[Range], gap: int) -> None:
    merged = merge(ranges, gap)
    assert merged == sorted(merged)
    pairs = pairwise(merged)
    assert all(a.doc_index < b.doc_index or a.end_char + gap < b.start_char for a, b in pairs)


@given(RANGES, st.integers(0, 20))
def test_merging_is_idempotent_and_keeps_every_range(ranges: list[Range], gap: int) -> None:
    merged = merge(ranges, gap)
    assert merge(merged, gap) == merged
    assert all(any(outer.contains(r) for outer in merged) for r in ranges)


@given(RANGES, st.integers(1, 20))
def test_a_gap_adds_only_what_lies_between_ranges(ranges: list[Range], gap: int) -> None:
    for added_doc, added_char in covered(merge(ranges, gap)) - covered(ranges):
        near = [r for r in ranges if r.doc_index == added_doc]
        assert any(r.end_char <= added_char < r.end_char + gap for r in near)
        assert any(added_char < r.start_char <= added_char + gap for r in near)


@given(st.randoms(), RANGES)
def test_the_order_of_reading_does_not_change_what_is_merged(random: object, ranges: list[Range]) -> None:
    shuffled = list(ranges)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert merge(shuffled, 3) == merge(ranges, 3)


@given(st.text())
def test_a_checksum_is_that_of_the_canonical_form(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    assert checksum(text) == checksum(composed)
    assert checksum(text) == f"sha256:{hashlib.sha256(composed.encode()).hexdigest()}"


def test_decomposed_and_composed_text_have_one_checksum() -> None:
    assert checksum("Ku\u0308ndigung") == checksum("Kündigung")
    assert checksum("Kundigung") != checksum("Kündigung")
    assert checksum("") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_lone_surrogate_is_hashed_as_the_replacement_character() -> None:
    assert checksum("a\ud800") == checksum("a\ufffd")


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_well_formed_text_can_always_be_encoded(text: str) -> None:
    assert well_formed(text).encode().decode() == well_formed(text)
    assert well_formed(well_formed(text)) == well_formed(text)


@given(st.text())
def test_text_without_lone_surrogates_is_well_formed(text: str) -> None:
    assert well_formed(text) == text


def test_a_surrogate_pair_becomes_its_character() -> None:
    assert well_formed("\ud83d\ude00 \ude00") == "😀 \ufffd"


@pytest.mark.parametrize(
    ("span", "read"),
    [
        (SpanEntry(0, 1, 5), True),
        (SpanEntry(0, 1, 5, "context"), True),
        (SpanEntry(0, 1, 5, "scan:find"), False),
        (SpanEntry(0, 1, 1), False),
        (SpanEntry(0, 5, 1), False),
        (SpanEntry(-1, 0, 100), False),
    ],
)
def test_only_what_was_read_is_a_range(span: SpanEntry, read: bool) -> None:
    assert bool(read_ranges([span])) is read


@pytest.mark.parametrize(
    ("tag", "scan", "context"),
    [
        (None, False, False),
        ("scan:find", True, False),
        ("scan", False, False),
        ("context", False, True),
        ("context:a", False, True),
        ("contextual", False, False),
    ],
)
def test_tags_say_what_a_span_is(tag: str | None, scan: bool, context: bool) -> None:
    span = SpanEntry(0, 0, 1, tag)
    assert (is_scan(span), is_context(span)) == (scan, context)


# what composes, decomposes or changes places with what stands beside it, and what does nothing of it
RESTLESS = (
    "aeE \n漢é\u212b\u0301\u0316\u0327\u0344\u0f71\u0f72\u0f73"
    "\u1100\u1161\u11a8\uac00\u09c7\u09be\u0915\u093c"
)


def running(pieces: list[str]) -> str:
    found = RunningChecksum()
    for piece in pieces:
        found.add(piece)
    return found.value()


@given(st.lists(st.text(RESTLESS) | st.text(), max_size=12))
def test_a_checksum_of_pieces_is_that_of_the_whole(pieces: list[str]) -> None:
    assert running(pieces) == checksum("".join(pieces))


@given(st.text(RESTLESS, min_size=1, max_size=30))
def test_a_text_can_come_character_by_character(text: str) -> None:
    assert running(list(text)) == checksum(text)


def test_no_character_is_cut_off_from_what_it_composes_with() -> None:
    for code in range(sys.maxunicode + 1):
        parts = unicodedata.normalize("NFD", chr(code))
        if len(parts) > 1 and not 0xD800 <= code < 0xE000:
            assert running(list(parts)) == checksum(parts), hex(code)
