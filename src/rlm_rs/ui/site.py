"""The built files of the web UI, read once: the page, and assets named by a hash of their content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

BUILT = Path(__file__).parent / "built"
PAGE = "index.html"
ASSETS = "assets"
REPORT = "report"
# with nosniff, a browser runs nothing that is called otherwise
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class BuiltFile:
    """A file as it is sent."""

    name: str
    content: bytes

    @property
    def media_type(self) -> str:
        """Its Content-Type."""
        return TYPES.get(Path(self.name).suffix, "application/octet-stream")

    @cached_property
    def etag(self) -> str:
        """A strong validator of its content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    @cached_property
    def gzipped(self) -> bytes:
        """Its content, compressed."""
        return gzip.compress(self.content, 9, mtime=0)


@cache
def page() -> BuiltFile:
    """The page that every address of the UI shows."""
    return _read(BUILT / PAGE)


@cache
def assets() -> dict[str, BuiltFile]:
    """Scripts, styles and pictures by name."""
    return {path.name: _read(path) for path in sorted((BUILT / ASSETS).iterdir()) if path.is_file()}


@cache
def report_script() -> str:
    """The script of a report."""
    return (BUILT / REPORT / "report.js").read_text(encoding="utf-8")


@cache
def report_style() -> str:
    """The style sheet of a report."""
    return (BUILT / REPORT / "report.css").read_text(encoding="utf-8")


def _read(path: Path) -> BuiltFile:
    return BuiltFile(path.name, path.read_bytes())
