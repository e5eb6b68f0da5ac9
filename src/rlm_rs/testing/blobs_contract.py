"""What every blob store must do. An adapter's tests are a subclass that says how to open one."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from rlm_rs.core.errors import BlobChanged, BlobNotFound, ValidationFailed
from rlm_rs.core.ports import Blobs

URI = "s3://bucket/parsed/tenant/text.txt"
CONTENT = b"0123456789"

NOT_OBJECTS = [
    "bucket/key",
    "http://bucket/key",
    "file:///etc/passwd",
    "S3://bucket/key",
    "s3:/bucket/key",
    "s3://",
    "s3://bucket",
    "s3://bucket/",
    "s3:///key",
    "s3://bucket//key",
    "s3://bucket/key/",
    "s3://bucket/../key",
    "s3://../key",
    "s3://bucket/a/../../key",
    "s3://bucket/./key",
    "s3://bucket/a\0b",
    "s3://bucket/a\nb",
    "s3://bucket/\ud800",
    "s3://bucket/" + "x" * 300,
    "s3://bucket/" + "x/" * 600 + "x",
]
PLAIN_KEYS = ["a b", "ü", "e\u0301", "100%", "%2e%2e", "a#b", "a?b=c&d", "~x", "[1]", "日本", "x" * 200]


class BlobsContract:
    """The promises of `core.ports.Blobs`. Subclasses provide the `blobs` fixture, empty."""

    @pytest.fixture
    def blobs(self) -> Blobs:
        raise NotImplementedError("a subclass provides the blobs")

    @pytest.mark.parametrize("data", [b"", b"\x00\xff" * 10, b"x" * 3_000_000])
    async def test_get_gives_what_was_put(self, blobs: Blobs, data: bytes) -> None:
        await blobs.put(URI, data)
        assert await blobs.get(URI) == data
        assert await blobs.size(URI) == len(data)

    @pytest.mark.parametrize("key", PLAIN_KEYS)
    async def test_a_key_may_hold_any_plain_character(self, blobs: Blobs, key: str) -> None:
        uri = f"s3://bucket/{key}/{key}"
        await blobs.put(uri, CONTENT)
        assert await blobs.get(uri) == CONTENT
        assert list(await blobs.list("s3://bucket/")) == [uri]

    async def test_putting_again_keeps_the_first_object(self, blobs: Blobs) -> None:
        await blobs.put(URI, b"first")
        await blobs.put(URI, b"second, longer")
        assert await blobs.get(URI) == b"first"

    async def test_racing_puts_leave_one_whole_object(self, blobs: Blobs) -> None:
        contents = [bytes([65 + i]) * 200_000 for i in range(8)]
        await asyncio.gather(*(blobs.put(URI, content) for content in contents))
        assert await blobs.get(URI) in contents

    async def test_put_folder_stores_every_file_under_its_name(self, blobs: Blobs, tmp_path: Path) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "text.txt").write_bytes(b"one")
        (folder / "meta.json").write_bytes(b"{}")
        await blobs.put_folder("s3://bucket/a/b/", folder)
        assert await blobs.get("s3://bucket/a/b/text.txt") == b"one"
        assert await blobs.list("s3://bucket/a/") == ["s3://bucket/a/b/meta.json", "s3://bucket/a/b/text.txt"]

    async def test_put_file_stores_the_content(self, blobs: Blobs, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(CONTENT * 1000)
        await blobs.put_file(URI, source)
        assert await blobs.get(URI) == CONTENT * 1000

    async def test_put_file_keeps_the_first_object_too(self, blobs: Blobs, tmp_path: Path) -> None:
        for content in (b"first", b"second"):
            source = tmp_path / "source"
            source.write_bytes(content)
            await blobs.put_file(URI, source)
        assert await blobs.get(URI) == b"first"

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, 4, b"0123"),
            (3, 4, b"3456"),
            (3, None, b"3456789"),
            (8, 100, b"89"),
            (0, 10, CONTENT),
            (0, 11, CONTENT),
            (9, 1, b"9"),
            (10, 1, b""),
            (10, None, b""),
            (11, 5, b""),
            (1_000_000, 1, b""),
            (4, 0, b""),
        ],
    )
    async def test_a_range_ends_with_the_object(
        self, blobs: Blobs, start: int, length: int | None, expected: bytes
    ) -> None:
        await blobs.put(URI, CONTENT)
        assert await blobs.get(URI, start, length) == expected

    async def test_a_range_of_an_empty_object_is_empty(self, blobs: Blobs) -> None:
        await blobs.put(URI, b"")
        assert await blobs.get(URI, 0, 10) == b""

    @pytest.mark.parametrize("chunk_bytes", [1 << 20, 300_000])
    async def test_stream_gives_all_of_it_in_order(self, blobs: Blobs, chunk_bytes: int) -> None:
        data = b"".join(i.to_bytes(4, "big") for i in range(300_000))
        await blobs.put(URI, data)
        chunks = [chunk async for chunk in blobs.stream(URI, chunk_bytes)]
        assert b"".join(chunks) == data
        assert max(map(len, chunks)) <= 8 * chunk_bytes

    @pytest.mark.parametrize("form", ["{}", '"{}"'])
    async def test_an_object_is_streamed_if_its_etag_is_the_one_named(self, blobs: Blobs, form: str) -> None:
        await blobs.put(URI, CONTENT)
        etag = form.format(hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
        assert b"".join([chunk async for chunk in blobs.stream(URI, etag=etag)]) == CONTENT

    @pytest.mark.parametrize(("version_id", "etag"), [(None, "0" * 32), ("none-such", None)])
    async def test_an_object_other_than_the_one_named_is_refused(
        self, blobs: Blobs, version_id: str | None, etag: str | None
    ) -> None:
        await blobs.put(URI, CONTENT)
        with pytest.raises(BlobChanged, match=URI):
            await anext(aiter(blobs.stream(URI, version_id=version_id, etag=etag)))
        with pytest.raises(BlobNotFound) as missing:
            await anext(aiter(blobs.stream("s3://bucket/missing", version_id=version_id, etag=etag)))
        assert type(missing.value) is BlobNotFound

    async def test_what_is_not_there_is_not_found(self, blobs: Blobs) -> None:
        await blobs.put("s3://bucket/folder/object", CONTENT)
        for missing in (URI, "s3://bucket/folder", "s3://other/folder/object"):
            with pytest.raises(BlobNotFound, match=missing):
                await blobs.get(missing)
            with pytest.raises(BlobNotFound):
                await blobs.get(missing, 1, 2)
            with pytest.raises(BlobNotFound):
                await blobs.size(missing)
            with pytest.raises(BlobNotFound):
                await anext(aiter(blobs.stream(missing)))
            assert blobs.local_path(missing) is None

    async def test_list_gives_what_is_below_a_prefix_sorted(self, blobs: Blobs) -> None:
        inside = ["s3://second/p/1", "s3://second/p/10", "s3://second/p/2/deep/er"]
        for uri in [*inside, "s3://second/pq/1", "s3://second/q", "s3://other/p/1"]:
            await blobs.put(uri, CONTENT)
        assert list(await blobs.list("s3://second/p/")) == inside
        assert list(await blobs.list("s3://second/nothing/")) == []

    async def test_delete_prefix_removes_what_is_below_and_nothing_else(self, blobs: Blobs) -> None:
        for uri in ("s3://second/p/1", "s3://second/p/2/deep", "s3://second/pq/1", "s3://other/p/1"):
            await blobs.put(uri, CONTENT)
        await blobs.delete_prefix("s3://second/p/")
        assert list(await blobs.list("s3://second/")) == ["s3://second/pq/1"]
        assert await blobs.get("s3://other/p/1") == CONTENT
        with pytest.raises(BlobNotFound):
            await blobs.get("s3://second/p/1")

    async def test_a_deleted_name_can_be_used_again(self, blobs: Blobs) -> None:
        await blobs.put("s3://second/p/1", b"old")
        await blobs.delete_prefix("s3://second/p/")
        await blobs.put("s3://second/p/1", b"new")
        assert await blobs.get("s3://second/p/1") == b"new"

    async def test_delete_removes_one_object(self, blobs: Blobs) -> None:
        for uri in ("s3://second/p/1", "s3://second/p/1x", "s3://second/p/2"):
            await blobs.put(uri, CONTENT)
        await blobs.delete("s3://second/p/1")
        assert list(await blobs.list("s3://second/")) == ["s3://second/p/1x", "s3://second/p/2"]

    async def test_deleting_nothing_is_no_error(self, blobs: Blobs) -> None:
        await blobs.delete_prefix("s3://second/nothing/")
        await blobs.delete("s3://second/nothing")

    async def test_a_local_path_is_a_file_with_the_content(self, blobs: Blobs) -> None:
        await blobs.put(URI, CONTENT)
        path = blobs.local_path(URI)
        assert path is None or path.read_bytes() == CONTENT

    @pytest.mark.parametrize("uri", NOT_OBJECTS)
    async def test_a_uri_that_names_no_object_is_refused(
        self, blobs: Blobs, tmp_path: Path, uri: str
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(CONTENT)
        for attempt in (
            blobs.put(uri, CONTENT),
            blobs.put_file(uri, source),
            blobs.get(uri),
            blobs.size(uri),
        ):
            with pytest.raises(ValidationFailed):
                await attempt
        with pytest.raises(ValidationFailed):
            blobs.local_path(uri)
        assert source.read_bytes() == CONTENT

    @pytest.mark.parametrize("prefix", ["s3://b/p", "s3://b", "s3:///", "s3://b/../", "b/p/", "/", ""])
    async def test_a_prefix_ends_in_a_slash_and_stays_inside(self, blobs: Blobs, prefix: str) -> None:
        with pytest.raises(ValidationFailed):
            await blobs.list(prefix)
        with pytest.raises(ValidationFailed):
            await blobs.delete_prefix(prefix)
