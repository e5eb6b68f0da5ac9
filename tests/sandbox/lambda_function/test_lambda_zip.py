"""The zip holds the step program and its engines, and the same files give the same bytes."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

from rlm_rs.testing.lambda_service import HANDLER

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_same_files_give_the_same_bytes(zip_script: ModuleType) -> None:
    first, second = (zip_script.packed(zip_script.program(PYTHON)) for _ in range(2))
    assert first == second


def test_modules_go_in_compiled_for_the_python_that_builds(zip_script: ModuleType) -> None:
    own, other = zip_script.program(PYTHON), zip_script.program("3.99")
    sources = {name for name in own if name.endswith(".py")}
    assert sources == other.keys()
    assert len(own) == 2 * len(sources)


def test_what_is_built_for_another_python_is_the_step_program_alone(zip_script: ModuleType) -> None:
    assert {str(Path(name).parent) for name in zip_script.program("3.99")} == {"rlm_rs", "rlm_rs/sandbox"}


def test_engines_come_with_their_licenses_and_without_the_rest_of_their_wheels(
    zip_script: ModuleType, tmp_path: Path
) -> None:
    wheel = tmp_path / "engine.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("engine/__init__.py", "")
        for name in ("METADATA", "RECORD", "licenses/LICENSE"):
            archive.writestr(f"engine-1.dist-info/{name}", "")
    assert zip_script.engines([wheel]).keys() == {"engine/__init__.py", "engine-1.dist-info/licenses/LICENSE"}


def test_the_lock_gives_the_engines_with_their_hashes(zip_script: ModuleType) -> None:
    entries = list(zip_script.locked(zip_script.LOCK.read_text()))
    assert [entry.partition("==")[0] for entry in entries] == list(zip_script.ENGINES)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_libraries_may_be_loaded_and_everything_read(zip_script: ModuleType) -> None:
    with zipfile.ZipFile(io.BytesIO(zip_script.packed({"a.py": b"", "b.so": b""}))) as archive:
        assert [oct(entry.external_attr >> 16) for entry in archive.infolist()] == ["0o644", "0o755"]


def test_the_handler_imports_neither_the_service_nor_its_dependencies(task_root: Path) -> None:
    code = (
        f"import sys\nsys.path.insert(0, {str(task_root)!r})\n"
        f"import {HANDLER.rpartition('.')[0].rpartition('.')[0]}.lambda_handler\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - {'__main__', *sys.stdlib_module_names}))"
    )
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['rlm_rs']"
