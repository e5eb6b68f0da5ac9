"""What the attacks are after."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from socket import create_server, socket

import pytest

from .drive import Scene

SECRET = "the-secret-of-this-folder"


class Prize:
    """What the attacks are after, and whether it is still there."""

    def __init__(self, folder: Path, listener: socket, victim: subprocess.Popen[bytes]) -> None:
        self._folder = folder
        self._listener = listener
        self._victim = victim
        self.scene = Scene(str(folder), listener.getsockname()[1], victim.pid)

    def check(self) -> None:
        """Nothing was made, changed, removed, connected to or killed."""
        assert [path.name for path in self._folder.iterdir()] == ["secret.txt"]
        assert (self._folder / "secret.txt").read_text() == SECRET
        assert (self._folder / "secret.txt").stat().st_mode & 0o777 == 0o644
        assert self._victim.poll() is None
        with pytest.raises(BlockingIOError):
            self._listener.accept()


@pytest.fixture
def prize(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prize]:
    folder = tmp_path_factory.mktemp("prize")
    (folder / "secret.txt").write_text(SECRET)
    (folder / "secret.txt").chmod(0o644)
    folder.chmod(0o777)
    with create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with subprocess.Popen(["sleep", "600"], env={"PRIZE": SECRET}) as victim:
            yield Prize(folder, listener, victim)
            victim.kill()
