"""PDF: the text layer page by page, line breaks as in the file; the outline becomes sections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import pypdfium2
from pypdfium2 import raw

from rlm_rs.parser.canonical import clean
from rlm_rs.parser.failures import (
    DocumentCorrupt,
    DocumentEncrypted,
    DocumentTooLarge,
    DocumentUnsupported,
    DocumentWithoutText,
)
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.structure import Heading

_MAX_BOOKMARKS = 20_000
# PDFium marks a hyphen at a line's end with one of these; it is a hyphen on the page.
_HYPHENS = {2: "-", 0xFFFE: "-"}
_LISTED_PAGES = 10


def render(source: SourceFile, out: Renderer) -> None:
    """Render the pages. A PDF without any text raises `DocumentWithoutText`."""
    document = _open(source)
    try:
        _check_page_count(len(document), source)
        out.title = (document.get_metadata_value("Title") or "").strip() or None
        blank = _render_pages(document, out)
        if len(blank) == len(document):
            raise DocumentWithoutText(pages=len(document))
        _warn_of_blank(blank, out)
        if document.get_formtype():
            out.warn("It has form fields; what was typed into them may be missing from the text.")
    finally:
        document.close()
    out.end()


def _open(source: SourceFile) -> pypdfium2.PdfDocument:
    try:
        document = pypdfium2.PdfDocument(source.path)
        len(document)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise _locked(error.err_code) from error
        raise DocumentCorrupt(reason="not a whole PDF") from error
    return document


def _locked(code: int | None) -> DocumentEncrypted | DocumentUnsupported:
    if code == raw.FPDF_ERR_PASSWORD:
        return DocumentEncrypted()
    return DocumentUnsupported("a PDF with unknown protection", "Print it to a new PDF first.")


def _check_page_count(pages: int, source: SourceFile) -> None:
    if pages > source.limits.pages:
        raise DocumentTooLarge(what="its number of pages", limit=source.limits.pages)
    if pages == 0:
        raise DocumentCorrupt(reason="it has no pages")


def _render_pages(document: pypdfium2.PdfDocument, out: Renderer) -> list[int]:
    """Write all pages; returns the numbers of those without text."""
    outline = _outline(document)
    blank = []
    for index in range(len(document)):
        text = _page_text(document, index)
        with out.page(index + 1):
            start = out.block(text)
        out.headings.extend(_locate(outline.get(index, ()), text, start))
        if not text.strip():
            blank.append(index + 1)
    return blank


def _page_text(document: pypdfium2.PdfDocument, index: int) -> str:
    """Canonical text of one page, empty when it cannot be loaded."""
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return ""
    try:
        text_page = page.get_textpage()
        text = str(text_page.get_text_bounded())
        text_page.close()
    finally:
        page.close()
    return clean(text.translate(_HYPHENS)).strip("\n")


def _warn_of_blank(blank: list[int], out: Renderer) -> None:
    if blank:
        listed = ", ".join(map(str, blank[:_LISTED_PAGES])) + (", …" if len(blank) > _LISTED_PAGES else "")
        out.warn(f"{len(blank)} page(s) have no text and may be scans: {listed}.")


def _outline(document: pypdfium2.PdfDocument) -> dict[int, list[tuple[str, int]]]:
    """Title and level of the outline's entries, by the index of the page they point to."""
    entries: dict[int, list[tuple[str, int]]] = {}
    for bookmark in islice(document.get_toc(), _MAX_BOOKMARKS):
        target = bookmark.get_dest()
        index = target.get_index() if target else None
        title = bookmark.get_title().strip()
        if index is not None and title:
            entries.setdefault(index, []).append((title, bookmark.level + 1))
    return entries


def _locate(entries: Iterable[tuple[str, int]], text: str, start: int) -> Iterator[Heading]:
    """Place outline entries where their words stand on the page, else at its start."""
    for title, level in entries:
        words = r"\s+".join(map(re.escape, title.split()))
        match = re.search(words, text, re.IGNORECASE)
        yield Heading(title, level, start + (match.start() if match else 0))
