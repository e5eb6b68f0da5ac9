"""Parts of Office Open XML packages and books, read safely (ECMA-376 part 2, Open Packaging Conventions)."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from lxml import etree

from rlm_rs.parser.failures import DocumentBomb, DocumentCorrupt
from rlm_rs.parser.zips import read_member

_BOMB_WORDS = ("amplification", "entity reference loop", "excessive depth")


@dataclass(frozen=True, slots=True)
class Relation:
    """A reference from one part to another: the last word of its type, and the target's name."""

    kind: str
    target: str


class Package:
    """The parts of an open package, by name."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = frozenset(archive.namelist())

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def xml(self, name: str) -> etree._Element:
        """A part's root element. Raises `DocumentCorrupt` or `DocumentBomb`."""
        return parse_xml(read_member(self._archive, name), name)

    def content(self, name: str) -> bytes:
        """A part's bytes."""
        return read_member(self._archive, name)

    def relations(self, part: str) -> dict[str, Relation]:
        """The relations of a part (`""`: of the package), by id; external ones left out."""
        folder, name = posixpath.split(part)
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        if rels not in self:
            return {}
        return {
            item.get("Id", ""): Relation(
                item.get("Type", "").rpartition("/")[2], _resolve(folder, item.get("Target", ""))
            )
            for item in elements(self.xml(rels))
            if item.get("TargetMode") != "External"
        }

    def related(self, part: str, kind: str) -> str | None:
        """The first existing part that `part` refers to with that kind of relation."""
        targets = (item.target for item in self.relations(part).values() if item.kind == kind)
        return next((target for target in targets if target in self), None)

    def title(self) -> str | None:
        """The title among the package's properties, if one is set."""
        properties = self.related("", "core-properties")
        if properties is None:
            return None
        titles = (element.text for element in self.xml(properties).iter("{*}title"))
        return next((title.strip() for title in titles if title and title.strip()), None)


def parse_xml(data: bytes, name: str) -> etree._Element:
    """Parse XML without entities, network or huge nodes."""
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        if any(words in str(error).lower() for words in _BOMB_WORDS):
            raise DocumentBomb(reason=f"{name} inside it is nested or repeats itself without end") from error
        raise DocumentCorrupt(reason=f"{name} inside it is not valid XML") from error
    declared: Any = root.getroottree().docinfo.internalDTD
    if declared is not None and declared.entities():
        raise DocumentBomb(reason=f"{name} inside it declares XML entities")
    return root


def local_name(element: etree._Element) -> str:
    """The element's name without its namespace: the strict and the usual namespaces are read alike."""
    return str(element.tag).rpartition("}")[2]


def elements(parent: etree._Element, *names: str) -> Iterator[etree._Element]:
    """Child elements, or those with one of the names."""
    for child in parent:
        if isinstance(child.tag, str) and (not names or local_name(child) in names):
            yield child


def child(parent: etree._Element | None, *path: str) -> etree._Element | None:
    """The first descendant along a path of names, or None."""
    for name in path:
        if parent is None:
            return None
        parent = next(elements(parent, name), None)
    return parent


def attribute(element: etree._Element | None, name: str) -> str | None:
    """An attribute by its name without namespace, or None."""
    if element is None:
        return None
    for key, value in element.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return None


def _resolve(folder: str, target: str) -> str:
    path = unquote(target)
    return posixpath.normpath(path.lstrip("/") if path.startswith("/") else posixpath.join(folder, path))
