"""What `.gitignore` files leave out, nested ones included (gitignore(5))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pathspec

_NAME = ".gitignore"


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules in force in one folder: those of the folders above it, outermost first, and its own."""

    specs: tuple[tuple[str, pathspec.GitIgnoreSpec], ...] = ()

    def entered(self, folder: Path) -> IgnoreRules:
        """The rules inside `folder`, which may have a `.gitignore` of its own."""
        spec = _read(folder / _NAME)
        return self if spec is None else IgnoreRules((*self.specs, (f"{folder}/", spec)))

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


def _read(path: Path) -> pathspec.GitIgnoreSpec | None:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return pathspec.GitIgnoreSpec.from_lines(lines)
