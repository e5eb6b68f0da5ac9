"""`Idempotency-Key`: the same request sent twice is done once, also when it reaches two processes."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from rlm_rs.api.gate import Writer
from rlm_rs.api.parts import Parts, PartsDep
from rlm_rs.orchestrator.once import once

REPLAYED = "Idempotent-Replayed"


@dataclass(frozen=True, slots=True)
class Once:
    """One request, under its key if it has one."""

    parts: Parts
    tenant_id: str
    path: str
    key: str | None
    response: Response

    async def result(self, body: BaseModel, make: Callable[[], Awaitable[str]]) -> str:
        """The id that `make` gives, or gave when this request came first.

        Raises `IdempotencyKeyReused` and `RequestUnderWay`.
        """
        if self.key is None:
            return await make()
        digest = hashlib.sha256(f"{self.path}\0{body.model_dump_json()}".encode()).hexdigest()

        async def act() -> bytes:
            return (await make()).encode()

        made, replayed = await once(self.parts.wiring.idempotency, self.tenant_id, self.key, digest, act)
        if replayed:
            self.response.headers[REPLAYED] = "true"
        return made.decode()


def _once(
    request: Request,
    response: Response,
    caller: Writer,
    parts: PartsDep,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="done once for the same key and body")
    ] = None,
) -> Once:
    return Once(parts, caller.tenant_id, request.url.path, idempotency_key, response)


Idempotent = Annotated[Once, Depends(_once)]
