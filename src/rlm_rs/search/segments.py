"""What tantivy does for us: writing the segments of a part, and asking all parts as one index.

A part is written as an index of its own. Its segments are immutable files with unique names, so that the
parts of a session become one index by standing in one folder with one `meta.json` that lists them all. Word
statistics are then those of the whole session, as in an index written at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import tantivy

from rlm_rs.core.searching import SearchHit, SearchQuery, in_a_row, read_query
from rlm_rs.core.words import fields_of, is_paired
from rlm_rs.sandbox.protocol import View
from rlm_rs.search.documents import Readable

ENGINE = f"tantivy {tantivy.__version__}"  # type: ignore[attr-defined]
"""Release and index format: segments of another are not read."""

META = "meta.json"
HEAP_BYTES = 64 << 20
MAX_WORD_BYTES = 240
PREFIX_WORDS = 50
PREFIX_SCORE = 1.0
ROW_BOOST = 2.0
"""How much more than its words it counts that they stand in a row."""

_WORDS, _PAIRS, _DOC, _START, _END = "words", "pairs", "doc", "start", "end"
_BASIC = "basic"
_MUST, _SHOULD = tantivy.Occur.Must, tantivy.Occur.Should


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(_WORDS, tokenizer_name=_WORDS, index_option="position")
    # a passage is so short that how often it has a pair says little: half the size
    builder.add_text_field(_PAIRS, tokenizer_name=_WORDS, index_option=_BASIC)
    builder.add_unsigned_field(_DOC, indexed=True, fast=True)
    builder.add_unsigned_field(_START, fast=True)
    builder.add_unsigned_field(_END, fast=True)
    return builder.build()


def _with_words(index: tantivy.Index) -> tantivy.Index:
    spaces = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    index.register_tokenizer(_WORDS, spaces.filter(tantivy.Filter.remove_long(MAX_WORD_BYTES)).build())
    return index


class PartWriter:
    """Writes the segments of one part into an empty folder. One thread at a time may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schema = _schema()
        self._index = _with_words(tantivy.Index(self._schema, str(folder), reuse=False))
        self._writer = self._index.writer(heap_size=HEAP_BYTES, num_threads=1)
        self.passages = 0

    def add(self, documents: Iterable[Readable]) -> None:
        """Index the passages of these documents."""
        for item in documents:
            doc_index = item.document.doc_index
            for start, text in item.passages():
                words, pairs = fields_of(text)
                fields = {
                    _DOC: doc_index,
                    _START: start,
                    _END: start + len(text),
                    _WORDS: words,
                    _PAIRS: pairs,
                }
                self._writer.add_document(tantivy.Document.from_dict(fields, self._schema))
                self.passages += 1

    def finish(self) -> dict[str, Any]:
        """Write what is left; nothing but the segments' files is then in the folder. Returns their meta."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        meta: dict[str, Any] = orjson.loads((self._folder / META).read_bytes())
        wanted = {segment["segment_id"].replace("-", "") for segment in meta["segments"]}
        for path in self._folder.iterdir():
            if path.name.split(".")[0] not in wanted:
                path.unlink()
        return meta


def write_meta(folder: Path, metas: Sequence[dict[str, Any]]) -> None:
    """Make one index of the segments of several parts, all of which stand in the folder."""
    joined = {**metas[0], "segments": [segment for meta in metas for segment in meta["segments"]]}
    joined.pop("payload", None)
    (folder / META).write_bytes(orjson.dumps(joined))


class OpenIndex:
    """An index in a folder, open for queries. Any number of threads may use it."""

    def __init__(self, folder: Path) -> None:
        self._index = _with_words(tantivy.Index.open(str(folder)))
        self._schema = self._index.schema
        self._searcher = self._index.searcher()

    def query(self, text: str, k: int, views: Sequence[View] | None) -> list[SearchHit]:
        """The best passages, best first."""
        wanted = read_query(text)
        if wanted.is_empty or views == ():
            return []
        query = self._compiled(wanted)
        if views is not None:
            query = self._within(query, views)
        found = self._searcher.search(query, k, count=False).hits
        places = [address for _, address in found]
        columns = (self._searcher.fast_field_values(name, places) for name in (_DOC, _START, _END))
        scores = (float(score) for score, _ in found)
        hits = [SearchHit(score, *map(int, row)) for score, *row in zip(scores, *columns, strict=True)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.doc_index, hit.start_char))

    def _compiled(self, wanted: SearchQuery) -> tantivy.Query:
        any_of = [self._word(word) for word in wanted.words]
        any_of += [tantivy.Query.boost_query(self._row(run), ROW_BOOST) for run in wanted.runs]
        any_of += [self._prefix(prefix) for prefix in wanted.prefixes]
        all_of = [(_MUST, self._row(phrase)) for phrase in wanted.phrases]
        return tantivy.Query.boolean_query([*all_of, *((_SHOULD, query) for query in any_of)])

    def _word(self, word: str) -> tantivy.Query:
        if is_paired(word):
            return tantivy.Query.term_query(self._schema, _PAIRS, word, _BASIC)
        return tantivy.Query.term_query(self._schema, _WORDS, word)

    def _row(self, row: Sequence[str]) -> tantivy.Query:
        parts = in_a_row(row)
        if len(parts) > 1:
            return tantivy.Query.boolean_query([(_MUST, self._row(part)) for part in parts])
        if len(parts[0]) == 1:
            return self._word(parts[0][0])
        return tantivy.Query.phrase_query(self._schema, _WORDS, list(parts[0]))

    def _prefix(self, prefix: str) -> tantivy.Query:
        """Words that begin so: the commonest by their own weight, all others alike."""
        field = _PAIRS if is_paired(prefix) else _WORDS
        common = self._searcher.terms_with_prefix(field, prefix, None, PREFIX_WORDS)
        every = tantivy.Query.regex_query(self._schema, field, f"{prefix}.*")
        each = [self._word(word) for word, _ in common]
        return tantivy.Query.disjunction_max_query(
            [tantivy.Query.const_score_query(every, PREFIX_SCORE), *each]
        )

    def _within(self, query: tantivy.Query, views: Sequence[View]) -> tantivy.Query:
        whole = [view.doc_index for view in views if view.start_char == 0 and view.end_char is None]
        places = [self._window(view) for view in views if view.start_char or view.end_char is not None]
        if whole:
            places.append(tantivy.Query.term_set_query(self._schema, _DOC, whole))
        inside = tantivy.Query.boolean_query([(_SHOULD, place) for place in places])
        return tantivy.Query.boolean_query(
            [(_MUST, query), (_MUST, tantivy.Query.const_score_query(inside, 0.0))]
        )

    def _window(self, view: View) -> tantivy.Query:
        """Passages of a document that overlap a window of it."""
        kind = tantivy.FieldType.Unsigned
        clauses = [tantivy.Query.term_query(self._schema, _DOC, view.doc_index)]
        if view.end_char is not None:
            before = tantivy.Query.range_query(
                self._schema, _START, kind, upper_bound=view.end_char, include_upper=False
            )
            clauses.append(before)
        clauses.append(
            tantivy.Query.range_query(
                self._schema, _END, kind, lower_bound=view.start_char, include_lower=False
            )
        )
        return tantivy.Query.boolean_query([(_MUST, clause) for clause in clauses])
