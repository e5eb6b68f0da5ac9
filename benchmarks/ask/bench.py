"""Time and memory of `rlm ask` on many small files and on one large text, beside plain reading of the same.

usage: bench.py [--files N] [--bytes N] [--keep FOLDER]

Everything is made here, deterministically, and asked with the offline policy, so that what is measured is
parsing, storing, searching and citing, not a model. Each case holds one sentence that answers the question;
a run that does not find it fails. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROSE = (
    "goods shipped under this order are counted weighed and stored by the carrier at the depot until the "
    "consignee takes delivery and pays what is due on the invoice of the month"
)
NEEDLE = "The emergency telephone number of the Norwick depot is 0191 498 0317."
QUESTION = "What is the emergency telephone number of the Norwick depot?"
WANTED = "0191 498 0317"
LINES_A_FILE = 24
SAMPLE_SECONDS = 0.02
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """One command: seconds, and the most memory all its processes had at one time, in bytes.

    own: memory no file backs. resident: mapped files included, as far as they are in memory.
    """

    seconds: float
    own: int = 0
    resident: int = 0
    output: str = ""


def main() -> None:
    """Make the cases, measure each, print one table."""
    parser = argparse.ArgumentParser(description="Measure rlm ask beside plain reading.")
    parser.add_argument("--files", type=int, default=10_000, help="number of small files")
    parser.add_argument("--bytes", type=int, default=2 << 30, help="size of the large text")
    parser.add_argument("--keep", type=Path, help="make the cases here and leave them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place = arguments.keep or Path(scratch)
        many, large = place / "many", place / "large.txt"
        make_many(many, arguments.files)
        make_large(large, arguments.bytes)
        print(
            "| case | what | seconds | ratio | own memory | resident |\n| --- | --- | --- | --- | --- | --- |"
        )
        report(f"{arguments.files:,} files", many, Path(scratch) / "data-many")
        report(f"one text of {arguments.bytes / 1e9:.2f} GB", large, Path(scratch) / "data-large")


def make_many(folder: Path, count: int) -> None:
    """Files of about 2 KB in folders of a hundred; one of them has the needle."""
    for number in range(count):
        path = folder / f"{number // 100:03}" / f"note_{number:05}.txt"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = list(written(number, LINES_A_FILE))
        if number == count * 7 // 10:
            lines[LINES_A_FILE // 2] = NEEDLE
        path.write_text("\n".join(lines) + "\n")


def make_large(path: Path, size: int) -> None:
    """Numbered blocks of prose up to a size in bytes, with the needle at seven tenths."""
    if path.exists() and path.stat().st_size >= size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    block = "\n".join(written(0, 8_000)) + "\n"
    told = False
    with path.open("w") as file:
        while file.tell() < size:
            if not told and file.tell() >= size * 0.7:
                told = bool(file.write(NEEDLE + "\n"))
            file.write(f"Part {file.tell()}\n{block}")


def written(seed: int, lines: int) -> Iterator[str]:
    """Lines of invented prose, the same for the same seed."""
    chosen, words = random.Random(seed), PROSE.split()
    for _ in range(lines):
        yield " ".join(chosen.choices(words, k=14)).capitalize() + "."


def report(case: str, path: Path, data_dir: Path) -> None:
    """Measure one case and print its rows; ratios are to reading the same files with Python."""
    read_all(path)  # so that all find the files in the page cache
    base = timed(lambda: read_all(path))
    grep = measured(["grep", "-rc", WANTED, str(path)], fine=(0, 1))
    first = asked(path, data_dir)
    again = asked(path, data_dir)
    rows = (
        ("read with Python", base),
        ("grep -c", grep),
        ("rlm ask, first time", first),
        ("rlm ask, again", again),
    )
    for what, result in rows:
        ratio = result.seconds / base.seconds
        memory = f"{result.own / 1e6:.0f} MB | {result.resident / 1e6:.0f} MB" if result.own else "| "
        print(f"| {case} | {what} | {result.seconds:.2f} | {ratio:.1f} | {memory} |", flush=True)


def asked(path: Path, data_dir: Path) -> Measured:
    """One `rlm ask`. Raises SystemExit if the answer is not there or a citation does not hold."""
    command = [sys.executable, "-m", "rlm_rs.cli", "ask", "--json", "--timeout", "900", QUESTION, str(path)]
    result = measured([*command, "--data-dir", str(data_dir)])
    answer = json.loads(result.output)
    if WANTED not in (answer["answer"] or "") or not all(c["verified"] for c in answer["citations"]):
        raise SystemExit(f"not answered: {answer['status']}: {answer['answer']}")
    return result


def read_all(path: Path) -> int:
    """Bytes read from a file or from all files of a folder."""
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    total = 0
    for each in files:
        with each.open("rb") as file:
            while block := file.read(READ_BYTES):
                total += len(block)
    return total


def timed(work: Callable[[], object]) -> Measured:
    """How long some work takes."""
    begin = time.perf_counter()
    work()
    return Measured(time.perf_counter() - begin)


def measured(command: Sequence[str], fine: Sequence[int] = (0,)) -> Measured:
    """Run a command to its end, sampling the memory of all its processes."""
    environment = {**os.environ, "LLM_PROVIDER": "fake"}
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        own = resident = 0
        while process.poll() is None:
            sums = [memory_of(pid) for pid in family(process.pid)]
            own = max(own, sum(first for first, _ in sums))
            resident = max(resident, sum(second for _, second in sums))
            time.sleep(SAMPLE_SECONDS)
        seconds = time.perf_counter() - begin
        output.seek(0)
        errors.seek(0)
        if process.returncode not in fine:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {errors.read()[-2000:]}")
        return Measured(seconds, own, resident, output.read())


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            children.setdefault(parent_of(entry), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def parent_of(entry: Path) -> int:
    """The parent's process id; 0 for a process that has gone."""
    try:
        # the second field is the program's name in parentheses, which may hold anything
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def memory_of(pid: int) -> tuple[int, int]:
    """Bytes of its own (anonymous and shared memory) and bytes resident. What forks share counts twice."""
    try:
        lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = {name: value for name, _, value in (line.partition(":") for line in lines)}
    sizes = {
        name: int(fields[name].split()[0]) << 10
        for name in ("RssAnon", "RssShmem", "VmRSS")
        if name in fields
    }
    return sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0), sizes.get("VmRSS", 0)


if __name__ == "__main__":
    main()
