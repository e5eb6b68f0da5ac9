"""The web UI: one page for all of its addresses, and assets that never change under their names."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from rlm_rs.core.errors import NotFound
from rlm_rs.ui.site import BuiltFile, assets, page

router = APIRouter(include_in_schema=False)

# all of it comes from here; nothing is inline, and no other site may show it in a frame
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}
FOR_EVER = "public, max-age=31536000, immutable"
ALWAYS_ASK = "no-cache"


@router.get("/")
@router.get("/ask")
@router.get("/sign-in")
@router.get("/sessions")
@router.get("/sessions/{rest:path}")
@router.get("/executions")
@router.get("/executions/{rest:path}")
@router.get("/citations")
@router.get("/debug")
async def show_page(request: Request) -> Response:
    """The page; which view it shows is in the address."""
    return _sent(request, page(), ALWAYS_ASK)


@router.get("/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    """A script, a style or a picture."""
    found = assets().get(name)
    if found is None:
        raise NotFound(path=request.url.path)
    return _sent(request, found, FOR_EVER)


def _sent(request: Request, file: BuiltFile, cached: str) -> Response:
    headers = {**HEADERS, "Cache-Control": cached, "ETag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.content, headers=headers, media_type=file.media_type)
    return Response(file.gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
