import asyncio
import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from rlm_rs.core.corpus import Corpus, IngestStatus
from rlm_rs.core.errors import BlobNotFound, ChecksumMismatch, SandboxFailed
from rlm_rs.runners import image as image_module
from rlm_rs.runners.image import ROW, CorpusImage, CorpusImages, open_all
from rlm_rs.storage.blobs import DirectoryBlobs, MemoryBlobs

from .conftest import MakeCorpus, stored


def rows(image: CorpusImage) -> list[tuple[int, ...]]:
    return list(ROW.iter_unpack(image.paths[0].read_bytes()))


def text_of(image: CorpusImage, row: tuple[int, ...]) -> str:
    data = image.paths[4 + row[0]].read_bytes() if row[2] else b""
    return data[row[1] : row[1] + row[2]].decode()


async def test_rows_lead_to_the_texts_in_order(images: CorpusImages, make_corpus: MakeCorpus) -> None:
    texts = ["first", "", "dritter Ä", "fourth 🙂"]
    image = await images.ensure(await make_corpus(*texts))
    assert [text_of(image, row) for row in rows(image)] == texts
    assert [row[3] for row in rows(image)] == [len(text) for text in texts]


async def test_only_texts_that_are_not_ascii_have_an_offset_index(
    images: CorpusImages, make_corpus: MakeCorpus
) -> None:
    long = "ä" * 10_000
    image = await images.ensure(await make_corpus("plain", long, "ü"))
    counts = [(row[4], row[5]) for row in rows(image)]
    assert counts == [(0, 0), (0, 3), (3, 1)]
    index = struct.unpack("<4Q", image.paths[3].read_bytes())
    assert index == (0, 8192, 16384, 0)


async def test_info_and_structure_are_found_by_their_ranges(
    images: CorpusImages, make_corpus: MakeCorpus
) -> None:
    image = await images.ensure(await make_corpus("a", "b"))
    row = rows(image)[1]
    info = image.paths[1].read_bytes()[row[6] : row[6] + row[7]]
    assert json.loads(info) == {"doc_id": "doc-1", "name": "1.txt", "mime_type": "text/plain"}
    structure = image.paths[2].read_bytes()[row[8] : row[8] + row[9]]
    assert json.loads(structure) == {"pages": []}


async def test_a_failed_document_reads_as_empty(images: CorpusImages, make_corpus: MakeCorpus) -> None:
    corpus = await make_corpus("kept", "lost", "kept too")
    broken = replace(corpus.documents[1], ingest_status=IngestStatus.FAILED)
    corpus = replace(corpus, documents=(corpus.documents[0], broken, corpus.documents[2]))
    image = await images.ensure(corpus)
    assert [text_of(image, row) for row in rows(image)] == ["kept", "", "kept too"]
    assert rows(image)[1][3] == 0


async def test_a_second_process_finds_the_image_of_the_first(
    blobs: MemoryBlobs, tmp_path: Path, make_corpus: MakeCorpus
) -> None:
    corpus = await make_corpus("text")
    first = await CorpusImages(blobs, tmp_path).ensure(corpus)
    emptied = CorpusImages(MemoryBlobs(), tmp_path)
    assert await emptied.ensure(corpus) == first


async def test_builders_that_race_agree(blobs: MemoryBlobs, tmp_path: Path, make_corpus: MakeCorpus) -> None:
    corpus = await make_corpus("one", "two")
    built = await asyncio.gather(*(CorpusImages(blobs, tmp_path).ensure(corpus) for _ in range(5)))
    assert len(set(built)) == 1
    left = sorted(path.name for path in (tmp_path / "tenant" / "session").iterdir())
    assert left == [built[0].directory.name]


async def test_an_image_with_a_damaged_file_is_built_again(
    images: CorpusImages, make_corpus: MakeCorpus
) -> None:
    corpus = await make_corpus("some text")
    image = await images.ensure(corpus)
    image.paths[4].write_bytes(b"")
    images.forget(corpus)
    again = await images.ensure(corpus)
    assert text_of(again, rows(again)[0]) == "some text"


async def test_a_document_that_becomes_readable_gets_a_new_image(
    images: CorpusImages, make_corpus: MakeCorpus
) -> None:
    corpus = await make_corpus("text")
    parsing = replace(corpus.documents[0], ingest_status=IngestStatus.PARSING)
    before = await images.ensure(replace(corpus, documents=(parsing,)))
    after = await images.ensure(corpus)
    assert before != after
    assert text_of(after, rows(after)[0]) == "text"


async def test_a_big_local_text_is_mapped_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "OWN_SEGMENT_BYTES", 100)
    blobs = DirectoryBlobs(tmp_path / "blobs")
    documents = [await stored(blobs, n, text, "s") for n, text in enumerate(["small", "x" * 200, "tiny"])]
    image = await CorpusImages(blobs, tmp_path / "images").ensure(Corpus("t", "s", tuple(documents)))
    assert [text_of(image, row) for row in rows(image)] == ["small", "x" * 200, "tiny"]
    assert blobs.local_path(documents[1].text_s3_uri or "") in image.paths
    assert not list(image.directory.glob("text-*.bin"))


async def test_a_big_remote_text_is_streamed_to_a_file(
    images: CorpusImages, make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "OWN_SEGMENT_BYTES", 100)
    image = await images.ensure(await make_corpus("small", "y" * 300))
    assert text_of(image, rows(image)[1]) == "y" * 300
    assert [path.name for path in image.paths[4:]] == ["texts-0.bin", "text-1.bin"]


async def test_packs_are_closed_when_full(
    images: CorpusImages, make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "PACK_BYTES", 10)
    texts = ["12345", "67890", "abc", "much longer than a pack", "z"]
    image = await images.ensure(await make_corpus(*texts))
    assert [text_of(image, row) for row in rows(image)] == texts
    assert len(image.paths) == 4 + 4


async def test_no_more_than_48_texts_are_segments_of_their_own(
    images: CorpusImages, make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_module, "OWN_SEGMENT_BYTES", 1)
    texts = [chr(ord("a") + n % 26) * (n + 1) for n in range(60)]
    image = await images.ensure(await make_corpus(*texts))
    assert len(image.paths) == 4 + 48 + 1
    assert [text_of(image, row) for row in rows(image)] == texts


async def test_a_text_of_another_length_is_refused(images: CorpusImages, make_corpus: MakeCorpus) -> None:
    corpus = await make_corpus("text")
    longer = replace(corpus.documents[0], byte_length=5)
    with pytest.raises(ChecksumMismatch):
        await images.ensure(replace(corpus, documents=(longer,)))


async def test_a_missing_text_says_which_and_leaves_nothing(
    images: CorpusImages, make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    corpus = await make_corpus("text")
    gone = replace(corpus.documents[0], text_s3_uri="s3://bucket/gone")
    with pytest.raises(BlobNotFound, match="gone"):
        await images.ensure(replace(corpus, documents=(gone,)))
    assert not [path for path in (tmp_path / "images").rglob("*") if path.is_file()]


async def test_after_a_failed_build_the_next_one_is_tried(
    images: CorpusImages, blobs: MemoryBlobs, make_corpus: MakeCorpus
) -> None:
    corpus = await make_corpus("text")
    late = replace(corpus, documents=(replace(corpus.documents[0], meta_s3_uri="s3://bucket/late"),))
    with pytest.raises(BlobNotFound):
        await images.ensure(late)
    await blobs.put("s3://bucket/late", b"{}")
    assert await images.ensure(late)


async def test_remove_takes_a_session_away_and_no_other(
    images: CorpusImages, make_corpus: MakeCorpus
) -> None:
    gone = await images.ensure(await make_corpus("a", session="gone"))
    kept = await images.ensure(await make_corpus("b", session="kept"))
    await images.remove("tenant", "gone")
    assert not gone.directory.exists()
    assert kept.directory.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\\b", "a\0b"])
async def test_an_id_that_would_leave_the_directory_is_refused(
    images: CorpusImages, make_corpus: MakeCorpus, name: str
) -> None:
    corpus = await make_corpus("a")
    with pytest.raises(SandboxFailed):
        await images.ensure(replace(corpus, session_id=name))
    with pytest.raises(SandboxFailed):
        await images.remove(name, "session")


async def test_an_empty_corpus_has_an_image(images: CorpusImages) -> None:
    image = await images.ensure(Corpus("tenant", "session", ()))
    assert rows(image) == []


async def test_opening_leaks_nothing_when_a_file_is_gone(
    images: CorpusImages, make_corpus: MakeCorpus
) -> None:
    image = await images.ensure(await make_corpus("a"))
    image.paths[-1].unlink()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        open_all(image)
    assert os.listdir("/proc/self/fd") == before
