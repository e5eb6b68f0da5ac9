"""Corpus images: a session's documents as a few files that a step's process maps.

A step's process gets its documents as open descriptors, and at most 253 of them can be passed with one
message. So small texts are packed into segments, and a table says where each document lies; the step
program reads them with `sandbox.corpus.MappedCorpus`. All numbers are little-endian.

documents.tab   12 uint64 a document, in doc_index order: segment, byte_start, byte_length, char_length,
                index_start, index_count, info_start, info_length, structure_start, structure_length,
                page_count, 0. index_start counts entries of index.u64; index_count 0 means ASCII.
info.json       {"doc_id", "name", "mime_type"} of each document, concatenated
index.u64       the documents' checkpoint tables: byte offset of every 4,096th character
structure.json  the documents' meta.json objects, concatenated
texts-N.bin     small texts, concatenated in doc_index order; a big text is its own file, not copied
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import struct
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import orjson

from rlm_rs.core.corpus import Corpus, Document
from rlm_rs.core.errors import ChecksumMismatch, SandboxFailed
from rlm_rs.core.ports import Blobs
from rlm_rs.runners.image_space import MANIFEST, ImageSpace, make_room, touch

ROW = struct.Struct("<12Q")
OWN_SEGMENT_BYTES = 1 << 20
"""A text of at least this size may be a segment of its own."""
MAX_OWN_SEGMENTS = 48
PACK_BYTES = 1 << 30
READS_AT_ONCE = 16
IMAGES_REMEMBERED = 256
SWEEP_SECONDS = 60.0
TABLES = ("documents.tab", "info.json", "structure.json", "index.u64")


@dataclass(frozen=True, slots=True)
class CorpusImage:
    """The files of one image, in the order `MappedCorpus.open` takes: four tables, then the segments."""

    directory: Path
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """What of one document goes into the tables, read from its blobs."""

    index: bytes
    structure: bytes


@dataclass(slots=True)
class Tables:
    """The tables of an image being built, as four open files and their lengths so far."""

    rows: BinaryIO
    info: BinaryIO
    structure: BinaryIO
    index: BinaryIO
    lengths: dict[str, int] = field(default_factory=lambda: {"info": 0, "index": 0, "structure": 0})

    def add(self, document: Document, segment: int, byte_start: int, parts: Parts) -> None:
        """Append one document's row and what the row points to."""
        info = orjson.dumps(
            {"doc_id": document.doc_id, "name": document.source_name, "mime_type": document.mime_type}
        )
        lengths, readable = self.lengths, document.readable
        text = (document.byte_length, document.char_length) if readable else (0, 0)
        index = (lengths["index"] // 8, len(parts.index) // 8)
        kept = (lengths["info"], len(info), lengths["structure"], len(parts.structure))
        self.rows.write(ROW.pack(segment, byte_start, *text, *index, *kept, document.page_count, 0))
        self._append("info", self.info, info)
        self._append("index", self.index, parts.index)
        self._append("structure", self.structure, parts.structure)

    def _append(self, name: str, file: BinaryIO, data: bytes) -> None:
        file.write(data)
        self.lengths[name] += len(data)


def fingerprint(corpus: Corpus) -> str:
    """Identity of what an image of the corpus holds: 32 hex digits."""
    digest = sha256()
    for document in corpus.documents:
        held = (document.doc_id, document.source_name, document.mime_type, document.readable)
        stored = (document.text_s3_uri, document.text_checksum, document.meta_s3_uri, document.page_count)
        digest.update(repr((held, stored, document.byte_length, document.char_length)).encode())
    return digest.hexdigest()[:32]


def own_segments(corpus: Corpus) -> set[int]:
    """The documents whose text is a segment of its own: the biggest ones."""
    big = [document for document in corpus.documents if _is_big(document)]
    big.sort(key=lambda document: document.byte_length, reverse=True)
    return {document.doc_index for document in big[:MAX_OWN_SEGMENTS]}


def _is_big(document: Document) -> bool:
    return document.readable and document.byte_length >= OWN_SEGMENT_BYTES


def folder_name(identifier: str) -> str:
    """A tenant or session id as one path component. Raises `SandboxFailed` if it is none."""
    if not identifier or identifier in (".", "..") or set(identifier) & {"/", "\\", "\0"}:
        raise SandboxFailed(reason=f"{identifier!r} cannot name a folder")
    return identifier


class CorpusImages:
    """Builds corpus images from blobs and keeps them under `directory/{tenant}/{session}/`.

    Several processes may share the directory: an image appears whole, by a rename.
    """

    def __init__(self, blobs: Blobs, directory: Path, space: ImageSpace | None = None) -> None:
        self._blobs = blobs
        self._directory = directory
        self._space = space or ImageSpace()
        self._swept = time.monotonic()
        self._known: OrderedDict[tuple[str, str], tuple[Corpus, asyncio.Task[CorpusImage]]] = OrderedDict()

    async def ensure(self, corpus: Corpus) -> CorpusImage:
        """The image of these documents, built if it is not there yet.

        Raises `BlobNotFound` or `ChecksumMismatch` when a text is not there as its document says.
        """
        key = (corpus.tenant_id, corpus.session_id)
        known = self._known.get(key)
        if known is None or not _same(known[0], corpus) or _failed(known[1]):
            known = (corpus, asyncio.create_task(self._find_or_build(corpus)))
            self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > IMAGES_REMEMBERED:
            self._known.popitem(last=False)
        image = await asyncio.shield(known[1])
        touch(image.directory)
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            await self._make_room(image.directory)
        return image

    async def remove(self, tenant_id: str, session_id: str) -> None:
        """Remove all images of a session. Removing nothing is not an error."""
        self._known.pop((tenant_id, session_id), None)
        await asyncio.to_thread(shutil.rmtree, self._session_folder(tenant_id, session_id), True)

    def forget(self, corpus: Corpus) -> None:
        """Look at the disk again next time: a file of this image was missing."""
        self._known.pop((corpus.tenant_id, corpus.session_id), None)

    async def _make_room(self, but: Path) -> None:
        self._swept = time.monotonic()
        await asyncio.to_thread(make_room, self._directory, self._space, but)

    def _session_folder(self, tenant_id: str, session_id: str) -> Path:
        return self._directory / folder_name(tenant_id) / folder_name(session_id)

    async def _find_or_build(self, corpus: Corpus) -> CorpusImage:
        session = self._session_folder(corpus.tenant_id, corpus.session_id)
        final = session / fingerprint(corpus)
        found = _load(final)
        if found is not None:
            return found
        session.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=session))
        try:
            await ImageBuild(self._blobs, draft, final, corpus).run()
            _publish(draft, final)
            await self._make_room(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        image = _load(final)
        if image is None:
            raise SandboxFailed(reason=f"the corpus image {final} vanished while it was built")
        return image


def _same(known: Corpus, asked: Corpus) -> bool:
    return known is asked or known == asked


def _failed(task: asyncio.Task[CorpusImage]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _publish(draft: Path, final: Path) -> None:
    """Rename the draft into place, unless another process was first."""
    if _load(final) is None:
        shutil.rmtree(final, ignore_errors=True)
    try:
        draft.rename(final)
    except OSError:
        if _load(final) is None:
            raise


def _load(final: Path) -> CorpusImage | None:
    """The image at `final`, if it is there and every file still has its length."""
    try:
        manifest = json.loads((final / MANIFEST).read_bytes())
        paths = tuple(final / name for name, _ in manifest)
        whole = all(path.stat().st_size == size for path, (_, size) in zip(paths, manifest, strict=True))
    except (FileNotFoundError, ValueError):
        return None
    return CorpusImage(final, paths) if whole else None


class ImageBuild:
    """The building of one image in a draft folder that will be renamed to `final`."""

    def __init__(self, blobs: Blobs, draft: Path, final: Path, corpus: Corpus) -> None:
        self._blobs = blobs
        self._draft = draft
        self._final = final
        self._corpus = corpus
        self._segments: list[str] = []

    async def run(self) -> None:
        """Write every file of the image, the manifest last."""
        await self.write_files()
        await asyncio.to_thread(self._write_manifest)

    async def write_files(self) -> list[str]:
        """Write the tables and the segments; returns where the segments are, in order."""
        with ExitStack() as files:
            opened = [files.enter_context((self._draft / name).open("wb")) for name in TABLES]
            rows, info, structure, index = opened
            tables = Tables(rows, info, structure, index)
            await self._write_documents(tables)
        return self._segments

    async def _write_documents(self, tables: Tables) -> None:
        own = own_segments(self._corpus)
        pack = Pack(self._draft, self._segments)
        try:
            for chunk in _chunks(self._corpus.documents, READS_AT_ONCE):
                read = await asyncio.gather(*(self._read(document) for document in chunk))
                for document, (text, parts) in zip(chunk, read, strict=True):
                    segment, start = await self._place(document, text, own, pack)
                    tables.add(document, segment, start, parts)
        finally:
            pack.close()

    async def _place(self, document: Document, text: bytes, own: set[int], pack: Pack) -> tuple[int, int]:
        if document.doc_index in own:
            self._segments.append(await self.own_segment(document))
            return len(self._segments) - 1, 0
        place = pack.begin(document.byte_length if document.readable else 0)
        if text:
            pack.write(text)
        elif _is_big(document):
            async for piece in self._blobs.stream(document.text_s3_uri or ""):
                await asyncio.to_thread(pack.write, piece)
            _check_length(document, pack.length - place[1])
        return place

    async def _read(self, document: Document) -> tuple[bytes, Parts]:
        """The text, empty for one too big to hold, and the parts for the tables."""
        if not document.readable:
            return b"", Parts(b"", b"")
        text = b"" if _is_big(document) else await self._fetch(document.text_s3_uri)
        if not _is_big(document):
            _check_length(document, len(text))
        ascii_only = document.byte_length == document.char_length
        index = b"" if ascii_only else await self._fetch(document.offsets_index_uri)
        return text, Parts(index, await self._fetch(document.meta_s3_uri))

    async def _fetch(self, uri: str | None) -> bytes:
        if uri is None:
            return b""
        local = self._blobs.local_path(uri)
        return await self._blobs.get(uri) if local is None else local.read_bytes()

    async def own_segment(self, document: Document) -> str:
        """Where a big text is: the blob's own file, by its path, or a copy in the draft, by its name."""
        uri = document.text_s3_uri or ""
        local = self._blobs.local_path(uri)
        if local is not None:
            _check_length(document, local.stat().st_size)
            return str(local.resolve())
        path = self._draft / f"text-{document.doc_index}.bin"
        with path.open("wb") as file:
            async for piece in self._blobs.stream(uri):
                await asyncio.to_thread(file.write, piece)
        _check_length(document, path.stat().st_size)
        return path.name

    def _write_manifest(self) -> None:
        named = [(name, (self._draft / name).stat().st_size) for name in (*TABLES, *self._segments)]
        (self._draft / MANIFEST).write_bytes(json.dumps(named).encode())


@dataclass(slots=True)
class Pack:
    """The segments small texts are packed into, each up to `PACK_BYTES`."""

    draft: Path
    segments: list[str]
    file: BinaryIO | None = None
    segment: int = 0
    length: int = 0

    def begin(self, length: int) -> tuple[int, int]:
        """Make room for a text of so many bytes; returns its segment and its first byte there."""
        if self.file is None or self.length + length > PACK_BYTES:
            self._open_next()
        return self.segment, self.length

    def write(self, piece: bytes) -> None:
        """Append a piece of the text begun last."""
        assert self.file is not None
        self.file.write(piece)
        self.length += len(piece)

    def _open_next(self) -> None:
        self.close()
        self.segment, self.length = len(self.segments), 0
        name = f"texts-{self.segment}.bin"
        self.segments.append(name)
        self.file = (self.draft / name).open("wb")

    def close(self) -> None:
        """Finish the current segment."""
        if self.file is not None:
            self.file.close()


def _check_length(document: Document, length: int) -> None:
    if length != document.byte_length:
        raise ChecksumMismatch(what=f"the text of {document.source_name}")


def _chunks(documents: tuple[Document, ...], size: int) -> Iterator[tuple[Document, ...]]:
    for start in range(0, len(documents), size):
        yield documents[start : start + size]


def open_all(image: CorpusImage) -> list[int]:
    """Read-only descriptors of the image's files, in order. Raises FileNotFoundError; leaks none."""
    with ExitStack() as opened:
        descriptors = []
        for path in image.paths:
            descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
            opened.callback(os.close, descriptors[-1])
        opened.pop_all()
        return descriptors
