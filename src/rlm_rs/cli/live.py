"""The live last line of a terminal: a spinner, what goes on, a bar where there is a measure, the time."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress_bar import ProgressBar
from rich.text import Text

from rlm_rs.cli.screen import LABEL_WIDTH


def live_line(console: Console) -> Progress:
    """A progress display that leaves nothing behind."""
    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn(" " * (LABEL_WIDTH - 3) + "{task.description}", markup=False),
        _BarWithMeasure(bar_width=30),
        _Count(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        refresh_per_second=8,
    )


class _BarWithMeasure(BarColumn):
    """A bar only where the total is known."""

    def render(self, task: Task) -> ProgressBar:
        bar = super().render(task)
        if task.total is None:
            bar.width = 0
        return bar


class _Count(ProgressColumn):
    """`12/50` where the total is known."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.completed:,.0f}/{task.total:,.0f}", style="dim")
