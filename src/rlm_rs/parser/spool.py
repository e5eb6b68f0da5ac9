"""Files of our own that sources are written to: a full disk is no fault of the source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType

from rlm_rs.core.errors import StorageFailed


class SpoolFile:
    """A file that is made, written and closed. What goes wrong with it raises `StorageFailed`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told(path):
            # without a buffer, nothing is left to fail when it is closed
            self._file = FileIO(path, "w")

    def write(self, data: bytes) -> None:
        """Write all of it."""
        left = memoryview(data)
        with _told(self._path):
            while left:
                left = left[self._file.write(left) :]

    def __enter__(self) -> SpoolFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            service="The disk",
            operation=f"the writing to {path.parent}",
            reason=f"{error.strerror or error}. Make room there, then try again",
        ) from error
