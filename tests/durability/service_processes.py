"""Starting programs of the service, and killing them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

Process = subprocess.Popen[bytes]


@dataclass
class Processes:
    """Every process of one test, each the leader of a group of its own; its log is in `folder`."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)
    listeners: list[socket.socket] = field(default_factory=list)

    def listener(self) -> socket.socket:
        """A socket that stays open while the server behind it is killed and started again."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listeners.append(listening)
        return listening

    def start(self, *args: str, listening: socket.socket | None = None, **settings: str) -> Process:
        """A Python program."""
        fds = (listening.fileno(),) if listening else ()
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        with (self.folder / f"log_{len(self.started)}.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *args],
                env={**kept, "HOME": str(self.folder), **self.settings, **settings},
                pass_fds=fds,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def serve(self, target: str, listening: socket.socket, **settings: str) -> Process:
        """A program that answers over HTTP, on a socket that is open already."""
        fd = str(listening.fileno())
        return self.start(
            "uvicorn", target, "--fd", fd, "--log-level", "warning", listening=listening, **settings
        )

    async def kill(self, process: Process) -> None:
        """`kill -9`, of this process alone: what it leaves behind must see to itself."""
        process.kill()
        await asyncio.to_thread(process.wait, 10)

    def end(self) -> None:
        """End whatever is left."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        for listening in self.listeners:
            listening.close()


def url_of(listening: socket.socket) -> str:
    """Where a listener can be reached."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"
