"""Dockerfile and compose.yaml, as far as they can be judged without Docker."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlm_rs.settings import Settings
from rlm_rs.testing.local_server import LocalServer, answer
from rlm_rs.testing.openai_http import HttpAnswer, HttpRequest

ROOT = Path(__file__).parents[2]
HEALTHCHECK = ROOT / "infra" / "docker" / "healthcheck.py"
OWN = ("create", "api", "orchestrator", "ingestion", "parser")


@pytest.fixture(scope="session")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def services() -> dict[str, Any]:
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return dict(composed["services"])


class TestDockerfile:
    def test_the_last_stage_runs_as_nobody_in_particular(self, dockerfile: str) -> None:
        last = dockerfile.rpartition("\nFROM ")[2]
        assert re.findall(r"^USER (\S+)", last, re.MULTILINE) == ["10001:10001"]
        assert "HEALTHCHECK" in last

    def test_whatever_is_installed_is_locked_by_hash(self, dockerfile: str) -> None:
        installs = re.findall(r"pip install (.*)", dockerfile)
        assert len(installs) == 3
        assert all("--require-hashes" in each or "--no-index" in each for each in installs)

    def test_nothing_of_the_build_is_in_what_runs(self, dockerfile: str) -> None:
        last = dockerfile.rpartition("\nFROM ")[2]
        copied = re.findall(r"^COPY (.*)", last, re.MULTILINE)
        assert copied == [
            "--from=packages /app/.venv /app/.venv",
            "infra/docker/healthcheck.py /app/healthcheck.py",
        ]

    def test_what_it_copies_is_there_and_is_let_in(self, dockerfile: str) -> None:
        let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
        copied = {
            source.removeprefix("./")
            for line in re.findall(r"^COPY (?!--from)(.*)", dockerfile, re.MULTILINE)
            for source in line.split()[:-1]
        }
        assert copied == let_in
        assert all((ROOT / name).exists() for name in let_in)


class TestCompose:
    def test_nothing_is_published_beyond_this_machine(self, services: dict[str, Any]) -> None:
        ports = [port for each in services.values() for port in each.get("ports", ())]
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_the_api_is_where_clients_expect_it_and_the_ui_too(self, services: dict[str, Any]) -> None:
        assert services["api"]["ports"] == ["127.0.0.1:8080:8080", "127.0.0.1:3000:8080"]

    @pytest.mark.parametrize("name", OWN)
    def test_every_variable_is_a_setting(self, services: dict[str, Any], name: str) -> None:
        named = services[name]["environment"]
        assert [variable for variable in named if variable.lower() not in Settings.model_fields] == []

    @pytest.mark.parametrize("name", OWN)
    def test_a_container_is_confined(self, services: dict[str, Any], name: str) -> None:
        service = services[name]
        assert (service["read_only"], service["cap_drop"], service["init"]) == (True, ["ALL"], True)
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_services_wait_for_what_they_need(self, services: dict[str, Any]) -> None:
        needed = {name: each.get("depends_on", {}) for name, each in services.items()}
        assert all("create" in needed[name] for name in OWN if name != "create")
        for name, others in needed.items():
            for other, how in others.items():
                assert other in services
                if how["condition"] == "service_healthy":
                    assert "test" in services[other]["healthcheck"], (name, other)

    def test_ingestion_asks_the_parser_where_it_listens(self, services: dict[str, Any]) -> None:
        command = services["parser"]["command"]
        port = command[command.index("--port") + 1]
        assert services["ingestion"]["environment"]["PARSER_SERVICE_URL"] == f"http://parser:{port}"


async def checked(address: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HEALTHCHECK), f"http://{address}/", stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
async def test_a_service_is_healthy_if_it_answers_well(status: int, healthy: bool) -> None:
    async def answering(_request: HttpRequest) -> HttpAnswer:
        return answer(status)

    async with LocalServer(answering) as server:
        assert (await checked(server.address) == 0) is healthy


async def test_a_service_that_does_not_answer_is_not_healthy() -> None:
    assert await checked("127.0.0.1:9") == 1
