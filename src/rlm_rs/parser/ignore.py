"""What `.gitignore` files leave out, nested ones included (gitignore(5))."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pathspec
import re2
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

_NAME = ".gitignore"
_MAX_BYTES = 1 << 20
# what RE2 compiles together has to fit into a fixed memory
_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules in force in one folder: those of the folders above it, outermost first, and its own."""

    specs: tuple[tuple[str, pathspec.GitIgnoreSpec], ...] = ()

    def entered(self, folder: Path) -> IgnoreRules:
        """The rules inside `folder`, which may have a `.gitignore` of its own."""
        specs = compiled(_lines(folder / _NAME))
        return IgnoreRules((*self.specs, *((f"{folder}/", spec) for spec in specs))) if specs else self

    def ignores(self, path: str, is_folder: bool) -> bool:
        """Whether a path (absolute, below the folder these rules are for) is left out.

        The innermost file that has a matching pattern decides.
        """
        for prefix, spec in reversed(self.specs):
            verdict = spec.check_file(path[len(prefix) :] + ("/" if is_folder else "")).include
            if verdict is not None:
                return verdict
        return False


def rules_above(folder: Path) -> IgnoreRules:
    """Rules of the repository that `folder` (absolute) lies in; none outside a repository.

    A folder that was named although its repository ignores it is read, so then they do not apply.
    """
    chain = [folder.parent, *folder.parent.parents]
    root = next((index for index, parent in enumerate(chain) if (parent / ".git").exists()), None)
    if (folder / ".git").exists() or root is None:
        return IgnoreRules()
    rules = IgnoreRules()
    for parent in reversed(chain[: root + 1]):
        rules = rules.entered(parent)
    return IgnoreRules() if _ignored_on_the_way(rules, folder, chain[root]) else rules


def _ignored_on_the_way(rules: IgnoreRules, folder: Path, root: Path) -> bool:
    steps: Sequence[Path] = [folder, *folder.parents]
    below_root = [step for step in steps if step != root and root in step.parents]
    return any(_applicable(rules, step).ignores(str(step), is_folder=True) for step in below_root)


def _applicable(rules: IgnoreRules, path: Path) -> IgnoreRules:
    return IgnoreRules(tuple(item for item in rules.specs if str(path).startswith(item[0])))


def compiled(lines: Sequence[str]) -> tuple[pathspec.GitIgnoreSpec, ...]:
    """The patterns of lines, the last that decides counts; a line that is none is left out, as git does."""
    patterns = [pattern for line in lines if (pattern := _pattern(line)) is not None]
    pieces = (patterns[at : at + _TOGETHER] for at in range(0, len(patterns), _TOGETHER))
    return tuple(spec for piece in pieces for spec in _together(piece))


def _pattern(line: str) -> GitIgnoreSpecPattern | None:
    try:
        with warnings.catch_warnings():
            # Python's own about odd character classes; nobody here can act on it
            warnings.simplefilter("ignore", FutureWarning)
            pattern = GitIgnoreSpecPattern(line)
    except (ValueError, re.error):
        return None
    # a comment, or nothing
    return pattern if pattern.include is not None else None


def _together(patterns: Sequence[GitIgnoreSpecPattern]) -> list[pathspec.GitIgnoreSpec]:
    try:
        return [pathspec.GitIgnoreSpec(patterns, backend="re2")]
    except re2.error:
        half = len(patterns) // 2
        return [*_together(patterns[:half]), *_together(patterns[half:])] if half else []


def _lines(path: Path) -> list[str]:
    """The lines of a file; none of what is no file, or a file that nobody wrote by hand."""
    try:
        # a pipe would wait for somebody to write
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return []
            data = file.read(_MAX_BYTES + 1)
    except OSError:
        return []
    return data.decode("utf-8", "replace").splitlines() if len(data) <= _MAX_BYTES else []
