"""What a step costs. `python benchmarks/sandbox/bench.py` prints one line per figure; see README.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from scene import NOTHING, corpus_of, finished, hole_file, scene, step, text_file

from rlm_rs.runners.process import ProcessRunner

MB = 1 << 20
CATASTROPHIC = (
    r"(a+)+$", r"(a|a)*$", r"(a|aa)+$", r"(.*a){20}$", r"([a-zA-Z]+)*$",
    r"(a*)*b", r"^(\w+\s?)*$", r"(x+x+)+y", r"((ab)*)*c",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement; `target` as the acceptance states it, `held` whether it was met."""

    name: str
    value: float
    unit: str
    target: str
    held: bool


async def fresh_step(runner: ProcessRunner, _blobs: Path, pause: float = 0.02) -> list[Figure]:
    """A step in a fresh child while spare children are ready, and one after another with no pause."""
    figures = []
    for name, wait in (("fresh step, spares ready, p50", pause), ("fresh step, back to back, p50", 0.0)):
        times = []
        for _ in range(200):
            await asyncio.sleep(wait)
            times.append(await timed(finished(runner, "print(1)", NOTHING)))
        p50 = statistics.median(times) * 1e3
        figures.append(Figure(name, p50, "ms", "<= 2", p50 <= 2))
    return figures


async def throughput(runner: ProcessRunner, _blobs: Path) -> list[Figure]:
    """Many steps at once."""
    count = 1000
    took = await timed(asyncio.gather(*(finished(runner, "print(1)", NOTHING) for _ in range(count))))
    return [Figure("steps a second", count / took, "1/s", ">= 300 on 2 cores", count / took >= 300)]


async def fairness(runner: ProcessRunner, _blobs: Path) -> list[Figure]:
    """64 steps of 50 ms at once: all end, and none waits for longer than all of them take."""
    code = "total = 0\nfor n in range(1_000_000): total += n"
    took = await asyncio.gather(*(timed(finished(runner, code, NOTHING)) for _ in range(64)))
    return [Figure("64 steps at once, slowest", max(took), "s", "all end", True)]


async def mapped(runner: ProcessRunner, blobs: Path) -> list[Figure]:
    """Slices and literal search of a 512 MB document."""
    size = 512 * MB
    corpus = corpus_of("mapped", [(text_file(blobs, "big.txt", size), size)])
    slices, figures = 20_000, []
    code = f"d = context[0]\nfor n in range({slices}): d[n * 25_000 : n * 25_000 + 1024]"
    await finished(runner, code, corpus)
    cost = (await finished(runner, code, corpus)).usage.cpu_seconds / slices * 1e6
    figures.append(Figure("1 KB slice of 512 MB", cost, "us", "<= 15", cost <= 15))
    search = "print(context[0].find('no such words'))"
    await finished(runner, search, corpus)
    rate = size / (await finished(runner, search, corpus)).usage.wall_seconds / 1e9
    figures.append(Figure("literal search, warm", rate, "GB/s", ">= 5", rate >= 5))
    return figures


async def regexes(runner: ProcessRunner, blobs: Path) -> list[Figure]:
    """Nine patterns that make a backtracking engine hang, over text made for them."""
    text = b"a" * 4000 + b" x" * 2000 + b"ab" * 1000 + b"!"
    corpus = corpus_of("regexes", [(text_file(blobs, "regex.txt", len(text), text), len(text))])
    worst = 0.0
    for pattern in CATASTROPHIC:
        result = await runner.run(step(f"print(context[0].regex({pattern!r}))"), corpus)
        worst = max(worst, result.usage.wall_seconds * 1e3)
    return [Figure("catastrophic patterns, slowest of nine", worst, "ms", "<= 20", worst <= 20)]


async def huge(runner: ProcessRunner, blobs: Path) -> list[Figure]:
    """A step over 10 GB with a private memory limit of 64 MB."""
    size = 10 << 30
    corpus = corpus_of("huge", [(hole_file(blobs, "huge.txt", size), size)])
    code = f"d = context[0]\nprint(len(d), len(d[{size - 1000}:]), d.find('x', start={size - 100 * MB}))"
    took = await timed(finished(runner, code, corpus))
    return [Figure("10 GB corpus under 64 MB", took, "s", "no STEP_MEMORY", True)]


async def image(runner: ProcessRunner, blobs: Path) -> list[Figure]:
    """The corpus image of 10,000 documents."""
    uris = [(text_file(blobs, f"small-{number}.txt", 2000), 2000) for number in range(10_000)]
    took = await timed(finished(runner, "print(len(context))", corpus_of("many", uris)))
    return [Figure("first step over 10,000 documents", took, "s", "a few", took <= 5)]


async def timed(work: Awaitable[object]) -> float:
    """Seconds until it is done."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


PARTS: dict[str, Callable[[ProcessRunner, Path], Awaitable[list[Figure]]]] = {
    "fresh": fresh_step,
    "throughput": throughput,
    "fairness": fairness,
    "mapped": mapped,
    "regexes": regexes,
    "huge": huge,
    "image": image,
}


async def main(parts: list[str], as_json: bool) -> int:
    figures: list[Figure] = []
    async with scene() as (runner, blobs):
        if not as_json:
            print(f"layers: {(await runner.start()).in_words()}")
        for part in parts:
            for figure in await PARTS[part](runner, blobs):
                figures.append(figure)
                if not as_json:
                    mark = "ok  " if figure.held else "MISS"
                    line = f"{mark} {figure.name}: {figure.value:.2f} {figure.unit} (target {figure.target})"
                    print(line, flush=True)
    if as_json:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0 if all(figure.held for figure in figures) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    chosen = parser.parse_args()
    sys.exit(asyncio.run(main(chosen.parts or list(PARTS), chosen.json)))
