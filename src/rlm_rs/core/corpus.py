"""A session's documents as the rest of the system sees them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

UTF8_TEXT = "text/plain; charset=utf-8"
"""The type of a document that was never anything but text, such as a message: if it is UTF-8 indeed,
it is kept word for word, whatever format it begins like."""


class IngestStatus(StrEnum):
    """Where a document stands on its way into a session."""

    REGISTERED = "REGISTERED"
    PARSING = "PARSING"
    PARSED = "PARSED"
    INDEXING = "INDEXING"
    INDEXED = "INDEXED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a document is not readable: a stable code and one sentence that says what to do."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Source:
    """One document to be: a file on disk and the name it goes by.

    source_name: relative, with `/`, unique among the sources found together and the same every time.
    mime_type: what the name suggests; the parser looks at the content. failure: it is known already that
    it cannot be read (an encrypted archive member, say); `path` then need not exist.
    """

    source_name: str
    path: Path
    mime_type: str | None = None
    byte_length: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document that was read. Lengths are of the canonical text; checksums are `sha256:` and hex.

    raw_checksum is of the input bytes. has_index: a checkpoint table was written, because a character is
    not always one byte. peak_memory_bytes is that of the parsing process so far, 0 where it is unknown.
    """

    char_length: int
    byte_length: int
    page_count: int
    text_checksum: str
    raw_checksum: str
    mime_type: str
    parser_version: str
    title: str | None = None
    warnings: tuple[str, ...] = ()
    has_index: bool = False
    seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a session. Lengths are of the canonical text; URIs are `s3://bucket/key`.

    text_checksum: `sha256:` and hex of the canonical UTF-8 bytes.
    offsets_index_uri: uint64 little-endian byte offsets of every 4,096th character, or None when the
    text is ASCII (byte offset equals character offset).
    """

    doc_id: str
    doc_index: int
    source_name: str
    mime_type: str
    ingest_status: IngestStatus = IngestStatus.REGISTERED
    failure: Failure | None = None
    raw_s3_uri: str | None = None
    raw_s3_version_id: str | None = None
    raw_s3_etag: str | None = None
    raw_checksum: str | None = None
    text_s3_uri: str | None = None
    meta_s3_uri: str | None = None
    offsets_s3_uri: str | None = None
    offsets_index_uri: str | None = None
    char_length: int = 0
    byte_length: int = 0
    page_count: int = 0
    parser_version: str | None = None
    text_checksum: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether step code can read it."""
        return self.ingest_status in (IngestStatus.PARSED, IngestStatus.INDEXING, IngestStatus.INDEXED)


@dataclass(frozen=True)
class Corpus:
    """The documents of one session, in `doc_index` order, failed ones included (they read as empty)."""

    tenant_id: str
    session_id: str
    documents: tuple[Document, ...]

    @property
    def char_length(self) -> int:
        """Characters of all readable documents together."""
        return sum(document.char_length for document in self.documents)

    @cached_property
    def content_digest(self) -> str:
        """SHA-256 over the texts and places of the readable documents, in hex: what a search depends on."""
        whole = hashlib.sha256()
        for document in self.documents:
            if document.readable:
                content = document.text_checksum or f"{document.doc_id}/{document.char_length}"
                whole.update(f"{document.doc_index}\0{content}\0".encode())
        return whole.hexdigest()
