"""The citations that step code hands to its final answer, in the forms code has them in."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any

from rlm_rs.sandbox.context import DocView
from rlm_rs.sandbox.ledger import Ledger
from rlm_rs.sandbox.shelf import Shelf

_MARK = re.compile(r"\s*\[?(\d{1,6})\]?\s*")


class Citing:
    """Checks citations and adds them to the ledger."""

    def __init__(self, shelf: Shelf, ledger: Ledger) -> None:
        self._shelf = shelf
        self._ledger = ledger

    def cite_all(self, citations: Any) -> None:
        """Take marks ("[1]" or 1), `(document, start, end)`, hits, and dicts with a document and a range.

        Raises ValueError for one that names no citation or range.
        """
        if citations is None:
            return
        single = isinstance(citations, (str, int, Mapping)) or _is_range(citations)
        for citation in [citations] if single else citations:
            self._cite(citation)

    def _cite(self, citation: Any) -> None:
        if isinstance(citation, (str, int)):
            self._check_mark(str(citation))
        elif isinstance(citation, Mapping):
            document = citation.get("doc_index", citation.get("doc_id", citation.get("doc")))
            self._cite_range(
                document, citation.get("start_char"), citation.get("end_char"), citation.get("note")
            )
        elif _is_range(citation):
            document, start, end = citation
            self._cite_range(document, start, end, None)
        else:
            raise ValueError(f"{citation!r} is no citation: give a mark, a hit, or (document, start, end)")

    def _check_mark(self, mark: str) -> None:
        match = _MARK.fullmatch(mark)
        if not match or not 1 <= int(match[1]) <= self._ledger.marks:
            raise ValueError(
                f"{mark!r} is no mark: doc.cite(start, end) gives one; there are {self._ledger.marks}"
            )

    def _cite_range(self, document: Any, start: Any, end: Any, note: Any) -> None:
        if document is None or start is None or end is None:
            raise ValueError("a citation needs doc_index, start_char and end_char")
        self._view(document).cite(start, end, note)

    def _view(self, document: Any) -> DocView:
        if isinstance(document, DocView):
            return document
        if isinstance(document, str):
            return self._named(document)
        position = operator.index(document)
        if not 0 <= position < len(self._shelf):
            raise ValueError(f"there is no document {position}: they are 0 to {len(self._shelf) - 1}")
        view: DocView = self._shelf.at(position)
        return view

    def _named(self, name: str) -> DocView:
        for position in range(len(self._shelf)):
            view: DocView = self._shelf.at(position)
            if name in (view.doc_id, view.name):
                return view
        raise ValueError(f"there is no document {name!r}")


def _is_range(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(type(part) is int for part in value[1:])
