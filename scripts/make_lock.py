"""Resolve the dependencies of pyproject.toml into requirements.lock, -dev.lock, -ci.lock and -emulator.lock.

Each lock after the first reads the one before and adds to it; the last is alone. They hold names, versions
and hashes, for every platform and supported Python, and no address of an index. Needs uv; without one on the
path, installs it into the environment this runs in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-ci.lock")
EMULATOR_LOCK = "requirements-emulator.lock"
EXTRAS = ("service", "mcp", "aws", "search", "otel")
PIN = re.compile(r"^([A-Za-z0-9._-]+==\S+)", re.MULTILINE)
COMMON = (
    "--universal",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
    "--upgrade",
    "--quiet",
)


def main() -> None:
    """Write the locks; each one after the first starts from the one before, so that they agree."""
    uv = uv_command()
    whole_project = ["pyproject.toml", *(f"--extra={extra}" for extra in EXTRAS)]
    compile_lock(uv, [*whole_project, "-o", LOCKS[0]])
    held = (ROOT / LOCKS[0]).read_text()
    for group, (before, lock) in zip(("dev", "ci"), pairwise(LOCKS), strict=True):
        whole = ROOT / f"{lock}.whole"
        compile_lock(uv, [*whole_project, "--group", group, "-c", before, "-o", whole.name])
        (ROOT / lock).write_text(added(whole.read_text(), held, before))
        held = whole.read_text()
        whole.unlink()
    compile_lock(uv, ["--group", "emulator", "-o", EMULATOR_LOCK])


def uv_command() -> list[str]:
    """How to call uv here."""
    found = shutil.which("uv")
    if found:
        return [found]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return [sys.executable, "-m", "uv"]


def compile_lock(uv: Sequence[str], arguments: Sequence[str]) -> None:
    """One resolution. What the tool prints besides errors is the file's own content."""
    command = [*uv, "pip", "compile", *COMMON, *arguments]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ, check=True)


def added(lock: str, held: str, name: str) -> str:
    """What a lock has beside one of that name, and a first line that reads that one."""
    entries = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    known = set(PIN.findall(held))
    return f"-r {name}\n" + "".join(entry for entry in entries if not known.issuperset(PIN.findall(entry)))


if __name__ == "__main__":
    main()
