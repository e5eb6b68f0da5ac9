"""DOCX: paragraphs and tables in document order, headings as sections, list numbers as a reader sees them.

Tracked insertions are read and deletions left out, as in the view "all changes accepted". Headers, footers
and comments are not part of the text; footnotes follow it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from rlm_rs.parser.failures import DocumentCorrupt
from rlm_rs.parser.formats.numbering import Numbering
from rlm_rs.parser.formats.ooxml import Package, attribute, child, elements, local_name
from rlm_rs.parser.formats.wordstyles import Styles
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.zips import open_container

_TRANSPARENT = frozenset(("sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml", "Choice"))
_SILENT = frozenset(
    (
        "pPr",
        "rPr",
        "sdtPr",
        "del",
        "moveFrom",
        "delText",
        "instrText",
        "drawing",
        "pict",
        "object",
        "Fallback",
        "rt",
    )
)
_MARKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def render(source: SourceFile, out: Renderer) -> None:
    """Render the document's body, then its footnotes and endnotes."""
    with open_container(source.path, source.limits) as archive:
        package = Package(archive)
        part = package.related("", "officeDocument")
        if part is None:
            raise DocumentCorrupt(reason="its main part is missing")
        out.title = package.title()
        _Body(package, part, out).render()
    out.end()


class _Body:
    """Renders the main part; keeps the state of lists and notes."""

    def __init__(self, package: Package, part: str, out: Renderer) -> None:
        self._root = package.xml(part)
        self._out = out
        self._styles = Styles(_optional(package, part, "styles"))
        self._numbering = Numbering(_optional(package, part, "numbering"))
        self._notes = {kind: _optional(package, part, f"{kind}s") for kind in ("footnote", "endnote")}
        self._cited: list[tuple[str, str]] = []

    def render(self) -> None:
        body = child(self._root, "body")
        if body is None:
            raise DocumentCorrupt(reason="its main part has no body")
        if next(body.iter("{*}ins", "{*}del"), None) is not None:
            self._out.warn("It has tracked changes: insertions are read, deletions are left out.")
        self._blocks(body)
        self._write_notes()

    def _blocks(self, parent: etree._Element) -> None:
        for element in elements(parent):
            name = local_name(element)
            if name == "p":
                self._paragraph(element)
            elif name == "tbl":
                self._table(element)
            elif name in _TRANSPARENT or name == "AlternateContent":
                self._blocks(element)

    def _paragraph(self, paragraph: etree._Element) -> None:
        properties = child(paragraph, "pPr")
        label = self._label(properties)
        text = self._text(paragraph)
        if text.strip():
            self._write(f"{label} {text}" if label else text, properties, is_item=bool(label))
        for box in paragraph.iter("{*}txbxContent"):
            if not _is_fallback(box):
                self._blocks(box)

    def _write(self, text: str, properties: etree._Element | None, is_item: bool) -> None:
        level = self._styles.outline_level(properties)
        if level is not None:
            self._out.heading(text, level + 1)
            return
        if self._out.title is None and self._styles.is_title(properties):
            self._out.title = " ".join(text.split())
        self._out.block(text, gap=1 if is_item else 2)

    def _label(self, properties: etree._Element | None) -> str:
        number = self._styles.numbering(properties)
        return self._numbering.next_label(*number) if number else ""

    def _text(self, parent: etree._Element) -> str:
        return "".join(self._inline(parent))

    def _inline(self, parent: etree._Element) -> Iterator[str]:
        for element in elements(parent):
            name = local_name(element)
            if name == "t":
                yield element.text or ""
            elif name in _MARKS:
                yield _MARKS[name]
            elif name in ("footnoteReference", "endnoteReference"):
                yield self._note_mark(name.removesuffix("Reference"), attribute(element, "id") or "")
            elif name not in _SILENT:
                yield from self._inline(element)

    def _note_mark(self, kind: str, note_id: str) -> str:
        self._cited.append((kind, note_id))
        return f"[^{len(self._cited)}]"

    def _table(self, table: etree._Element) -> None:
        rows = [list(_through(row, "tc")) for row in _through(table, "tr")]
        if max((len(row) for row in rows), default=0) < 2:
            for cell in (cell for row in rows for cell in row):
                self._blocks(cell)
            return
        self._out.table([[text for cell in row for text in self._cell(cell)] for row in rows])

    def _cell(self, cell: etree._Element) -> Iterator[str]:
        """The cell's text, and an empty one for each further column it spans."""
        properties = child(cell, "tcPr")
        yield " ".join(self._cell_texts(cell))
        span = attribute(child(properties, "gridSpan"), "val") or "1"
        yield from [""] * (min(int(span), 64) - 1 if span.isdigit() else 0)

    def _cell_texts(self, cell: etree._Element) -> Iterator[str]:
        for paragraph in cell.iter("{*}p"):
            if _is_fallback(paragraph):
                continue
            label = self._label(child(paragraph, "pPr"))
            text = self._text(paragraph)
            if text.strip():
                yield f"{label} {text}" if label else text

    def _write_notes(self) -> None:
        texts = [(number, kind, note_id) for number, (kind, note_id) in enumerate(tuple(self._cited), 1)]
        if texts and any(root is not None for root in self._notes.values()):
            self._out.heading("Notes", 1)
        for number, kind, note_id in texts:
            note = self._find_note(kind, note_id)
            if note is not None:
                words = " ".join(self._text(paragraph).strip() for paragraph in note.iter("{*}p"))
                self._out.block(f"[^{number}] {words.strip()}", gap=1)

    def _find_note(self, kind: str, note_id: str) -> etree._Element | None:
        root = self._notes[kind]
        notes = elements(root, kind) if root is not None else iter(())
        return next((note for note in notes if attribute(note, "id") == note_id), None)


def _optional(package: Package, part: str, kind: str) -> etree._Element | None:
    name = package.related(part, kind)
    return package.xml(name) if name else None


def _through(parent: etree._Element, name: str) -> Iterator[etree._Element]:
    """Rows or cells, also those wrapped in content controls and tracked insertions."""
    for element in elements(parent):
        if local_name(element) == name:
            yield element
        elif local_name(element) in _TRANSPARENT:
            yield from _through(element, name)


def _is_fallback(element: etree._Element) -> bool:
    """Whether it repeats, for older readers, what stands beside it (mc:AlternateContent)."""
    return next(element.iterancestors("{*}Fallback"), None) is not None
