"""The clients people use, where each keeps its list of MCP servers, and how an entry gets into it.

Nothing of the SDK is needed for that, nor imported.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlm_rs.core.errors import ValidationFailed

MAC = "darwin"


@dataclass(frozen=True, slots=True)
class Client:
    """A program that speaks MCP. place, mac_place: its list below the home folder, the latter on macOS.

    key: the object in it that holds the servers. typed: an entry names its transport.
    """

    name: str
    title: str
    place: str
    key: str = "mcpServers"
    typed: bool = False
    mac_place: str | None = None

    def file(self, home: Path) -> Path:
        """Where its list is."""
        return home / (self.mac_place if sys.platform == MAC and self.mac_place else self.place)

    def is_here(self, home: Path) -> bool:
        """Whether the client seems to be in use: it has a list, or a folder of its own for one."""
        file = self.file(home)
        return file.exists() or (file.parent != home and file.parent.is_dir())


_ON_MAC = "Library/Application Support"

CLIENTS = {
    client.name: client
    for client in (
        Client(
            "claude-desktop",
            "Claude Desktop",
            ".config/Claude/claude_desktop_config.json",
            mac_place=f"{_ON_MAC}/Claude/claude_desktop_config.json",
        ),
        Client("claude-code", "Claude Code", ".claude.json", typed=True),
        Client("cursor", "Cursor", ".cursor/mcp.json"),
        Client(
            "vscode",
            "VS Code",
            ".config/Code/User/mcp.json",
            key="servers",
            typed=True,
            mac_place=f"{_ON_MAC}/Code/User/mcp.json",
        ),
        Client("windsurf", "Windsurf", ".codeium/windsurf/mcp_config.json"),
        Client("gemini", "Gemini CLI", ".gemini/settings.json"),
    )
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A server as clients list it. env: variables it is started with."""

    name: str
    command: str
    args: tuple[str, ...]
    env: Mapping[str, str]

    def for_client(self, client: Client) -> dict[str, Any]:
        """The entry in the shape that a client reads."""
        return {
            **({"type": "stdio"} if client.typed else {}),
            "command": self.command,
            "args": list(self.args),
            **({"env": dict(self.env)} if self.env else {}),
        }

    def printed(self, client: Client) -> str:
        """The entry with what stands around it, to be pasted."""
        return json.dumps({client.key: {self.name: self.for_client(client)}}, indent=2, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done to a client's list. backup: the list as it was, where there was one."""

    client: Client
    file: Path
    changed: bool
    backup: Path | None = None


def this_program(name: str, options: Sequence[str], env: Mapping[str, str]) -> Entry:
    """The entry that starts `rlm mcp` as this process was started, from any folder.

    The folder it is started in is left out of the import path: it may be anybody's checkout.
    """
    return Entry(name, sys.executable, ("-P", "-m", "rlm_rs", "mcp", *options), env)


def install(client: Client, entry: Entry, home: Path, *, force: bool = False) -> Installed:
    """Put an entry into a client's list, beside what is there.

    The list is replaced in one move, after a copy of it was kept. force: replace an entry of that name.
    Raises `ValidationFailed` for a list that cannot be read or has another entry of that name; it is then
    left alone.
    """
    # a list that is a link, to a folder of dotfiles perhaps, stays one
    file = Path(os.path.realpath(client.file(home)))
    before = _content(file)
    servers = _parsed(before, file, client, entry)
    own = servers.setdefault(client.key, {})
    if not isinstance(own, dict):
        raise _not_ours(file, client, entry, f"its {client.key} is not an object")
    wanted = entry.for_client(client)
    if own.get(entry.name) == wanted:
        return Installed(client, file, changed=False)
    if entry.name in own and not force:
        raise ValidationFailed(
            reason=f"{file} has another entry named {entry.name}: --force replaces it, --name uses another."
        )
    own[entry.name] = wanted
    backup = _kept(file) if before is not None else None
    _replaced(file, json.dumps(servers, indent=2, ensure_ascii=False) + "\n", before)
    return Installed(client, file, changed=True, backup=backup)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValidationFailed(reason=f"{file} cannot be read ({error.strerror}).") from error


def _parsed(content: bytes | None, file: Path, client: Client, entry: Entry) -> dict[str, Any]:
    if content is None or not content.strip():
        return {}
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _not_ours(file, client, entry, f"it is not plain JSON ({error})") from error
    if not isinstance(value, dict):
        raise _not_ours(file, client, entry, "it is not a JSON object")
    return value


def _not_ours(file: Path, client: Client, entry: Entry, why: str) -> ValidationFailed:
    shown = json.dumps({entry.name: entry.for_client(client)}, ensure_ascii=False)
    return ValidationFailed(
        reason=f"{file} was left as it is: {why}. Add this to its {client.key} yourself: {shown}"
    )


def _kept(file: Path) -> Path:
    """A copy of the list, under a name that is free."""
    stem = f"{file.name}.{time.strftime('%Y%m%d-%H%M%S')}.bak"
    number, backup = 1, file.with_name(stem)
    while backup.exists():
        number += 1
        backup = file.with_name(f"{stem}{number}")
    shutil.copy2(file, backup)
    return backup


def _replaced(file: Path, text: str, before: bytes | None) -> None:
    """Write the list anew in one move, with the rights it had; only its owner reads a first one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        if before is not None:
            shutil.copymode(file, temporary)
        if _content(file) != before:
            raise ValidationFailed(reason=f"{file} was changed by its program just now. Try again.")
        os.replace(temporary, file)
    finally:
        Path(temporary).unlink(missing_ok=True)
