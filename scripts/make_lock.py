"""Resolve the dependencies of pyproject.toml into requirements.lock, -dev.lock and -ci.lock.

Needs uv; without one on the path, installs it into the environment this runs in. The locks hold names,
versions and hashes, for every platform and supported Python, and no address of an index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("service", "mcp", "aws", "search", "otel")
COMMON = (
    *(f"--extra={extra}" for extra in EXTRAS),
    "--universal",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
    "--upgrade",
    "--quiet",
)


def main() -> None:
    """Write the locks; each one after the first starts from the one before, and so holds it and more."""
    uv = uv_command()
    compile_lock(uv, ["-o", "requirements.lock"])
    compile_lock(uv, ["--group", "dev", "-c", "requirements.lock", "-o", "requirements-dev.lock"])
    compile_lock(uv, ["--group", "ci", "-c", "requirements-dev.lock", "-o", "requirements-ci.lock"])


def uv_command() -> list[str]:
    """How to call uv here."""
    found = shutil.which("uv")
    if found:
        return [found]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return [sys.executable, "-m", "uv"]


def compile_lock(uv: Sequence[str], arguments: Sequence[str]) -> None:
    """One resolution. What the tool prints besides errors is the file's own content."""
    command = [*uv, "pip", "compile", "pyproject.toml", *COMMON, *arguments]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ, check=True)


if __name__ == "__main__":
    main()
