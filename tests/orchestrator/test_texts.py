"""Ranges of stored texts by code points, pages, and whether a text is still what it was."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import stored_document

from rlm_rs.core.corpus import Document
from rlm_rs.orchestrator.texts import DocumentTexts
from rlm_rs.storage.blobs import MemoryBlobs

MIXED = "aé€𝄞\n" * 4_000
PLAIN = "plain text. " * 1_000


async def opened(text: str, **options: object) -> tuple[DocumentTexts, Document, MemoryBlobs]:
    blobs = MemoryBlobs()
    document = await stored_document(blobs, 0, text, **options)  # type: ignore[arg-type]
    checksum = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return DocumentTexts(blobs), replace(document, text_checksum=checksum), blobs


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([MIXED, PLAIN, "é", "x", ""]), st.integers(-10, 21_000), st.integers(-10, 21_000))
async def test_a_range_is_what_a_slice_of_the_text_is(text: str, start: int, end: int) -> None:
    texts, document, _ = await opened(text)
    assert await texts.read(document, start, end) == text[max(0, start) : max(0, end)]


@pytest.mark.parametrize("edge", [4_095, 4_096, 4_097, 8_192, 12_288, 19_999, 20_000])
async def test_ranges_at_checkpoints_are_exact(edge: int) -> None:
    texts, document, _ = await opened(MIXED)
    assert await texts.read(document, edge - 1, edge + 1) == MIXED[edge - 1 : edge + 1]
    assert await texts.read(document, 0, edge) == MIXED[:edge]
    assert await texts.read(document, edge, 10**9) == MIXED[edge:]


async def test_a_document_without_text_reads_as_empty() -> None:
    texts, document, _ = await opened(PLAIN)
    assert await texts.read(replace(document, text_s3_uri=None), 0, 10) == ""


@pytest.mark.parametrize(
    ("char", "page"), [(0, 1), (99, 1), (100, None), (101, 2), (11_999, 2), (12_000, None)]
)
async def test_a_character_stands_on_its_page(char: int, page: int | None) -> None:
    texts, document, _ = await opened(PLAIN, pages=[(0, 100), (101, 12_000)])
    assert await texts.page_of(document, char) == page


async def test_a_changed_text_is_noticed_and_still_readable_by_characters() -> None:
    texts, document, blobs = await opened(MIXED)
    assert await texts.unchanged(document)
    assert await texts.all_unchanged([document])
    changed = MIXED.replace("a", "ä", 1)
    await blobs.delete_prefix("s3://bucket/parsed/")
    await blobs.put(document.text_s3_uri or "", changed.encode())
    assert not await texts.unchanged(document)
    assert not await texts.all_unchanged([document])
    for start, end in ((3, 9_000), (19_990, 30_000)):
        assert (
            "".join([piece async for piece in texts.changed_pieces(document, start, end)])
            == changed[start:end]
        )


async def test_a_lost_text_is_not_unchanged() -> None:
    texts, document, blobs = await opened(PLAIN)
    await blobs.delete_prefix("s3://bucket/parsed/")
    assert not await texts.unchanged(document)
    assert not await texts.all_unchanged([document])


async def test_no_documents_are_all_unchanged() -> None:
    texts, _, _ = await opened("")
    assert await texts.all_unchanged([])
