"""Prepare the private environment that `./rlm` and `make` run in.

usage: bootstrap.py VENV [--dev | --ci]

Installs requirements.lock (with --dev requirements-dev.lock, with --ci requirements-ci.lock, each of which
reads the one before and adds to it), hashes required, and puts `src` on the path; nothing of this project is
built. Standard library only: it runs before anything is installed. One process works at a time, held by a
file lock that its installer inherits, so that a lock ends with the last process at work. The stamp is
written last: without it, all is made again.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
CI_LOCK = ROOT / "requirements-ci.lock"
STAMPS = {LOCK: "rlm-stamp", DEV_LOCK: "rlm-stamp-dev", CI_LOCK: "rlm-stamp-ci"}
LOG_LINES_SHOWN = 12
# stands in the lock file while an environment is being made or removed
UNFINISHED = "unfinished\n"


class SetupFailed(Exception):
    """What went wrong and what to do, in one line; `log` is what the installer said."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


def main() -> int:
    """Prepare the environment and return the exit code."""
    parser = argparse.ArgumentParser(description="Prepare the private environment of this checkout.")
    parser.add_argument("venv", type=Path)
    more = parser.add_mutually_exclusive_group()
    more.add_argument("--dev", dest="locks", action="store_const", const=(LOCK, DEV_LOCK), help="with tests")
    more.add_argument("--ci", dest="locks", action="store_const", const=tuple(STAMPS), help="with all checks")
    arguments = parser.parse_args()
    venv, locks = arguments.venv.resolve(), arguments.locks or (LOCK,)
    try:
        with locked(venv) as lock_file:
            prepare(venv, locks, lock_file)
    except SetupFailed as error:
        print("\n".join(error.log.splitlines()[-LOG_LINES_SHOWN:]), file=sys.stderr)
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("set-up interrupted; the next call starts it again")
        return 130
    return 0


@contextmanager
def locked(venv: Path) -> Iterator[Path]:
    """Hold the lock beside the environment, waiting for whoever has it."""
    lock_file = Path(f"{venv}.lock")
    try:
        venv.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise SetupFailed(
            f"cannot write beside {venv} ({error.strerror}). Set RLM_VENV to a folder you may write."
        ) from error
    os.set_inheritable(descriptor, True)
    try:
        _wait_for(descriptor)
        yield lock_file
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another set-up of the same environment")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def prepare(venv: Path, locks: Sequence[Path], lock_file: Path) -> None:
    """Make of `venv` an environment with these locks, unless it is one."""
    missing = [lock for lock in locks if not is_current(venv, lock)]
    if not missing:
        return
    begin = time.monotonic()
    if LOCK in missing:
        missing = list(locks)
        clear(venv, lock_file)
    say(f"preparing a private environment in {venv} (once; about a minute)")
    if LOCK in missing:
        lock_file.write_text(UNFINISHED)
        create(venv)
    install(venv, missing[-1])
    for lock in missing:
        stamp_file(venv, lock).write_text(stamp(lock) + "\n")
    lock_file.write_text("")
    say(f"environment ready in {time.monotonic() - begin:.0f} s")


def stamp(lock: Path) -> str:
    """What an environment made from this lock is marked with: checksum, size, and the checkout's place."""
    with lock.open("rb") as content:
        done = subprocess.run(["cksum"], stdin=content, capture_output=True, check=True, text=True)
    return f"{done.stdout.strip()} {ROOT}"


def stamp_file(venv: Path, lock: Path) -> Path:
    """Where that mark stands. `rlm` reads the one of requirements.lock itself."""
    return venv / STAMPS[lock]


def is_current(venv: Path, lock: Path) -> bool:
    """Whether the environment was made from this lock as it is now, by a Python that is still there."""
    try:
        marked = stamp_file(venv, lock).read_text().rstrip("\n")
    except OSError:
        return False
    return marked == stamp(lock) and os.access(venv / "bin" / "python", os.X_OK)


def create(venv: Path) -> None:
    """An empty environment in this place, with `src` on its path."""
    # the interpreter's own file, which goes when that version goes; a link like python3 would change meaning
    interpreter = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    uv = shutil.which("uv")
    if uv:
        run([uv, "venv", "--quiet", "--no-project", "--python", interpreter, str(venv)])
    else:
        run(
            [interpreter, "-I", "-m", "venv", str(venv)],
            hint="Debian needs python3-venv for it; uv does not.",
        )
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(run([str(venv / "bin" / "python"), "-I", "-c", where]).strip())
    (site_packages / "rlm_rs_source.pth").write_text(f"{ROOT / 'src'}\n", encoding="utf-8")


def clear(venv: Path, lock_file: Path) -> None:
    """Remove an environment made before, or half made. Anything else is left alone, and said."""
    if not venv.exists():
        return
    ours = (venv / "pyvenv.cfg").is_file() or lock_file.read_text() == UNFINISHED
    if not ours and any(venv.iterdir()):
        raise SetupFailed(
            f"{venv} is not a Python environment. Move it away, or set RLM_VENV to another place."
        )
    lock_file.write_text(UNFINISHED)
    shutil.rmtree(venv)


def install(venv: Path, lock: Path) -> None:
    """Install exactly what a lock names, as wheels whose hashes it holds."""
    python = str(venv / "bin" / "python")
    shared = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(lock)]
    uv = shutil.which("uv")
    if uv:
        run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *shared])
    else:
        pip = [python, "-I", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
        run([*pip, "install", *shared])


def run(command: Sequence[str], hint: str = "Is the package index reachable?") -> str:
    """What a command prints. Raises `SetupFailed` with its output and a hint when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        close_fds=False,
        env=environment(),
        check=False,
    )
    if done.returncode:
        raise SetupFailed(
            f"{Path(command[0]).name} failed while preparing the environment. {hint}", done.stdout
        )
    return done.stdout


def environment() -> dict[str, str]:
    """This process's environment, less what would make an installer look or write elsewhere."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    if not kept.get("HOME"):
        kept.pop("HOME", None)
    if not can_cache(kept):
        kept |= {"PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1"}
    return kept


def can_cache(variables: Mapping[str, str]) -> bool:
    """Whether installers find a cache folder they can write, where nobody named them one."""
    if "XDG_CACHE_HOME" in variables:
        return True
    try:
        (Path(variables["HOME"]) / ".cache").mkdir(exist_ok=True)
    except (KeyError, OSError):
        return False
    return os.access(Path(variables["HOME"]) / ".cache", os.W_OK)


def say(text: str) -> None:
    """One line for the person who waits."""
    print(f"rlm: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
