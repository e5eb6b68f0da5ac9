"""A function as its zip unpacks, served by Lambda on loopback, with documents served by links."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import boto3
import pytest
import re2
import stringzilla

from rlm_rs.runners.lambda_calls import LambdaCalls, client_of
from rlm_rs.runners.lambda_runner import LambdaConfig, LambdaRunner, Stored
from rlm_rs.runners.stored_image import StoredImages
from rlm_rs.storage.blobs import MemoryBlobs
from rlm_rs.testing.lambda_service import LambdaService
from rlm_rs.testing.object_server import ObjectServer

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SCRIPT = Path(__file__).parents[3] / "scripts" / "make_lambda_zip.py"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_lambda_zip", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def zip_script() -> ModuleType:
    return _script()


@pytest.fixture(scope="session")
def task_root(tmp_path_factory: pytest.TempPathFactory, zip_script: ModuleType) -> Path:
    """What the zip for this Python unpacks to; the engines are linked, not copied."""
    root = tmp_path_factory.mktemp("task")
    for name, data in zip_script.program(PYTHON).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for engine in (Path(re2.__file__).parent, Path(stringzilla.__file__)):
        (root / engine.name).symlink_to(engine)
    return root


@pytest.fixture
async def service(task_root: Path) -> AsyncIterator[LambdaService]:
    async with LambdaService(task_root) as service:
        yield service


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
async def objects(blobs: MemoryBlobs) -> AsyncIterator[ObjectServer]:
    async with ObjectServer(blobs) as objects:
        yield objects


def calls_of(endpoint: str, name: str) -> LambdaCalls:
    """Calls by the client that the composition root makes, of a service on loopback."""
    session = boto3.session.Session("test", "test", region_name="eu-central-1")
    return LambdaCalls(client_of(session, endpoint, 40, 8), name, threads=8)


@pytest.fixture
def images(blobs: MemoryBlobs, tmp_path: Path) -> StoredImages:
    return StoredImages(blobs, "bucket", tmp_path / "spool")


@pytest.fixture
async def runner(
    service: LambdaService, blobs: MemoryBlobs, objects: ObjectServer, images: StoredImages
) -> AsyncIterator[LambdaRunner]:
    config = LambdaConfig("bucket", timeout_seconds=30.0, wall_factor=1.0, wall_grace_seconds=1.0)
    calls = calls_of(service.endpoint, "rlm-sandbox")
    runner = LambdaRunner(calls, Stored(blobs, objects, images), config)
    yield runner
    await runner.close()
