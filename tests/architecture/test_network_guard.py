"""The guard in conftest.py holds, and lets through what stays on this machine."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request

import pytest


@pytest.mark.parametrize("address", ["192.0.2.1", "8.8.8.8", "example.com", "2001:db8::1"])
def test_another_machine_is_out_of_reach(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as tcp, pytest.raises(AssertionError, match="loopback"):
        tcp.connect((address, 80))
    with socket.socket(family, socket.SOCK_DGRAM) as udp, pytest.raises(AssertionError, match="loopback"):
        udp.sendto(b"x", (address, 53))


async def test_libraries_and_the_event_loop_are_guarded_too() -> None:
    with pytest.raises(AssertionError):
        await asyncio.open_connection("192.0.2.1", 80)
    with pytest.raises((AssertionError, urllib.error.URLError)):
        await asyncio.to_thread(urllib.request.urlopen, "http://example.com", timeout=1)


async def test_loopback_and_local_sockets_work() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for host in ("127.0.0.1", "localhost"):
            reader, writer = await asyncio.open_connection(host, port, family=socket.AF_INET)
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
    left, right = socket.socketpair()
    left.send(b"x")
    assert right.recv(1) == b"x"
    left.close()
    right.close()
