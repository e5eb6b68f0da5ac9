"""How a zygote is started: Python with the step program and its two engines, and no environment."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ENGINES = ("re2", "stringzilla")
KEPT_VARIABLES = ("LD_LIBRARY_PATH",)
"""What a Python installed away from the system's own folders may need to find its libraries."""

# The step program is found by explicit paths alone, and without the host package's own __init__: the
# zygote holds no more of this project than a step needs.
BOOT = """\
import sys, types
package = types.ModuleType("rlm_rs")
package.__path__ = [sys.argv[1]]
sys.modules["rlm_rs"] = package
sys.path += sys.argv[4:]
from rlm_rs.sandbox.birth import begin
birth = begin(int(sys.argv[2]), frozenset(sys.argv[3].split(",")))
from rlm_rs.sandbox.zygote import main
main(birth)
"""


class EngineMissing(Exception):
    """A text engine is not installed. The message names it."""


def spawn(control: int, leave_out: frozenset[str]) -> subprocess.Popen[bytes]:
    """Start a zygote whose host is at the other end of the socket `control`.

    Its environment holds the hash seed, which -I would ignore, and where libraries are; the zygote clears it
    before it forks. Raises `EngineMissing`.
    """
    return subprocess.Popen(
        _command(control, leave_out),
        env={"PYTHONHASHSEED": "0", **_kept(os.environ)},
        cwd="/",
        pass_fds=(control,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # a Ctrl-C at the terminal is for the host to handle, not for the zygote to die of
        process_group=0,
    )


def _kept(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in KEPT_VARIABLES if name in environment}


def _command(control: int, leave_out: frozenset[str]) -> list[str]:
    package = str(Path(__file__).parent.parent)
    boot = [sys.executable, "-s", "-S", "-P", "-X", "utf8", "-c", BOOT]
    return [*boot, package, str(control), ",".join(sorted(leave_out)), *_engine_paths()]


def _engine_paths() -> list[str]:
    """The folders that hold the text engines."""
    folders: dict[str, None] = {}
    for engine in ENGINES:
        spec = importlib.util.find_spec(engine)
        if spec is None or spec.origin is None:
            raise EngineMissing(f"the package {engine} is not installed")
        origin = Path(spec.origin)
        inside_package = origin.name.startswith("__init__.")
        folders[str(origin.parent.parent if inside_package else origin.parent)] = None
    return list(folders)
