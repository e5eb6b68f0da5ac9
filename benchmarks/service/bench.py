"""What the service does under load: `bench.py` prints a line per figure; README.md explains each."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import httpx2
from scene import MB, Figure, Memory, Part, Served, at_once, checked, memory_of, serving, stored, timed, told

TURNS = 3
LOOKUPS = 1000


def sized(full: int, scale: float, least: int = 10) -> int:
    """A full size, made smaller."""
    return max(least, int(full * scale))


async def throughput(folder: Path, scale: float) -> list[Figure]:
    """Executions of three turns each, all asked at once, with a model that takes no time."""
    count = sized(1000, scale)
    async with serving(folder / "data") as served:
        session_id = await served.session(served.busy)
        await served.ended(served.busy, await served.start(served.busy, session_id, "Warm?"))
        async with memory_of(served.pid) as memory:
            took = await timed(_answered(served, session_id, count))
    return [
        Figure(f"{count} executions, a second", count / took, "1/s"),
        Figure("turns a second", TURNS * count / took, "1/s"),
        Figure("memory of the process", memory.most, "MB"),
        Figure("memory it grew by", memory.grown, "MB"),
    ]


async def _answered(served: Served, session_id: str, count: int) -> None:
    ids = await asyncio.gather(*(served.start(served.busy, session_id, f"Number {n}?") for n in range(count)))
    slots = asyncio.Semaphore(16)

    async def one(execution_id: str) -> None:
        async with slots:
            await served.ended(served.busy, execution_id)

    await asyncio.gather(*(one(execution_id) for execution_id in ids))


async def lookup(folder: Path, scale: float) -> list[Figure]:
    """GET of an execution among few stored ones and among many."""
    few, many = sized(1000, scale), sized(100_000, scale)
    async with serving(folder / "data") as served:
        session_id = await served.session(served.busy)
        template = await served.start(served.busy, session_id, "What is the notice period?")
        await served.ended(served.busy, template)
        figures, medians = [], []
        ids: list[str] = []
        for count in (few, many):
            with told(f"storing {count - len(ids):,} executions"):
                ids += await asyncio.to_thread(stored, served.data_dir, "busy", template, count - len(ids))
            times = await _looked_up(served, ids)
            medians.append(statistics.median(times))
            p99 = statistics.quantiles(times, n=100)[98]
            figures += [
                Figure(f"GET execution, {count:,} stored, p50", medians[-1] * 1e3, "ms"),
                Figure(f"GET execution, {count:,} stored, p99", p99 * 1e3, "ms"),
            ]
            pages = await _looked_up(served, [f"?limit=100&status=COMPLETED&n={n}" for n in range(100)], "")
            name = f"page of 100 with a status, {count:,} stored, p50"
            figures.append(Figure(name, statistics.median(pages) * 1e3, "ms"))
    ratio = medians[1] / medians[0]
    figures.append(Figure(f"p50 at {many:,} against {few:,}", ratio, "x", "flat: <= 1.5", ratio <= 1.5))
    return figures


async def _looked_up(served: Served, ids: list[str], slash: str = "/") -> list[float]:
    """Seconds of single requests, one after another."""
    chosen = random.Random(1).choices(ids, k=min(LOOKUPS, 10 * len(ids)))
    return [await timed(_got(served.busy, f"/v1/executions{slash}{one}")) for one in chosen]


async def _got(client: httpx2.AsyncClient, path: str) -> None:
    checked(await client.get(path))


async def followers(folder: Path, scale: float) -> list[Figure]:
    """Streams that follow running executions: how late an event comes, and what a stream costs."""
    streams, executions = sized(500, scale), sized(20, scale, least=2)
    async with serving(folder / "data", latency=1.0) as served:
        session_id = await served.session(served.busy)
        async with memory_of(served.pid) as memory:
            ids = [await served.start(served.busy, session_id, f"Number {n}?") for n in range(executions)]
            following = [_followed(served, ids[n % executions]) for n in range(streams)]
            found = await asyncio.gather(*following)
    lags = [lag for late in found for lag in late]
    assert len(lags) >= streams * TURNS
    p99 = statistics.quantiles(lags, n=100)[98]
    return [
        Figure(f"{streams} followers, events late by, p50", statistics.median(lags) * 1e3, "ms"),
        Figure(f"{streams} followers, events late by, p99", p99 * 1e3, "ms"),
        Figure("memory for each follower", memory.grown * 1024 / streams, "KB"),
    ]


async def _followed(served: Served, execution_id: str) -> list[float]:
    """Seconds from each event that was recorded while we followed to its arrival."""
    late, opened = [], time.time()
    headers = {"Accept": "text/event-stream"}
    path = f"/v1/executions/{execution_id}/events"
    async with served.busy.stream("GET", path, headers=headers) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                at = json.loads(line[6:])["at"]
                if at > opened + 0.5:
                    late.append(time.time() - at)
    return late


async def upload(folder: Path, scale: float) -> list[Figure]:
    """One large upload, as a stream and as a form."""
    size = sized(1024, scale) * MB
    figures = []
    async with serving(folder / "data") as served:
        # the first one pays for what every process does once
        await _uploaded(served, 1 << 20, form=False)
        for form in (False, True):
            async with memory_of(served.pid) as memory:
                took = await timed(_uploaded(served, size, form=form))
            figures += _upload_figures(size, took, memory, form=form)
    return figures


def _upload_figures(size: int, took: float, memory: Memory, *, form: bool) -> list[Figure]:
    name = f"upload of {size // MB:,} MB{' as a form' if form else ''}"
    held = memory.grown <= 64
    return [
        Figure(name, size / MB / took, "MB/s"),
        Figure(f"{name}, memory grew by", memory.grown, "MB", "flat: <= 64", held),
    ]


async def _uploaded(served: Served, size: int, *, form: bool) -> None:
    begin, end = (_FORM_BEGIN, _FORM_END) if form else (b"", b"")

    async def body() -> AsyncIterator[bytes]:
        yield begin
        piece = b"x" * MB
        for _ in range(size // MB):
            yield piece
        yield end

    kind = "multipart/form-data; boundary=edge" if form else "application/octet-stream"
    done = await served.busy.post("/v1/uploads", content=body(), headers={"Content-Type": kind})
    assert checked(done)["byte_length"] == size // MB * MB


_FORM_BEGIN = (
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="big.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\n"
)
_FORM_END = b"\r\n--edge--\r\n"


async def documents(folder: Path, scale: float) -> list[Figure]:
    """Many documents in one session: uploads, reading in, the session's view, an execution over all."""
    count = sized(10_000, scale)
    async with serving(folder / "data") as served, memory_of(served.pid) as memory:
        made = timed(served.session(served.busy, count))
        took = await made
        listed = checked(await served.busy.get("/v1/sessions?limit=1"))["sessions"][0]["session_id"]
        view = await timed(_got(served.busy, f"/v1/sessions/{listed}"))
        asked = await timed(_asked(served, listed))
        again = await timed(_asked(served, listed))
    return [
        Figure(f"{count:,} documents uploaded and read in, a second", count / took, "1/s"),
        Figure("GET of that session", view * 1e3, "ms"),
        Figure("first execution over it", asked, "s"),
        Figure("an execution over it", again, "s"),
        Figure("memory of the process, at most", memory.most, "MB"),
    ]


async def _asked(served: Served, session_id: str) -> None:
    await served.ended(served.busy, await served.start(served.busy, session_id, "How long?"))


async def fairness(folder: Path, scale: float) -> list[Figure]:
    """One tenant queues many executions; another asks its first question behind them."""
    queued = sized(1000, scale)
    figures = []
    for latency in (0.0, 2.0):
        data = folder / f"data_{latency}"
        async with serving(data, latency) as served:
            busy, quiet = await served.session(served.busy), await served.session(served.quiet)
            alone = await timed(_first(served, quiet))
            questions = [{"question": f"Number {n}?"} for n in range(queued)]
            path = f"/v1/sessions/{busy}/executions"
            await at_once([served.busy.post(path, json=one) for one in questions])
            behind = await timed(_first(served, quiet))
        name = f"first answer behind {queued:,} of another tenant, model of {latency:g} s"
        figures += [
            Figure(name, behind, "s"),
            Figure("later than alone by", behind - alone, "s", "< 2", behind - alone < 2),
        ]
    return figures


async def _first(served: Served, session_id: str) -> None:
    await served.ended(served.quiet, await served.start(served.quiet, session_id, "How long?"))


PARTS: dict[str, Part] = {
    "throughput": throughput,
    "lookup": lookup,
    "followers": followers,
    "upload": upload,
    "documents": documents,
    "fairness": fairness,
}


async def measured(names: list[str], scale: float, where: Path | None) -> list[Figure]:
    """The figures of these parts, printed as they come."""
    figures = []
    for name in names:
        print(f"{name}: {(PARTS[name].__doc__ or '').splitlines()[0]}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=where) as folder:
            found = await PARTS[name](Path(folder), scale)
        for figure in found:
            print(line(figure), file=sys.stderr)
        figures += found
    return figures


def line(figure: Figure) -> str:
    """A figure for people."""
    verdict = f"   {figure.target}: {'met' if figure.held else 'MISSED'}" if figure.target else ""
    return f"  {figure.name:<62} {figure.value:>10.2f} {figure.unit}{verdict}"


def main() -> int:
    """The exit code is 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="which parts; by default all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes, such as 0.01")
    parser.add_argument(
        "--where", type=Path, help="folder for the data directories; by default the temporary one"
    )
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    chosen = parser.parse_args()
    figures = asyncio.run(measured(chosen.parts or list(PARTS), chosen.scale, chosen.where))
    if chosen.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0 if all(figure.held for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
