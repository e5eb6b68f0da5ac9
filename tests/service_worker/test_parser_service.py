"""The parser as a process of its own: the seed's contract, and the adapter that calls it."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from programs import Start

from rlm_rs.core.corpus import Failure, Parsed
from rlm_rs.core.errors import ParserFailed
from rlm_rs.parser.outcome import PARSER_VERSION
from rlm_rs.parser.remote import RemoteStoredParser
from rlm_rs.settings import load_settings
from rlm_rs.storage.blobs import DirectoryBlobs
from rlm_rs.wiring import wire

TEXT = "Zwölf Monate Kündigungsfrist.\r\nMonatliche Zahlung."
RAW = "s3://rlm/raw/tenant-a/1/lease.txt"
PREFIX = "s3://rlm/parsed/tenant-a/s/d/"


@pytest.fixture
async def blobs(tmp_path: Path) -> DirectoryBlobs:
    blobs = DirectoryBlobs(tmp_path / "data" / "blobs")
    await blobs.put(RAW, TEXT.encode())
    return blobs


@pytest.fixture
async def url(tmp_path: Path, start: Start, blobs: DirectoryBlobs) -> AsyncIterator[str]:
    """A parser service over these blobs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        arguments = ("uvicorn", "rlm_rs.parser.service:app", "--fd", str(listener.fileno()))
        env = {"RLM_DATA_DIR": str(tmp_path / "data")}
        start(*arguments, "--log-level", "warning", env=env, pass_fds=(listener.fileno(),))
        until = time.monotonic() + 30
        while not answers(base):
            assert time.monotonic() < until
        yield base


def answers(base: str) -> bool:
    try:
        with urlopen(f"{base}/health/live", timeout=30) as response:
            return bool(json.loads(response.read()) == {"status": "ok"})
    except OSError:
        return False


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = Request(
        f"{url}/parse", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=30) as response:
        found: dict[str, Any] = json.loads(response.read())
    return found


async def test_the_service_answers_as_the_seed_did(url: str, blobs: DirectoryBlobs) -> None:
    asked = {"request_id": "r", "source": {"s3_uri": RAW}, "output": {"s3_prefix": PREFIX}}
    reply = post(url, {**asked, "options": {"ocr_enabled": True}})
    assert (reply["request_id"], reply["status"]) == ("r", "success")
    assert reply["parser_version"] == PARSER_VERSION
    assert reply["stats"]["char_length"] == len(TEXT) - 1
    assert reply["stats"]["page_count"] == 0
    assert "OCR" in reply["warnings"][-1]
    assert (await blobs.get(reply["outputs"]["text_s3_uri"])).decode() == TEXT.replace("\r\n", "\n")
    for name in ("meta_s3_uri", "offsets_s3_uri", "offsets_index_s3_uri"):
        assert await blobs.size(reply["outputs"][name])
    missing = {"request_id": "m", "source": {"s3_uri": RAW + "x"}, "output": {"s3_prefix": PREFIX}}
    reply = post(url, missing)
    assert (reply["status"], reply["error"]["code"]) == ("failed", "SOURCE_NOT_FOUND")
    with pytest.raises(HTTPError) as refused:
        post(url, {"request_id": "x", "source": {"s3_uri": "file:///etc/passwd"}, "output": {}})
    assert refused.value.code == 422


async def test_each_parse_is_a_line_of_the_log_without_a_word_of_the_document(
    tmp_path: Path, start: Start, blobs: DirectoryBlobs
) -> None:
    env = {"RLM_DATA_DIR": str(tmp_path / "data")}
    process = start("uvicorn", "rlm_rs.parser.service:app", "--host", "127.0.0.1", "--port", "0", env=env)
    assert process.stderr is not None
    lines = map(json.loads, iter(process.stderr.readline, b""))
    told = (re.search(r"http://127\.0\.0\.1:\d+", line["event"]) for line in lines)
    url = next(found[0] for found in told if found)
    parser = RemoteStoredParser(url, request_id=lambda: "req_1")
    await parser.parse_stored(RAW, "lease.txt", None, PREFIX)
    await parser.parse_stored(RAW + "x", "lease.txt", None, PREFIX)
    process.terminate()
    rest = process.communicate(timeout=30)[1].decode()
    parsed, failed = [line for line in map(json.loads, rest.splitlines()) if line["event"] == "parsed"]
    assert (parsed["request_id"], parsed["output"], parsed["status"]) == ("req_1", PREFIX, "success")
    assert parsed["seconds"] > 0
    assert (failed["status"], failed["error"]) == ("failed", "SOURCE_NOT_FOUND")
    assert "Monat" not in rest
    assert "lease" not in rest


async def test_the_remote_parser_gives_what_the_local_one_does(
    url: str, tmp_path: Path, blobs: DirectoryBlobs
) -> None:
    wiring = wire(load_settings(rlm_data_dir=tmp_path / "data"))
    try:
        local = await wiring.local_parser().parse_stored(RAW, "lease.txt", "text/plain", PREFIX)
    finally:
        await wiring.close()
    assert "answers" in await RemoteStoredParser(url).examine()
    remote = await RemoteStoredParser(url).parse_stored(RAW, "lease.txt", "text/plain", PREFIX)
    assert isinstance(local, Parsed)
    assert isinstance(remote, Parsed)
    measured = ("seconds", "peak_memory_bytes", "title")
    names = [name for name in Parsed.__dataclass_fields__ if name not in measured]
    assert {n: getattr(remote, n) for n in names} == {n: getattr(local, n) for n in names}
    await blobs.put("s3://rlm/raw/tenant-a/2/empty.txt", b"")
    failed = await RemoteStoredParser(url).parse_stored(
        "s3://rlm/raw/tenant-a/2/empty.txt", "empty.txt", None, PREFIX
    )
    assert isinstance(failed, Failure)


async def test_the_service_reads_the_object_that_is_named_and_no_other(
    url: str, blobs: DirectoryBlobs
) -> None:
    etag = hashlib.md5(await blobs.get(RAW), usedforsecurity=False).hexdigest()
    parser = RemoteStoredParser(url)
    assert isinstance(await parser.parse_stored(RAW, "lease.txt", None, PREFIX, etag=etag), Parsed)
    for named in ((None, "0" * 32), ("none-such", None)):
        failed = await parser.parse_stored(RAW, "lease.txt", None, PREFIX, *named)
        assert isinstance(failed, Failure)
        assert failed.code == "SOURCE_CHANGED"


async def test_a_parser_that_is_not_there_says_nothing_of_the_document(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ParserFailed, match="did not answer"):
        await RemoteStoredParser(f"http://127.0.0.1:{port}", 1).parse_stored(RAW, "lease.txt", None, PREFIX)
