"""The embedded engine: the contract, and its segments in the blob store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rlm_rs.core.errors import SearchFailed, SearchNotReady
from rlm_rs.core.ports import Blobs
from rlm_rs.search.documents import PIECE_BYTES, groups
from rlm_rs.search.embedded import EmbeddedIndex
from rlm_rs.search.local import LocalIndexes, LocalLimits
from rlm_rs.storage.blobs import DirectoryBlobs, MemoryBlobs
from rlm_rs.testing.search_contract import BUCKET, SearchIndexContract, found, stored

TEXTS = [f"Document number {number} speaks of word{number} and of rivers. " * 40 for number in range(9)]


class TestEmbeddedIndex(SearchIndexContract):
    @pytest.fixture
    def index(self, blobs: Blobs, tmp_path: Path) -> EmbeddedIndex:
        return EmbeddedIndex(blobs, BUCKET, tmp_path)


class TestEmbeddedIndexOverFiles(SearchIndexContract):
    """Blobs that are files of this machine are linked, not copied; a few parts answer as one index."""

    @pytest.fixture
    def blobs(self, tmp_path: Path) -> DirectoryBlobs:
        return DirectoryBlobs(tmp_path / "blobs")

    @pytest.fixture
    def index(self, blobs: Blobs, tmp_path: Path) -> EmbeddedIndex:
        return EmbeddedIndex(blobs, BUCKET, tmp_path / "indexes", part_bytes=600)


class BreakingBlobs(MemoryBlobs):
    """Blobs that fail after so many objects were put, as a process that is killed would."""

    left = 1 << 30
    texts_read = 0

    async def put(self, uri: str, data: bytes) -> None:
        self._take()
        await super().put(uri, data)

    async def put_folder(self, prefix: str, folder: Path) -> None:
        self._take()
        await super().put_folder(prefix, folder)

    async def get(self, uri: str, start: int = 0, length: int | None = None) -> bytes:
        self.texts_read += uri.endswith("text.txt")
        return await super().get(uri, start, length)

    def _take(self) -> None:
        if not self.left:
            raise ConnectionError("killed")
        self.left -= 1


async def test_another_machine_finds_what_this_one_built(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    await EmbeddedIndex(blobs, BUCKET, tmp_path / "here", part_bytes=3_000).build(corpus)
    elsewhere = EmbeddedIndex(blobs, BUCKET, tmp_path / "there", part_bytes=3_000)
    assert await elsewhere.is_built(corpus)
    assert await found(elsewhere, corpus, "word7") == [7]
    assert len(await found(elsewhere, corpus, "rivers", 100)) == len(TEXTS)


@pytest.mark.parametrize("survived", range(6))
async def test_building_goes_on_where_it_was_killed(tmp_path: Path, survived: int) -> None:
    blobs = BreakingBlobs()
    corpus = await stored(blobs, TEXTS)
    index = EmbeddedIndex(blobs, BUCKET, tmp_path, part_bytes=3 * len(TEXTS[0]))
    blobs.left = survived
    with pytest.raises(ConnectionError):
        await index.build(corpus)
    assert not await index.is_built(corpus)
    with pytest.raises(SearchNotReady):
        await index.query(corpus, "rivers", 10)
    blobs.left, blobs.texts_read = 1 << 30, 0
    await EmbeddedIndex(blobs, BUCKET, tmp_path / "other", part_bytes=3 * len(TEXTS[0])).build(corpus)
    # a part is whole once its folder and its manifest are there
    assert blobs.texts_read == len(TEXTS) - 3 * (survived // 2)
    hits = await found(index, corpus, "rivers", 100)
    assert sorted(hits) == list(range(len(TEXTS)))
    assert not list((tmp_path / "spool").glob("*"))


async def test_what_lies_here_is_made_anew_when_it_was_damaged_or_lost(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    for damage in (_emptied, _garbled, shutil.rmtree):
        index = EmbeddedIndex(blobs, BUCKET, tmp_path)
        await index.build(corpus)
        await index.query(corpus, "rivers", 1)
        await index.close()
        (folder,) = (tmp_path / "open").glob("*/*/")
        damage(folder)
        assert await found(EmbeddedIndex(blobs, BUCKET, tmp_path), corpus, "word3") == [3]


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _garbled(folder: Path) -> None:
    (folder / "meta.json").write_text("{}")


async def test_segments_that_cannot_be_read_are_an_error_not_a_crash(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    index = EmbeddedIndex(blobs, BUCKET, tmp_path)
    await index.build(corpus)
    for uri in await blobs.list(f"s3://{BUCKET}/parsed/tenant/sess_1/search/"):
        if uri.endswith((".term", ".idx")):
            await blobs.delete(uri)
            await blobs.put(uri, b"not a segment")
    with pytest.raises(SearchFailed, match="cannot be opened"):
        await index.query(corpus, "rivers", 10)


async def test_a_text_that_is_missing_is_said(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    await blobs.delete(corpus.documents[4].text_s3_uri or "")
    with pytest.raises(SearchFailed, match=r"doc_4/text\.txt"):
        await EmbeddedIndex(blobs, BUCKET, tmp_path).build(corpus)


async def test_only_so_many_indexes_are_open_and_on_disk(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    index = EmbeddedIndex(blobs, BUCKET, tmp_path, LocalLimits(open=1, disk_bytes=1))
    corpora = [await stored(blobs, [f"rivers word{n}"], f"sess_{n}") for n in range(3)]
    for corpus in corpora:
        await index.build(corpus)
    for number in (0, 1, 2, 0):
        assert await found(index, corpora[number], f"word{number}") == [0]
        assert len(list((tmp_path / "open").glob("*/*/"))) == 1


def test_an_index_that_another_process_removed_meanwhile_is_no_error(tmp_path: Path) -> None:
    LocalIndexes(MemoryBlobs(), tmp_path)._make_room(tmp_path / "session" / "gone")


async def test_removal_leaves_nothing_of_a_session(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    corpus = await stored(blobs, TEXTS)
    before = await blobs.list(f"s3://{BUCKET}/")
    index = EmbeddedIndex(blobs, BUCKET, tmp_path)
    await index.build(corpus)
    await index.query(corpus, "rivers", 10)
    assert await blobs.list(f"s3://{BUCKET}/") != before
    await index.remove(corpus.tenant_id, corpus.session_id)
    assert await blobs.list(f"s3://{BUCKET}/") == before
    assert _files(tmp_path) == []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_large_text_that_lies_elsewhere_goes_by_way_of_a_file(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    text = "a" + "é" * PIECE_BYTES + " needle."
    corpus = await stored(blobs, ["small", text, "other"])
    seen = []
    async for group in groups(blobs, corpus.documents, tmp_path, in_memory_bytes=1_000):
        seen += [item.text.name if isinstance(item.text, Path) else item.text for item in group]
        pieces = [passage for item in group for _, passage in item.passages()]
        if len(group) == 1:
            assert isinstance(group[0].text, Path)
            assert pieces[-1].endswith(" needle.")
            assert sum(map(len, pieces)) >= len(text)
    assert (seen[0], seen[2]) == (b"small", b"other")
    assert _files(tmp_path) == []
