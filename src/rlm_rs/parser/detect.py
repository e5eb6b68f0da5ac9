"""What a file is, by its content first; its name and declared type only choose between kinds of text."""

from __future__ import annotations

import codecs
import re
import zipfile
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap

from rlm_rs.core.corpus import UTF8_TEXT
from rlm_rs.parser import media
from rlm_rs.parser.encodings import encoding_by_mark, looks_binary
from rlm_rs.parser.failures import (
    DocumentCorrupt,
    DocumentEmpty,
    DocumentEncrypted,
    DocumentUnsupported,
)
from rlm_rs.parser.outcome import SourceFile

_FORMATS = {
    media.PDF: "pdf",
    media.DOCX: "word",
    media.PPTX: "slides",
    media.XLSX: "sheets",
    media.XLSB: "sheets",
    media.XLS: "sheets",
    media.ODS: "sheets",
    media.EPUB: "book",
    media.EML: "mail",
    media.HTML: "html",
    media.MARKDOWN: "markdown",
    media.CSV: "delimited",
    media.TSV: "delimited",
}
_BINARY_TYPES = frozenset(_FORMATS) - {media.HTML, media.MARKDOWN, media.CSV, media.TSV, media.EML}

_IMAGE_ADVICE = "Run OCR on it first and use the text."
_UNPACK_ADVICE = "Unpack it and name the files inside."
_SIGNATURES = (
    (b"\x89PNG\r\n", "a PNG image", _IMAGE_ADVICE),
    (b"\xff\xd8\xff", "a JPEG image", _IMAGE_ADVICE),
    (b"GIF8", "a GIF image", _IMAGE_ADVICE),
    (b"II*\0", "a TIFF image", _IMAGE_ADVICE),
    (b"MM\0*", "a TIFF image", _IMAGE_ADVICE),
    (b"MZ", "a Windows program", "Leave it out."),
    (b"\x7fELF", "a Linux program", "Leave it out."),
    (b"\xca\xfe\xba\xbe", "a program", "Leave it out."),
    (b"\x1f\x8b", "a gzip archive", _UNPACK_ADVICE),
    (b"BZh", "a bzip2 archive", _UNPACK_ADVICE),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK_ADVICE),
    (b"7z\xbc\xaf", "a 7-Zip archive", _UNPACK_ADVICE),
    (b"Rar!", "a RAR archive", _UNPACK_ADVICE),
    (b"(\xb5/\xfd", "a Zstandard archive", _UNPACK_ADVICE),
    (b"SQLite format 3\0", "an SQLite database", "Export the tables as CSV."),
    (b"PAR1", "a Parquet file", "Export it as CSV."),
    (b"{\\rtf", "a rich text (RTF) file", "Save it as DOCX first."),
    (b"ID3", "an audio file", "Transcribe it first."),
    (b"OggS", "an audio file", "Transcribe it first."),
    (b"RIFF", "an audio, video or image file", "Transcribe it first."),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML_START = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_HTML_TAG = re.compile(rb"<(?:p|div|table|body|html|h[1-6]|ul|ol|br|span|a|title)\b[^<>]*>", re.IGNORECASE)
_ODF_PREFIX = "application/vnd.oasis.opendocument."


@dataclass(frozen=True, slots=True)
class Detected:
    """The format (a name the parser dispatches on), the media type, and a warning when the name lied."""

    format: str
    mime_type: str
    warning: str | None = None


def detect(source: SourceFile) -> Detected:
    """Decide what a file is. Raises a `DocumentFailed` for what cannot be read as text."""
    if not source.byte_length:
        raise DocumentEmpty
    if source.mime_type == UTF8_TEXT and _is_utf8(source.head):
        return Detected("plain", media.PLAIN)
    claimed = _claimed_type(source)
    found = _by_magic(source, claimed) or _by_text(source, claimed)
    return Detected(_FORMATS.get(found, "plain"), found, _mismatch(claimed, found))


def _is_utf8(head: bytes) -> bool:
    try:
        # the last character may be cut in two
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _claimed_type(source: SourceFile) -> str:
    by_name = media.guess_type(source.name)
    if by_name == "application/octet-stream" and source.mime_type:
        return source.mime_type.partition(";")[0].strip().lower()
    return by_name


def _mismatch(claimed: str, found: str) -> str | None:
    if claimed == found or claimed not in _BINARY_TYPES:
        return None
    if {claimed, found} <= {media.XLS, media.XLSX, media.XLSB, media.ODS}:
        return None
    return f"Its name or type says {claimed}, but its content is {found}; it was read as that."


def _by_magic(source: SourceFile, claimed: str) -> str | None:
    head = source.head
    if head.lstrip()[:5] == b"%PDF-" or (claimed == media.PDF and b"%PDF-" in head[:1024]):
        return media.PDF
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip_type(source)
    if head.startswith(_OLE):
        return _ole_type(source)
    if head[4:8] == b"ftyp":
        raise DocumentUnsupported("a video or HEIF image", "Transcribe it or run OCR on it first.")
    for signature, what, advice in _SIGNATURES:
        if head.startswith(signature) and (b"\0" in head or looks_binary(head) or signature == b"{\\rtf"):
            raise DocumentUnsupported(what, advice)
    return None


def _zip_type(source: SourceFile) -> str:
    try:
        with zipfile.ZipFile(source.path) as archive:
            names = set(archive.namelist())
            declared = (
                archive.read("mimetype")[:200].decode("ascii", "replace") if "mimetype" in names else ""
            )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise DocumentCorrupt(reason="its zip container is cut off or broken") from error
    found = _office_type(names) or _declared_type(declared.strip())
    if found is None:
        raise DocumentUnsupported("a zip archive", "Give it a name that ends in .zip, or unpack it.")
    return found


def _office_type(names: set[str]) -> str | None:
    """Office packages by the folder of their main part, whose own name varies between writers."""
    if "[Content_Types].xml" not in names:
        return None
    folders = {name.partition("/")[0] for name in names}
    if "xl" in folders:
        return media.XLSB if "xl/workbook.bin" in names else media.XLSX
    return media.DOCX if "word" in folders else media.PPTX if "ppt" in folders else None


def _declared_type(declared: str) -> str | None:
    if declared in (media.EPUB, media.ODS):
        return declared
    if declared.startswith(_ODF_PREFIX):
        raise DocumentUnsupported("an OpenDocument file", "Save it as DOCX, PPTX or PDF first.")
    return None


def _ole_type(source: SourceFile) -> str:
    """OLE containers hold old Office files, and new ones that are encrypted (MS-OFFCRYPTO, section 2.3)."""
    names = _ole_stream_names(source)
    if "EncryptedPackage" in names:
        raise DocumentEncrypted
    if names & {"Workbook", "Book"}:
        return media.XLS
    if "WordDocument" in names:
        raise DocumentUnsupported("an old Word file (.doc)", "Save it as DOCX first.")
    if "PowerPoint Document" in names:
        raise DocumentUnsupported("an old PowerPoint file (.ppt)", "Save it as PPTX first.")
    raise DocumentUnsupported("an old Office or Outlook file", "Save it as DOCX, PDF or EML first.")


def _ole_stream_names(source: SourceFile) -> set[str]:
    wanted = ("EncryptedPackage", "Workbook", "Book", "WordDocument", "PowerPoint Document")
    # Directory entries stand anywhere in the file; names are UTF-16 and end with a zero character.
    with source.path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return {name for name in wanted if data.find((name + "\0").encode("utf-16-le")) >= 0}


def _by_text(source: SourceFile, claimed: str) -> str:
    head = source.head
    if looks_binary(head):
        raise DocumentUnsupported("a binary file of unknown kind")
    if _is_html(head, claimed):
        return media.HTML
    if claimed in _BINARY_TYPES or claimed in (media.HTML, "application/octet-stream"):
        return media.PLAIN
    return claimed if _is_text_type(claimed) else media.PLAIN


def _is_html(head: bytes, claimed: str) -> bool:
    narrow = head.replace(b"\0", b"") if encoding_by_mark(head) else head
    if claimed == media.HTML:
        return bool(_HTML_TAG.search(narrow))
    if claimed in (media.MARKDOWN, media.CSV, media.TSV, media.EML) or claimed.startswith("text/x-"):
        return False
    start = narrow.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    return bool(_HTML_START.match(start[:4096]))


def _is_text_type(claimed: str) -> bool:
    return claimed.startswith(("text/", "message/rfc822")) or claimed in (
        "application/json",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "application/toml",
        "image/svg+xml",
    )
