"""Checking a citation against the stored text: recomputed, never believed."""

from __future__ import annotations

from dataclasses import dataclass

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import BlobNotFound
from rlm_rs.core.spans import SpanRef, checksum
from rlm_rs.orchestrator.texts import DocumentTexts


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a citation holds. `text` is what stands there now; `reason` says why it does not hold."""

    valid: bool
    text: str = ""
    source_name: str | None = None
    reason: str | None = None


async def verify(ref: SpanRef, corpus: Corpus, texts: DocumentTexts) -> Verification:
    """Recompute a reference. A mismatch of any kind is `valid: false`, never an error."""
    document = _document(ref, corpus)
    if document is None:
        return Verification(False, reason="no such document in this session")
    if not 0 <= ref.start_char < ref.end_char <= document.char_length:
        return Verification(False, source_name=document.source_name, reason="the range is outside the text")
    try:
        return await _compared(ref, document, texts)
    except BlobNotFound:
        return Verification(False, source_name=document.source_name, reason="the stored text is gone")


async def _compared(ref: SpanRef, document: Document, texts: DocumentTexts) -> Verification:
    text = await texts.read(document, ref.start_char, ref.end_char)
    if checksum(text) != ref.checksum and not await texts.unchanged(document):
        # an edit elsewhere may have moved the bytes but not these characters
        text = await texts.read_changed(document, ref.start_char, ref.end_char)
    if checksum(text) == ref.checksum:
        return Verification(True, text, document.source_name)
    return Verification(False, text, document.source_name, "the text there is not what was cited")


def _document(ref: SpanRef, corpus: Corpus) -> Document | None:
    if (ref.tenant_id, ref.session_id) != (corpus.tenant_id, corpus.session_id):
        return None
    if not 0 <= ref.doc_index < len(corpus.documents):
        return None
    document = corpus.documents[ref.doc_index]
    return document if document.doc_id == ref.doc_id and document.readable else None
