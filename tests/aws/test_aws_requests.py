"""What an execution costs in requests, counted at the socket; and that none of them is a scan."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rlm_rs.storage.aws.tables import TABLES
from rlm_rs.testing.aws_emulator import AwsEmulator

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "aws"))

from execution_requests import measure

WRITES_PER_TURN = 6
WRITES_BESIDE = 13
READS_OF_BLOBS_PER_TURN = 2


@pytest.mark.timeout(300)
async def test_a_turn_makes_few_requests_and_no_request_is_a_scan(emulator: AwsEmulator) -> None:
    measured, proxy = await measure(emulator.endpoint)
    for found in measured:
        assert 0 < found.writes_per_turn() <= WRITES_PER_TURN, found.per_turn()
        assert found.writes_beside() <= WRITES_BESIDE, found.few
        assert found.per_turn()["S3 GET"] <= READS_OF_BLOBS_PER_TURN, found.per_turn()
    assert proxy.counts["Query"]
    assert not {"Scan", "ExecuteStatement", "BatchExecuteStatement"} & proxy.counts.keys()
    indexes = {index.name for table in TABLES for index in table.indexes}
    for asked in proxy.seen:
        if asked.operation == "Query":
            body = json.loads(asked.body)
            assert "=" in body["KeyConditionExpression"]
            assert body.get("IndexName", "by_age") in indexes
