"""One server for most tests: the offline policy as its models."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx2
import pytest
import structlog
from api_server import Running, running

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("data"), llm_provider="fake") as found:
        yield found


@pytest.fixture(scope="session")
def acme(server: Running) -> Iterator[httpx2.Client]:
    with server.client("acme") as client:
        yield client


@pytest.fixture(scope="session")
def globex(server: Running) -> Iterator[httpx2.Client]:
    with server.client("globex") as client:
        yield client
