"""The pepper of a data directory is made once, whoever asks first, and only its owner can read it."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlm_rs.core.errors import SettingInvalid
from rlm_rs.storage.pepper import PEPPER_FILE, kept_pepper

# past the memory of this process, as another process sees it
read_again = kept_pepper.__wrapped__


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    made = kept_pepper(tmp_path / "data")
    assert len(made) >= 32
    assert read_again(tmp_path / "data") == made


def test_two_directories_have_two(tmp_path: Path) -> None:
    assert kept_pepper(tmp_path / "a") != kept_pepper(tmp_path / "b")


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    kept_pepper(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data" / PEPPER_FILE).stat().st_mode) == 0o600


def test_those_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(read_again, [tmp_path / "data"] * 16))
    assert len(made) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == [PEPPER_FILE]


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_spoilt_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PEPPER_FILE).write_bytes(content)
    with pytest.raises(SettingInvalid, match="API_KEY_PEPPER"):
        kept_pepper(tmp_path)


def test_a_place_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SettingInvalid, match="API_KEY_PEPPER"):
        kept_pepper(tmp_path / "file" / "data")
