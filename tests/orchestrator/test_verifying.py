"""Citations of any length are checked in pieces, and little of their text is given."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving import MINE, serving
from stage import stored_document

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.spans import SpanRef, checksum
from rlm_rs.orchestrator.passages import MAX_SPAN_CHARS, check_citation
from rlm_rs.orchestrator.texts import PIECE_CHARS, DocumentTexts
from rlm_rs.orchestrator.verifying import Verification, verify
from rlm_rs.storage.blobs import MemoryBlobs

# no line end and no space, and a mark at the end of the first piece composes with a letter before it
LONG = "漢é" * (PIECE_CHARS // 2 - 1) + "xe" + "\u0301" + "漢" * (PIECE_CHARS + 5)
MOST = 1_000


class CountedBlobs(MemoryBlobs):
    """Knows how much was read at a time, and what was streamed."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = self.total = self.streams = 0

    async def get(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        data = await super().get(uri, start, length)
        self.longest, self.total = max(self.longest, len(data)), self.total + len(data)
        return data

    async def stream(self, uri: str, chunk_bytes: int = 1 << 16) -> AsyncIterator[bytes]:
        self.streams += 1
        async for chunk in super().stream(uri, chunk_bytes):
            yield chunk


class Scene:
    """A stored text and the citation of all of it."""

    def __init__(self, blobs: CountedBlobs, document: Document, text: str) -> None:
        self.blobs, self.texts = blobs, DocumentTexts(blobs)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.document = replace(document, text_checksum=f"sha256:{digest}")
        self.ref = SpanRef("t", "s", document.doc_id, 0, 0, len(text), checksum(text))

    async def verified(self, ref: SpanRef, most: int | None = MOST) -> Verification:
        return await verify(ref, Corpus("t", "s", (self.document,)), self.texts, most)


async def stored(text: str) -> Scene:
    blobs = CountedBlobs()
    return Scene(blobs, await stored_document(blobs, 0, text), text)


async def test_a_long_range_is_checked_in_pieces_and_shown_in_part() -> None:
    scene = await stored(LONG)
    found = await scene.verified(scene.ref)
    assert (found.valid, found.text) == (True, LONG[:MOST])
    assert found.reason == f"at most the first 1,000 of {len(LONG):,} characters are given"
    assert scene.blobs.longest < 4 * PIECE_CHARS < len(LONG.encode())


async def test_without_a_bound_all_of_the_text_is_given() -> None:
    scene = await stored(LONG)
    found = await scene.verified(scene.ref, None)
    assert found == Verification(True, LONG, found.source_name)


async def test_what_fits_is_given_whole_and_without_remark() -> None:
    scene = await stored("A clause.")
    found = await scene.verified(scene.ref)
    assert found == Verification(True, "A clause.", found.source_name)


async def test_a_wrong_checksum_streams_the_document_once_at_most() -> None:
    scene = await stored(LONG)
    for _ in range(3):
        found = await scene.verified(replace(scene.ref, checksum="sha256:" + "0" * 64))
        assert (found.valid, found.text) == (False, LONG[:MOST])
        assert found.reason is not None
        assert "is not what was cited; at most the first 1,000 of" in found.reason
    assert scene.blobs.streams == 1


@pytest.mark.parametrize(
    "forged", ["", "sha256:0", "md5:" + "0" * 64, "sha256:" + "G" * 64, "sha256:" + "0" * 65]
)
async def test_what_is_no_checksum_reads_only_what_is_shown(forged: str) -> None:
    scene = await stored(LONG)
    found = await scene.verified(replace(scene.ref, checksum=forged))
    assert (found.valid, found.text) == (False, LONG[:MOST])
    assert scene.blobs.streams == 0
    assert scene.blobs.total < 10 * 4_096


async def test_characters_that_were_moved_within_a_text_of_any_length_still_hold() -> None:
    scene = await stored(LONG)
    end = len(LONG) - 10
    part = replace(scene.ref, start_char=5, end_char=end, checksum=checksum(LONG[5:end]))
    uri = scene.document.text_s3_uri or ""
    await scene.blobs.delete(uri)
    await scene.blobs.put(uri, ("zz" + LONG[2:]).encode())
    assert (await scene.verified(part)).valid
    assert not (await scene.verified(scene.ref)).valid


async def test_a_client_gets_no_more_of_a_range_than_it_may_read_at_once(tmp_path: Path) -> None:
    served = serving(tmp_path)
    text = "A clause of the lease.\n" * (MAX_SPAN_CHARS // 20)
    view = await served.session(text)
    document = view.documents[0]
    chars = document.char_length
    assert chars > MAX_SPAN_CHARS
    ref = SpanRef(MINE, view.session.session_id, document.doc_id, 0, 0, chars, checksum(text[:chars]))
    for cited, valid in ((ref, True), (replace(ref, checksum="sha256:" + "0" * 64), False)):
        found, _ = await check_citation(MINE, cited, served.service)
        assert (found.valid, found.text) == (valid, text[:MAX_SPAN_CHARS])
