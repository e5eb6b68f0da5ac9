"""EML and MHTML: the headers a reader wants, the text body before the HTML one, attachments by name."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, MIMEPart

from rlm_rs.parser.encodings import decode
from rlm_rs.parser.failures import DocumentTooLarge
from rlm_rs.parser.formats.html import render_html
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer

_MAX_BYTES = 256 << 20
_HEADERS = ("From", "To", "Cc", "Date", "Subject")


def render(source: SourceFile, out: Renderer) -> None:
    """Render one message. What is attached is named, not read."""
    if source.byte_length > _MAX_BYTES:
        raise DocumentTooLarge(what="a message", limit=f"{_MAX_BYTES >> 20} MB")
    with source.path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=email.policy.default)
    _headers(message, out)
    _body(message, source, out)
    _attachments(message, out)
    out.end()


def _headers(message: EmailMessage, out: Renderer) -> None:
    for name in _HEADERS:
        for value in message.get_all(name, []):
            out.block(f"{name}: {' '.join(str(value).split())}", gap=1)
    out.title = " ".join(str(message["Subject"] or "").split()) or None


def _body(message: EmailMessage, source: SourceFile, out: Renderer) -> None:
    body = message.get_body(("plain", "html"))
    if body is None:
        return
    text = _decoded(body, out)
    if body.get_content_type() == "text/html":
        render_html(text, out, source.limits)
    else:
        out.block(text)


def _decoded(part: MIMEPart, out: Renderer) -> str:
    data = part.get_payload(decode=True)
    content = data if isinstance(data, bytes) else b""
    try:
        return content.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        text, warning = decode(content)
        out.warn(warning or "Its body is not in the character set it names; it was read as UTF-8.")
        return text


def _attachments(message: EmailMessage, out: Renderer) -> None:
    lines = [_line(part) for part in message.iter_attachments()] if message.is_multipart() else []
    for index, line in enumerate(lines):
        out.block(line, gap=1 if index else 2)
    if lines:
        out.warn(f"{len(lines)} attachment(s) are named but not read; save them beside it to read them.")


def _line(part: MIMEPart) -> str:
    return f"Attachment: {part.get_filename() or 'without a name'} ({part.get_content_type()})"
