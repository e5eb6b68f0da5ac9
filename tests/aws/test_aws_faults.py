"""What is refused for load is asked again, what was lost is recognised, and nothing is cut short."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rlm_rs.core.errors import Fenced, StorageFailed
from rlm_rs.core.records import SessionStatus, WorkKind
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.calls import Calls
from rlm_rs.storage.aws.catalog import DynamoCatalog
from rlm_rs.storage.aws.dynamo import Dynamo
from rlm_rs.storage.aws.journal import DynamoJournal
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.limits import DynamoIdempotency, DynamoRates
from rlm_rs.storage.aws.wake_ups import WakeUps
from rlm_rs.storage.aws.work import DynamoWork
from rlm_rs.testing.audit_contract import MINE
from rlm_rs.testing.aws_emulator import AwsEmulator
from rlm_rs.testing.aws_proxy import Asked, AwsProxy, Fault
from rlm_rs.testing.catalog_contract import document, execution, session
from rlm_rs.testing.clocks import StoppedClock
from rlm_rs.testing.limits_contract import NOW, SECOND

LARGEST_ITEM = 400_000
HUGE = "ü" * 700_000


class Reached:
    """The stores behind a proxy."""

    def __init__(self, proxy: AwsProxy, prefix: str, bucket: str) -> None:
        account = Account("eu-central-1", proxy.endpoint)
        self.proxy = proxy
        self.calls = account.calls("dynamodb", "DynamoDB")
        self.sqs = account.calls("sqs", "SQS")
        dynamo = Dynamo(self.calls, prefix)
        self.blobs = S3Blobs(account.bucket)
        large = LargeRecords(self.blobs, bucket)
        self.journal = DynamoJournal(dynamo, large)
        self.catalog = DynamoCatalog(dynamo, large)
        self.idempotency = DynamoIdempotency(dynamo, large)
        self.rates = DynamoRates(dynamo)
        self.dynamo = dynamo
        names = {kind: f"{prefix}-{kind}" for kind in WorkKind}
        self.wake_ups = WakeUps(self.sqs, names, wait=0)
        self.work = self.working(time.time)

    def working(self, clock: Callable[[], float], look_seconds: float = 0) -> DynamoWork:
        """The work as a process has it that goes by this clock."""
        return DynamoWork(self.dynamo, self.wake_ups, clock, look_seconds)

    def fault(self, operation: str, fault: Fault, times: int = 1) -> None:
        """Let the next requests of an operation come to this."""
        left = [fault] * times

        def next_fault(asked: Asked) -> Fault | None:
            return left.pop() if asked.operation == operation and left else None

        self.proxy.faults = next_fault


@pytest.fixture
async def stores(emulator: AwsEmulator, prefix: str, bucket: str) -> AsyncIterator[Reached]:
    async with AwsProxy(emulator.endpoint) as proxy:
        reached = Reached(proxy, prefix, bucket)
        yield reached
        await reached.calls.close()
        await reached.sqs.close()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("ProvisionedThroughputExceededException"),
        Fault("ThrottlingException"),
        Fault("RequestLimitExceeded"),
        Fault("InternalServerError", 500),
        Fault("TransactionCanceledException", reasons=("None", "TransactionConflict")),
        Fault("TransactionCanceledException", reasons=("ThrottlingError", "None")),
        Fault(lost=True),
    ],
)
async def test_an_append_that_is_thrown_back_is_made_once(stores: Reached, fault: Fault) -> None:
    await stores.journal.append("e", 0, b"0")
    stores.fault("TransactWriteItems", fault, times=2)
    await stores.journal.append("e", 1, b"1")
    assert stores.proxy.counts["TransactWriteItems"] == 4
    assert list(await stores.journal.read("e")) == [b"0", b"1"]
    with pytest.raises(Fenced):
        await stores.journal.append("e", 1, b"other")


async def test_a_write_whose_reply_was_lost_is_known_again(stores: Reached) -> None:
    stores.fault("PutItem", Fault(lost=True))
    assert await stores.idempotency.begin("a", "k", "digest", 60) is None
    stores.fault("PutItem", Fault(lost=True))
    assert await stores.rates.take("a", NOW, SECOND, 3 * SECOND) == SECOND
    stores.fault("UpdateItem", Fault(lost=True))
    assert await stores.rates.take("a", NOW, SECOND, 3 * SECOND) == 2 * SECOND
    await stores.work.add(WorkKind.EXECUTION, "a", "e")
    stores.fault("UpdateItem", Fault(lost=True))
    item = await stores.work.claim(WorkKind.EXECUTION, "w", 30)
    assert item is not None
    assert item.attempts == 1
    stores.fault("DeleteItem", Fault(lost=True))
    await stores.work.done(item, "w")
    assert not await stores.work.request_cancel(WorkKind.EXECUTION, "a", "e")


async def test_items_of_a_batch_that_were_not_taken_are_written_again(stores: Reached) -> None:
    rows = [document(number) for number in range(40)]

    def half(asked: Asked) -> Fault | None:
        """Take none of the first request of each batch but say that all of it is left."""
        if asked.operation != "BatchWriteItem" or stores.proxy.counts["BatchWriteItem"] > 2:
            return None
        return Fault(answer={"UnprocessedItems": json.loads(asked.body)["RequestItems"]})

    stores.proxy.faults = half
    await stores.catalog.put_session(session(0), rows)
    assert list(await stores.catalog.list_documents(MINE, "sess_000")) == rows


async def test_what_goes_on_being_refused_is_one_line(stores: Reached, account: Account) -> None:
    stores.fault("GetItem", Fault("ThrottlingException"), times=99)
    client = Account("eu-central-1", stores.proxy.endpoint).client("dynamodb")
    impatient = Calls(client, "DynamoDB", threads=1, attempts=3)
    with pytest.raises(StorageFailed, match=r"DynamoDB could not do get_item: ThrottlingException, 3 times"):
        await impatient("get_item", TableName="x", Key={"PK": {"S": "x"}, "SK": {"S": "x"}})
    assert stores.proxy.counts["GetItem"] == 3
    await impatient.close()


async def test_a_table_that_is_missing_is_said_with_what_to_do(account: Account, bucket: str) -> None:
    calls = account.calls("dynamodb", "DynamoDB")
    journal = DynamoJournal(Dynamo(calls, "nowhere"), LargeRecords(S3Blobs(account.bucket), bucket))
    with pytest.raises(StorageFailed, match="rlm deploy check"):
        await journal.append("e", 0, b"x")
    await calls.close()


async def test_a_bucket_that_is_missing_is_said_in_one_line(account: Account) -> None:
    with pytest.raises(StorageFailed, match=r"^S3 could not do a write of s3://nowhere/x: NoSuchBucket$"):
        await S3Blobs(account.bucket).put("s3://nowhere/x", b"")


async def test_records_of_any_size_leave_every_item_small(stores: Reached) -> None:
    await stores.journal.append("e", 0, HUGE.encode())
    long = execution(1, question=HUGE)
    await stores.catalog.put_execution(long)
    wide = session(0, options={"note": HUGE})
    await stores.catalog.put_session(wide, [document(0, source_name=HUGE)])
    await stores.idempotency.begin("a", HUGE, "digest", 60)
    await stores.idempotency.finish("a", HUGE, "digest", HUGE.encode())
    written = [len(asked.body) for asked in stores.proxy.seen if not asked.operation.startswith("S3")]
    assert max(written) < LARGEST_ITEM
    assert list(await stores.journal.read("e")) == [HUGE.encode()]
    assert await stores.catalog.list_executions(MINE) == ([long], None)
    assert await stores.catalog.get_session(MINE, "sess_000") == wide
    assert (await stores.catalog.list_documents(MINE, "sess_000"))[0].document.source_name == HUGE
    assert await stores.idempotency.begin("a", HUGE, "digest", 60) == HUGE.encode()


async def test_what_was_too_large_for_an_item_goes_with_it(stores: Reached, bucket: str) -> None:
    before, own = set(await stores.blobs.list(f"s3://{bucket}/rows/")), HUGE + "removed"
    await stores.journal.append("e", 0, own.encode())
    await stores.catalog.put_execution(execution(1, question=own))
    await stores.catalog.put_execution(execution(1, question=own, turns=2))
    await stores.catalog.put_session(session(0, options={"x": own}), [document(0, source_name=own)])
    assert len(set(await stores.blobs.list(f"s3://{bucket}/rows/")) - before) == 4
    await stores.journal.delete("e")
    await stores.catalog.delete_execution(MINE, "exec_001")
    await stores.catalog.delete_session(MINE, "sess_000")
    assert set(await stores.blobs.list(f"s3://{bucket}/rows/")) == before


async def test_a_session_that_moves_on_leaves_no_object_behind(stores: Reached, bucket: str) -> None:
    before = set(await stores.blobs.list(f"s3://{bucket}/rows/"))
    wide = session(0, options={"x": HUGE + "moved"})
    deleting = replace(wide, status=SessionStatus.DELETING)
    await stores.catalog.put_session(wide, [])
    assert await stores.catalog.move_session(deleting, SessionStatus.READY)
    assert not await stores.catalog.move_session(deleting, SessionStatus.READY)
    failed = replace(wide, status=SessionStatus.FAILED)
    assert not await stores.catalog.move_session(failed, SessionStatus.READY)
    assert await stores.catalog.get_session(MINE, "sess_000") == deleting
    await stores.catalog.delete_session(MINE, "sess_000")
    assert set(await stores.blobs.list(f"s3://{bucket}/rows/")) == before


async def test_a_long_journal_is_read_and_removed_to_its_end(stores: Reached) -> None:
    records = [bytes([number]) * 100_000 for number in range(35)]
    for seq, record in enumerate(records):
        await stores.journal.append("e", seq, record)
    stores.proxy.counts.clear()
    assert list(await stores.journal.read("e")) == records
    assert stores.proxy.counts["Query"] >= 4
    await stores.journal.delete("e")
    assert list(await stores.journal.read("e")) == []


async def test_a_session_of_many_documents_is_replaced_all_at_once(stores: Reached) -> None:
    """Whoever reads while it is replaced sees the one or the other."""
    rows = [document(number) for number in range(230)]
    await stores.catalog.put_session(session(0), rows)
    writing = asyncio.create_task(stores.catalog.put_session(session(0), rows[:60]))
    seen = set()
    while not writing.done():
        seen.add(len(await stores.catalog.list_documents(MINE, "sess_000")))
    await writing
    assert seen <= {230, 60}
    assert list(await stores.catalog.list_documents(MINE, "sess_000")) == rows[:60]


@pytest.mark.parametrize("cut", [1, 4, 8, 11])
async def test_a_session_that_was_not_written_to_its_end_is_not_there(stores: Reached, cut: int) -> None:
    asked_before = 0

    def after_some(asked: Asked) -> Fault | None:
        nonlocal asked_before
        if asked.operation not in ("BatchWriteItem", "PutItem"):
            return None
        asked_before += 1
        return Fault("AccessDeniedException") if asked_before >= cut else None

    stores.proxy.faults = after_some
    with pytest.raises(StorageFailed):
        await stores.catalog.put_session(session(0), [document(number) for number in range(250)])
    stores.proxy.faults = lambda asked: None
    assert await stores.catalog.get_session(MINE, "sess_000") is None
    assert list(await stores.catalog.list_documents(MINE, "sess_000")) == []


async def test_work_is_found_when_its_wake_up_was_lost(stores: Reached) -> None:
    stores.fault("SendMessage", Fault("AccessDeniedException"), times=99)
    await stores.work.add(WorkKind.EXECUTION, "a", "e")
    assert await stores.work.claim(WorkKind.EXECUTION, "w", 30) is not None


async def test_a_wake_up_finds_what_an_index_does_not_have_yet(stores: Reached) -> None:
    await stores.work.add(WorkKind.EXECUTION, "a", "e")

    def blind(asked: Asked) -> Fault | None:
        is_index = asked.operation == "Query" and b"by_wait" in asked.body
        return Fault(answer={"Items": [], "Count": 0, "ScannedCount": 0}) if is_index else None

    stores.proxy.faults = blind
    item = await stores.work.claim(WorkKind.EXECUTION, "w", 30)
    assert item is not None
    assert item.item_id == "e"


async def messages(stores: Reached, prefix: str) -> int:
    """Wake-ups for executions that are in their queue, whoever has them."""
    queue = await stores.sqs("get_queue_url", QueueName=f"{prefix}-execution")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = await stores.sqs("get_queue_attributes", QueueUrl=queue["QueueUrl"], AttributeNames=names)
    return sum(int(found["Attributes"][name]) for name in names)


async def test_a_wake_up_for_what_somebody_holds_goes_and_the_item_is_found_without(
    stores: Reached, prefix: str
) -> None:
    clock = StoppedClock()
    work = stores.working(clock)
    await work.add(WorkKind.EXECUTION, "a", "e")
    assert await work.claim_item(WorkKind.EXECUTION, "a", "e", "api", 30) is not None
    assert await messages(stores, prefix) == 1
    assert await work.claim(WorkKind.EXECUTION, "w", 30) is None
    assert await messages(stores, prefix) == 0
    clock.advance(30)
    item = await work.claim(WorkKind.EXECUTION, "w", 30)
    assert item is not None
    await work.release(item, "w")
    assert await messages(stores, prefix) == 1


async def test_a_wake_up_for_what_was_done_goes_too(stores: Reached, prefix: str) -> None:
    await stores.work.add(WorkKind.EXECUTION, "a", "e")
    item = await stores.work.claim_item(WorkKind.EXECUTION, "a", "e", "api", 30)
    assert item is not None
    await stores.work.done(item, "api")
    assert await stores.work.claim(WorkKind.EXECUTION, "w", 30) is None
    assert await messages(stores, prefix) == 0


async def test_the_wake_up_of_what_was_put_off_comes_back_with_it(stores: Reached, prefix: str) -> None:
    work = stores.working(time.time, look_seconds=3600)
    await work.add(WorkKind.EXECUTION, "a", "e")
    item = await work.claim(WorkKind.EXECUTION, "one", 30)
    assert item is not None
    # another wake-up of the same, which is another's to receive meanwhile
    await work.add(WorkKind.EXECUTION, "a", "e")
    assert await work.claim(WorkKind.EXECUTION, "two", 3600) is None
    assert await messages(stores, prefix) == 1
    assert await work.renew(item, "one", 1) is not None
    async with asyncio.timeout(30):
        taken = None
        while taken is None:
            taken = await work.claim(WorkKind.EXECUTION, "two", 3600)
            await asyncio.sleep(0.1)
    assert taken.attempts == 2
    await work.done(taken, "two")
    assert await messages(stores, prefix) == 0


async def test_a_tenant_without_work_is_forgotten_and_known_again(stores: Reached, prefix: str) -> None:
    for _ in range(2):
        await stores.work.add(WorkKind.EXECUTION, "a", "e")
        item = await stores.work.claim(WorkKind.EXECUTION, "w", 30)
        assert item is not None
        await stores.work.done(item, "w")
        assert await stores.work.claim(WorkKind.EXECUTION, "w", 30) is None
        listed = {"TableName": f"{prefix}_work", "KeyConditionExpression": "PK = :p"}
        found = await stores.calls(
            "query", **listed, ExpressionAttributeValues={":p": {"S": "TENANTS#execution"}}
        )
        assert found["Items"] == []


async def test_a_heartbeat_is_a_read_while_half_of_the_lease_is_left(stores: Reached) -> None:
    await stores.work.add(WorkKind.EXECUTION, "a", "e")
    item = await stores.work.claim(WorkKind.EXECUTION, "w", 30)
    assert item is not None
    stores.proxy.counts.clear()
    for _ in range(5):
        assert await stores.work.renew(item, "w", 30) == item
    assert stores.proxy.counts == {"GetItem": 5}
    assert await stores.work.renew(item, "w", 90) == item
    assert stores.proxy.counts["UpdateItem"] == 1


async def test_a_range_is_one_request(stores: Reached, bucket: str) -> None:
    uri = f"s3://{bucket}/range-of-one-request"
    await stores.blobs.put(uri, b"0123456789")
    stores.proxy.counts.clear()
    assert await stores.blobs.get(uri, 2, 5) == b"23456"
    assert await stores.blobs.get(uri, 8, 50) == b"89"
    assert stores.proxy.counts == {"S3 GET": 2}


def test_the_source_names_no_scan(pytestconfig: pytest.Config) -> None:
    source = pytestconfig.rootpath / "src" / "rlm_rs" / "storage" / "aws"
    assert not [path for path in Path(source).glob("*.py") if '"scan' in path.read_text()]
