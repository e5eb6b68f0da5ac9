"""Checking a citation against the stored text: recomputed, never believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.spans import RunningChecksum, SpanRef, is_checksum
from rlm_rs.orchestrator.texts import DocumentTexts

INLINE_CHARS = 50_000
"""Longer pieces are hashed in a thread: others are to be served meanwhile."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a citation holds. `text` is what stands there now, or its beginning.

    `reason` says why it does not hold, and how much of the text is not shown.
    """

    valid: bool
    text: str = ""
    source_name: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A range as it stands: its checksum, and as much of its text as was wanted."""

    checksum: str
    text: str
    chars: int


async def verify(ref: SpanRef, corpus: Corpus, texts: DocumentTexts, most: int | None = None) -> Verification:
    """Recompute a reference. A mismatch of any kind is `valid: false`, never an error.

    most: characters of text to give, of a range of any length; all of it is checked, in flat memory.
    """
    document = _document(ref, corpus)
    if document is None:
        return Verification(False, reason="no such document in this session")
    if not 0 <= ref.start_char < ref.end_char <= document.char_length:
        return Verification(False, source_name=document.source_name, reason="the range is outside the text")
    most = ref.end_char - ref.start_char if most is None else most
    try:
        return await _compared(ref, document, texts, most)
    except BlobNotFound:
        return Verification(False, source_name=document.source_name, reason="the stored text is gone")


async def _compared(ref: SpanRef, document: Document, texts: DocumentTexts, most: int) -> Verification:
    where = (document, ref.start_char, ref.end_char)
    if not is_checksum(ref.checksum):
        # no text has it: only what is to be shown is read
        text = await texts.read(document, ref.start_char, min(ref.end_char, ref.start_char + most))
        found = _Read("", text, ref.end_char - ref.start_char)
        return _verification(False, found, document, "the checksum is not one: sha256: and 64 hex digits")
    found = await _read(texts.pieces(*where), most)
    if found.checksum != ref.checksum and not await texts.unchanged(document):
        # an edit elsewhere may have moved the bytes but not these characters
        found = await _read(texts.changed_pieces(*where), most)
    if found.checksum == ref.checksum:
        return _verification(True, found, document)
    return _verification(False, found, document, "the text there is not what was cited")


async def _read(pieces: AsyncIterator[str], most: int) -> _Read:
    running, shown, chars = RunningChecksum(), list[str](), 0
    async for piece in pieces:
        if len(piece) > INLINE_CHARS:
            await asyncio.to_thread(running.add, piece)
        else:
            running.add(piece)
        if chars < most:
            shown.append(piece[: most - chars])
        chars += len(piece)
    return _Read(running.value(), "".join(shown), chars)


def _verification(valid: bool, found: _Read, document: Document, reason: str | None = None) -> Verification:
    if len(found.text) < found.chars:
        cut = f"at most the first {len(found.text):,} of {found.chars:,} characters are given"
        reason = f"{reason}; {cut}" if reason else cut
    return Verification(valid, found.text, document.source_name, reason)


def _document(ref: SpanRef, corpus: Corpus) -> Document | None:
    if (ref.tenant_id, ref.session_id) != (corpus.tenant_id, corpus.session_id):
        return None
    if not 0 <= ref.doc_index < len(corpus.documents):
        return None
    document = corpus.documents[ref.doc_index]
    return document if document.doc_id == ref.doc_id and document.readable else None
