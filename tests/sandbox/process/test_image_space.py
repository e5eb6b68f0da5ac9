"""Corpus images stay within their bounds, and one that was removed is built again."""

from __future__ import annotations

import os
from pathlib import Path

from rlm_rs.runners.image import CorpusImage, CorpusImages, open_all
from rlm_rs.runners.image_space import MANIFEST, ImageSpace, make_room
from rlm_rs.storage.blobs import MemoryBlobs

from .conftest import MakeCorpus

AGES = (5_000, 3_000, 1_000)


async def three(images: CorpusImages, make_corpus: MakeCorpus) -> list[CorpusImage]:
    """Images of three sessions, the first used longest ago."""
    made = [await images.ensure(await make_corpus("x" * 10_000, session=f"s{n}")) for n in range(3)]
    for image, age in zip(made, AGES, strict=True):
        manifest = image.directory / MANIFEST
        seconds = manifest.stat().st_mtime - age
        os.utime(manifest, (seconds, seconds))
    return made


def there(made: list[CorpusImage]) -> list[bool]:
    return [image.directory.exists() for image in made]


async def test_those_used_longest_ago_make_way(images: CorpusImages, make_corpus: MakeCorpus) -> None:
    made = await three(images, make_corpus)
    root = made[0].directory.parents[2]
    make_room(root, ImageSpace(max_bytes=1 << 20), but=made[2].directory)
    assert there(made) == [True, True, True]
    make_room(root, ImageSpace(max_bytes=23_000), but=made[2].directory)
    assert there(made) == [False, True, True]


async def test_the_one_just_made_stays_whatever_its_size(
    images: CorpusImages, make_corpus: MakeCorpus
) -> None:
    made = await three(images, make_corpus)
    make_room(made[0].directory.parents[2], ImageSpace(max_bytes=1), but=made[0].directory)
    assert there(made) == [True, False, False]


async def test_what_nobody_uses_does_not_stay(images: CorpusImages, make_corpus: MakeCorpus) -> None:
    made = await three(images, make_corpus)
    make_room(made[0].directory.parents[2], ImageSpace(idle_seconds=2_000), but=made[2].directory)
    assert there(made) == [False, False, True]


async def test_using_an_image_keeps_it(
    images: CorpusImages, blobs: MemoryBlobs, make_corpus: MakeCorpus
) -> None:
    made = await three(images, make_corpus)
    await images.ensure(await make_corpus("x" * 10_000, session="s0"))
    make_room(made[0].directory.parents[2], ImageSpace(idle_seconds=2_000), but=made[2].directory)
    assert there(made) == [True, False, True]


async def test_building_an_image_makes_room_for_it(
    blobs: MemoryBlobs, tmp_path: Path, make_corpus: MakeCorpus
) -> None:
    images = CorpusImages(blobs, tmp_path, ImageSpace(max_bytes=15_000))
    first = await images.ensure(await make_corpus("x" * 10_000, session="s0"))
    second = await images.ensure(await make_corpus("x" * 10_000, session="s1"))
    assert there([first, second]) == [False, True]


async def test_a_removed_image_is_built_again_and_read_to_its_end(
    blobs: MemoryBlobs, tmp_path: Path, make_corpus: MakeCorpus
) -> None:
    images = CorpusImages(blobs, tmp_path, ImageSpace(max_bytes=15_000))
    corpus = await make_corpus("x" * 10_000, session="s0")
    opened = open_all(await images.ensure(corpus))
    await images.ensure(await make_corpus("y" * 10_000, session="s1"))
    assert os.pread(opened[4], 5, 0) == b"xxxxx"
    for descriptor in opened:
        os.close(descriptor)
    images.forget(corpus)
    assert (await images.ensure(corpus)).directory.exists()
