"""What a step prints: the beginning and the end of it are kept, the middle is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rlm_rs.sandbox.hidden import conceal
from rlm_rs.sandbox.limits import Ending

_MARKER_ROOM = 60


class Output:
    """Printed text up to `limit` characters: two thirds from the beginning, the rest from the end."""

    def __init__(self, limit: int, ending: Ending) -> None:
        room = max(limit - _MARKER_ROOM, 0)
        self._limit = limit
        self._ending = ending
        self._head_room = room * 2 // 3
        self._tail_room = room - self._head_room
        self._head: list[str] = []
        self._tail: list[str] = []
        self._headed = self._tailed = self.written = 0

    def write(self, text: str) -> int:
        """Take printed text; returns its length, like a file."""
        self._ending.check()
        self.append(text)
        return len(text)

    def append(self, text: str) -> None:
        """Take text without asking whether the step has ended."""
        self.written += len(text)
        if self._headed < self._limit:
            taken = text[: self._limit - self._headed]
            self._head.append(taken)
            self._headed += len(taken)
            text = text[len(taken) :]
        if text:
            self._keep_last(text)

    def _keep_last(self, text: str) -> None:
        self._tail.append(text[-self._limit :])
        self._tailed += len(self._tail[-1])
        if self._tailed > 4 * self._limit:
            self._tail = ["".join(self._tail)[-self._limit :]]
            self._tailed = len(self._tail[0])

    def result(self) -> tuple[str, int]:
        """The text as kept, and how many characters were left out of it."""
        whole = "".join(self._head)
        if self.written <= self._limit:
            return readable(whole), 0
        head = whole[: self._head_room]
        tail = (whole + "".join(self._tail))[-self._tail_room :] if self._tail_room else ""
        dropped = self.written - len(head) - len(tail)
        return readable(f"{head}\n[… {dropped:,} characters left out …]\n{tail}")[: self._limit], dropped

    def printer(self) -> Callable[..., None]:
        """The `print` of step code."""

        def print_(
            *values: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
        ) -> None:
            """Print to the output of the step, or to a file-like object of its own."""
            separator = " " if sep is None else sep
            text = separator.join(map(str, values)) + ("\n" if end is None else end)
            (self if file is None else file).write(text)

        print_.__name__ = print_.__qualname__ = "print"
        return print_


class Stream:
    """The output as a file: `sys.stdout` and `sys.stderr` of step code."""

    __slots__ = ("_output",)

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Print the text as it is."""
        return _output_of(self).write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Print several."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Nothing is buffered."""

    def isatty(self) -> bool:
        """It is not a terminal."""
        return False


_output_of: Callable[[Any], Output]
_output_of, _put_output = conceal(Stream, "_output")


def stream(output: Output) -> Stream:
    """The output as a file."""
    made = Stream()
    _put_output(made, output)
    return made


def readable(text: str) -> str:
    """The text as UTF-8 can hold it: lone surrogates become U+FFFD."""
    text = str.__str__(text)
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
