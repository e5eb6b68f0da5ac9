"""The service on the AWS profile as real processes, each with a disk of its own, as on several machines."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

PEPPER = "pepper of the tests"
REGION = "eu-central-1"


class Programs:
    """Processes of one service: API processes and workers. They end with the block they are made in."""

    def __init__(self, folder: Path, endpoint: str, prefix: str, bucket: str, **more: str) -> None:
        self._folder = folder
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "RLM_PROFILE": "aws",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "DDB_TABLE_PREFIX": prefix,
            "S3_BUCKET": bucket,
            "API_KEY_PEPPER": PEPPER,
            "WORKER_POLL_INTERVAL_SECONDS": "0.1",
            **more,
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command line of `rlm`, to its end."""
        command = [sys.executable, "-m", "rlm_rs", *arguments]
        return subprocess.run(
            command, env=self._env(more), capture_output=True, text=True, timeout=60, check=False
        )

    def worker(self, **more: str) -> subprocess.Popen[bytes]:
        """A worker process."""
        return self._start("rlm_rs.worker_entrypoint", env=self._env(more))

    def api(self, key: str, **more: str) -> Api:
        """An API process without workers, once it answers."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            arguments = ("uvicorn", "rlm_rs.api.app:app", "--fd", str(listening.fileno()))
            env = self._env({"WORKER_MODE": "none", **more})
            process = self._start(
                *arguments, "--log-level", "warning", env=env, pass_fds=(listening.fileno(),)
            )
        client = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        return Api(process, client)

    def key(self, tenant: str = "acme") -> str:
        """A key, as an operator makes one."""
        made = self.run("keys", "create", "--tenant", tenant, "--name", "test", "--scope", "admin", *SCOPES)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def said(self) -> str:
        """The last of what the processes wrote, for a test that failed."""
        return (self._folder / "log").read_text(errors="replace")[-8000:]

    def end(self) -> None:
        """End every process that still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait(10)

    def _env(self, more: Mapping[str, str]) -> dict[str, str]:
        return {**self.env, "RLM_DATA_DIR": str(self._folder / uuid4().hex), **more}

    def _start(
        self, *arguments: str, env: Mapping[str, str], pass_fds: tuple[int, ...] = ()
    ) -> subprocess.Popen[bytes]:
        log = (self._folder / "log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=dict(env), pass_fds=pass_fds, stdout=log, stderr=log
        )
        log.close()
        self._started.append(process)
        return process


SCOPES = ("--scope", "read", "--scope", "write")


class Api:
    """An API process and a client of it."""

    def __init__(self, process: subprocess.Popen[bytes], client: httpx2.Client) -> None:
        self.process = process
        self.client = client

    def as_tenant(self, key: str) -> Api:
        """The same process, for whoever has this key."""
        headers = {"Authorization": f"Bearer {key}"}
        client = httpx2.Client(base_url=self.client.base_url, headers=headers, timeout=60)
        return Api(self.process, client)

    def until_ready(self, seconds: float = 120) -> Api:
        """Itself, once it is ready."""
        until(lambda: self.answers("/health/live"), seconds)
        return self

    def answers(self, path: str) -> bool:
        """Whether it answers well."""
        try:
            return bool(self.client.get(path).status_code == 200)
        except httpx2.TransportError:
            return False

    def post(self, path: str, expected: int = 200, **more: Any) -> dict[str, Any]:
        """The body of a reply with this status."""
        reply = self.client.post(path, **more)
        assert reply.status_code == expected, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def get(self, path: str) -> dict[str, Any]:
        """The body of a reply that is well."""
        reply = self.client.get(path)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def session(self, text: str, name: str = "lease.md") -> str:
        """A session of one document, once some worker has read it in."""
        uri = self.post("/v1/uploads", 201, params={"filename": name}, content=text.encode())["raw_s3_uri"]
        doc = {"source_name": name, "mime_type": "text/markdown", "raw_s3_uri": uri}
        made = self.post("/v1/sessions", 202, json={"ttl_minutes": 60, "docs": [doc]})
        session_id = str(made["session_id"])
        until(lambda: self.get(f"/v1/sessions/{session_id}")["readiness"]["ready"])
        return session_id


@contextmanager
def programs(folder: Path, endpoint: str, prefix: str, bucket: str, **more: str) -> Iterator[Programs]:
    """Processes over one set of tables and one bucket."""
    made = Programs(folder, endpoint, prefix, bucket, **more)
    try:
        yield made
    except BaseException:
        print(made.said())
        raise
    finally:
        made.end()


def until(holds: Any, seconds: float = 120) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it did not come to hold"
        time.sleep(0.05)
