"""File name endings and what they stand for. Our own table: the system's differs between machines."""

from __future__ import annotations

from pathlib import PurePosixPath

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
XLS = "application/vnd.ms-excel"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
EPUB = "application/epub+zip"
PDF = "application/pdf"
EML = "message/rfc822"
HTML = "text/html"
MARKDOWN = "text/markdown"
CSV = "text/csv"
TSV = "text/tab-separated-values"
PLAIN = "text/plain"

_TYPES = {
    "pdf": PDF,
    "docx": DOCX,
    "docm": DOCX,
    "dotx": DOCX,
    "pptx": PPTX,
    "pptm": PPTX,
    "ppsx": PPTX,
    "xlsx": XLSX,
    "xlsm": XLSX,
    "xlsb": XLSB,
    "xls": XLS,
    "ods": ODS,
    "epub": EPUB,
    "eml": EML,
    "mht": EML,
    "mhtml": EML,
    "html": HTML,
    "htm": HTML,
    "xhtml": HTML,
    "md": MARKDOWN,
    "markdown": MARKDOWN,
    "mdown": MARKDOWN,
    "csv": CSV,
    "tsv": TSV,
    "tab": TSV,
    "txt": PLAIN,
    "text": PLAIN,
    "log": PLAIN,
    "rst": "text/x-rst",
    "tex": "text/x-tex",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "ndjson": "application/x-ndjson",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "py": "text/x-python",
    "js": "text/javascript",
    "ts": "text/x-typescript",
    "tsx": "text/x-typescript",
    "c": "text/x-c",
    "h": "text/x-c",
    "cpp": "text/x-c++",
    "cc": "text/x-c++",
    "hpp": "text/x-c++",
    "java": "text/x-java",
    "go": "text/x-go",
    "rs": "text/x-rust",
    "rb": "text/x-ruby",
    "php": "text/x-php",
    "sh": "text/x-shellscript",
    "sql": "text/x-sql",
    "css": "text/css",
    "svg": "image/svg+xml",
    "zip": "application/zip",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "gz": "application/gzip",
    "doc": "application/msword",
    "ppt": "application/vnd.ms-powerpoint",
    "rtf": "application/rtf",
    "odt": "application/vnd.oasis.opendocument.text",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
}


def guess_type(name: str) -> str:
    """The media type a name's ending stands for; `application/octet-stream` when it says nothing."""
    return _TYPES.get(PurePosixPath(name).suffix[1:].lower(), "application/octet-stream")
