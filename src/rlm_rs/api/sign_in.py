"""Signing a browser in: a one-time link or a key is exchanged for a cookie.

The cookie names the key by its hash, sealed with a secret of the installation, so that it holds in every
process and ends with the key. Scripts cannot read it. Browsers send cookies to every port of a host, so what
comes with one is believed only if the page itself sent it (Fetch Metadata, W3C; Origin, RFC 6454).
"""

from __future__ import annotations

import hmac
import secrets
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from rlm_rs.core.errors import Forbidden, Unauthorized
from rlm_rs.core.records import ApiKeyRecord
from rlm_rs.wiring import Wiring

COOKIE = "rlm_sign_in"
COOKIE_SECONDS = 12 * 3600
LINK_SECONDS = 600.0
MAX_LINKS = 1000
SAFE = frozenset({"GET", "HEAD"})
PURPOSE = "sign-in cookie"


class OneTimeLinks:
    """Secrets of sign-in links: each is good once, for LINK_SECONDS, in the process that made it."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, float]] = {}

    def make(self, hashed: str) -> str:
        """A secret that signs one browser in as the key with this hash."""
        now = time.monotonic()
        self._open = {token: entry for token, entry in self._open.items() if entry[1] > now}
        if len(self._open) >= MAX_LINKS:
            self._open.pop(next(iter(self._open)))
        token = secrets.token_urlsafe(32)
        self._open[token] = (hashed, now + LINK_SECONDS)
        return token

    def take(self, token: str) -> str:
        """The hash of the key it stands for; it is then worthless. Raises `Unauthorized`."""
        hashed, ends = self._open.pop(token, ("", 0.0))
        if ends <= time.monotonic():
            raise Unauthorized(
                "This link was used already or is too old. `rlm view` prints another; a key will do too."
            )
        return hashed


def cookie_name(headers: Headers) -> str:
    """The cookie's name on this host and port: servers on other ports of the host keep theirs."""
    port = headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isdigit() else COOKIE


def cookie_of(headers: Headers) -> str | None:
    """The sign-in cookie of a request, if it has one."""
    return cookie_parser(headers.get("cookie", "")).get(cookie_name(headers))


def cookie_for(hashed: str, wiring: Wiring, now: float | None = None) -> str:
    """The cookie of a browser that is signed in as the key with this hash."""
    ends = int((time.time() if now is None else now) + COOKIE_SECONDS)
    said = f"{hashed}.{ends}"
    return f"{said}.{_seal(said, wiring)}"


async def signed_in(cookie: str, method: str, headers: Headers, wiring: Wiring) -> ApiKeyRecord:
    """The key a browser is signed in as. Raises `Unauthorized`, or `Forbidden` if another site asks."""
    check_same_origin(method, headers)
    said, _, seal = cookie.rpartition(".")
    hashed, _, ends = said.partition(".")
    sealed = hmac.compare_digest(seal.encode(), _seal(said, wiring).encode())
    if not sealed or not ends.isdigit() or int(ends) <= time.time():
        raise Unauthorized("You are signed out. Sign in again with a link or a key.")
    return await wiring.good_key(hashed)


def check_same_origin(method: str, headers: Headers) -> None:
    """Raise `Forbidden` unless the page itself, or for what only reads the person, made this request."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site == "same-origin" or (site == "none" and method in SAFE)
    elif origin is not None:
        own = urlsplit(origin).netloc == headers.get("host")
    else:
        own = method in SAFE
    if not own:
        raise Forbidden("The sign-in cookie is only taken from this server's own pages. Send a key instead.")


def _seal(said: str, wiring: Wiring) -> str:
    return hmac.new(wiring.secret_for(PURPOSE), said.encode(), "sha256").hexdigest()
