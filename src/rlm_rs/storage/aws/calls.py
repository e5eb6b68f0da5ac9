"""Calls of one AWS service: its low-level client in threads, and patience with what will pass.

The client's own retries are off. What is thrown back for load, conflict or a broken connection is asked again
after a random part of an exponentially growing pause (full jitter), so that those who were refused together
do not come back together.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from rlm_rs.core.errors import StorageFailed

ATTEMPTS = 12
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 3.0

PASSING = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Error codes of what is refused now and will not be later."""
PASSING_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Reasons of a cancelled transaction that say the same. A conflict is a retry, never a lost lease."""
CONDITION_FAILED = "ConditionalCheckFailedException"
CANCELLED = "TransactionCanceledException"
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException"})
MISSING = frozenset(
    {"ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
)


class Calls:
    """One service's client. Safe to use from one event loop; requests run in `threads` threads."""

    def __init__(self, client: Any, service: str, threads: int = 32, attempts: int = ATTEMPTS) -> None:
        self._client = client
        self._service = service
        self._attempts = attempts
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=service.lower())

    async def __call__(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One operation, by its snake_case name.

        Raises botocore's `ClientError` for a condition that failed, and `StorageFailed` for whatever else is
        refused or goes on being refused.
        """
        send = getattr(self._client, operation)
        refused = ""
        for attempt in range(self._attempts):
            try:
                answer: dict[str, Any] = await self._in_thread(send, arguments)
                return answer
            except ClientError as error:
                if not passes(error):
                    raise self._raised(operation, error) from error
                refused = code_of(error)
            except (HTTPClientError, ConnectionError) as error:
                refused = str(error)
            except BotoCoreError as error:
                raise self._failed(operation, str(error)) from error
            await asyncio.sleep(pause_before_retry(attempt))
        raise self._failed(operation, f"{refused}, {self._attempts} times. Try again later.")

    async def close(self) -> None:
        """Close the connections, once what is under way has ended."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def _in_thread(self, send: Any, arguments: dict[str, Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: send(**arguments))

    def _raised(self, operation: str, error: ClientError) -> Exception:
        code = code_of(error)
        if code in (CONDITION_FAILED, CANCELLED):
            return error
        said = error.response.get("Error", {}).get("Message", "") or code
        if code in DENIED or code in MISSING:
            said = f"{said} (`rlm deploy check` says what is missing)"
        return self._failed(operation, f"{code}: {said}")

    def _failed(self, operation: str, reason: str) -> StorageFailed:
        return StorageFailed(service=self._service, operation=operation, reason=reason)


def pause_before_retry(attempt: int) -> float:
    """Seconds before retry number `attempt`, from 0: a random part of the longest such pause."""
    return random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt))


def code_of(error: ClientError) -> str:
    """The service's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def passes(error: ClientError) -> bool:
    """Whether the same request may well be taken a little later."""
    if code_of(error) == CANCELLED:
        reasons = {str(reason.get("Code")) for reason in cancellation_reasons(error)}
        return bool(reasons & PASSING_REASONS) and "ConditionalCheckFailed" not in reasons
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in PASSING or status >= 500


def cancellation_reasons(error: ClientError) -> list[dict[str, Any]]:
    """Why a transaction was cancelled: one entry for each of its actions, in order."""
    response: Mapping[str, Any] = error.response
    return list(response.get("CancellationReasons") or ())
