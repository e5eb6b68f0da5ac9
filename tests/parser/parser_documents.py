"""Small documents in each format, made in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence

_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf(pages: Sequence[str], *, title: str | None = None, outline: Sequence[tuple[str, int]] = ()) -> bytes:
    """A PDF whose pages show these lines of Latin text; outline entries are (title, page index)."""
    kids = " ".join(f"{5 + 2 * index} 0 R" for index in range(len(pages)))
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R {'/Outlines 4 0 R' if outline else ''} >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    }
    for index, text in enumerate(pages):
        content = _page_content(text)
        objects[5 + 2 * index] = (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {6 + 2 * index} 0 R >>"
        )
        objects[6 + 2 * index] = f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"
    objects |= _outline_objects(outline, 5 + 2 * len(pages))
    info = 5 + 2 * len(pages) + len(outline)
    if title:
        objects[info] = f"<< /Title ({title}) >>"
    return _pdf_file(objects, f"/Info {info} 0 R" if title else "")


def encrypted_pdf() -> bytes:
    """A PDF that asks for a user password (its keys match no password anyone would try)."""
    whole = pdf(["secret"])
    key = "<" + "41" * 32 + ">"
    entry = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O {key} /U {key} /P -44 >> /ID [<00> <00>] "
    return whole.replace(b"/Root", entry.encode() + b"/Root")


def _page_content(text: str) -> str:
    shown = []
    for line in text.split("\n"):
        escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        shown.append(f"({escaped}) Tj T*")
    return "BT /F1 12 Tf 14 TL 72 720 Td " + " ".join(shown) + " ET" if text else ""


def _outline_objects(outline: Sequence[tuple[str, int]], first: int) -> dict[int, str]:
    if not outline:
        return {}
    last = first + len(outline) - 1
    objects = {4: f"<< /Type /Outlines /First {first} 0 R /Last {last} 0 R /Count {len(outline)} >>"}
    for number, (title, page) in enumerate(outline, first):
        following = f"/Next {number + 1} 0 R" if number < last else ""
        before = f"/Prev {number - 1} 0 R" if number > first else ""
        objects[number] = (
            f"<< /Title ({title}) /Parent 4 0 R /Dest [{5 + 2 * page} 0 R /Fit] {following} {before} >>"
        )
    return objects


def _pdf_file(objects: Mapping[int, str], trailer: str) -> bytes:
    out, offsets = bytearray(b"%PDF-1.4\n"), {}
    for number in sorted(objects):
        offsets[number] = len(out)
        out += f"{number} 0 obj\n".encode() + objects[number].encode("cp1252") + b"\nendobj\n"
    start, size = len(out), max(objects) + 1
    out += f"xref\n0 {size}\n".encode()
    for number in range(size):
        at, kind = (offsets[number], "00000 n") if number in offsets else (0, "65535 f")
        out += f"{at:010d} {kind} \n".encode()
    return (
        bytes(out)
        + f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    )


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def relations(items: Iterable[tuple[str, str, str]]) -> str:
    """A relationships part: (id, last word of the type, target) each."""
    lines = (
        f'<Relationship Id="{key}" Type="{_REL}/{kind}" Target="{target}"/>' for key, kind, target in items
    )
    return f'<Relationships xmlns="{_RELS}">{"".join(lines)}</Relationships>'


def office(main: str, parts: Mapping[str, str | bytes]) -> bytes:
    """An Office package with that main part."""
    return zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "_rels/.rels": relations([("r1", "officeDocument", main)]),
            **parts,
        }
    )


def docx(
    body: str, parts: Mapping[str, str] | None = None, rels: Iterable[tuple[str, str, str]] = ()
) -> bytes:
    """A DOCX with that XML inside `w:body`; `w` is bound to the word processing namespace."""
    document = f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
    return office(
        "word/document.xml",
        {"word/document.xml": document, "word/_rels/document.xml.rels": relations(rels), **(parts or {})},
    )


def word_part(name: str, content: str) -> str:
    """A part of a DOCX: its root element is `w:name`."""
    return f'<w:{name} xmlns:w="{_WORD}">{content}</w:{name}>'


def xlsx(sheets: Mapping[str, str]) -> bytes:
    """A workbook; each sheet's value is the XML of its rows."""
    entries = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>'
        for number, name in enumerate(sheets, 1)
    )
    parts: dict[str, str | bytes] = {
        "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_REL}">'
        f"<sheets>{entries}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations(
            (f"rId{number}", "worksheet", f"worksheets/sheet{number}.xml")
            for number in range(1, len(sheets) + 1)
        ),
    }
    for number, rows in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_SHEET}"><sheetData>{rows}</sheetData></worksheet>'
        )
    return office("xl/workbook.xml", parts)


def epub(
    chapters: Mapping[str, str], *, title: str = "A Book", contents: str = "", extra: Mapping[str, str] = {}
) -> bytes:
    """A book; chapters are XHTML bodies by file name, `contents` the links of its navigation document."""
    items = "".join(f'<item id="{name}" href="{name}"/>' for name in chapters)
    order = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        f"<dc:title>{title}</dc:title></metadata><manifest>{items}"
        f'<item id="nav" href="nav.xhtml" properties="nav"/></manifest><spine>{order}</spine></package>'
    )
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfile full-path="OPS/p.opf"/></container>',
            "OPS/p.opf": package,
            "OPS/nav.xhtml": f"<html><body><nav>{contents}</nav></body></html>",
            **{f"OPS/{name}": f"<html><body>{body}</body></html>" for name, body in chapters.items()},
            **extra,
        }
    )


def deflate_bomb(names: Sequence[str], megabytes: int) -> bytes:
    """A zip whose members each unpack to that many megabytes of zeros."""
    return zipped({name: bytes(megabytes << 20) for name in names})
