"""Rows that are replaced or removed while they are read: each is found once, as it was or as it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from rlm_rs.core.errors import BlobNotFound, StorageFailed
from rlm_rs.core.records import ExecutionStatus, SessionStatus
from rlm_rs.storage.aws.account import Account
from rlm_rs.storage.aws.blobs import S3Blobs
from rlm_rs.storage.aws.catalog import DynamoCatalog
from rlm_rs.storage.aws.dynamo import Dynamo
from rlm_rs.storage.aws.evaluations import DynamoEvaluations
from rlm_rs.storage.aws.journal import DynamoJournal
from rlm_rs.storage.aws.large import LargeRecords
from rlm_rs.storage.aws.limits import DynamoIdempotency
from rlm_rs.testing.aws_emulator import AwsEmulator
from rlm_rs.testing.aws_proxy import Asked, AwsProxy, Fault
from rlm_rs.testing.catalog_contract import MINE, document, execution, session
from rlm_rs.testing.evaluations_contract import evaluation
from rlm_rs.testing.pages import all_pages

HUGE = "ü" * 400_000
RUNNING, COMPLETED = ExecutionStatus.RUNNING, ExecutionStatus.COMPLETED


class Stores:
    """The stores as one process has them."""

    def __init__(self, endpoint: str, prefix: str, bucket: str) -> None:
        account = Account("eu-central-1", endpoint)
        self.calls = account.calls("dynamodb", "DynamoDB")
        self.blobs = S3Blobs(account.bucket)
        dynamo, large = Dynamo(self.calls, prefix), LargeRecords(self.blobs, bucket)
        self.catalog = DynamoCatalog(dynamo, large)
        self.evaluations = DynamoEvaluations(dynamo, large)
        self.journal = DynamoJournal(dynamo, large)
        self.idempotency = DynamoIdempotency(dynamo, large)
        self.late = DynamoIdempotency(dynamo, large, lambda: 1e12)


class Scene:
    """One process reads, through a proxy; another writes at a moment of it."""

    def __init__(self, proxy: AwsProxy, one: Stores, two: Stores) -> None:
        self.proxy, self.one, self.two = proxy, one, two
        self.happened = False

    def before(self, is_moment: Callable[[Asked], bool], change: Callable[[], Awaitable[object]]) -> None:
        """Make a change, once, just before such a request of the first is carried out."""

        async def meanwhile(asked: Asked) -> None:
            if not self.happened and is_moment(asked):
                self.happened = True
                await change()

        self.happened, self.proxy.meanwhile = False, meanwhile


def object_read(asked: Asked) -> bool:
    return asked.operation == "S3 GET" and "/rows/" in asked.path


@pytest.fixture
async def scene(emulator: AwsEmulator, prefix: str, bucket: str) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(AwsProxy(emulator.endpoint))
        one, two = Stores(proxy.endpoint, prefix, bucket), Stores(emulator.endpoint, prefix, bucket)
        for stores in (one, two):
            stack.push_async_callback(stores.calls.close)
        yield Scene(proxy, one, two)


async def test_an_execution_that_ends_while_it_is_read_is_read_as_it_ended(scene: Scene) -> None:
    catalog, long = scene.one.catalog, execution(1, question=HUGE)
    ended = replace(long, status=COMPLETED)
    for status, found in ((None, [ended]), (RUNNING, [])):
        await catalog.put_execution(long)
        scene.before(object_read, lambda: scene.two.catalog.put_execution(ended))
        assert await catalog.list_executions(MINE, status=status) == (found, None)
        assert scene.happened
    await catalog.put_execution(long)
    scene.before(object_read, lambda: scene.two.catalog.put_execution(ended))
    assert await catalog.get_execution(MINE, "exec_001") == ended


async def test_an_execution_that_goes_while_it_is_read_leaves_its_page_full(scene: Scene) -> None:
    catalog = scene.one.catalog
    for number in range(6):
        await catalog.put_execution(execution(number, question=HUGE if number in (2, 5) else "Why?"))
    scene.before(object_read, lambda: scene.two.catalog.delete_execution(MINE, "exec_005"))
    rows, cursor = await catalog.list_executions(MINE, 2)
    assert [row.execution_id for row in rows] == ["exec_004", "exec_003"]
    scene.before(object_read, lambda: scene.two.catalog.delete_execution(MINE, "exec_002"))
    rows, cursor = await catalog.list_executions(MINE, 2, cursor)
    assert ([row.execution_id for row in rows], cursor) == (["exec_001", "exec_000"], None)


async def test_an_object_that_was_lost_is_still_an_error(scene: Scene, bucket: str) -> None:
    before = set(await scene.one.blobs.list(f"s3://{bucket}/rows/"))
    await scene.one.catalog.put_execution(execution(1, question=HUGE + "lost"))
    await scene.one.journal.append("lost", 0, HUGE.encode())
    for uri in set(await scene.one.blobs.list(f"s3://{bucket}/rows/")) - before:
        await scene.one.blobs.delete(uri)
    with pytest.raises(BlobNotFound):
        await scene.one.catalog.list_executions(MINE)
    with pytest.raises(BlobNotFound):
        await scene.one.journal.read("lost")


async def test_a_session_that_changes_while_it_is_read_is_read_as_it_is_then(scene: Scene) -> None:
    catalog = scene.one.catalog
    wide = session(0, options={"note": HUGE}, fingerprint="f", expires_at=1.0)
    expired = replace(wide, status=SessionStatus.EXPIRED, fingerprint=None)

    async def read_while_it_expires() -> AsyncGenerator[DynamoCatalog]:
        for _ in range(5):
            await scene.two.catalog.put_session(wide, [])
            scene.before(object_read, lambda: scene.two.catalog.put_session(expired, []))
            yield catalog
            assert scene.happened

    turns = read_while_it_expires()
    assert await (await anext(turns)).get_session(MINE, "sess_000") == expired
    assert await (await anext(turns)).list_sessions(MINE) == ([expired], None)
    assert await (await anext(turns)).list_sessions(MINE, status=SessionStatus.READY) == ([], None)
    assert await (await anext(turns)).find_session(MINE, "f") is None
    assert list(await (await anext(turns)).list_ended_sessions(2.0)) == []
    await turns.aclose()


async def test_documents_that_are_replaced_while_they_are_read_are_read_as_they_are_then(
    scene: Scene,
) -> None:
    catalog, other = scene.one.catalog, scene.two.catalog
    long = document(0, source_name=HUGE)
    await catalog.put_session(session(0), [long])
    scene.before(object_read, lambda: other.put_session(session(0), [document(1)]))
    assert list(await catalog.list_documents(MINE, "sess_000")) == [document(1)]
    await catalog.put_session(session(0), [long])
    scene.before(object_read, lambda: other.delete_session(MINE, "sess_000"))
    assert list(await catalog.list_documents(MINE, "sess_000")) == []


async def test_an_evaluation_that_is_replaced_while_it_is_read_is_read_as_it_is_then(scene: Scene) -> None:
    first = evaluation(revision=1, baseline_answer=HUGE)
    later = replace(first, revision=2, baseline_answer="short")
    place = (first.tenant_id, first.execution_id)
    await scene.one.evaluations.put_evaluation(first)
    scene.before(object_read, lambda: scene.two.evaluations.put_evaluation(later))
    assert await scene.one.evaluations.get_evaluation(*place) == later
    await scene.one.evaluations.put_evaluation(replace(first, revision=3))
    scene.before(object_read, lambda: scene.two.evaluations.delete_evaluation(*place))
    assert await scene.one.evaluations.get_evaluation(*place) is None


async def test_a_journal_that_is_removed_while_it_is_read_is_empty(scene: Scene) -> None:
    for seq in range(2):
        await scene.one.journal.append("e", seq, HUGE.encode())
    scene.before(object_read, lambda: scene.two.journal.delete("e"))
    assert list(await scene.one.journal.read("e")) == []


async def test_a_journal_whose_removal_was_broken_off_is_empty_and_can_be_removed(
    scene: Scene, prefix: str
) -> None:
    await scene.one.journal.append("e", 0, HUGE.encode())

    scene.proxy.faults = lambda a: Fault("AccessDenied") if a.operation == "BatchWriteItem" else None
    with pytest.raises(StorageFailed):
        await scene.one.journal.delete("e")
    assert list(await scene.two.journal.read("e")) == []
    await scene.two.journal.delete("e")
    listed = {"TableName": f"{prefix}_execution_state", "KeyConditionExpression": "PK = :p"}
    found = await scene.two.calls("query", **listed, ExpressionAttributeValues={":p": {"S": "EXEC#e"}})
    assert found["Items"] == []


async def test_an_answer_whose_time_ends_while_it_is_repeated_is_not_an_error(scene: Scene) -> None:
    answer = HUGE.encode()
    await scene.one.idempotency.begin("a", "k", "digest", 60)
    await scene.one.idempotency.finish("a", "k", "digest", answer)

    async def anew() -> None:
        assert await scene.two.late.begin("a", "k", "digest", 60) is None
        await scene.two.late.finish("a", "k", "digest", b"another")

    scene.before(object_read, anew)
    assert await scene.one.idempotency.begin("a", "k", "digest", 60) == b"another"


@pytest.mark.parametrize("limit", [2, 10])
@pytest.mark.parametrize("number", [0, 2])
async def test_an_execution_that_ends_while_a_list_by_mode_is_read_is_in_it_once(
    scene: Scene, limit: int, number: int
) -> None:
    for each in range(4):
        await scene.one.catalog.put_execution(execution(each))
    ended = execution(number, status=COMPLETED)

    def between(asked: Asked) -> bool:
        return asked.operation == "Query" and b"COMPLETED" in asked.body

    scene.before(between, lambda: scene.two.catalog.put_execution(ended))
    rows = await all_pages(
        lambda cursor: scene.one.catalog.list_executions(MINE, limit, cursor, mode="ANSWERER")
    )
    assert scene.happened
    assert [row.execution_id for row in rows] == [f"exec_{each:03}" for each in (3, 2, 1, 0)]
    assert limit < 10 or ended in rows


async def test_the_executions_of_a_session_are_found_and_removed_before_any_index_has_them(
    scene: Scene,
) -> None:
    catalog, rows = scene.one.catalog, [execution(number) for number in (3, 2, 1)]
    for row in (*rows, execution(0, session_id="sess_001")):
        await catalog.put_execution(row)
    nothing = Fault(answer={"Items": [], "Count": 0, "ScannedCount": 0})
    scene.proxy.faults = lambda asked: nothing if b"IndexName" in asked.body else None
    found = await all_pages(lambda cursor: catalog.list_executions(MINE, 2, cursor, "sess_000"))
    assert found == rows
    assert await catalog.list_executions(MINE) == ([], None)
    for row in rows:
        await catalog.delete_execution(MINE, row.execution_id)
    await catalog.delete_session(MINE, "sess_000")
    assert await scene.two.catalog.list_executions(MINE) == ([execution(0, session_id="sess_001")], None)
