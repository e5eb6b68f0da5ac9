"""Signing a browser in and out, and who a key is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from rlm_rs.api.envelope import documented
from rlm_rs.api.gate import Reader
from rlm_rs.api.parts import Parts, PartsDep
from rlm_rs.api.schemas import Body
from rlm_rs.api.service_views import SignInLink, WhoAmI
from rlm_rs.api.sign_in import COOKIE_SECONDS, LINK_SECONDS, check_same_origin, cookie_for, cookie_name
from rlm_rs.core.errors import ValidationFailed
from rlm_rs.core.records import ApiKeyRecord
from rlm_rs.version import __version__

router = APIRouter(tags=["sign-in"])

_Secret = Annotated[str, Field(min_length=1, max_length=1000)]


class SignInBody(Body):
    """token: of a one-time link. key: an API key. One of them."""

    token: _Secret | None = None
    key: _Secret | None = None


@router.post("/sign-in", responses=documented(ValidationFailed))
async def sign_in(body: SignInBody, request: Request, response: Response, parts: PartsDep) -> WhoAmI:
    """Exchange a link's token or a key for a cookie that this server's own pages send (12 hours)."""
    if _from_browser(request):
        check_same_origin(request.method, request.headers)
    caller = await _caller(body, parts)
    _set_cookie(request, response, cookie_for(caller.key_hash, parts.wiring), COOKIE_SECONDS)
    return _who(caller, parts)


@router.post("/sign-out", status_code=204, responses=documented())
async def sign_out(request: Request) -> Response:
    """Take the cookie back."""
    response = Response(status_code=204)
    _set_cookie(request, response, "", 0)
    return response


@router.get("/v1/whoami", responses=documented())
async def whoami(caller: Reader, parts: PartsDep) -> WhoAmI:
    """Whose key this is, its scopes, and the models and budgets used where a request names none."""
    return _who(caller, parts)


@router.post("/v1/sign-in-links", status_code=201, responses=documented())
async def make_link(caller: Reader, parts: PartsDep) -> SignInLink:
    """A one-time link for a browser: `/sign-in#TOKEN`, good for ten minutes in this process."""
    return SignInLink(token=parts.links.make(caller.key_hash), expires_in_seconds=LINK_SECONDS)


def _from_browser(request: Request) -> bool:
    return "sec-fetch-site" in request.headers or "origin" in request.headers


async def _caller(body: SignInBody, parts: Parts) -> ApiKeyRecord:
    if (body.token is None) == (body.key is None):
        raise ValidationFailed(reason="Send either `token` or `key`.")
    if body.key is not None:
        return await parts.wiring.check_key(body.key.strip())
    return await parts.wiring.good_key(parts.links.take(body.token or ""))


def _set_cookie(request: Request, response: Response, value: str, seconds: int) -> None:
    response.set_cookie(
        cookie_name(request.headers),
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _who(caller: ApiKeyRecord, parts: Parts) -> WhoAmI:
    models = parts.wiring.models()
    return WhoAmI(
        tenant_id=caller.tenant_id,
        key_id=caller.key_id,
        key_name=caller.name,
        scopes=list(caller.scopes),
        models={"root_model": models.root, "sub_model": models.sub},
        budgets=asdict(parts.service.budgets),
        traces=parts.wiring.settings.enable_return_trace,
        version=__version__,
    )
