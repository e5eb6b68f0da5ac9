"""Write the Word, PowerPoint, Excel and PDF files of `examples/corpus` from the texts in `examples/sources`.

usage: python examples/make_corpus.py [FOLDER]

The same bytes come out each time. The other files of the corpus are plain text and stand there as written.
A source is lines: `#` and `##` headings, `| a | b |` table rows, `-` items, `>` speaker notes, `---` for a
new page, and paragraphs. Company, people and figures are invented.
"""

from __future__ import annotations

import csv
import io
import sys
import textwrap
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import docx
import pptx
import xlsxwriter
from docx.opc.coreprops import CoreProperties
from pptx.table import Table
from pptx.util import Inches

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
MADE_ON = datetime(2025, 1, 15)
PAGE_BREAK = "---"


def main() -> None:
    """Write the files below the folder given, or `examples/corpus`."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "corpus"
    for name, content in files():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def files() -> Iterator[tuple[str, bytes]]:
    """Each file's place in the corpus and its bytes."""
    yield "agreements/fleet_maintenance.docx", word(lines("fleet_maintenance"))
    yield "agreements/route_software.pdf", pdf(lines("route_software"))
    yield "reports/annual_report_2024.pdf", pdf(lines("annual_report_2024"))
    yield "reports/board_pack_q3.pptx", slides(lines("board_pack_q3"))
    yield "reports/costs_2024.xlsx", workbook(SOURCES / "costs_2024.csv")


def lines(name: str) -> list[str]:
    """The lines of a source."""
    return (SOURCES / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def cells(line: str) -> list[str]:
    """The cells of a table row."""
    return [cell.strip() for cell in line.strip("| ").split("|")]


def word(source: Sequence[str]) -> bytes:
    """A Word document with headings, paragraphs and tables."""
    document = docx.Document()
    table = None
    for line in source:
        if line.startswith("|"):
            row = cells(line)
            table = table or document.add_table(rows=0, cols=len(row))
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text
            continue
        table = None
        if line.startswith("#"):
            document.add_heading(line.lstrip("# "), level=line.count("#"))
        else:
            document.add_paragraph(line)
    dated(document.core_properties, source[0])
    content = io.BytesIO()
    document.save(content)
    return settled(content.getvalue())


def slides(source: Sequence[str]) -> bytes:
    """A presentation: a title slide, then a slide for each `##`."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[0])
    slide.shapes.title.text = source[0].lstrip("# ")
    for part in parts(source[1:]):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = part[0].lstrip("# ")
        items = [line[2:] for line in part if line.startswith("- ")]
        slide.placeholders[1].text = "\n".join(items)
        rows = [cells(line) for line in part if line.startswith("|")]
        if rows:
            shape = slide.shapes.add_table(
                len(rows), len(rows[0]), Inches(1), Inches(2), Inches(8), Inches(3)
            )
            fill(shape.table, rows)
        notes = [line[2:] for line in part if line.startswith("> ")]
        if notes:
            slide.notes_slide.notes_text_frame.text = "\n".join(notes)
    dated(deck.core_properties, source[0])
    content = io.BytesIO()
    deck.save(content)
    return settled(content.getvalue())


def parts(source: Iterable[str]) -> list[list[str]]:
    """The lines grouped by the `##` heading they stand under."""
    found: list[list[str]] = []
    for line in source:
        if line.startswith("## "):
            found.append([])
        found[-1].append(line)
    return found


def fill(table: Table, rows: Sequence[Sequence[str]]) -> None:
    """Write rows of text into a table of the same size."""
    for y, row in enumerate(rows):
        for x, text in enumerate(row):
            table.cell(y, x).text = text


def workbook(source: Path) -> bytes:
    """A workbook with the rows of a CSV file and a sheet of yearly sums by depot."""
    rows = list(csv.reader(source.read_text(encoding="utf-8").splitlines()))
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_numbers": True}) as book:
        book.set_properties({"title": "Costs 2024", "author": "Brackwater Logistics", "created": MADE_ON})
        sheet = book.add_worksheet("By quarter")
        for y, row in enumerate(rows):
            sheet.write_row(y, 0, row)
        sums = book.add_worksheet("By depot")
        sums.write_row(0, 0, ["Depot", "All costs"])
        for y, depot in enumerate(dict.fromkeys(row[0] for row in rows[1:]), start=1):
            total = sum(int(value) for row in rows[1:] if row[0] == depot for value in row[2:])
            sums.write_row(y, 0, [depot, total])
    return settled(content.getvalue())


def dated(properties: CoreProperties, heading: str) -> None:
    """A title, and a date that is always the same."""
    properties.title = heading.lstrip("# ")
    properties.author = "Brackwater Logistics"
    properties.created = properties.modified = MADE_ON


def settled(archive: bytes) -> bytes:
    """The same archive with every member dated alike."""
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(content, "w") as new:
        for name in sorted(old.namelist()):
            member = zipfile.ZipInfo(name, date_time=MADE_ON.timetuple()[:6])
            new.writestr(member, old.read(name), compress_type=zipfile.ZIP_DEFLATED)
    return content.getvalue()


def pdf(source: Sequence[str]) -> bytes:
    """A PDF in a built-in typeface, one A4 page for each part between page breaks (ISO 32000-1, 7.5)."""
    pages: list[list[str]] = [[]]
    for line in source:
        if line == PAGE_BREAK:
            pages.append([])
        else:
            pages[-1].append(line)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        stream = drawn(page)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % (5 + 2 * number)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    return assembled(objects)


def drawn(page: Iterable[str]) -> bytes:
    """The drawing operators for the lines of one page."""
    drawing = ["BT", "/F1 11 Tf", "14 TL", "1 0 0 1 60 780 Tm"]
    for line in page:
        size = {"# ": 18, "##": 13}.get(line[:2], 11)
        drawing.append(f"/F1 {size} Tf T*")
        for row in textwrap.wrap(line.lstrip("# "), width=round(1000 / size)):
            escaped = row.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
            drawing.append(f"({escaped}) Tj T*")
    return "\n".join([*drawing, "ET"]).encode("cp1252")


def assembled(objects: Sequence[bytes]) -> bytes:
    """A PDF file of these numbered objects, with its cross-reference table."""
    content = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    begin = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    content += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    content += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, begin)
    return bytes(content)


if __name__ == "__main__":
    main()
