"""Files that are broken, hostile or not what they say: each fails with its code, quickly."""

from __future__ import annotations

import io
import random
import struct
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parser_documents import (
    deflate_bomb,
    docx,
    encrypted_pdf,
    epub,
    office,
    pdf,
    relations,
    xlsx,
    zipped,
)
from parser_reading import Reader

from rlm_rs.core.corpus import UTF8_TEXT, Failure
from rlm_rs.parser.outcome import Parsed, ParseLimits
from rlm_rs.parser.parse import parse_file

DOCX = docx("<w:p><w:r><w:t>" + "words " * 500 + "</w:t></w:r></w:p>")
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
LAUGHS = (
    '<!DOCTYPE w:document [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    "<w:body><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:body></w:document>"
)
NOISE = random.Random(5).randbytes(4000)


def ole(stream: str) -> bytes:
    return OLE + stream.encode("utf-16-le") + bytes(100)


def encrypted_member() -> bytes:
    """A DOCX whose members say that they are encrypted."""
    data = bytearray(DOCX)
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(signature, at + 4)
    return bytes(data)


def lying_sheet() -> bytes:
    """A workbook whose sheet is declared as 100 bytes but unpacks to 8 MB."""
    data = bytearray(xlsx({"S": "<!--" + "x" * (8 << 20) + "-->"}))
    size = next(
        info.file_size
        for info in zipfile.ZipFile(io.BytesIO(data)).infolist()
        if info.filename.endswith("sheet1.xml")
    )
    return bytes(data).replace(struct.pack("<L", size), struct.pack("<L", 100))


def deep_xml() -> str:
    return "<w:p>" * 400 + "</w:p>" * 400


BAD = {
    "no bytes": ("a.txt", b"", "PARSE_EMPTY"),
    "only blanks": ("a.txt", b" \n\r\n\t", "PARSE_EMPTY"),
    "only a byte order mark": ("a.txt", b"\xef\xbb\xbf", "PARSE_EMPTY"),
    "empty page": ("a.html", b"<html><body> </body></html>", "PARSE_EMPTY"),
    "empty workbook": ("a.xlsx", xlsx({"Sheet1": ""}), "PARSE_EMPTY"),
    "empty docx": ("a.docx", docx("<w:p/>"), "PARSE_EMPTY"),
    "png": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(50), "PARSE_UNSUPPORTED"),
    "png named txt": ("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(50), "PARSE_UNSUPPORTED"),
    "program": ("a.exe", b"MZ\x90\0" + bytes(100), "PARSE_UNSUPPORTED"),
    "noise": ("a.txt", NOISE, "PARSE_UNSUPPORTED"),
    "noise named pdf": ("a.pdf", NOISE, "PARSE_UNSUPPORTED"),
    "old word": ("a.doc", ole("WordDocument\0"), "PARSE_UNSUPPORTED"),
    "outlook": ("a.msg", ole("__nameid_version1.0\0"), "PARSE_UNSUPPORTED"),
    "rtf": ("a.rtf", rb"{\rtf1\ansi hello}", "PARSE_UNSUPPORTED"),
    "opendocument text": (
        "a.odt",
        zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"}),
        "PARSE_UNSUPPORTED",
    ),
    "zip named docx": ("a.docx", zipped({"x.txt": "x"}), "PARSE_UNSUPPORTED"),
    "encrypted office": ("a.docx", ole("EncryptedPackage\0"), "PARSE_ENCRYPTED"),
    "encrypted pdf": ("a.pdf", encrypted_pdf(), "PARSE_ENCRYPTED"),
    "encrypted members": ("a.docx", encrypted_member(), "PARSE_ENCRYPTED"),
    "book with locked chapters": (
        "a.epub",
        epub(
            {"c.xhtml": "<p>x</p>"},
            extra={"META-INF/encryption.xml": '<e><CipherReference URI="OPS/c.xhtml"/></e>'},
        ),
        "PARSE_ENCRYPTED",
    ),
    "truncated docx": ("a.docx", DOCX[: len(DOCX) // 2], "PARSE_CORRUPT"),
    "docx that is only a start": ("a.docx", b"PK\3\4", "PARSE_CORRUPT"),
    "docx with broken xml": (
        "a.docx",
        office("word/document.xml", {"word/document.xml": "<w:document"}),
        "PARSE_CORRUPT",
    ),
    "docx without its main part": ("a.docx", office("word/x.xml", {"word/y.xml": "<a/>"}), "PARSE_CORRUPT"),
    "broken pdf": ("a.pdf", b"%PDF-1.7\nnothing else", "PARSE_CORRUPT"),
    "pdf without pages": ("a.pdf", pdf([]), "PARSE_CORRUPT"),
    "broken xls": ("a.xls", ole("Workbook\0"), "PARSE_CORRUPT"),
    "broken workbook": (
        "a.xlsx",
        office("xl/workbook.xml", {"xl/workbook.xml": "<workbook"}),
        "PARSE_CORRUPT",
    ),
    "book without contents": ("a.epub", zipped({"mimetype": "application/epub+zip"}), "PARSE_CORRUPT"),
    "scanned pdf": ("a.pdf", pdf(["", ""]), "PARSE_NO_TEXT"),
    "docx bomb": ("a.docx", deflate_bomb(["[Content_Types].xml", "word/document.xml"], 80), "PARSE_BOMB"),
    "workbook that lies about its size": ("a.xlsx", lying_sheet(), "PARSE_BOMB"),
    "entities": ("a.docx", office("word/document.xml", {"word/document.xml": LAUGHS}), "PARSE_BOMB"),
    "deep docx": ("a.docx", docx(deep_xml()), "PARSE_BOMB"),
    "deep page": ("a.html", b"<div>" * 200_000, "PARSE_BOMB"),
    "deep mail": (
        "a.eml",
        b"".join(
            b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(3000)
        ),
        "PARSE_BOMB",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_fails_with_its_code_and_says_what_to_do(reader: Reader, case: str) -> None:
    name, data, code = BAD[case]
    started = time.monotonic()
    failure = reader.failure(name, data)
    assert failure.code == code
    assert failure.message.endswith(".")
    assert "\n" not in failure.message
    assert "?" not in failure.message
    assert time.monotonic() - started < 60


def test_limits_are_kept(reader: Reader) -> None:
    assert reader.failure("a.txt", b"x" * 2000, ParseLimits(text_bytes=1000)).code == "PARSE_TOO_LARGE"
    assert reader.failure("a.pdf", pdf(["a", "b"]), ParseLimits(pages=1)).code == "PARSE_TOO_LARGE"
    assert reader.failure("a.docx", DOCX, ParseLimits(container_members=1)).code == "PARSE_BOMB"
    assert reader.failure("a.docx", DOCX, ParseLimits(container_bytes=100)).code == "PARSE_TOO_LARGE"


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    outcome = parse_file(tmp_path / "gone.txt", "gone.txt", None, tmp_path / "out")
    assert isinstance(outcome, Failure)
    assert outcome.code == "PARSE_UNREADABLE"


@pytest.mark.parametrize("text", ["%PDF-1.4 garbage " * 400, "\0" * 5000, "MZ\0\1", "<html><p>é" * 9000])
def test_what_is_declared_as_utf8_text_is_kept_whatever_it_begins_with(reader: Reader, text: str) -> None:
    reading = reader.read("message.txt", text.encode(), UTF8_TEXT)
    assert reading.text == text.replace("\0", "\ufffd")
    assert reading.outcome.mime_type == "text/plain"


def test_what_is_declared_as_utf8_text_and_is_not_is_looked_at(reader: Reader) -> None:
    data = pdf(["One page"]) + b"\xff"
    assert reader.read("message.txt", data, UTF8_TEXT).outcome.mime_type == "application/pdf"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("nested.json", b"[" * 200_000),
        ("wide.csv", b"," * 2_000_000),
        ("deep.md", b">" * 50_000 + b" x"),
        ("brackets.md", b"[" * 50_000 + b" x"),
        ("long.txt", b"a" * 3_000_000),
        ("laughs.xml", LAUGHS.encode()),
        ("broken.html", b"<p>words" + b"<b" * 30_000),
        ("table.html", b"<table>" + b"<tr><td>x" * 20_000),
    ],
)
def test_awkward_but_honest_files_are_read_quickly(reader: Reader, name: str, data: bytes) -> None:
    started = time.monotonic()
    reader.read(name, data)
    assert time.monotonic() - started < 60


def test_a_docx_whose_list_and_style_refer_to_themselves_is_read(reader: Reader) -> None:
    styles = (
        '<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        '<w:style w:styleId="A"><w:name w:val="A"/><w:basedOn w:val="A"/></w:style></w:styles>'
    )
    body = '<w:p><w:pPr><w:pStyle w:val="A"/></w:pPr><w:r><w:t>words</w:t></w:r></w:p>'
    data = docx(body, {"word/styles.xml": styles}, [("s", "styles", "styles.xml")])
    assert reader.read("a.docx", data).text == "words\n"


def test_parts_outside_the_package_are_not_followed(reader: Reader) -> None:
    rels = relations([("r1", "officeDocument", "../../../etc/passwd")])
    data = zipped({"[Content_Types].xml": "<a/>", "_rels/.rels": rels, "word/document.xml": "<a/>"})
    assert reader.failure("a.docx", data).code == "PARSE_CORRUPT"


SEEDS = (
    DOCX,
    pdf(["some words", "more"]),
    xlsx({"S": "<row><c><v>1</v></c></row>"}),
    epub({"c.xhtml": "<p>x</p>"}),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=120)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
)
def test_damaged_documents_never_raise(reader: Reader, seed: bytes, changes: list[tuple[float, int]]) -> None:
    data = bytearray(seed)
    for where, value in changes:
        data[int(where * (len(data) - 1))] = value
    outcome, _ = reader.outcome("a.docx", bytes(data))
    assert isinstance(outcome, (Parsed, Failure))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    data=st.binary(max_size=300),
    name=st.sampled_from(["a.txt", "a.html", "a.md", "a.eml", "a.csv", "a.pdf", "a"]),
)
def test_any_bytes_give_an_outcome(reader: Reader, data: bytes, name: str) -> None:
    outcome, _ = reader.outcome(name, data)
    assert isinstance(outcome, (Parsed, Failure))
    assert not (isinstance(outcome, Failure) and outcome.code == "PARSE_CRASHED")
