"""What holds for every test: no network but this machine's own."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# how long one example takes is the machine's affair, not the property's
settings.register_profile("rlm", deadline=None)
settings.load_profile("rlm")

_IP_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class NetworkForbidden(AssertionError):
    """A test tried to reach another machine."""


def _check(family: int, address: Any) -> None:
    if family in _IP_FAMILIES and not _is_loopback(address[0]):
        raise NetworkForbidden(f"a test must not reach {address[0]!r}: only loopback is allowed")


def _is_loopback(host: str) -> bool:
    try:
        return host in ("localhost", "") or ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


class GuardedSocket(socket.socket):
    """A socket that connects and sends to this machine only."""

    def connect(self, address: Any) -> None:
        _check(self.family, address)
        super().connect(address)

    def connect_ex(self, address: Any) -> int:
        _check(self.family, address)
        return super().connect_ex(address)

    def sendto(self, data: Any, *rest: Any) -> int:
        _check(self.family, rest[-1])
        return super().sendto(data, *rest)


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Every socket made while tests run is guarded, and no name but this machine's is looked up."""
    plain, lookup = socket.socket, socket.getaddrinfo

    def guarded_lookup(host: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_loopback(name):
            raise NetworkForbidden(f"a test must not look up {name!r}")
        return lookup(host, *rest, **named)

    socket.socket, socket.getaddrinfo = GuardedSocket, guarded_lookup  # type: ignore[misc]
    yield
    socket.socket, socket.getaddrinfo = plain, lookup  # type: ignore[misc]
