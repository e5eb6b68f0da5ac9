"""What every search index must do. An adapter's tests are a subclass that says how to open one."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import pytest

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.core.errors import SearchNotReady
from rlm_rs.core.passages import MAX_CHARS
from rlm_rs.core.ports import Blobs, SearchIndex
from rlm_rs.core.spans import checksum
from rlm_rs.core.words import words_of
from rlm_rs.sandbox.protocol import View
from rlm_rs.storage.blobs import MemoryBlobs

BUCKET = "bucket"
CHECKPOINT_CHARS = 4096

LEASE = "The tenant may end this lease on six months' notice. Rent is due on the first of each month."
SUPPLY = "The supplier delivers pallets weekly. Invoice INV-2024-0017 was paid. Notice of delay is due."
FRENCH = "Le préavis de résiliation est de trois mois. Le café est à côté de l'hôtel."
GREEK = "Η σύμβαση λήγει με εξάμηνη ειδοποίηση."
RUSSIAN = "Договор аренды расторгается; ёлка стоит в холле."
ARABIC = "العَقْدُ ينتهي بعد سِتَّةِ أشهر من الإشعار عام ٢٠٢٤"
HINDI = "यह अनुबंध छह महीने की सूचना पर समाप्त होता है।"
CHINESE = "本合同的终止条款规定六个月的通知期限。"
JAPANESE = "契約期間は2024年から3年間とする。ガス料金は別途。"
KOREAN = "계약은 육 개월 전에 통지하면 해지됩니다."
TEXTS = (LEASE, SUPPLY, FRENCH, GREEK, RUSSIAN, ARABIC, HINDI, CHINESE, JAPANESE, KOREAN)

ASKED = [
    ("rent", 0),
    ("RENT due", 0),
    ("preavis", 2),
    ("CAFÉ", 2),
    ("l'hotel", 2),
    ("συμβαση", 3),
    ("ΛΉΓΕΙ", 3),
    ("елка", 4),
    ("аренды", 4),
    ("العقد", 5),
    ("2024 الإشعار", 5),
    ("अनुबंध", 6),
    ("终止", 7),
    ("终止条款", 7),
    ("契約期間", 8),
    ("ｶﾞｽ", 8),
    ("계약", 9),
]

HOSTILE = [
    "", " ", "*", '"', '""', "((((", "a AND (b OR", "words:x^9 ~ [1 TO *]", "-", "+notice -lease !",
    "\\", "\0", "notice\ud800", "'; DROP TABLE", '{"match_all": {}}', "*:*", "/.*/", "«", "notice" * 2_000,
    "a " * 20_000, '"notice" ' * 500, "..*", "?" * 300, "🙂", "notice^", "~2",
]  # fmt: skip


async def stored(
    blobs: Blobs, texts: Sequence[str], session_id: str = "sess_1", sections: Sequence[int] = ()
) -> Corpus:
    """A corpus of these texts, stored as ingestion does."""
    documents = []
    for index, text in enumerate(texts):
        data, base = text.encode(), f"s3://{BUCKET}/parsed/tenant/{session_id}/doc_{index}"
        meta = {"structure": {"sections": [{"start_char": start, "children": []} for start in sections]}}
        sizes = [len(text[a : a + CHECKPOINT_CHARS].encode()) for a in range(0, len(text), CHECKPOINT_CHARS)]
        offsets = list(accumulate(sizes[:-1], initial=0)) if sizes else []
        await blobs.put(f"{base}/text.txt", data)
        await blobs.put(f"{base}/meta.json", json.dumps(meta).encode())
        await blobs.put(f"{base}/offsets.u64", struct.pack(f"<{len(offsets)}Q", *offsets))
        documents.append(
            Document(
                doc_id=f"doc_{index}",
                doc_index=index,
                source_name=f"{index}.txt",
                mime_type="text/plain",
                ingest_status=IngestStatus.PARSED,
                text_s3_uri=f"{base}/text.txt",
                meta_s3_uri=f"{base}/meta.json",
                offsets_index_uri=None if text.isascii() else f"{base}/offsets.u64",
                char_length=len(text),
                byte_length=len(data),
                text_checksum=checksum(text),
            )
        )
    return Corpus("tenant", session_id, tuple(documents))


async def found(index: SearchIndex, corpus: Corpus, query: str, k: int = 10) -> list[int]:
    """The documents of the hits, best first."""
    return [hit.doc_index for hit in await index.query(corpus, query, k)]


class SearchIndexContract:
    """The promises of `core.ports.SearchIndex`. Subclasses provide `index`, over the `blobs` given."""

    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs()

    @pytest.fixture
    def index(self, blobs: Blobs) -> SearchIndex:
        raise NotImplementedError("a subclass provides the index")

    @pytest.fixture
    async def corpus(self, blobs: Blobs, index: SearchIndex) -> Corpus:
        corpus = await stored(blobs, TEXTS)
        await index.build(corpus)
        return corpus

    async def test_words_are_found_whatever_their_case_diacritics_and_script(
        self, index: SearchIndex, corpus: Corpus
    ) -> None:
        for query, document in ASKED:
            assert (await found(index, corpus, query))[:1] == [document], query

    async def test_a_word_is_not_found_inside_another(self, index: SearchIndex, corpus: Corpus) -> None:
        assert await found(index, corpus, "ren") == []
        assert await found(index, corpus, "अनु") == []

    async def test_more_and_rarer_words_make_a_better_hit(self, index: SearchIndex, corpus: Corpus) -> None:
        assert await found(index, corpus, "notice tenant lease") == [0, 1]
        assert await found(index, corpus, "notice of delay pallets") == [1, 0]
        hits = await index.query(corpus, "notice pallets", 10)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(hit.score > 0 for hit in hits)

    async def test_a_quotation_must_occur(self, index: SearchIndex, corpus: Corpus) -> None:
        assert await found(index, corpus, '"months\' notice"') == [0]
        assert await found(index, corpus, '"notice months"') == []
        assert await found(index, corpus, '"notice of delay" rent') == [1]
        assert await found(index, corpus, "「通知期限」") == [7]
        assert await found(index, corpus, '"通知的期限"') == []
        assert await found(index, corpus, '"2024年から3年間"') == [8]

    async def test_a_star_stands_for_the_rest_of_a_word(self, index: SearchIndex, corpus: Corpus) -> None:
        assert await found(index, corpus, "deliv*") == [1]
        assert await found(index, corpus, "résil*") == [2]
        assert await found(index, corpus, "zzz*") == []

    async def test_one_character_of_a_script_without_spaces_is_a_query(
        self, index: SearchIndex, corpus: Corpus
    ) -> None:
        assert await found(index, corpus, "期") == [7, 8] or await found(index, corpus, "期") == [8, 7]
        assert await found(index, corpus, "限") == [7]

    async def test_what_is_written_as_one_word_counts_most_in_a_row(
        self, index: SearchIndex, blobs: Blobs
    ) -> None:
        texts = ["See 0017 of 2024, inv 2024 and inv 0017.", "The invoice INV-2024-0017."]
        corpus = await stored(blobs, texts)
        await index.build(corpus)
        assert (await found(index, corpus, "INV-2024-0017"))[0] == 1

    async def test_every_text_is_a_query(self, index: SearchIndex, corpus: Corpus) -> None:
        for query in HOSTILE:
            hits = await index.query(corpus, query, 10)
            assert all(0 <= hit.doc_index < len(TEXTS) for hit in hits), query
            if "notice" in query.replace("notice" * 2, ""):
                assert {hit.doc_index for hit in hits} >= {1}, query

    async def test_hits_are_ranges_of_the_text_that_hold_the_words(
        self, index: SearchIndex, blobs: Blobs
    ) -> None:
        filler = "Der Frühling kommt früh, und die Bäche schwellen. 春天来得早。 "
        text = filler * 300 + "The needle is called 縫い針 here. " + filler * 300
        corpus = await stored(blobs, [text])
        await index.build(corpus)
        for query in ("needle", "縫い針"):
            hits = await index.query(corpus, query, 10)
            assert 1 <= len(hits) <= 2
            for hit in hits:
                passage = text[hit.start_char : hit.end_char]
                assert "縫い針" in passage
                assert len(passage) == hit.end_char - hit.start_char <= MAX_CHARS

    async def test_every_word_of_a_long_text_is_in_a_passage(self, index: SearchIndex, blobs: Blobs) -> None:
        marks = [f"mark{number}" for number in range(60)]
        text = " ".join(f"{mark} " + "Lorem ipsum dolor sit amet. " * 12 for mark in marks)
        corpus = await stored(blobs, [text], sections=[5_000, 5_100, 9_000])
        await index.build(corpus)
        for mark in marks:
            hits = await index.query(corpus, mark, 3)
            assert hits, mark
            assert all(mark in words_of(text[hit.start_char : hit.end_char]) for hit in hits)

    async def test_at_most_k_hits_are_given(self, index: SearchIndex, blobs: Blobs) -> None:
        corpus = await stored(blobs, [f"common word number {number}" for number in range(30)])
        await index.build(corpus)
        for k in (1, 7, 30, 100):
            assert len(await index.query(corpus, "common", k)) == min(k, 30)

    async def test_views_limit_a_search_to_documents_and_windows(
        self, index: SearchIndex, blobs: Blobs
    ) -> None:
        long = "".join(f"Common sentence number {number} of the long text. " for number in range(400))
        corpus = await stored(blobs, ["common one", "common two", long])
        await index.build(corpus)

        async def within(*views: View) -> list[tuple[int, int, int]]:
            hits = await index.query(corpus, "common", 100, views)
            return sorted((hit.doc_index, hit.start_char, hit.end_char) for hit in hits)

        assert [place[0] for place in await within(View(1))] == [1]
        assert [place[0] for place in await within(View(0), View(1))] == [0, 1]
        assert await within() == []
        window = await within(View(2, 6_000, 8_000))
        assert window
        assert all(start < 8_000 and end > 6_000 for _, start, end in window)
        assert len(window) < len(await within(View(2)))
        assert [place[0] for place in await within(View(1, 0, 5), View(0))] == [0, 1]
        assert await within(View(1, 10, 10)) == []

    async def test_what_was_not_built_is_not_ready(self, index: SearchIndex, blobs: Blobs) -> None:
        corpus = await stored(blobs, [LEASE])
        assert not await index.is_built(corpus)
        with pytest.raises(SearchNotReady):
            await index.query(corpus, "rent", 10)
        await index.build(corpus)
        assert await index.is_built(corpus)
        assert await found(index, corpus, "rent") == [0]

    async def test_building_again_changes_nothing(self, index: SearchIndex, corpus: Corpus) -> None:
        before = await index.query(corpus, "notice", 10)
        await asyncio.gather(*(index.build(corpus) for _ in range(3)))
        assert await index.query(corpus, "notice", 10) == before

    async def test_other_texts_are_another_index(
        self, index: SearchIndex, blobs: Blobs, corpus: Corpus
    ) -> None:
        fewer = replace(corpus, documents=corpus.documents[:1])
        assert index.identity(fewer) != index.identity(corpus)
        assert not await index.is_built(fewer)
        await index.build(fewer)
        assert await found(index, fewer, "notice") == [0]

    async def test_sessions_do_not_see_each_other(self, index: SearchIndex, blobs: Blobs) -> None:
        mine = await stored(blobs, ["mine alone"], "sess_mine")
        theirs = await stored(blobs, ["theirs alone"], "sess_theirs")
        await asyncio.gather(index.build(mine), index.build(theirs))
        assert await found(index, mine, "alone theirs") == [0]
        assert await index.query(mine, "theirs", 10) == []
        await index.remove("tenant", "sess_theirs")
        assert await found(index, mine, "alone") == [0]

    async def test_a_removed_index_is_gone(self, index: SearchIndex, corpus: Corpus) -> None:
        await index.query(corpus, "notice", 10)
        await index.remove(corpus.tenant_id, corpus.session_id)
        await index.remove(corpus.tenant_id, corpus.session_id)
        assert not await index.is_built(corpus)
        with pytest.raises(SearchNotReady):
            await index.query(corpus, "notice", 10)
        await index.build(corpus)
        assert await found(index, corpus, "rent") == [0]

    async def test_unreadable_and_empty_documents_are_passed_over(
        self, index: SearchIndex, blobs: Blobs
    ) -> None:
        corpus = await stored(blobs, ["first word", "", "third word"])
        failed = replace(corpus.documents[0], ingest_status=IngestStatus.FAILED)
        corpus = replace(corpus, documents=(failed, *corpus.documents[1:]))
        await index.build(corpus)
        assert await index.is_built(corpus)
        assert await found(index, corpus, "word") == [2]

    async def test_a_corpus_without_words_is_searched_in_vain(self, index: SearchIndex, blobs: Blobs) -> None:
        corpus = await stored(blobs, ["", "…"])
        await index.build(corpus)
        assert await index.query(corpus, "word", 10) == []

    async def test_ten_thousand_words_in_one_query_are_answered(
        self, index: SearchIndex, corpus: Corpus
    ) -> None:
        query = "notice " + " ".join(f"w{number}" for number in range(10_000))
        assert set(await found(index, corpus, query)) == {0, 1}
