"""`rlm mcp install`: an entry in the lists of the clients people use, and nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlm_rs.core.errors import ValidationFailed
from rlm_rs.mcp.clients import CLIENTS, Client, Entry, install, this_program

ENTRY = Entry("rlm", "/bin/python", ("-P", "-m", "rlm_rs", "mcp"), {"OPENAI_API_KEY": "k"})


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


def test_a_first_entry_makes_the_list(client: Client, tmp_path: Path) -> None:
    done = install(client, ENTRY, tmp_path)
    listed = json.loads(client.file(tmp_path).read_text())[client.key]["rlm"]
    assert (done.changed, done.backup) == (True, None)
    assert (listed["command"], listed["args"]) == ("/bin/python", ["-P", "-m", "rlm_rs", "mcp"])
    assert listed["env"] == {"OPENAI_API_KEY": "k"}
    assert ("type" in listed) == client.typed
    assert client.file(tmp_path).stat().st_mode & 0o77 == 0
    assert not install(client, ENTRY, tmp_path).changed


def test_what_else_a_list_holds_stays_and_a_copy_is_kept(client: Client, tmp_path: Path) -> None:
    file = client.file(tmp_path)
    file.parent.mkdir(parents=True, exist_ok=True)
    before = json.dumps({"theme": "Grün", client.key: {"other": {"command": "x"}}, "n": [1]})
    file.write_text(f"\ufeff{before}")
    file.chmod(0o640)
    done = install(client, ENTRY, tmp_path)
    after = json.loads(file.read_text())
    assert list(after) == ["theme", client.key, "n"]
    assert after["theme"] == "Grün"
    assert set(after[client.key]) == {"other", "rlm"}
    assert done.backup is not None
    assert done.backup.read_text() == f"\ufeff{before}"
    assert file.stat().st_mode & 0o777 == 0o640
    assert sorted(file.parent.iterdir()) == sorted([file, done.backup]), "nothing temporary is left"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{ // a comment\n "mcpServers": {} }', "not plain JSON"),
        ("[]", "not a JSON object"),
        ('{"mcpServers": []}', "not an object"),
        ('{"mcpServers": {"rlm": {"command": "mine"}}}', "--force"),
        ("[" * 100_000, "not plain JSON"),
    ],
)
def test_a_list_that_is_not_understood_is_left_alone(tmp_path: Path, content: str, words: str) -> None:
    file = CLIENTS["cursor"].file(tmp_path)
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(ValidationFailed, match=words):
        install(CLIENTS["cursor"], ENTRY, tmp_path)
    assert file.read_text() == content
    assert list(file.parent.iterdir()) == [file]


def test_force_replaces_an_entry_of_that_name(tmp_path: Path) -> None:
    install(CLIENTS["cursor"], Entry("rlm", "old", (), {}), tmp_path)
    done = install(CLIENTS["cursor"], ENTRY, tmp_path, force=True)
    again = install(CLIENTS["cursor"], Entry("rlm", "older", (), {}), tmp_path, force=True)
    assert done.backup is not None
    assert again.backup is not None
    assert done.backup != again.backup
    assert json.loads(done.backup.read_text())["mcpServers"]["rlm"]["command"] == "old"


def test_a_list_that_is_a_link_stays_one(tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles.json"
    dotfiles.write_text("{}")
    file = CLIENTS["cursor"].file(tmp_path)
    file.parent.mkdir()
    os.symlink(dotfiles, file)
    install(CLIENTS["cursor"], ENTRY, tmp_path)
    assert file.is_symlink()
    assert "rlm" in json.loads(dotfiles.read_text())["mcpServers"]


def test_the_entry_starts_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "rlm_rs").mkdir()
    (tmp_path / "rlm_rs" / "__main__.py").write_text("print('somebody else')")
    entry = this_program("rlm", ["--help"], {})
    done = subprocess.run(
        [entry.command, *entry.args], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Serve MCP" in done.stdout


def test_the_command_serves_every_client_it_finds(tmp_path: Path) -> None:
    def rlm(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rlm_rs.cli", "mcp", *args],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], **env},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    none = rlm("install")
    assert none.returncode == 2
    assert "--client" in none.stderr
    (tmp_path / ".claude.json").write_text('{"projects": {}}')
    broken = tmp_path / ".cursor" / "mcp.json"
    broken.parent.mkdir()
    broken.write_text("{ // mine\n}")
    done = rlm("--root", ".", "install", "--env", "OPENAI_API_KEY", "--data-dir", "d", OPENAI_API_KEY="k")
    assert done.returncode == 2
    assert "Claude Code: added rlm" in done.stdout
    assert "Cursor: " in done.stderr
    listed = json.loads((tmp_path / ".claude.json").read_text())["mcpServers"]["rlm"]
    assert listed["args"][-4:] == ["--data-dir", str(tmp_path / "d"), "--root", str(tmp_path)]
    assert listed["env"] == {"OPENAI_API_KEY": "k"}
    shown = rlm("install", "--client", "vscode", "--print")
    assert set(json.loads(shown.stdout)["servers"]) == {"rlm"}
    assert not CLIENTS["vscode"].file(tmp_path).exists()
    unset = rlm("install", "--client", "vscode", "--env", "NONE_SUCH")
    assert (unset.returncode, "NONE_SUCH" in unset.stderr) == (2, True)
