"""Paid model calls: answered from the call cache where they can be, shared while in flight, priced.

The record is written as soon as the provider has replied, before the journal knows: a reply lost between
the two is found again here. A sub-call at temperature 0 is shared by everything the tenant runs; any other
call is remembered for the one place that made it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter

from rlm_rs.core.errors import BlobNotFound, ProviderFailed, RlmError
from rlm_rs.core.model import ModelReply, ModelRequest, ToolCall
from rlm_rs.core.ports import Blobs, ModelProvider
from rlm_rs.core.pricing import Price, cost
from rlm_rs.core.wellformed import well_formed
from rlm_rs.orchestrator.in_flight import InFlight

_REPLY: TypeAdapter[ModelReply] = TypeAdapter(ModelReply)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who pays: the tenant, and the place in an execution (`<execution>/<turn>/<what>`)."""

    tenant_id: str
    place: str


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply and what it cost its caller. A cache hit was paid by somebody else: it costs nothing.

    uri: where the call's record is kept.
    """

    reply: ModelReply
    cost_usd: float | None
    cache_hit: bool
    uri: str


@dataclass(frozen=True, slots=True)
class _Paid:
    """A reply, and the place whose call it was."""

    reply: ModelReply
    paid_by: str


class Completions:
    """Model calls with cache and in-flight sharing. scope: calls are shared only within the same one."""

    def __init__(
        self,
        provider: ModelProvider,
        blobs: Blobs,
        prices: Mapping[str, Price],
        bucket: str,
        scope: str = "",
    ) -> None:
        self._provider = provider
        self._blobs = blobs
        self._prices = prices
        self._bucket = bucket
        self._scope = {"scope": scope} if scope else {}
        self._in_flight: InFlight[_Paid] = InFlight()

    async def complete(self, request: ModelRequest, caller: Caller, *, shared: bool) -> Completion:
        """One completion. `shared`: any caller of the tenant may be given the same reply."""
        uri = self._uri(request, caller, shared)
        paid = await self._in_flight.shared(uri, lambda: self._found_or_asked(uri, request, caller))
        if paid.paid_by != caller.place:
            return Completion(paid.reply, 0.0, cache_hit=True, uri=uri)
        price = cost(paid.reply.model, paid.reply.usage, self._prices)
        return Completion(paid.reply, price, cache_hit=False, uri=uri)

    async def _found_or_asked(self, uri: str, request: ModelRequest, caller: Caller) -> _Paid:
        # one task looks and asks, so that a call that lands while another is looking is never made again
        return await self._recorded(uri) or _Paid(await self._ask(uri, request, caller), caller.place)

    async def _ask(self, uri: str, request: ModelRequest, caller: Caller) -> ModelReply:
        started = time.monotonic()
        reply = await self._asked(request)
        reply = _clean(reply, request.model, time.monotonic() - started)
        if reply.text or reply.tool_calls:
            await self._blobs.put(uri, orjson.dumps(self._record(request, reply, caller)))
        return reply

    async def _asked(self, request: ModelRequest) -> ModelReply:
        try:
            return await self._provider.complete(request)
        except RlmError:
            raise
        except Exception as error:
            # the edge of a provider, which may be anybody's: what it raises fails a call, not its caller
            reason = f"{type(error).__name__}: {error}"
            retryable = isinstance(error, TimeoutError | OSError)
            raise ProviderFailed(reason=reason, kind="unexpected", retryable=retryable) from error

    def _record(self, request: ModelRequest, reply: ModelReply, caller: Caller) -> dict[str, Any]:
        return {
            "created_at": time.time(),
            "provider": self._provider.name,
            "model": request.model,
            "paid_by": caller.place,
            "request": asdict(request),
            "response": asdict(reply),
        }

    async def _recorded(self, uri: str) -> _Paid | None:
        try:
            record: dict[str, Any] = orjson.loads(await self._blobs.get(uri))
            return _Paid(_REPLY.validate_python(record["response"]), record["paid_by"])
        except (BlobNotFound, ValueError, KeyError):
            # a record that cannot be read is as good as none: the call is made again
            return None

    def _uri(self, request: ModelRequest, caller: Caller, shared: bool) -> str:
        asked = {
            "provider": self._provider.name,
            "model": request.model,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "prompt": [asdict(message) for message in request.messages],
            "schema": request.schema,
            "place": None if shared else caller.place,
            **self._scope,
        }
        digest = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return f"s3://{self._bucket}/cache/{caller.tenant_id}/llm/{digest}.json"


def _clean(reply: ModelReply, model: str, seconds: float) -> ModelReply:
    """A reply with text that can be stored: lone surrogates become U+FFFD."""
    return ModelReply(
        text=well_formed(reply.text),
        model=model,
        usage=reply.usage,
        reasoning=well_formed(reply.reasoning),
        tool_calls=tuple(ToolCall(well_formed(c.name), well_formed(c.arguments)) for c in reply.tool_calls),
        finish_reason=reply.finish_reason,
        seconds=reply.seconds or seconds,
    )
