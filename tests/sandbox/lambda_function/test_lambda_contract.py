"""The `lambda` runner keeps the sandbox's contract, over real sockets and the real runtime client."""

from __future__ import annotations

import pytest

from rlm_rs.core.ports import Blobs, Sandbox
from rlm_rs.runners.lambda_runner import LambdaRunner
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.testing.sandbox_contract import SandboxContract


class TestLambdaRunner(SandboxContract):
    @pytest.fixture
    def sandbox(self, runner: LambdaRunner) -> Sandbox:
        return runner

    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs()
