"""Temporary folders: there while their process is, and not much longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rlm_rs.wiring.spool import Spool

KILLED = """
import os, sys
from pathlib import Path
from rlm_rs.wiring.spool import Spool
spool = Spool(Path(sys.argv[1]))
(spool.folder() / "upload").write_text("half a document")
os.kill(os.getpid(), 9)
"""


def test_it_is_there_until_it_is_closed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    assert not (tmp_path / "spool").exists()
    (spool.folder() / "file").write_text("text")
    assert spool.folder() == spool.folder()
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []
    spool.close()


def test_what_a_killed_process_left_goes_with_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert len(list(tmp_path.rglob("upload"))) == 1
    spool = Spool(tmp_path)
    spool.folder()
    assert list(tmp_path.rglob("upload")) == []
    spool.close()


def test_the_folder_of_a_living_process_stays(tmp_path: Path) -> None:
    first, second = Spool(tmp_path), Spool(tmp_path)
    (first.folder() / "upload").write_text("a document")
    second.folder()
    assert (first.folder() / "upload").read_text() == "a document"
    second.close()
    assert (first.folder() / "upload").exists()
    first.close()
