"""Build what AWS Lambda runs steps with: the step program and its two engines, and nothing else.

usage: make_lambda_zip.py [--python 3.13] [--architecture x86_64 | arm64 …] [--out dist]

The engines come as wheels with the hashes of requirements.lock, for the function's platform, whatever
machine this is. The bytes of the zip depend on these and on src/rlm_rs/sandbox alone. If the Python that runs
this is of the function's version, the modules go in compiled too, and a cold start compiles nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import py_compile
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SANDBOX = ROOT / "src" / "rlm_rs" / "sandbox"
LOCK = ROOT / "requirements.lock"
ENGINES = ("google-re2", "stringzilla")
PLATFORMS = {"x86_64": "x86_64", "arm64": "aarch64"}
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_17", "manylinux2014")
"""What Amazon Linux 2023, which has glibc 2.34, can load of the platform tags that wheels carry (PEP 600)."""
LARGEST_BYTES = 50 << 20
"""AWS Lambda takes a zip of at most 50 MB."""
EARLIEST = (1980, 1, 1, 0, 0, 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build one zip for each architecture and print its place, size and checksum."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for architecture in options.architecture or tuple(PLATFORMS):
        with tempfile.TemporaryDirectory() as folder:
            wheels = download(architecture, options.python, Path(folder))
            content = {**program(options.python), **engines(wheels)}
        path = options.out / f"rlm-sandbox-{options.python}-{architecture}.zip"
        path.write_bytes(packed(content))
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise SystemExit(f"{path} has {size:,} bytes, more than AWS Lambda takes")
        print(f"{path} {size:,} bytes sha256:{sha256(path.read_bytes()).hexdigest()}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default="3.13", help="Python of the function (default: %(default)s)")
    parser.add_argument(
        "--architecture", action="append", choices=tuple(PLATFORMS), help="for which machine (default: both)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the zips")
    return parser.parse_args(arguments)


def download(architecture: str, python: str, folder: Path) -> list[Path]:
    """The engines' wheels for a platform, checked against the lock."""
    wanted = folder / "engines.lock"
    wanted.write_text("".join(locked(LOCK.read_text(encoding="utf-8"))), encoding="utf-8")
    tags = [f"--platform={glibc}_{PLATFORMS[architecture]}" for glibc in GLIBC]
    command = (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
        *("--require-hashes", "--requirement", str(wanted), "--dest", str(folder)),
        *("--implementation=cp", f"--python-version={python}", *tags),
    )
    ended = subprocess.run(command, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if ended.returncode or len(wheels) != len(ENGINES):
        raise SystemExit(f"no wheels of {' and '.join(ENGINES)} for Python {python} on {architecture}")
    return wheels


def locked(lock: str) -> Iterator[str]:
    """The engines' entries of a lock."""
    for entry in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE):
        if entry.startswith(tuple(f"{name}==" for name in ENGINES)):
            yield entry


def program(python: str) -> dict[str, bytes]:
    """The step program's modules by their names in the zip, compiled too where this Python can."""
    modules = {f"rlm_rs/sandbox/{path.name}": path.read_bytes() for path in SANDBOX.glob("*.py")}
    modules["rlm_rs/__init__.py"] = b'"""The step program of RLM-RS."""\n'
    if python != f"{sys.version_info.major}.{sys.version_info.minor}":
        return modules
    return modules | compiled(modules)


def compiled(modules: Mapping[str, bytes]) -> dict[str, bytes]:
    """Modules as bytecode that is not compared with its source: nothing changes there (PEP 552)."""
    held = {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "compiled")
        for name, text in modules.items():
            source.write_bytes(text)
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(source), str(target), f"/var/task/{name}", True, invalidation_mode=mode)
            held[importlib.util.cache_from_source(name)] = target.read_bytes()
    return held


def engines(wheels: Sequence[Path]) -> dict[str, bytes]:
    """What the wheels install, and their licenses."""
    held: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if not name.endswith("/") and (".dist-info/" not in name or "/licenses/" in name):
                    held[name] = archive.read(name)
    return held


def packed(content: Mapping[str, bytes]) -> bytes:
    """A zip of these files, the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            archive.writestr(entry, content[name])
    return buffer.getvalue()


if __name__ == "__main__":
    main()
