"""Calls of one AWS Lambda function: boto3's low-level client in threads, and patience with what will pass."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ReadTimeoutError

from rlm_rs.core.errors import LambdaFailed

CONNECT_SECONDS = 5
WAIT_SECONDS = 10
"""How much longer than a call may take its reply is waited for."""
ATTEMPTS = 8
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0

PASSING = frozenset(
    {
        "EC2ThrottledException",
        "EC2UnexpectedException",
        "ENILimitReachedException",
        "InternalError",
        "InternalFailure",
        "ServiceException",
        "ServiceUnavailable",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Error codes of what is refused now and will not be later."""
TIMED_OUT = frozenset({"Sandbox.Timedout"})
TOO_LARGE = frozenset({"Function.ResponseSizeTooLarge"})
ENDED = frozenset({"Runtime.ExitError", "Runtime.OutOfMemory", "Sandbox.Failure"})


class FunctionTimedOut(Exception):
    """The function had not replied when its time was over."""


class FunctionEnded(Exception):
    """The function's process ended before it replied. The message says how."""


class ReplyTooLarge(Exception):
    """The function's reply is longer than AWS Lambda passes on."""


def client_of(session: Any, endpoint: str | None, seconds: float, connections: int) -> Any:
    """A client for `LambdaCalls`. session: of boto3; seconds: what one call may take."""
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=seconds + WAIT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=connections,
        tcp_keepalive=True,
    )
    return session.client("lambda", endpoint_url=endpoint, config=config)


class LambdaCalls:
    """One function. `client`: of boto3, without retries, that waits as long as the function may take."""

    def __init__(self, client: Any, function: str, threads: int) -> None:
        self._client = client
        self.function = function
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lambda")

    async def call(self, event: dict[str, Any]) -> dict[str, Any]:
        """Call the function and return what its handler returned.

        Raises `FunctionTimedOut`, `FunctionEnded`, `ReplyTooLarge`, and `LambdaFailed` for everything that
        is not one step's doing. A call that is repeated does no harm: a step changes nothing outside.
        """
        payload, refused = orjson.dumps(event), ""
        for attempt in range(ATTEMPTS):
            try:
                return self._returned(await self._invoked(payload))
            except ReadTimeoutError:
                raise FunctionTimedOut from None
            except ClientError as error:
                refused = self._passing(error)
            except HTTPClientError as error:
                refused = str(error)
            except BotoCoreError as error:
                raise self._failed(str(error)) from error
            await asyncio.sleep(
                random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt))
            )
        raise self._failed(f"{refused}, {ATTEMPTS} times. Raise its concurrency, or try again later")

    async def close(self) -> None:
        """Close the connections, once what is under way has ended."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def _invoked(self, payload: bytes) -> tuple[str | None, bytes]:
        """The function's error, if it had one, and its payload."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._invoke, payload))

    def _invoke(self, payload: bytes) -> tuple[str | None, bytes]:
        answer = self._client.invoke(FunctionName=self.function, Payload=payload)
        return answer.get("FunctionError"), answer["Payload"].read()

    def _returned(self, answer: tuple[str | None, bytes]) -> dict[str, Any]:
        error, payload = answer
        try:
            value = orjson.loads(payload)
        except ValueError:
            raise self._failed("its reply is not JSON") from None
        if not isinstance(value, dict):
            raise self._failed("its reply is no object")
        if error is not None:
            raise self._function_error(str(value.get("errorType", "")), str(value.get("errorMessage", error)))
        return value

    def _function_error(self, kind: str, message: str) -> Exception:
        if kind in TIMED_OUT or "Task timed out after" in message:
            return FunctionTimedOut()
        if kind in TOO_LARGE:
            return ReplyTooLarge()
        if kind in ENDED:
            return FunctionEnded(message[:500])
        return self._failed(f"its handler raised {kind or 'an error'}: {message[:500]}")

    def _passing(self, error: ClientError) -> str:
        """The code of an error that may pass. Raises `LambdaFailed` for any other."""
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in PASSING or status >= 500:
            return code
        said = error.response.get("Error", {}).get("Message", "")
        raise self._failed(f"{code}: {said}") from error

    def _failed(self, reason: str) -> LambdaFailed:
        return LambdaFailed(function=self.function, reason=reason)
