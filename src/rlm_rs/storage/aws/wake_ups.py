"""Wake-ups in SQS: that there is something to do, and the heartbeat of whoever does it.

A wake-up is worth one unit of work of its kind; whoever receives it does what is fairest, not necessarily
what it names. It is invisible while its holder extends it, comes back when the holder is lost, and after too
many returns it moves to the dead-letter queue. One that is received while there is nothing to do and somebody
holds what it names is removed. Nothing rests on it: what is to be done is in the work table.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from rlm_rs.core.errors import StorageFailed
from rlm_rs.core.records import WorkKind
from rlm_rs.storage.aws.calls import Calls

LOG = logging.getLogger(__name__)

LONGEST_VISIBILITY_SECONDS = 12 * 3600
WAIT_SECONDS = 1


@dataclass(frozen=True, slots=True)
class WakeUp:
    """A received wake-up: what it was sent for, and the receipt it is kept and removed by."""

    kind: WorkKind
    tenant_id: str
    item_id: str
    receipt: str


class WakeUps:
    """The queues of one service. names: the queue of each kind; wait: how long a look at a queue lasts."""

    def __init__(self, calls: Calls, names: Mapping[WorkKind, str], wait: int = WAIT_SECONDS) -> None:
        self._calls = calls
        self._names = names
        self._wait = wait
        self._urls: dict[WorkKind, str] = {}

    async def send(self, kind: WorkKind, tenant_id: str, item_id: str) -> None:
        """Say that there is something to do. Whoever looks finds it without this too, a little later."""
        body = json.dumps({"tenant_id": tenant_id, "item_id": item_id})
        try:
            await self._calls("send_message", QueueUrl=await self._url(kind), MessageBody=body)
        except StorageFailed as error:
            LOG.warning("no wake-up was sent: %s", error.message)

    async def receive(self, kind: WorkKind, seconds: float) -> WakeUp | None:
        """A wake-up that nobody has, to be this caller's for so many seconds."""
        try:
            answer = await self._calls(
                "receive_message",
                QueueUrl=await self._url(kind),
                MaxNumberOfMessages=1,
                WaitTimeSeconds=self._wait,
                VisibilityTimeout=_visibility(seconds),
            )
        except StorageFailed as error:
            LOG.warning("no wake-up could be received: %s", error.message)
            return None
        for message in answer.get("Messages", ()):
            return _wake_up(kind, message)
        return None

    async def extend(self, wake_up: WakeUp, seconds: float) -> None:
        """Keep a wake-up for so many more seconds; 0 gives it to the next who looks."""
        await self._settled("change_message_visibility", wake_up, VisibilityTimeout=_visibility(seconds))

    async def remove(self, wake_up: WakeUp) -> None:
        """What it was for is done."""
        await self._settled("delete_message", wake_up)

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()

    async def _settled(self, operation: str, wake_up: WakeUp, **more: int) -> None:
        url = await self._url(wake_up.kind)
        try:
            await self._calls(operation, QueueUrl=url, ReceiptHandle=wake_up.receipt, **more)
        except StorageFailed as error:
            # it came back meanwhile and is another's now
            LOG.info("a wake-up was not kept: %s", error.message)

    async def _url(self, kind: WorkKind) -> str:
        if kind not in self._urls:
            self._urls[kind] = (await self._calls("get_queue_url", QueueName=self._names[kind]))["QueueUrl"]
        return self._urls[kind]


def _visibility(seconds: float) -> int:
    return min(LONGEST_VISIBILITY_SECONDS, math.ceil(max(0.0, seconds)))


def _wake_up(kind: WorkKind, message: Mapping[str, str]) -> WakeUp | None:
    try:
        body = json.loads(message["Body"])
        return WakeUp(kind, str(body["tenant_id"]), str(body["item_id"]), message["ReceiptHandle"])
    except (ValueError, KeyError, TypeError):
        # not one of ours: it is left to the dead-letter queue
        LOG.warning("a message of another kind stands in the queue of %s", kind)
        return None
