"""The same lines as progress, on standard output: for telling what has happened before."""

from __future__ import annotations

from rlm_rs.cli.screen import PlainScreen, Tone, formatted_block, formatted_line
from rlm_rs.cli.streams import say


class PageScreen(PlainScreen):
    """Tells on standard output, and only what stays."""

    def line(self, label: str, text: str, detail: str = "", tone: Tone = "") -> None:
        """A line."""
        say(formatted_line(label, text, detail))

    def block(self, title: str, text: str) -> None:
        """A longer text, indented."""
        say(formatted_block(title, text))

    def busy(self, what: str, done: int = 0, total: int | None = None) -> None:
        """Nothing goes on."""
