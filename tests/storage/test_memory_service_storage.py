"""Work, keys, the audit log, idempotency keys and rates in memory keep the contracts."""

from __future__ import annotations

import pytest

from rlm_rs.core.ports import AuditLog, Idempotency, Keys, Rates, Work
from rlm_rs.storage.memory_keys import MemoryAuditLog, MemoryKeys
from rlm_rs.storage.memory_limits import MemoryIdempotency, MemoryRates
from rlm_rs.storage.memory_work import MemoryWork
from rlm_rs.testing.audit_contract import AuditContract
from rlm_rs.testing.clocks import StoppedClock
from rlm_rs.testing.keys_contract import KeysContract
from rlm_rs.testing.limits_contract import IdempotencyContract, RatesContract
from rlm_rs.testing.work_contract import WorkContract


class TestMemoryWork(WorkContract):
    @pytest.fixture
    def work(self, clock: StoppedClock) -> Work:
        return MemoryWork(clock)


class TestMemoryKeys(KeysContract):
    @pytest.fixture
    def keys(self) -> Keys:
        return MemoryKeys()


class TestMemoryAuditLog(AuditContract):
    @pytest.fixture
    def audit(self) -> AuditLog:
        return MemoryAuditLog()


class TestMemoryIdempotency(IdempotencyContract):
    @pytest.fixture
    def idempotency(self, clock: StoppedClock) -> Idempotency:
        return MemoryIdempotency(clock)


class TestMemoryRates(RatesContract):
    @pytest.fixture
    def rates(self) -> Rates:
        return MemoryRates()
