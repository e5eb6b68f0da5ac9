from __future__ import annotations

import io
import itertools
import json
import zipfile
from email.message import EmailMessage

import docx as python_docx
import pptx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parser_documents import docx, epub, pdf, word_part, xlsx
from parser_reading import Reader, Reading

relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


def assert_spans_lie_inside(reading: Reading) -> None:
    length = len(reading.text)
    pending = [(section, 0, length) for section in reading.meta["structure"]["sections"]]
    while pending:
        section, start, end = pending.pop()
        assert start <= section["start_char"] <= section["end_char"] <= end
        pending.extend((child, section["start_char"], section["end_char"]) for child in section["children"])
    for span in [*reading.meta["pages"], *reading.meta["tables"]]:
        assert 0 <= span["start_char"] <= span["end_char"] <= length
    pages = reading.meta["pages"]
    assert [page["page_num"] for page in pages] == list(range(1, len(pages) + 1))
    assert all(a["end_char"] <= b["start_char"] for a, b in itertools.pairwise(pages))


def section_text(reading: Reading, title: str) -> str:
    section = next(item for item in reading.flat_sections if item["title"] == title)
    return reading.text[section["start_char"] : section["end_char"]]


class TestPlainText:
    def test_source_code_and_json_are_kept_word_for_word(self, reader: Reader) -> None:
        code = "def f(x):\n\treturn x  # naïve\n"
        assert reader.read("a.py", code.encode()).text == code
        data = '{"b": 1,   "a": [1,2]}\n'
        assert reader.read("a.json", data.encode()).outcome.mime_type == "application/json"

    def test_form_feeds_divide_a_text_into_pages(self, reader: Reader) -> None:
        reading = reader.read("a.txt", "page öne\n\fpage two\n\fthree".encode())
        assert reading.pages == ["page öne\n", "page two\n", "three"]
        assert reading.outcome.page_count == 3
        assert_spans_lie_inside(reading)

    def test_form_feeds_in_source_code_are_not_pages(self, reader: Reader) -> None:
        assert reader.read("a.c", b"int a;\n\fint b;\n").meta["pages"] == []

    def test_meta_of_unstructured_text_has_all_its_keys(self, reader: Reader) -> None:
        assert reader.read("a.txt", b"words").meta == {
            "version": "1.0",
            "structure": {"title": None, "sections": [], "children": []},
            "pages": [],
            "tables": [],
        }


class TestMarkdown:
    TEXT = (
        "---\ntitle: front\n---\n# Top *it*\r\nintro\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "Sub\n---\ntext\n\n### Deep é\n```\n# not a heading\n```\n# Second\n"
    )

    def test_text_is_verbatim_and_headings_are_nested_sections(self, reader: Reader) -> None:
        reading = reader.read("a.md", self.TEXT.encode())
        assert reading.text == self.TEXT.replace("\r\n", "\n")
        assert reading.outline == [(1, "Top *it*"), (2, "Sub"), (3, "Deep é"), (1, "Second")]
        assert section_text(reading, "Sub").startswith("Sub\n---\ntext\n\n### Deep")
        assert section_text(reading, "Second") == "# Second\n"
        assert reading.outcome.title == "Top *it*"
        assert_spans_lie_inside(reading)

    def test_pipe_tables_are_tables(self, reader: Reader) -> None:
        reading = reader.read("a.md", self.TEXT.encode())
        assert reading.tables == ["| a | b |\n|---|---|\n| 1 | 2 |\n"]
        assert (reading.meta["tables"][0]["rows"], reading.meta["tables"][0]["cols"]) == (2, 2)

    @relaxed
    @given(
        lines=st.lists(st.sampled_from(["# A", "## B", "text", "", "> # q", "---", "| x |", "|-|", "- # l"]))
    )
    def test_any_mix_of_lines_is_kept_with_valid_spans(self, reader: Reader, lines: list[str]) -> None:
        text = "start\n" + "\n".join(lines)
        reading = reader.read("a.md", text.encode())
        assert reading.text == text
        assert_spans_lie_inside(reading)


class TestHtml:
    PAGE = (
        "<!DOCTYPE html><title>My  Page</title><style>p{}</style><h1>One &amp; <b>two</b></h1>"
        "<p>Hello <b>bo</b>ld,\n next<br>line&nbsp;x</p><script>alert(1)</script>"
        "<ul><li>first<li>second</ul><h2>Sub</h2><table><tr><th>A<th>B<tr><td>1<td>2<br>3</table>"
        "<table><tr><td><p>only</p><p>layout</p></table><pre>  keep\n    this</pre><h1>Énd</h1>bye"
    )

    def test_readable_text_in_paragraphs(self, reader: Reader) -> None:
        text = reader.read("a.html", self.PAGE.encode()).text
        assert text == (
            "One & two\n\nHello bold, next\nline x\n- first\n- second\n\nSub\n\nA | B\n1 | 2 3\n\n"
            "only\n\nlayout\n\n  keep\n    this\n\nÉnd\n\nbye\n"
        )

    def test_headings_are_sections_and_data_tables_are_tables(self, reader: Reader) -> None:
        reading = reader.read("a.html", self.PAGE.encode())
        assert reading.outline == [(1, "One & two"), (2, "Sub"), (1, "Énd")]
        assert reading.tables == ["A | B\n1 | 2 3\n"]
        assert reading.outcome.title == "My Page"
        assert_spans_lie_inside(reading)

    def test_a_declared_charset_is_used_where_the_bytes_are_not_utf8(self, reader: Reader) -> None:
        page = "<html><head><meta charset=windows-1251></head><body><p>Договор</p></body></html>"
        assert reader.read("a.html", page.encode("cp1251")).text == "Договор\n"

    def test_unclosed_tags_are_not_taken_for_nesting(self, reader: Reader) -> None:
        page = "<html><body>" + "<p>line<li>item<br>" * 20_000
        assert reader.read("a.html", page.encode()).text.count("line") == 20_000


class TestPdf:
    def test_pages_are_recorded_with_their_exact_text(self, reader: Reader) -> None:
        reading = reader.read("a.pdf", pdf(["First page\nsecond line", "Page two é"], title="Deal"))
        assert reading.pages == ["First page\nsecond line", "Page two é"]
        assert reading.text == "First page\nsecond line\n\nPage two é\n"
        assert reading.outcome.page_count == 2
        assert reading.outcome.title == "Deal"
        assert_spans_lie_inside(reading)

    def test_the_outline_gives_sections_where_its_words_stand(self, reader: Reader) -> None:
        data = pdf(
            ["intro\nTerm and\nTermination\nwords", "Fees"],
            outline=[("Term and Termination", 0), ("Fees", 1)],
        )
        reading = reader.read("a.pdf", data)
        assert section_text(reading, "Term and Termination") == "Term and\nTermination\nwords\n\n"
        assert [section["page"] for section in reading.flat_sections] == [1, 2]

    def test_pages_without_text_are_named(self, reader: Reader) -> None:
        reading = reader.read("a.pdf", pdf(["words", "", "more"]))
        assert reading.pages == ["words", "", "more"]
        assert "1 page(s) have no text and may be scans: 2." in reading.outcome.warnings

    def test_no_break_spaces_become_spaces(self, reader: Reader) -> None:
        assert "service call" in reader.read("a.pdf", pdf(["service\u00a0call"])).text


class TestWord:
    def test_a_document_of_python_docx(self, reader: Reader) -> None:
        document = python_docx.Document()
        document.core_properties.title = "Contract X"
        document.add_heading("Definitions", 1)
        document.add_paragraph("Tab\there\nline two é")
        document.add_paragraph("first", style="List Number")
        document.add_paragraph("second", style="List Number")
        document.add_heading("Sub", 2)
        table = document.add_table(2, 2)
        table.cell(0, 0).text, table.cell(0, 1).text = "a", "b\nc"
        table.cell(1, 0).merge(table.cell(1, 1)).text = "wide"
        document.add_table(1, 1).cell(0, 0).text = "framed"
        document.add_heading("Term", 1)
        buffer = io.BytesIO()
        document.save(buffer)
        reading = reader.read("a.docx", buffer.getvalue())
        assert reading.text == (
            "Definitions\n\nTab\there\nline two é\n1. first\n2. second\n\n"
            "Sub\n\na | b c\nwide\n\nframed\n\nTerm\n"
        )
        assert reading.outline == [(1, "Definitions"), (2, "Sub"), (1, "Term")]
        assert reading.tables == ["a | b c\nwide\n"]
        assert reading.outcome.title == "Contract X"
        assert_spans_lie_inside(reading)

    def test_clause_numbers_read_as_they_are_shown(self, reader: Reader) -> None:
        levels = "".join(
            f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{style}"/>'
            f'<w:lvlText w:val="{text}"/></w:lvl>'
            for level, style, text in (
                (0, "decimal", "%1."),
                (1, "decimal", "%1.%2"),
                (2, "lowerRoman", "(%3)"),
            )
        )
        numbering = word_part(
            "numbering",
            f'<w:abstractNum w:abstractNumId="7">{levels}</w:abstractNum>'
            '<w:num w:numId="3"><w:abstractNumId w:val="7"/></w:num>',
        )
        items = ((0, "Term"), (1, "Start"), (1, "End"), (2, "early"), (2, "late"), (0, "Fees"), (1, "Amount"))
        body = "".join(
            f'<w:p><w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="3"/></w:numPr></w:pPr>'
            f"<w:r><w:t>{text}</w:t></w:r></w:p>"
            for level, text in items
        )
        data = docx(body, {"word/numbering.xml": numbering}, [("n", "numbering", "numbering.xml")])
        assert reader.read("a.docx", data).text.splitlines() == [
            "1. Term", "1.1 Start", "1.2 End", "(i) early", "(ii) late", "2. Fees", "2.1 Amount",
        ]  # fmt: skip

    def test_insertions_are_read_and_deletions_are_not(self, reader: Reader) -> None:
        body = (
            "<w:p><w:r><w:t>Notice of </w:t></w:r><w:del><w:r><w:delText>thirty</w:delText></w:r></w:del>"
            "<w:ins><w:r><w:t>sixty</w:t></w:r></w:ins><w:r><w:t> days</w:t></w:r></w:p>"
        )
        reading = reader.read("a.docx", docx(body))
        assert reading.text == "Notice of sixty days\n"
        assert "tracked changes" in reading.outcome.warnings[0]

    def test_content_controls_hyperlinks_and_notes_are_read(self, reader: Reader) -> None:
        body = (
            "<w:sdt><w:sdtContent><w:p><w:r><w:t>Controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
            "<w:p><w:hyperlink><w:r><w:t>Linked</w:t></w:r></w:hyperlink>"
            '<w:r><w:footnoteReference w:id="4"/></w:r></w:p>'
        )
        notes = word_part(
            "footnotes", '<w:footnote w:id="4"><w:p><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote>'
        )
        data = docx(body, {"word/footnotes.xml": notes}, [("f", "footnotes", "footnotes.xml")])
        assert reader.read("a.docx", data).text == "Controlled\n\nLinked[^1]\n\nNotes\n[^1] The note.\n"


def test_slides_are_pages_with_titles_tables_and_notes(reader: Reader) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Plan", "one\ntwo é"
    slide.notes_slide.notes_text_frame.text = "remember"
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Figures"
    table = slide.shapes.add_table(2, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text, table.cell(1, 1).text = "x", "y"
    buffer = io.BytesIO()
    deck.save(buffer)
    reading = reader.read("a.pptx", buffer.getvalue())
    assert reading.pages == ["Plan\n\none\ntwo é\n\nNotes: remember", "Figures\n\nx\n | y\n"]
    assert reading.outline == [(1, "Plan"), (1, "Figures")]
    assert reading.meta["tables"][0]["page"] == 2
    assert_spans_lie_inside(reading)


def test_sheets_are_sections_and_tables(reader: Reader) -> None:
    rows = (
        '<row r="2"><c r="B2" t="inlineStr"><is><t>Item é</t></is></c><c r="D2"><v>3.50</v></c></row>'
        '<row r="9"><c r="B9"><v>7</v></c><c r="C9" t="b"><v>1</v></c></row>'
    )
    reading = reader.read("a.xlsx", xlsx({"Prices": rows, "Empty": ""}))
    assert reading.text == "Prices\n\nItem é |  | 3.5\n7 | TRUE\n\nEmpty\n"
    assert reading.outline == [(1, "Prices"), (1, "Empty")]
    assert reading.tables == ["Item é |  | 3.5\n7 | TRUE\n"]
    assert (reading.meta["tables"][0]["rows"], reading.meta["tables"][0]["cols"]) == (2, 3)
    assert_spans_lie_inside(reading)


@pytest.mark.parametrize(
    ("text", "rows", "cols"),
    [
        ("a,b,c\n1,2,3\n", 2, 3),
        ('a;b\n"x\ny; z";2', 2, 2),
        ('"he said ""no""",2\n3,4\n', 2, 2),
        ('5" pipe,1\n6,2\n7,3\n', 3, 2),
        ("one\n", 1, 1),
    ],
)
def test_csv_is_kept_and_counted(reader: Reader, text: str, rows: int, cols: int) -> None:
    reading = reader.read("a.csv", text.encode())
    assert reading.text == text
    table = reading.meta["tables"][0]
    assert (table["rows"], table["cols"], table["end_char"]) == (rows, cols, len(text))


def test_chapters_of_a_book_follow_its_spine(reader: Reader) -> None:
    data = epub(
        {"b.xhtml": "<h1>Intro</h1><p>text</p>", "a.xhtml": "<p>Caf\u00e9 &amp; more</p>"},
        contents='<a href="a.xhtml#top">Chapter A</a>',
    )
    reading = reader.read("a.epub", data)
    assert reading.text == "Intro\n\ntext\n\nCafé & more\n"
    assert reading.outline == [(1, "Intro"), (1, "Chapter A")]
    assert section_text(reading, "Chapter A") == "Café & more\n"
    assert reading.outcome.title == "A Book"


def test_mail_has_its_headers_its_text_body_and_the_names_of_attachments(reader: Reader) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x.org", "b@y.org", "Café"
    message.set_content("Dear B,\n\nplain é\n")
    message.add_alternative("<b>fancy</b>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="deal.pdf")
    reading = reader.read("a.eml", message.as_bytes())
    assert reading.text == (
        "From: a@x.org\nTo: b@y.org\nSubject: Café\n\nDear B,\n\nplain é\n\n"
        "Attachment: deal.pdf (application/pdf)\n"
    )
    assert "1 attachment(s)" in reading.outcome.warnings[0]


def test_mail_with_only_html_is_rendered(reader: Reader) -> None:
    message = EmailMessage()
    message["Subject"] = "S"
    message.set_content("<p>Hello <b>there</b></p>", subtype="html")
    assert reader.read("a.eml", message.as_bytes()).text == "Subject: S\n\nHello there\n"


@pytest.mark.parametrize(
    ("name", "data", "mime", "expected"),
    [
        ("report.pdf", b"<!doctype html><p>really a page</p>", "text/html", "really a page\n"),
        ("report.pdf", b"just words", "text/plain", "just words"),
        ("notes.txt", pdf(["pdf words"]), "application/pdf", "pdf words\n"),
        ("old.xls", xlsx({"S": '<row r="1"><c r="A1"><v>5</v></c></row>'}), None, "S\n\n5\n"),
        ("page.html", b"no tags at all", "text/plain", "no tags at all"),
    ],
)
def test_content_counts_more_than_the_name(
    reader: Reader, name: str, data: bytes, mime: str | None, expected: str
) -> None:
    reading = reader.read(name, data)
    assert reading.text == expected
    assert mime in (None, reading.outcome.mime_type)


def test_a_lying_name_is_said(reader: Reader) -> None:
    assert "says application/pdf" in reader.read("report.pdf", b"just words").outcome.warnings[0]


def test_the_declared_type_counts_where_the_name_says_nothing(reader: Reader) -> None:
    reading = reader.read("stdin", b"# Top\n", "text/markdown; charset=utf-8")
    assert reading.outline == [(1, "Top")]


DOCUMENTS = {
    "a.txt": "é words\r\n".encode() * 900,
    "a.md": b"# One\n\ntext\n\n## Two\n",
    "a.html": TestHtml.PAGE.encode(),
    "a.pdf": pdf(["one", "two"], outline=[("one", 0)]),
    "a.docx": docx("<w:p><w:r><w:t>words</w:t></w:r></w:p>"),
    "a.xlsx": xlsx({"S": '<row r="1"><c r="A1"><v>5</v></c></row>'}),
    "a.epub": epub({"c.xhtml": "<h1>T</h1><p>x</p>"}),
    "a.csv": b"a,b\n1,2\n",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_same_bytes_give_the_same_outputs(reader: Reader, name: str) -> None:
    first, second = reader.read(name, DOCUMENTS[name]), reader.read(name, DOCUMENTS[name])
    files = sorted(path.name for path in first.folder.iterdir())
    assert files == sorted(path.name for path in second.folder.iterdir())
    for file in files:
        assert (first.folder / file).read_bytes() == (second.folder / file).read_bytes()


def test_sections_are_also_there_under_the_first_services_name(reader: Reader) -> None:
    structure = reader.read("a.md", b"# One\n\n## Two\n").meta["structure"]
    assert json.dumps(structure["children"]) == json.dumps(structure["sections"])
    assert zipfile.is_zipfile(io.BytesIO(DOCUMENTS["a.docx"]))
