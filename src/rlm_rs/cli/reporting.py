"""Reports on disk, and links into the page of a server that runs over the same data directory."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rlm_rs.core.errors import RlmError, ValidationFailed
from rlm_rs.library import RLM
from rlm_rs.settings import KEY_FILE, SERVING_FILE
from rlm_rs.ui.report import report_of

REPORTS = "reports"
STANDARD_OUTPUT = "-"
ANSWER_SECONDS = 5.0


async def view(start: str, target: str | None, data_dir: str | None) -> str:
    """What to show of an execution: a link, where its report was written, or for `-` the report itself."""
    async with RLM(data_dir=data_dir) as rlm:
        execution_id = await rlm.afind(start)
        place = rlm.wiring.settings.rlm_data_dir
        if target is None and (link := await asyncio.to_thread(link_to, place, execution_id)):
            return link
        if target == STANDARD_OUTPUT:
            return await report_of(rlm.tenant_id, execution_id, rlm.wiring.ports)
        if target is None:
            place = await asyncio.to_thread(_reports, place)
            return await write_report(rlm, execution_id, place / f"{execution_id}.html")
        return await write_report(rlm, execution_id, Path(target or f"{execution_id}.html"))


async def write_report(rlm: RLM, execution_id: str, path: Path) -> str:
    """Write the report of an execution; where it is, as a `file:` address.

    Raises `ValidationFailed` for a place where none can be, `RlmError` if the writing itself fails.
    """
    check_target(path)
    content = await report_of(rlm.tenant_id, execution_id, rlm.wiring.ports)
    return await asyncio.to_thread(_written, path, content)


def _written(path: Path, content: str) -> str:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise RlmError(f"Cannot write {path}: {error.strerror or error}.") from error
    return path.resolve().as_uri()


def _reports(data_dir: Path) -> Path:
    folder = data_dir / REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_target(path: Path) -> None:
    """Raise `ValidationFailed` for a file that cannot be written, before anything is paid for."""
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise ValidationFailed(reason=f"Cannot write {path}: name a file in a folder that is there.")


def link_to(data_dir: Path, execution_id: str) -> str | None:
    """A link that signs a browser in and shows the execution, if a server runs over this data directory."""
    try:
        url = str(json.loads((data_dir / SERVING_FILE).read_text(encoding="utf-8"))["url"])
        key = (data_dir / KEY_FILE).read_text(encoding="utf-8").strip()
        token = _posted(f"{url}/v1/sign-in-links", key)["token"]
    except (OSError, ValueError, KeyError, TypeError):
        # no server, one that has gone, or one that does not know the key: then there is no link
        return None
    return f"{url}/sign-in?{urlencode({'next': f'/executions/{execution_id}'})}#{token}"


def _posted(url: str, key: str) -> dict[str, Any]:
    request = urllib.request.Request(url, b"{}", {"Authorization": f"Bearer {key}"}, method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=ANSWER_SECONDS) as reply:
        found: dict[str, Any] = json.loads(reply.read())
        return found
