"""EPUB: the XHTML files of the spine in reading order, chapters as sections (EPUB 3.3)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from lxml import etree

from rlm_rs.parser.encodings import decode
from rlm_rs.parser.failures import DocumentCorrupt, DocumentEncrypted
from rlm_rs.parser.formats.html import render_html
from rlm_rs.parser.formats.ooxml import Package, child, local_name
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.structure import Heading
from rlm_rs.parser.zips import open_container

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"


def render(source: SourceFile, out: Renderer) -> None:
    """Render all chapters. A chapter without a heading gets its title from the table of contents."""
    with open_container(source.path, source.limits) as archive:
        package = Package(archive)
        book = _open_book(package)
        out.title = book.title
        if book.encrypted.intersection(book.chapters):
            raise DocumentEncrypted
        for chapter in book.chapters:
            _chapter(package, chapter, book, source, out)
    out.end()


@dataclass(frozen=True, slots=True)
class _Book:
    """Chapters in reading order (names of parts), and their titles in the table of contents."""

    title: str | None
    chapters: tuple[str, ...]
    labels: dict[str, str] = field(default_factory=dict)
    encrypted: frozenset[str] = frozenset()


def _chapter(package: Package, name: str, book: _Book, source: SourceFile, out: Renderer) -> None:
    if name not in package:
        out.warn(f"{name} is missing inside it.")
        return
    text, warning = decode(package.content(name))
    if warning:
        out.warn(warning)
    headings, start = len(out.headings), out.open_block()
    render_html(text, out, source.limits)
    if len(out.headings) == headings and out.position > start and name in book.labels:
        out.headings.append(Heading(book.labels[name], 1, start))


def _open_book(package: Package) -> _Book:
    main = next((item.get("full-path") for item in package.xml(_CONTAINER).iter("{*}rootfile")), None)
    if not main or main not in package:
        raise DocumentCorrupt(reason="its contents list is missing")
    root, folder = package.xml(main), posixpath.dirname(main)
    items = {item.get("id"): item for item in root.iter("{*}item")}
    order = [items[ref.get("idref")] for ref in root.iter("{*}itemref") if ref.get("idref") in items]
    titles = (element.text for element in root.iter("{*}title"))
    return _Book(
        title=next((title.strip() for title in titles if title and title.strip()), None),
        chapters=tuple(_part(folder, item.get("href", "")) for item in order),
        labels=dict(_labels(package, folder, list(items.values()))),
        encrypted=frozenset(_encrypted(package)),
    )


def _labels(package: Package, folder: str, items: list[etree._Element]) -> Iterator[tuple[str, str]]:
    """Titles by part, from the navigation document or, in older books, the NCX; the first one counts."""
    found: dict[str, str] = {}
    for item in items:
        part = _part(folder, item.get("href", ""))
        is_contents = "nav" in item.get("properties", "").split() or part.endswith(".ncx")
        if is_contents and part in package:
            for target, label in _entries(package.xml(part)):
                found.setdefault(_part(posixpath.dirname(part), target), label)
    yield from found.items()


def _entries(root: etree._Element) -> Iterator[tuple[str, str]]:
    for link in root.iter("{*}a", "{*}navPoint"):
        if local_name(link) == "a":
            target, label = link.get("href", ""), "".join(str(text) for text in link.itertext())
        else:
            content, text = child(link, "content"), child(link, "navLabel", "text")
            target = content.get("src", "") if content is not None else ""
            label = (text.text or "") if text is not None else ""
        if target and label.strip():
            yield target.partition("#")[0], " ".join(label.split())


def _encrypted(package: Package) -> Iterator[str]:
    if _ENCRYPTION not in package:
        return
    for reference in package.xml(_ENCRYPTION).iter("{*}CipherReference"):
        yield _part("", reference.get("URI", ""))


def _part(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(href)))
