"""Running the application on a socket until a signal ends it."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import uvicorn

from rlm_rs.api.app import create_app
from rlm_rs.api.sign_in import OneTimeLinks
from rlm_rs.core.errors import Unauthorized, ValidationFailed
from rlm_rs.library import LOCAL_TENANT
from rlm_rs.orchestrator.keys import SCOPES
from rlm_rs.settings import KEY_FILE, SERVING_FILE, Settings
from rlm_rs.telemetry.logs import configure_logging
from rlm_rs.wiring import Wiring, wire

GRACEFUL_SECONDS = 10
BACKLOG = 2048
KEY_NAME = "local"

Told = Callable[[str], None]
"""What is shown to whoever started the server."""


async def serve(settings: Settings, host: str, port: int, told: Told) -> None:
    """Serve until SIGINT or SIGTERM; what is under way is then finished or given back."""
    configure_logging()
    listening = listen(host, port)
    wiring = wire(settings)
    told(f"RLM-RS at {_url(host, listening)} (API reference: {_url(host, listening)}/docs)")
    links = OneTimeLinks()
    await _tell_key(wiring, host, told)
    await _tell_link(wiring, host, _url(host, listening), links, told)
    app = create_app(lambda: wiring, links)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    with _announced(settings.rlm_data_dir / SERVING_FILE, _url(host, listening)):
        await uvicorn.Server(config).serve(sockets=[listening])


@contextmanager
def _announced(place: Path, url: str) -> Iterator[None]:
    """While the server runs, other commands over its data directory find it."""
    said = orjson.dumps({"url": url, "pid": os.getpid()})
    place.write_bytes(said)
    try:
        yield
    finally:
        # another server may have been started since
        if place.exists() and place.read_bytes() == said:
            place.unlink()


def listen(host: str, port: int) -> socket.socket:
    """A socket that connections come to. Raises `ValidationFailed` where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # inherited by what it accepts; else the end of a response waits 40 ms for an acknowledgement
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise ValidationFailed(
            reason=f"Cannot listen on {host}:{port} ({error.strerror or error}). Choose another --port."
        ) from error


def _url(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


async def _tell_key(wiring: Wiring, host: str, told: Told) -> None:
    """On loopback, a key to begin with: made once, shown once, kept where only its owner can read it."""
    if not is_loopback(host):
        if not await wiring.keys.list_keys():
            told("There are no keys yet: `rlm keys create --tenant T --name N` makes one.")
        return
    place = wiring.settings.rlm_data_dir / KEY_FILE
    if place.exists():
        told(f"Key: see {place}")
        return
    key = await wiring.create_key(LOCAL_TENANT, KEY_NAME, SCOPES)
    _keep(place, key)
    told(f"Key: {key} (kept in {place}; it is not shown again)")


async def _tell_link(wiring: Wiring, host: str, url: str, links: OneTimeLinks, told: Told) -> None:
    """On loopback, a link that signs one browser in with the key that is kept there."""
    place = wiring.settings.rlm_data_dir / KEY_FILE
    if not is_loopback(host) or not place.exists():
        told(f"Web UI: {url}/ (sign in with a key)")
        return
    try:
        kept = await wiring.check_key(place.read_text(encoding="utf-8").strip())
    except Unauthorized:
        told(f"Web UI: {url}/ (sign in with a key; the one in {place} is no longer good)")
        return
    told(f"Web UI: {url}/sign-in#{links.make(kept.key_hash)} (signs one browser in, for ten minutes)")


def _keep(place: Path, key: str) -> None:
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
