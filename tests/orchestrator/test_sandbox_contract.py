"""The runners keep the sandbox's contract: the one that replays, and the one that lets a process wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from stage import InProcessSandbox

from rlm_rs.core.ports import Blobs, Sandbox
from rlm_rs.runners.image import CorpusImages
from rlm_rs.runners.process import ProcessConfig, ProcessRunner
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.testing.sandbox_contract import SandboxContract


class TestInProcessSandbox(SandboxContract):
    enforces_limits = False

    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs()

    @pytest.fixture
    def sandbox(self, blobs: Blobs, tmp_path: Path) -> Sandbox:
        return InProcessSandbox(blobs, tmp_path)


class TestProcessRunner(SandboxContract):
    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs()

    @pytest.fixture
    async def sandbox(self, blobs: Blobs, tmp_path: Path) -> AsyncIterator[Sandbox]:
        runner = ProcessRunner(CorpusImages(blobs, tmp_path), ProcessConfig(running=4, spares=2))
        yield runner
        await runner.close()
