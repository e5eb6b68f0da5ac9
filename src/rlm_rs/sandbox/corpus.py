"""The documents a step may read, mapped from an image that the runner laid out.

An image is a directory of little-endian files, handed over as open descriptors: `documents.tab` (rows of
twelve uint64 in `doc_index` order: segment, byte_start, byte_length, char_length, index_start, index_count,
info_start, info_length, structure_start, structure_length, page_count, 0), `info.json`, `structure.json`,
`index.u64`, and the segments that hold the text. A file is mapped when it is first touched and a row is read
when its document is, so a step costs what it reads and not what there is.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, repeat
from typing import Any, NamedTuple, Protocol

from rlm_rs.sandbox.fetched import Bytes, Fetch, FetchedBytes, FetchedFile, part
from rlm_rs.sandbox.text import Text

_ROW = struct.Struct("<12Q")

Structure = dict[str, Any]


class Row(NamedTuple):
    """One document in `documents.tab`. `index_start` and `index_count` count entries of `index.u64`."""

    segment: int
    byte_start: int
    byte_length: int
    char_length: int
    index_start: int
    index_count: int
    info_start: int
    info_length: int
    structure_start: int
    structure_length: int
    page_count: int
    reserved: int


class Document(Protocol):
    """What a view needs of a document, mapped or in memory."""

    @property
    def length(self) -> int:
        """Characters of the text."""

    @property
    def page_count(self) -> int:
        """Pages, 0 where the format has none."""

    @property
    def text(self) -> Text:
        """The text."""

    @property
    def info(self) -> dict[str, str]:
        """`doc_id`, `name` and `mime_type`."""

    @property
    def structure(self) -> Structure:
        """`structure`, `pages` and `tables` as the parser found them; a fresh copy."""


class MappedCorpus:
    """The documents of an image. Give `open` the descriptors: they stay the caller's to close."""

    def __init__(
        self, table: Held, info: Held, structure: Held, index: Held, segments: Sequence[Held]
    ) -> None:
        self._table = table
        self._info = info
        self._structure = structure
        self._index = index
        self._segments = tuple(segments)

    @classmethod
    def open(cls, fds: Sequence[int]) -> MappedCorpus:
        """From descriptors in the order documents, info, structure, index, then the segments."""
        table, info, structure, index, *segments = (Mapped(fd) for fd in fds)
        return cls(table, info, structure, index, segments)

    @classmethod
    def fetched(cls, fds: Sequence[int], lengths: Sequence[int], fetch: Fetch) -> MappedCorpus:
        """From sparse files that `fetch` fills: the four tables in one, so long each, then the segments."""
        tables, *segments = (FetchedFile(number, fd, fetch) for number, fd in enumerate(fds))
        starts = accumulate(lengths, initial=0)
        table, info, structure, index = map(Fetched, repeat(tables), starts, lengths)
        return cls(table, info, structure, index, [Fetched(file, 0, file.size) for file in segments])

    def __len__(self) -> int:
        return self._table.size // _ROW.size

    def row(self, number: int) -> Row:
        """The table's row of document `number`, which must exist."""
        start = number * _ROW.size
        return Row(*_ROW.unpack(self._table.data[start : start + _ROW.size]))

    def document(self, number: int) -> MappedDocument:
        """Document `number`, which must exist."""
        return MappedDocument(self, self.row(number))

    def column(self, field: str) -> list[int]:
        """One field of all rows, without making the rows."""
        return self._table.data[:].cast("Q")[Row._fields.index(field) :: len(Row._fields)].tolist()

    def segment(self, number: int) -> Bytes:
        """The bytes of a segment."""
        return self._segments[number].data

    @property
    def segment_count(self) -> int:
        """How many segments there are."""
        return len(self._segments)

    def text(self, row: Row) -> Text:
        """The text of a row's document."""
        data: Bytes = _EMPTY
        if row.byte_length:
            data = part(self.segment(row.segment), row.byte_start, row.byte_start + row.byte_length)
        index = self._index.data[8 * row.index_start : 8 * (row.index_start + row.index_count)]
        return Text(data, row.char_length, index.cast("Q") if row.index_count else None)

    def info(self, row: Row) -> dict[str, str]:
        """`doc_id`, `name` and `mime_type` of a row's document."""
        return _json_at(self._info, row.info_start, row.info_length)

    def structure(self, row: Row) -> Structure:
        """`structure`, `pages` and `tables` of a row's document."""
        return _json_at(self._structure, row.structure_start, row.structure_length)


class Held(Protocol):
    """A table or a segment, wherever it lies."""

    size: int

    @property
    def data(self) -> Bytes:
        """Its bytes."""


class Fetched:
    """A part of a file that is filled as it is read."""

    def __init__(self, file: FetchedFile, start: int, size: int) -> None:
        self.size = size
        self.data: Bytes = FetchedBytes(file, start, start + size)


class Mapped:
    """A file as bytes, mapped privately and read-only at first touch.

    Its length is read at once: in the locked process fstat(2) is refused by the time a step runs.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    @cached_property
    def data(self) -> memoryview:
        """The bytes. An empty file cannot be mapped and is just empty."""
        if not self.size:
            return _EMPTY
        return memoryview(mmap.mmap(self._fd, self.size, mmap.MAP_PRIVATE, mmap.PROT_READ))


class MappedDocument:
    """One document of an image."""

    def __init__(self, corpus: MappedCorpus, row: Row) -> None:
        self._corpus = corpus
        self._row = row
        self.length = row.char_length
        self.page_count = row.page_count

    @cached_property
    def text(self) -> Text:
        """The text, mapped."""
        return self._corpus.text(self._row)

    @cached_property
    def info(self) -> dict[str, str]:
        """`doc_id`, `name` and `mime_type`."""
        return self._corpus.info(self._row)

    @property
    def structure(self) -> Structure:
        """`structure`, `pages` and `tables`."""
        return self._corpus.structure(self._row)


class MemoryDocument:
    """A text that came with the request: readable like a document, but it cannot be cited."""

    page_count = 0

    def __init__(self, number: int, text: str) -> None:
        """`number` counts these texts from 1."""
        self.length = len(text)
        self.info = {"doc_id": f"text-{number}", "name": f"text {number}", "mime_type": "text/plain"}
        self._content = text

    @cached_property
    def text(self) -> Text:
        """The text, encoded at first touch."""
        return Text.of(self._content)

    @property
    def structure(self) -> Structure:
        """A text in memory has none."""
        return {}


def _json_at(source: Held, start: int, length: int) -> dict[str, Any]:
    if not length:
        return {}
    decoded: dict[str, Any] = json.loads(str(source.data[start : start + length], "utf-8"))
    return decoded


_EMPTY = memoryview(b"")
