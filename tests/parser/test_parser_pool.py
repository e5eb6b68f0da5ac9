from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from parser_documents import xlsx

from rlm_rs.core.corpus import Failure
from rlm_rs.parser.outcome import Parsed, ParseLimits, ParseOutcome
from rlm_rs.parser.parse import parse_file
from rlm_rs.parser.pool import ParserPool

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def stuck(folder: Path) -> Path:
    """A source that a worker waits for until it is killed: nobody writes to it."""
    path = folder / "stuck.txt"
    os.mkfifo(path)
    return path


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)


def parse(pool: ParserPool, path: Path) -> Awaitable[ParseOutcome]:
    return pool.parse(path, path.name, None, path.parent / f"{path.name}.out")


def is_alive(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        return False


async def test_a_worker_gives_what_the_parser_gives(tmp_path: Path) -> None:
    path = written(tmp_path, "a.md", "# Töp\n\ntext".encode())
    async with ParserPool() as pool:
        outcome = await parse(pool, path)
    direct = parse_file(path, "a.md", None, tmp_path / "direct")
    assert isinstance(outcome, Parsed)
    assert isinstance(direct, Parsed)
    assert (outcome.title, outcome.text_checksum) == (direct.title, direct.text_checksum)
    for file in ("text.txt", "meta.json", "offsets.json", "offsets.u64"):
        assert (tmp_path / "a.md.out" / file).read_bytes() == (tmp_path / "direct" / file).read_bytes()


async def test_no_process_starts_before_the_first_parse(tmp_path: Path) -> None:
    async with ParserPool() as pool:
        assert pool.worker_pids == ()
        await parse(pool, written(tmp_path, "a.txt", b"words"))
        assert len(pool.worker_pids) == 1


async def test_a_worker_killed_while_parsing_fails_that_document_only(tmp_path: Path) -> None:
    async with ParserPool(workers=2) as pool:
        parsing = asyncio.ensure_future(parse(pool, stuck(tmp_path)))
        await eventually(lambda: len(pool.worker_pids) == 1)
        assert isinstance(await parse(pool, written(tmp_path, "a.txt", b"words")), Parsed)
        await asyncio.sleep(0.2)
        os.kill(pool.worker_pids[-1], signal.SIGKILL)
        failure = await parsing
        assert isinstance(failure, Failure)
        assert failure.code == "PARSE_CRASHED"
        assert "signal 9" in failure.message
        assert isinstance(await parse(pool, written(tmp_path, "b.txt", b"more words")), Parsed)


async def test_a_worker_that_died_idle_is_replaced(tmp_path: Path) -> None:
    async with ParserPool(workers=1) as pool:
        await parse(pool, written(tmp_path, "a.txt", b"words"))
        (pid,) = pool.worker_pids
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not is_alive(pid))
        await asyncio.sleep(0.05)
        assert isinstance(await parse(pool, written(tmp_path, "b.txt", b"words")), Parsed)


async def test_a_hang_ends_at_the_wall_limit_and_leaves_nothing(tmp_path: Path) -> None:
    path = stuck(tmp_path)
    leftovers = tmp_path / "stuck.txt.out"
    leftovers.mkdir()
    written(leftovers, "text.txt", b"half")
    async with ParserPool(workers=1, limits=ParseLimits(wall_seconds=0.4)) as pool:
        failure = await parse(pool, path)
        assert isinstance(failure, Failure)
        assert failure.code == "PARSE_TIMEOUT"
        assert list(leftovers.iterdir()) == []
        assert isinstance(await parse(pool, written(tmp_path, "a.txt", b"words")), Parsed)


@linux_only
@pytest.mark.parametrize(
    ("name", "data"),
    [
        (
            "far.xlsx",
            xlsx({"S": '<row><c r="A1"><v>1</v></c></row><row><c r="XFD1048576"><v>2</v></c></row>'}),
        ),
        ("long.md", b"# h\n\npara\n\n" * 700_000),
    ],
)
async def test_a_document_that_needs_too_much_memory_fails_alone(
    tmp_path: Path, name: str, data: bytes
) -> None:
    async with ParserPool(workers=1, limits=ParseLimits(memory_bytes=150 << 20)) as pool:
        failure = await parse(pool, written(tmp_path, name, data))
        assert isinstance(failure, Failure)
        assert failure.code == "PARSE_MEMORY"
        assert isinstance(await parse(pool, written(tmp_path, "a.txt", b"words")), Parsed)


@linux_only
async def test_processor_time_is_limited(tmp_path: Path) -> None:
    slow = written(tmp_path, "slow.md", b"# h\n\npara\n\n" * 700_000)
    async with ParserPool(workers=1, limits=ParseLimits(wall_seconds=0.5, seconds_per_megabyte=0)) as pool:
        failure = await parse(pool, slow)
    assert isinstance(failure, Failure)
    assert failure.code == "PARSE_TIMEOUT"


@linux_only
async def test_a_worker_has_no_environment_and_no_descriptors_of_ours(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("wb") as secret:
        os.set_inheritable(secret.fileno(), True)
        async with ParserPool(workers=1) as pool:
            await parse(pool, written(tmp_path, "a.txt", b"words"))
            process = Path(f"/proc/{pool.worker_pids[0]}")
            assert (process / "environ").read_bytes() == b""
            targets = [os.readlink(fd) for fd in (process / "fd").iterdir()]
            assert not any("secret" in target for target in targets)
            assert len(targets) <= 4
            limits = (process / "limits").read_text()
            assert f"Max data size             {1536 << 20}" in limits
            assert "Max core file size        0" in limits


@linux_only
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", b"words")
    script = (
        "import asyncio, os, pathlib, signal, sys\n"
        "from rlm_rs.parser.pool import ParserPool\n"
        "async def main():\n"
        "    pool, path = ParserPool(), pathlib.Path(sys.argv[1])\n"
        "    await pool.parse(path, 'a.txt', None, path.parent / 'out')\n"
        "    print(*pool.worker_pids, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    (pid,) = map(int, done.stdout.split())
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


async def test_a_cancelled_parse_gives_its_place_back(tmp_path: Path) -> None:
    async with ParserPool(workers=1) as pool:
        parsing = asyncio.ensure_future(parse(pool, stuck(tmp_path)))
        await eventually(lambda: len(pool.worker_pids) == 1)
        parsing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await parsing
        assert isinstance(await parse(pool, written(tmp_path, "a.txt", b"words")), Parsed)


async def test_closing_ends_what_is_under_way(tmp_path: Path) -> None:
    pool = ParserPool(workers=1)
    parsing = asyncio.ensure_future(parse(pool, stuck(tmp_path)))
    await eventually(lambda: len(pool.worker_pids) == 1)
    await pool.close()
    assert isinstance(await parsing, Failure)
    assert pool.worker_pids == ()


async def test_file_names_need_not_be_utf8(tmp_path: Path) -> None:
    path = written(tmp_path, os.fsdecode(b"caf\xe9.txt"), b"words")
    async with ParserPool(workers=1) as pool:
        assert isinstance(await parse(pool, path), Parsed)


async def test_many_small_files_are_parsed_by_few_workers(tmp_path: Path) -> None:
    paths = [written(tmp_path, f"{number}.txt", b"a few words") for number in range(400)]
    async with ParserPool(workers=2) as pool:
        outcomes = await asyncio.gather(*(parse(pool, path) for path in paths))
        assert len(pool.worker_pids) == 2
    assert all(isinstance(outcome, Parsed) for outcome in outcomes)
