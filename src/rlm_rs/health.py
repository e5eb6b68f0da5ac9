"""Whether everything an ask needs works here: the checks behind `rlm doctor`.

Each check says what was found and, where something is wrong, what to do about it. Nothing is fixed, and
nothing is sent over the network unless `online` asks for it.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from rlm_rs.core.corpus import Failure
from rlm_rs.core.errors import RlmError
from rlm_rs.core.model import Message, ModelRequest
from rlm_rs.settings import Settings, config_file, load_settings
from rlm_rs.wiring import FAKE, OFFLINE_NOTICE, Wiring, wire

LEAST_PYTHON = (3, 11)
LEAST_SQLITE = (3, 51, 3)
SAMPLE = "The parser reads this sentence.\n"
ONLINE_TOKENS = 16
_SANDBOX_FIXES = {
    "process": "Run on Linux with seccomp, in a container with its default seccomp profile or none.",
    "lambda": "`rlm deploy check` says what the function lacks; docs/deploy/function.md what holds there.",
}


@dataclass(frozen=True, slots=True)
class Health:
    """One check: what was looked at, whether it is well, what was found, and what to do if it is not."""

    name: str
    ok: bool
    detail: str
    fix: str | None = None


async def check_health(data_dir: str | None = None, *, online: bool = False) -> AsyncIterator[Health]:
    """Every check in turn. Those that need what has failed already are left out."""
    yield _python()
    try:
        settings = load_settings(rlm_data_dir=Path(data_dir) if data_dir else None)
        yield Health("settings", True, _settings_place())
        wiring = wire(settings)
    except RlmError as error:
        name = str(error.details.get("variable", "settings"))
        yield Health(name, False, error.message, "Correct that setting, or unset it.")
        return
    try:
        async for check in _wired(wiring, online):
            yield check
    finally:
        await wiring.close()


async def _wired(wiring: Wiring, online: bool) -> AsyncIterator[Health]:
    yield Health("profile", True, _profile(wiring.settings))
    yield _sqlite(wiring.sqlite_version)
    yield await _tried("data directory", _data_dir, wiring, "Name a folder you may write to with --data-dir.")
    async for check in _sandbox(wiring):
        yield check
    yield await _tried("parser", _parser, wiring, "Install the package again: its parser does not start.")
    if wiring.settings.parser_service_url:
        fix = "Start it, or correct PARSER_SERVICE_URL."
        yield await _tried("parser service", Wiring.parser_answers, wiring, fix)
    yield Health("search", True, wiring.search_detail)
    yield await _tried("models", _models, wiring, "Set DEFAULT_ROOT_MODEL and DEFAULT_SUB_MODEL.")
    if online:
        yield await _tried(
            "provider answers", _online, wiring, "Check the key, the URL and the model's name."
        )


async def _tried(name: str, check: Callable[[Wiring], Awaitable[str]], wiring: Wiring, fix: str) -> Health:
    try:
        return Health(name, True, await check(wiring))
    except (RlmError, OSError) as error:
        return Health(name, False, error.message if isinstance(error, RlmError) else str(error), fix)


def _python() -> Health:
    version, wanted = platform.python_version(), ".".join(map(str, LEAST_PYTHON))
    return Health("Python", sys.version_info >= LEAST_PYTHON, version, f"Use Python {wanted} or newer.")


def _sqlite(version: str) -> Health:
    ok = tuple(int(part) for part in version.split(".")) >= LEAST_SQLITE
    least = ".".join(map(str, LEAST_SQLITE))
    return Health("SQLite", ok, version, f"Install apsw again: SQLite before {least} can corrupt its log.")


def _settings_place() -> str:
    place = config_file()
    return f"read from {place}" if place.is_file() else f"from the environment; there is no {place}"


def _profile(settings: Settings) -> str:
    if settings.profile() == "embedded":
        return "embedded: everything is in the data directory"
    names = f"tables {settings.table_prefix()}_*, bucket {settings.s3_bucket}"
    return f"aws: {names}; `rlm deploy check` looks at them"


async def _data_dir(wiring: Wiring) -> str:
    place = wiring.settings.rlm_data_dir
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(b"written")
    await wiring.ports.catalog.list_executions("health", 1)
    return f"{place} can be written"


async def _parser(wiring: Wiring) -> str:
    folder = wiring.spool_dir()
    source = folder / "sample.txt"
    source.write_text(SAMPLE, encoding="utf-8")
    output = folder / "parsed"
    output.mkdir()
    parsed = await wiring.parser.parse(source, source.name, "text/plain", output)
    if isinstance(parsed, Failure):
        raise RlmError(f"{parsed.code}: {parsed.message}")
    return f"starts and reads text (version {wiring.parser.version})"


async def _models(wiring: Wiring) -> str:
    models = wiring.models()
    if wiring.ports.provider.name == FAKE:
        return OFFLINE_NOTICE
    settings = wiring.settings
    place = settings.azure_endpoint() if "azure" in wiring.ports.provider.name else settings.openai_base_url
    return (
        f"{wiring.ports.provider.name}{f' at {place}' if place else ''}: root {models.root}, sub {models.sub}"
    )


async def _online(wiring: Wiring) -> str:
    models = wiring.models()
    request = ModelRequest(models.sub, (Message("user", "Reply with OK."),), max_tokens=ONLINE_TOKENS)
    reply = await wiring.ports.provider.complete(request)
    return f"{reply.model} in {reply.seconds:.1f} s"


async def _sandbox(wiring: Wiring) -> AsyncIterator[Health]:
    """The layers, and the proof from inside a step."""
    fix = _SANDBOX_FIXES[wiring.settings.sandbox_runner]
    try:
        yield Health("sandbox", True, await wiring.sandbox_layers())
        for check in await wiring.sandbox_proof():
            yield Health(f"in a step, {check.name}", check.held, check.detail, fix)
    except RlmError as error:
        yield Health("sandbox", False, error.message, fix)
