from __future__ import annotations

import io
import os
import resource
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from parser_documents import deflate_bomb, docx, zipped

from rlm_rs.core.errors import SourceNotFound, StorageFailed, ValidationFailed
from rlm_rs.parser.archives import DEFAULT_LIMITS, ArchiveLimits
from rlm_rs.parser.failures import DocumentBomb, DocumentCorrupt
from rlm_rs.parser.sources import Source, discover
from rlm_rs.parser.zips import check_directory

Find = Callable[..., list[Source]]


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Find:
    """`discover` in an empty working directory."""
    work, spool = tmp_path / "work", tmp_path / "spool"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(*paths: str, stdin: bytes = b"", limits: ArchiveLimits = DEFAULT_LIMITS) -> list[Source]:
        return discover(paths, spool_dir=spool, stdin=io.BytesIO(stdin), limits=limits)

    return run


def make(files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def names(sources: list[Source]) -> list[str]:
    return [source.source_name for source in sources]


def codes(sources: list[Source]) -> list[str | None]:
    return [source.failure and source.failure.code for source in sources]


class TestFolders:
    def test_files_come_sorted_and_named_relative_to_the_folder(self, find: Find) -> None:
        make({"docs/b.txt": "b", "docs/a/z.md": "z", "docs/a/y.txt": "y", "docs/c.pdf": "c"})
        sources = find("docs")
        assert names(sources) == ["a/y.txt", "a/z.md", "b.txt", "c.pdf"]
        assert [source.mime_type for source in sources][1] == "text/markdown"
        assert [source.path.read_bytes() for source in sources] == [b"y", b"z", b"b", b"c"]

    def test_hidden_files_and_folders_are_left_out(self, find: Find) -> None:
        make({"d/.env": "x", "d/.git/config": "x", "d/.cache/a.txt": "x", "d/a.txt": "a"})
        assert names(find("d")) == ["a.txt"]

    def test_gitignore_files_are_respected_the_innermost_first(self, find: Find) -> None:
        make(
            {
                "d/.gitignore": "*.log\nbuild/\n/only-here.txt\n",
                "d/a.log": "x",
                "d/only-here.txt": "x",
                "d/build/o.txt": "x",
                "d/sub/.gitignore": "!keep.log\n",
                "d/sub/keep.log": "k",
                "d/sub/other.log": "x",
                "d/sub/only-here.txt": "o",
            }
        )
        assert names(find("d")) == ["sub/keep.log", "sub/only-here.txt"]

    @pytest.mark.parametrize("line", ["!", "\\", "a\\", "[z-a]", "a[[:foo:]]", "[", "a" * 100_000])
    def test_a_line_of_a_gitignore_that_is_no_pattern_is_left_out(self, find: Find, line: str) -> None:
        make({"d/.gitignore": f"*.log\n{line}\n!b.log\n", "d/a.log": "x", "d/b.log": "b"})
        assert names(find("d")) == ["b.log"]

    def test_a_gitignore_of_many_lines_counts_whole(self, find: Find) -> None:
        lines = [f"ab{number}*.x{number}/**/foo" for number in range(3_000)]
        make({"d/.gitignore": "\n".join(["*.log", *lines, "!b.log"]), "d/a.log": "x", "d/b.log": "b"})
        assert names(find("d")) == ["b.log"]

    def test_a_gitignore_that_is_no_file_or_no_text_of_anybody_is_not_read(self, find: Find) -> None:
        make(
            {"pipe/a.txt": "a", "device/b.txt": "b", "huge/c.txt": "c", "huge/.gitignore": "*\n" * (1 << 20)}
        )
        os.mkfifo("pipe/.gitignore")
        os.symlink("/dev/zero", "device/.gitignore")
        assert names(find("pipe", "device", "huge")) == ["a.txt", "b.txt", "c.txt"]

    def test_rules_of_the_repository_above_count(self, find: Find) -> None:
        make({"r/.git/HEAD": "x", "r/.gitignore": "*.tmp\n", "r/d/a.txt": "a", "r/d/b.tmp": "x"})
        assert names(find("r/d")) == ["a.txt"]

    def test_a_folder_that_is_named_is_read_although_it_is_ignored(self, find: Find) -> None:
        make({"r/.git/HEAD": "x", "r/.gitignore": "out/\n", "r/out/a.txt": "a"})
        assert names(find("r/out")) == ["a.txt"]

    def test_a_file_that_is_named_is_read_although_it_is_ignored(self, find: Find) -> None:
        make({"d/.gitignore": "*.log\n", "d/a.log": "a"})
        assert names(find("d/a.log")) == ["a.log"]

    def test_link_cycles_end(self, find: Find) -> None:
        make({"d/sub/a.txt": "a"})
        os.symlink("..", "d/sub/up")
        os.symlink("sub", "d/again")
        assert sorted(source.path.name for source in find("d")) == ["a.txt"]

    def test_links_to_files_are_followed_and_broken_ones_fail_alone(self, find: Find) -> None:
        make({"elsewhere.txt": "e", "d/a.txt": "a"})
        os.symlink("../elsewhere.txt", "d/link.txt")
        os.symlink("nowhere", "d/broken.txt")
        sources = find("d")
        assert names(sources) == ["a.txt", "broken.txt", "link.txt"]
        assert [source.failure.code if source.failure else None for source in sources] == [
            None,
            "PARSE_UNREADABLE",
            None,
        ]

    def test_devices_and_pipes_in_folders_are_left_out(self, find: Find) -> None:
        make({"d/a.txt": "a"})
        os.mkfifo("d/pipe")
        assert names(find("d")) == ["a.txt"]

    def test_ten_thousand_files_are_found(self, find: Find) -> None:
        Path("d").mkdir()
        for number in range(10_000):
            os.close(os.open(f"d/{number}.txt", os.O_CREAT))
        Path("d/.gitignore").write_text("\n".join(f"*.o{number}" for number in range(10)))
        assert len(find("d")) == 10_000

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_an_unreadable_file_fails_alone(self, find: Find) -> None:
        make({"d/a.txt": "a", "d/b.txt": "b"})
        Path("d/a.txt").chmod(0)
        assert [bool(source.failure) for source in find("d")] == [True, False]


class TestNames:
    def test_files_are_named_as_they_are_called(self, find: Find) -> None:
        make({"x/a.txt": "1", "y/b.txt": "2"})
        assert names(find("x/a.txt", "y/b.txt")) == ["a.txt", "b.txt"]

    def test_equal_names_get_their_folder_then_a_number(self, find: Find) -> None:
        make({"x/d/a.txt": "1", "y/d/a.txt": "2", "z/d/a.txt": "3"})
        assert names(find("x/d", "y/d", "z/d/a.txt")) == ["a.txt", "d/a.txt", "d/a (2).txt"]

    def test_a_file_named_twice_is_read_once(self, find: Find) -> None:
        make({"d/a.txt": "1"})
        assert names(find("d", "d/a.txt", "./d/../d/a.txt")) == ["a.txt"]

    def test_names_that_are_not_utf8_are_made_readable(self, find: Find) -> None:
        make({"d/a.txt": "1"})
        Path(os.fsdecode(b"d/caf\xe9.txt")).write_bytes(b"x")
        assert names(find("d")) == ["a.txt", "caf\ufffd.txt"]


class TestGlobs:
    def test_a_star_stays_within_a_folder(self, find: Find) -> None:
        make({"d/a.txt": "1", "d/b.md": "2", "d/sub/c.txt": "3"})
        assert names(find("d/*.txt")) == ["a.txt"]

    def test_two_stars_go_through_folders(self, find: Find) -> None:
        make({"d/a.txt": "1", "d/sub/c.txt": "3", "d/sub/.hidden/x.txt": "x", "d/b.md": "2"})
        assert names(find("d/**/*.txt")) == ["a.txt", "sub/c.txt"]

    def test_a_pattern_that_cannot_be_read_says_so(self, find: Find) -> None:
        make({"d/sub/a\\": "1"})
        with pytest.raises(ValidationFailed, match="cannot be read"):
            find("d/**/a\\")

    def test_folders_that_match_are_read(self, find: Find) -> None:
        make({"d/one/a.txt": "1", "d/two/a.txt": "2"})
        assert names(find("d/*")) == ["one/a.txt", "two/a.txt"]

    def test_a_file_whose_name_looks_like_a_pattern_is_that_file(self, find: Find) -> None:
        make({"a[1].txt": "1"})
        assert names(find("a[1].txt")) == ["a[1].txt"]


class TestNothing:
    @pytest.mark.parametrize("path", ["missing.txt", "missing/", "*.nothing", "d/**/*.nothing"])
    def test_what_is_not_there_is_said_before_anything_is_read(self, find: Find, path: str) -> None:
        make({"d/a.txt": "1"})
        with pytest.raises(SourceNotFound) as raised:
            find("-", path)
        assert raised.value.details["path"] == path

    def test_an_empty_folder_is_an_error_that_says_what_to_do(self, find: Find) -> None:
        make({"d/.hidden": "x"})
        with pytest.raises(ValidationFailed) as raised:
            find("d")
        assert raised.value.message.startswith("d: there is nothing to read in it")
        assert "\n" not in raised.value.message

    def test_no_path_at_all_is_an_error(self, find: Find) -> None:
        with pytest.raises(ValidationFailed, match="at least one"):
            find()

    def test_a_device_fails(self, find: Find) -> None:
        (source,) = find("/dev/null")
        assert source.failure is not None
        assert source.failure.code == "PARSE_UNSUPPORTED"


class TestStreams:
    def test_standard_input_is_a_source(self, find: Find) -> None:
        (source,) = find("-", stdin=b"piped")
        assert (source.source_name, source.byte_length, source.path.read_bytes()) == ("stdin", 5, b"piped")

    def test_too_much_of_it_fails(self, find: Find) -> None:
        (source,) = find("-", stdin=b"x" * 2000, limits=ArchiveLimits(total_bytes=1000))
        assert source.failure is not None
        assert source.failure.code == "PARSE_TOO_LARGE"


def tar(path: str, members: Mapping[str, bytes], mode: str = "w:gz") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


class TestArchives:
    def test_a_zip_is_its_files_also_the_nested_ones(self, find: Find) -> None:
        inner = zipped({"deep.txt": "deep"})
        make(
            {
                "a.zip": zipped(
                    {"in/one.txt": "1", "two.zip": inner, "__MACOSX/x": "x", ".hidden": "x", "e/": ""}
                )
            }
        )
        sources = find("a.zip")
        assert names(sources) == ["a.zip/in/one.txt", "a.zip/two.zip/deep.txt"]
        assert [source.path.read_bytes() for source in sources] == [b"1", b"deep"]

    def test_office_files_are_documents_not_archives(self, find: Find) -> None:
        make({"d/a.docx": docx("<w:p/>")})
        assert names(find("d")) == ["a.docx"]

    @pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar"])
    def test_a_tar_is_its_files(self, find: Find, name: str) -> None:
        tar(name, {"x/a.txt": b"1", "b.txt": b"2"}, "w" if name.endswith(".tar") else "w:gz")
        assert names(find(name)) == [f"{name}/x/a.txt", f"{name}/b.txt"]

    @pytest.mark.parametrize("evil", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "..\\evil.txt"])
    def test_members_that_point_outside_fail_and_write_nothing_there(self, find: Find, evil: str) -> None:
        make({"a.zip": zipped({evil: "x", "good.txt": "g"})})
        tar("b.tar.gz", {evil: b"x", "good.txt": b"g"})
        for source in find("a.zip", "b.tar.gz"):
            assert (source.failure is None) == source.source_name.endswith("good.txt")
            assert ".." not in source.source_name
        assert not list(Path("..").rglob("evil*"))

    def test_links_in_archives_are_left_out(self, find: Find) -> None:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        with zipfile.ZipFile("a.zip", "w") as archive:
            archive.writestr(link, "/etc/passwd")
            archive.writestr("a.txt", "a")
        assert names(find("a.zip")) == ["a.zip/a.txt"]

    def test_an_encrypted_member_fails_alone(self, find: Find) -> None:
        data = bytearray(zipped({"a.txt": "a", "b.txt": "b"}))
        data[6] |= 1
        data[data.find(b"PK\1\2") + 8] |= 1
        make({"a.zip": bytes(data)})
        first, second = find("a.zip")
        assert first.failure is not None
        assert first.failure.code == "PARSE_ENCRYPTED"
        assert second.failure is None

    def test_a_damaged_member_fails_alone(self, find: Find) -> None:
        data = bytearray(zipped({"a.txt": "a" * 50, "b.txt": "b"}))
        data[36] ^= 0xFF
        make({"a.zip": bytes(data)})
        first, second = find("a.zip")
        assert first.failure is not None
        assert first.failure.code == "PARSE_CORRUPT"
        assert second.failure is None

    @pytest.mark.parametrize(
        ("data", "limits", "code"),
        [
            (deflate_bomb(["a", "b"], 40), ArchiveLimits(), "PARSE_BOMB"),
            (zipped({str(n): "x" for n in range(50)}), ArchiveLimits(members=20), "PARSE_BOMB"),
            (zipped({"a.txt": os.urandom(5000)}), ArchiveLimits(total_bytes=1000), "PARSE_TOO_LARGE"),
            (b"PK\3\4 and then nothing", ArchiveLimits(), "PARSE_CORRUPT"),
            (b"not an archive at all", ArchiveLimits(), "PARSE_CORRUPT"),
            (b"", ArchiveLimits(), "PARSE_CORRUPT"),
            (zipped({}), ArchiveLimits(), "PARSE_EMPTY"),
        ],
        ids=["ratio", "members", "size", "cut off", "mislabelled", "no bytes", "empty"],
    )
    def test_a_bad_archive_is_one_failed_source(
        self, find: Find, data: bytes, limits: ArchiveLimits, code: str
    ) -> None:
        make({"d/a.zip": data, "d/b.txt": "b"})
        archive, other = find("d", limits=limits)
        assert archive.source_name == "a.zip"
        assert archive.failure is not None
        assert archive.failure.code == code
        assert other.failure is None

    def test_a_tar_bomb_is_stopped_while_it_unpacks(self, find: Find) -> None:
        tar("a.tar.gz", {"a": bytes(40 << 20), "b": bytes(40 << 20)})
        assert find("a.tar.gz")[-1].failure is not None
        assert find("a.tar.gz")[-1].failure.code == "PARSE_BOMB"  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        "header",
        [
            {"type": tarfile.GNUTYPE_LONGNAME},
            {"type": tarfile.GNUTYPE_LONGLINK},
            {"type": tarfile.XHDTYPE},
            {"type": tarfile.XGLTYPE},
        ],
        ids=["long name", "long link", "pax", "pax for all"],
    )
    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
    def test_headers_of_a_tar_cannot_fill_the_memory(
        self, find: Find, header: dict[str, bytes], mode: str
    ) -> None:
        info = tarfile.TarInfo("header")
        info.type, info.size = header["type"], 20 << 20
        with tarfile.open("a.tar", mode) as archive:  # type: ignore[call-overload]
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        tracemalloc.start()
        (source,) = find("a.tar")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert source.failure is not None
        assert source.failure.code == "PARSE_BOMB"
        assert "header" in source.failure.message
        assert peak < 10 << 20

    def test_many_headers_for_all_members_cannot_either(self, find: Find) -> None:
        with tarfile.open("a.tar", "w") as archive:
            for number in range(10):
                record = b"9999 k%d=" % number
                info = tarfile.TarInfo("header")
                info.type, info.size = tarfile.XGLTYPE, 9_999
                archive.addfile(info, io.BytesIO(record + b"x" * (9_998 - len(record)) + b"\n"))
                archive.addfile(tarfile.TarInfo(f"{number}.txt"))
        assert codes(find("a.tar"))[-1] == "PARSE_BOMB"

    def test_names_of_any_usual_length_are_read(self, find: Find) -> None:
        name = "n/" * 2_000 + "a.txt"
        for archive_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            with tarfile.open("a.tar", "w", format=archive_format) as archive:
                archive.addfile(tarfile.TarInfo(name))
            assert names(find("a.tar")) == [f"a.tar/{name}"]

    def test_a_chain_of_headers_and_a_size_below_zero_end(self, find: Find) -> None:
        info = tarfile.TarInfo("header")
        info.type = tarfile.GNUTYPE_LONGNAME
        Path("a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) * 2_000)
        below = tarfile.TarInfo("a.txt")
        below.size = -1_024
        Path("b.tar").write_bytes(tarfile.TarInfo("x").tobuf() * 3 + below.tobuf(tarfile.GNU_FORMAT))
        assert codes(find("a.tar")) == ["PARSE_CORRUPT"]
        assert codes(find("b.tar"))[-1] == "PARSE_CORRUPT"

    @pytest.mark.parametrize("lie", ["entries", "zip64", "zip64 elsewhere"])
    def test_a_directory_that_is_longer_than_it_says_is_refused(self, find: Find, lie: str) -> None:
        data = zipped({f"{number}.txt": "" for number in range(2_000)})
        size, start = struct.unpack_from("<2L", data, len(data) - 10)
        end = data[-22:-14] + struct.pack("<2H2LH", 1, 1, size, start, 0)
        if lie != "entries":
            record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2_000, 2_000, size, start)
            place = len(data) - 22 if lie == "zip64" else 0
            record += struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)
            end = record + data[-22:-14] + struct.pack("<2H2LH", 1, 1, 50, start, 0)
        make({"a.zip": data[:-22] + end})
        assert len(zipfile.ZipFile("a.zip").namelist()) == 2_000
        # before anything of it is read
        with pytest.raises(DocumentCorrupt if lie == "zip64 elsewhere" else DocumentBomb):
            check_directory(Path("a.zip"), 1_000)

    def test_a_zip64_is_its_files(self, find: Find) -> None:
        data = zipped({"a.txt": "a"})
        size, start = struct.unpack_from("<2L", data, len(data) - 10)
        record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, start)
        record += struct.pack("<4sLQL", b"PK\6\7", 0, len(data) - 22, 1)
        end = data[-22:-14] + struct.pack("<2H2LH", 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        make({"a.zip": data[:-22] + record + end})
        assert names(find("a.zip")) == ["a.zip/a.txt"]

    @pytest.mark.parametrize(
        ("limits", "code"),
        [(ArchiveLimits(total_bytes=25_000), "PARSE_TOO_LARGE"), (ArchiveLimits(members=12), "PARSE_BOMB")],
        ids=["bytes", "members"],
    )
    def test_what_is_inside_archives_counts_for_the_whole(
        self, find: Find, limits: ArchiveLimits, code: str
    ) -> None:
        inner = zipped({f"{number}.txt": "x" * 2_000 for number in range(4)})
        make({"a.zip": zipped({f"{number}.zip": inner for number in range(4)})})
        assert codes(find("a.zip")) == [None] * 16
        assert codes(find("a.zip", limits=limits)) == [None] * 8 + [code] * 2

    def test_the_ratio_is_that_of_the_whole(self, find: Find) -> None:
        inner = zipped({"a.txt": bytes(1 << 20)})
        make({"a.zip": zipped({"a.zip": zipped({f"{number}.zip": inner for number in range(40)})})})
        limits = ArchiveLimits(ratio=2_000, floor_bytes=0)
        assert "PARSE_BOMB" in codes(find("a.zip", limits=limits))

    def test_a_full_disk_is_not_the_fault_of_an_archive(self, find: Find) -> None:
        make({"a.zip": zipped({"a.txt": os.urandom(50_000)}), "b.txt": "b"})
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
        try:
            for path, piped in (("a.zip", b""), ("-", bytes(50_000))):
                with pytest.raises(StorageFailed, match=r"The disk .*: File too large\. Make room") as raised:
                    find("b.txt", path, stdin=piped)
                assert "\n" not in raised.value.message
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    def test_archives_are_opened_three_deep_and_no_deeper(self, find: Find) -> None:
        data: bytes = zipped({"end.txt": "x"})
        for _ in range(4):
            data = zipped({"in.zip": data})
        make({"a.zip": data})
        assert names(find("a.zip")) == ["a.zip/in.zip/in.zip/in.zip"]

    def test_what_is_unpacked_is_not_found_again(self, find: Find, tmp_path: Path) -> None:
        make({"a.zip": zipped({"x.txt": "x"})})
        for _ in range(2):
            sources = discover(["."], spool_dir=Path("spool"))
        assert names(sources) == ["a.zip/x.txt"]
