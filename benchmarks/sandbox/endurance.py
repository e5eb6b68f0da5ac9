"""Many steps in a row leak nothing: `python benchmarks/sandbox/endurance.py --steps 100000`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from scene import NOTHING, finished, scene, step

from rlm_rs.runners.process import ProcessRunner

CODE = ("print(1)", "x = [n for n in range(1000)]", "1 / 0", "llm_query('never answered')")
SETTLE_SECONDS = 1.0
MEMORY_SLACK_KB = 20_000


async def main(steps: int) -> int:
    async with scene() as (runner, _):
        await batch(runner, 500)
        before = await measured(runner)
        for done in range(0, steps, 1000):
            await batch(runner, min(1000, steps - done))
            print(f"{done + 1000:>7} {await measured(runner)}", flush=True)
        after = await measured(runner)
        await finished(runner, "print('still here')", NOTHING)
    grown = {name: after[name] - before[name] for name in before}
    print(f"grown: {grown}")
    leaks = grown["descriptors"] > 2 or grown["processes"] > 2 or grown["memory_kb"] > MEMORY_SLACK_KB
    return 1 if leaks else 0


async def batch(runner: ProcessRunner, count: int) -> None:
    """Steps of every kind: finished, failed, and suspended ones that are let go."""
    await asyncio.gather(*(runner.run(step(CODE[number % len(CODE)]), NOTHING) for number in range(count)))
    await runner.drop("benchmark")
    await asyncio.sleep(SETTLE_SECONDS)


async def measured(runner: ProcessRunner) -> dict[str, int]:
    """Descriptors and memory of the host and its zygote, and all processes below the host."""
    below = descendants(os.getpid())
    watched = [os.getpid(), *below]
    memory = sum(private_kb(pid) for pid in watched)
    return {"descriptors": len(os.listdir("/proc/self/fd")), "processes": len(below), "memory_kb": memory}


def private_kb(pid: int) -> int:
    """Private resident memory (proc(5), statm fields 2 and 3)."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except FileNotFoundError:
        return 0
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGESIZE") // 1024


def descendants(root: int) -> set[int]:
    """All processes below `root`, zombies included."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except FileNotFoundError:
                continue
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    sys.exit(asyncio.run(main(parser.parse_args().steps)))
