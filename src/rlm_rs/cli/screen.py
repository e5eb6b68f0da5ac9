"""Where progress is told: plain lines when piped, and a live last line on a terminal."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Literal, Protocol

from rlm_rs.cli.streams import is_terminal, printable, tell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Tone = Literal["", "good", "bad"]

LABEL_WIDTH = 8
PLAIN_INTERVAL_SECONDS = 5.0


class Screen(Protocol):
    """What progress is told through."""

    def line(self, label: str, text: str, detail: str = "", tone: Tone = "") -> None:
        """A line that stays: a short label, what happened, and figures."""

    def block(self, title: str, text: str) -> None:
        """A longer text under the line before, such as a step's code."""

    def busy(self, what: str, done: int = 0, total: int | None = None) -> None:
        """What goes on now; with `total`, how much of it is done."""

    def close(self) -> None:
        """Nothing goes on any more."""


def open_screen(*, quiet: bool = False) -> Screen:
    """The screen for standard error as it is."""
    if quiet:
        return SilentScreen()
    if is_terminal(sys.stderr) and os.environ.get("TERM", "dumb") != "dumb":
        return TerminalScreen()
    return PlainScreen()


class SilentScreen:
    """Tells nothing."""

    def line(self, label: str, text: str, detail: str = "", tone: Tone = "") -> None:
        """Nothing."""

    def block(self, title: str, text: str) -> None:
        """Nothing."""

    def busy(self, what: str, done: int = 0, total: int | None = None) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class PlainScreen:
    """Lines on standard error without colour; long work says now and then how far it is."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def line(self, label: str, text: str, detail: str = "", tone: Tone = "") -> None:
        """A line that stays."""
        self._told = time.monotonic()
        tell(formatted_line(label, text, detail))

    def block(self, title: str, text: str) -> None:
        """A longer text, indented."""
        tell(formatted_block(title, text))

    def busy(self, what: str, done: int = 0, total: int | None = None) -> None:
        """A line if none was told for a while."""
        if total and 0 < done < total and time.monotonic() - self._told >= PLAIN_INTERVAL_SECONDS:
            self.line("", f"{what}: {done:,} of {total:,}")

    def close(self) -> None:
        """Nothing to take away."""


class TerminalScreen:
    """Lines on a terminal, and below them one that says what goes on, with a bar where there is a measure."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._task: TaskID
        self._what = ""

    def line(self, label: str, text: str, detail: str = "", tone: Tone = "") -> None:
        """A line that stays; a long one continues below its own beginning."""
        from rich.table import Table
        from rich.text import Text

        styles = {"": "bold", "good": "bold green", "bad": "bold yellow"}
        told = Text(printable(text))
        if detail:
            told.append(f" ({detail})", style="dim")
        grid = Table.grid(padding=0)
        grid.add_column(width=LABEL_WIDTH, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(label, style=styles[tone]), told)
        self._console.print(grid)

    def block(self, title: str, text: str) -> None:
        """A longer text, indented and dimmed."""
        from rich.text import Text

        self._console.print(Text(printable(formatted_block(title, text)), style="dim"), soft_wrap=True)

    def busy(self, what: str, done: int = 0, total: int | None = None) -> None:
        """The last line, until something else goes on."""
        progress = self._progress or self._started()
        if self._what != what:
            for task in progress.task_ids:
                progress.remove_task(task)
            self._what, self._task = what, progress.add_task(what, total=total)
        progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take the last line away."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _started(self) -> Progress:
        from rlm_rs.cli.live import live_line

        self._progress = live_line(self._console)
        self._progress.start()
        self._what = ""
        return self._progress


def formatted_line(label: str, text: str, detail: str) -> str:
    """A line as plain text."""
    return f"{label:<{LABEL_WIDTH}}{text}" + (f" ({detail})" if detail else "")


def formatted_block(title: str, text: str) -> str:
    """A longer text, indented under a title."""
    margin = " " * LABEL_WIDTH
    return "\n".join([f"{margin}{title}", *(f"{margin}│ {line}" for line in text.rstrip().splitlines())])
