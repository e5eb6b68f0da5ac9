"""Why one document cannot be read: one class per code; its docstring is the message shown.

The message stands beside the document's name, so it says "it", and ends with what to do.
"""

from __future__ import annotations

from rlm_rs.core.corpus import Failure
from rlm_rs.core.errors import ParserFailed


class DocumentFailed(ParserFailed):
    """It cannot be read: {reason}."""

    code = "PARSE_FAILED"

    def failure(self) -> Failure:
        """The error as the value a document carries."""
        return Failure(self.code, self.message)


class DocumentEncrypted(DocumentFailed):
    """It is protected by a password. Save a copy without one and use that."""

    code = "PARSE_ENCRYPTED"


class DocumentCorrupt(DocumentFailed):
    """It is damaged or incomplete ({reason}). Open it in its own program and save it again."""

    code = "PARSE_CORRUPT"


class DocumentEmpty(DocumentFailed):
    """It holds no text. Check that it is the right file and was saved completely."""

    code = "PARSE_EMPTY"


class DocumentWithoutText(DocumentFailed):
    """It has {pages} page(s) but no text layer: it is a scan. Run OCR on it first, for example ocrmypdf."""

    code = "PARSE_NO_TEXT"


class DocumentUnsupported(DocumentFailed):
    """It is {what}, which cannot be read as text. {advice}"""

    code = "PARSE_UNSUPPORTED"

    def __init__(self, what: str, advice: str = "Convert it to PDF, DOCX or text first.") -> None:
        super().__init__(what=what, advice=advice)


class DocumentTooLarge(DocumentFailed):
    """It is too large: {what} is more than {limit}. Split it and use the parts."""

    code = "PARSE_TOO_LARGE"


class DocumentBomb(DocumentFailed):
    """It looks built to exhaust its reader ({reason}). If you trust it, unpack it or save it again first."""

    code = "PARSE_BOMB"


class ParseTimedOut(DocumentFailed):
    """Reading it took longer than {seconds:.0f} seconds. Split it, or convert it to plain text first."""

    code = "PARSE_TIMEOUT"


class ParseOutOfMemory(DocumentFailed):
    """Reading it needs more memory than the {megabytes} MB allowed. Split it, or convert it to plain text."""

    code = "PARSE_MEMORY"


class DocumentUnreadable(DocumentFailed):
    """It cannot be opened: {reason}. Check that it exists and that you may read it."""

    code = "PARSE_UNREADABLE"


class ParseCrashed(DocumentFailed):
    """The parser failed on it ({reason}). Convert it to plain text or PDF and use that."""

    code = "PARSE_CRASHED"
