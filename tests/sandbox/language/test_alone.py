"""The step program ships alone: zipped, without site-packages but for the two text engines."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import re2
import stringzilla

import rlm_rs.sandbox

PROGRAM = """
import os, sys
sys.path[:0] = [{archive!r}, {engines!r}]
from rlm_rs.sandbox.corpus import MappedCorpus
from rlm_rs.sandbox.executor import ReplayOnly, run_step
from rlm_rs.sandbox.protocol import StepRequest, to_json
corpus = MappedCorpus.open([os.memfd_create("empty") for _ in range(4)])
code = "import re\\nprint(re.findall('(?i)[é-ö]', context[0]), len(context))"
request = StepRequest("e", 0, code, texts=("É",))
print(to_json(run_step(request, corpus, ReplayOnly())).decode())
"""


def test_it_runs_zipped_and_alone(tmp_path: Path) -> None:
    archive, engines = tmp_path / "step.zip", tmp_path / "engines"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("rlm_rs/__init__.py", "")
        for module in Path(rlm_rs.sandbox.__file__).parent.glob("*.py"):
            packed.write(module, f"rlm_rs/sandbox/{module.name}")
    engines.mkdir()
    for engine in (Path(re2.__file__).parent, Path(stringzilla.__file__)):
        (engines / engine.name).symlink_to(engine)
    code = PROGRAM.format(archive=str(archive), engines=str(engines))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    assert json.loads(ran.stdout)["stdout"] == "['É'] 1\n"
