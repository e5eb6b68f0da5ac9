"""The service with a scripted model, as a program that the benchmark measures: prints its URL and keys."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import uvicorn

from rlm_rs.api.app import create_app
from rlm_rs.api.serving import listen
from rlm_rs.core.model import ModelRequest
from rlm_rs.settings import Settings
from rlm_rs.telemetry.logs import configure_logging
from rlm_rs.testing.models import ScriptedModel
from rlm_rs.wiring import Wiring, wire

TENANTS = ("busy", "quiet")
STEPS = (
    "n = len(context)\nprint(n)",
    "text = context[0][0:20]",
    "FINAL(text)",
)


def replying(request: ModelRequest) -> str:
    """Three turns, whatever is asked."""
    turn = sum(message.role == "assistant" for message in request.messages)
    return f"```repl\n{STEPS[min(turn, len(STEPS) - 1)]}\n```"


def latency_of(argument: str) -> float:
    """Seconds, as in `0.2s`."""
    found = re.fullmatch(r"([\d.]+)s", argument)
    if not found:
        raise SystemExit(f"latency must be like 0.2s, not {argument}")
    return float(found[1])


async def main(data_dir: Path, latency: float) -> None:
    """Serve until ended."""
    configure_logging()
    listening = listen("127.0.0.1", 0)
    # scripted requests are kept for tests to look at; here they would only grow
    model = ScriptedModel(replying, latency=latency)
    model.requests = _Forgotten()
    settings = Settings(rlm_data_dir=data_dir, upload_size_limit_bytes=8 << 30)
    wiring: Wiring = wire(settings, provider=model)
    keys = [await wiring.create_key(tenant, "bench", ("read", "write")) for tenant in TENANTS]
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    print(json.dumps({"url": url, **dict(zip(TENANTS, keys, strict=True))}), flush=True)
    config = uvicorn.Config(create_app(lambda: wiring), log_config=None, access_log=False)
    await uvicorn.Server(config).serve(sockets=[listening])


class _Forgotten(list[ModelRequest]):
    def append(self, _request: ModelRequest) -> None:
        """Keep nothing."""


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), latency_of(sys.argv[2])))
