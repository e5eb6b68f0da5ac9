"""Work, keys, the audit log, idempotency keys and rates of the AWS profile keep the contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rlm_rs.core.ports import AuditLog, Evaluations, Idempotency, Keys, Rates, Work
from rlm_rs.core.records import WorkKind
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.dynamo import Dynamo
from rlm_rs.storage.aws.evaluations import DynamoEvaluations
from rlm_rs.storage.aws.keys import DynamoAuditLog, DynamoKeys
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.limits import DynamoIdempotency, DynamoRates
from rlm_rs.storage.aws.wake_ups import WakeUps
from rlm_rs.storage.aws.work import DynamoWork
from rlm_rs.testing.audit_contract import AuditContract
from rlm_rs.testing.clocks import StoppedClock
from rlm_rs.testing.evaluations_contract import EvaluationsContract
from rlm_rs.testing.keys_contract import KeysContract
from rlm_rs.testing.limits_contract import IdempotencyContract, RatesContract
from rlm_rs.testing.work_contract import WorkContract


class TestDynamoWork(WorkContract):
    @pytest.fixture
    async def work(
        self, account: Account, prefix: str, dynamo: Dynamo, clock: StoppedClock
    ) -> AsyncIterator[Work]:
        names = {kind: f"{prefix}-{kind}" for kind in WorkKind}
        wake_ups = WakeUps(account.calls("sqs", "SQS"), names, wait=0)
        yield DynamoWork(dynamo, wake_ups, clock, look_seconds=0)
        await wake_ups.close()


class TestDynamoEvaluations(EvaluationsContract):
    @pytest.fixture
    def evaluations(self, dynamo: Dynamo, large: LargeRecords) -> Evaluations:
        return DynamoEvaluations(dynamo, large)


class TestDynamoKeys(KeysContract):
    @pytest.fixture
    def keys(self, dynamo: Dynamo) -> Keys:
        return DynamoKeys(dynamo)


class TestDynamoAuditLog(AuditContract):
    @pytest.fixture
    def audit(self, dynamo: Dynamo) -> AuditLog:
        return DynamoAuditLog(dynamo)


class TestDynamoIdempotency(IdempotencyContract):
    @pytest.fixture
    def idempotency(self, dynamo: Dynamo, large: LargeRecords, clock: StoppedClock) -> Idempotency:
        return DynamoIdempotency(dynamo, large, clock)


class TestDynamoRates(RatesContract):
    @pytest.fixture
    def rates(self, dynamo: Dynamo) -> Rates:
        return DynamoRates(dynamo)
