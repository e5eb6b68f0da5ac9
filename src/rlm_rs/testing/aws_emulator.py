"""An AWS emulator on a loopback port, for tests and benchmarks: MiniStack, in an environment of its own.

    with AwsEmulator(Path(".venv-ministack")) as emulator:
        account = Account(endpoint=emulator.endpoint)

It is started in a process group of its own, and the group is ended with it: workers would stay behind.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

HEALTH = "/_localstack/health"
START_SECONDS = 60.0
END_SECONDS = 10.0


class AwsEmulator:
    """MiniStack of the environment `venv`. endpoint: its URL, once it is started."""

    def __init__(self, venv: Path) -> None:
        self._program = venv / "bin" / "ministack"
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="rlm-emulator-")
        self.endpoint = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it on a free port and wait until it answers. Raises `RuntimeError` if it does not."""
        port = _free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        with Path(self._folder.name, "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._program)],
                env={**_environment(self._folder.name), "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                said = Path(self._folder.name, "log").read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"the AWS emulator did not start: {said}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it and every process it started."""
        if self._process is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                _signalled(self._process, number)
            self._process = None
        self._folder.cleanup()

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.endpoint}{HEALTH}", timeout=5) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False


def _environment(folder: str) -> dict[str, str]:
    quiet = {"LOG_LEVEL": "WARNING", "S3_PERSIST": "0", "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"}
    return {"PATH": os.environ.get("PATH", ""), "HOME": folder, "TMPDIR": folder, **quiet}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _signalled(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole group; it may be gone."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return
