"""What an `rlm` sub-call runs over: the views and texts it names, or else those of its caller."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rlm_rs.core.corpus import Corpus
from rlm_rs.core.execution import Execution
from rlm_rs.core.spans import Range
from rlm_rs.sandbox.protocol import SubcallRequest, View

CUT_NOTICE_CHARS = 200
"""Room for the notice that a text was cut, and for what joins the parts of a prompt."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Texts, and ranges of documents; none of them empty."""

    texts: tuple[str, ...]
    places: tuple[Range, ...]

    @property
    def char_length(self) -> int:
        """Characters of all of it."""
        return sum(map(len, self.texts)) + sum(p.length for p in self.places)

    def first(self, room: int) -> Scope:
        """As much as `room` characters hold, from the first text on."""
        texts, places = [], []
        for text in self.texts:
            texts.append(text[:room])
            room -= len(texts[-1])
        for place in self.places:
            places.append(replace(place, end_char=min(place.end_char, place.start_char + room)))
            room -= places[-1].length
        return Scope(tuple(filter(None, texts)), tuple(p for p in places if p.length > 0))


def passed_on(caller: Execution, request: SubcallRequest) -> tuple[tuple[View, ...] | None, tuple[str, ...]]:
    """The views and texts of the call (None and empty: all documents)."""
    if request.views is None and not request.text:
        return caller.views, caller.texts
    return request.views or (), request.text or ()


def scope_of(caller: Execution, corpus: Corpus, request: SubcallRequest) -> Scope:
    """The same as text: what a single sub-model call would have to be given."""
    views, texts = passed_on(caller, request)
    if views is None:
        views = tuple(View(document.doc_index) for document in corpus.documents if document.readable)
    places = [_place(view, corpus.documents[view.doc_index].char_length) for view in views]
    return Scope(tuple(filter(None, texts)), tuple(p for p in places if p.length > 0))


def _place(view: View, length: int) -> Range:
    end = length if view.end_char is None else min(view.end_char, length)
    return Range(view.doc_index, view.start_char, end)
