"""PPTX: slides as pages, their titles as sections, tables, and the speaker's notes."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from rlm_rs.parser.failures import DocumentCorrupt, DocumentTooLarge
from rlm_rs.parser.formats.ooxml import Package, attribute, child, elements, local_name
from rlm_rs.parser.outcome import SourceFile
from rlm_rs.parser.renderer import Renderer
from rlm_rs.parser.zips import open_container

_TITLES = ("title", "ctrTitle")


def render(source: SourceFile, out: Renderer) -> None:
    """Render all slides in their order, hidden ones too."""
    with open_container(source.path, source.limits) as archive:
        package = Package(archive)
        out.title = package.title()
        slides = list(_slides(package))
        if len(slides) > source.limits.pages:
            raise DocumentTooLarge(what="its number of slides", limit=source.limits.pages)
        for number, part in enumerate(slides, 1):
            with out.page(number):
                _slide(package, part, out)
    out.end()


def _slides(package: Package) -> Iterator[str]:
    main = package.related("", "officeDocument")
    if main is None:
        raise DocumentCorrupt(reason="its main part is missing")
    relations = package.relations(main)
    order = child(package.xml(main), "sldIdLst")
    for item in elements(order) if order is not None else ():
        # Two attributes are called "id"; the relation's is the one in a namespace.
        keys = [str(value) for key, value in item.items() if str(key).endswith("}id")]
        if keys and keys[0] in relations and relations[keys[0]].target in package:
            yield relations[keys[0]].target


def _slide(package: Package, part: str, out: Renderer) -> None:
    tree = child(package.xml(part), "cSld", "spTree")
    shapes = list(_shapes(tree)) if tree is not None else []
    for shape in sorted(shapes, key=lambda item: _placeholder(item) not in _TITLES):
        _shape(shape, out)
    notes = package.related(part, "notesSlide")
    if notes:
        _notes(package.xml(notes), out)


def _shapes(tree: etree._Element) -> Iterator[etree._Element]:
    for element in elements(tree):
        if local_name(element) == "grpSp":
            yield from _shapes(element)
        elif local_name(element) in ("sp", "graphicFrame"):
            yield element


def _placeholder(shape: etree._Element) -> str | None:
    mark = child(shape, "nvSpPr", "nvPr", "ph")
    return (attribute(mark, "type") or "body") if mark is not None else None


def _shape(shape: etree._Element, out: Renderer) -> None:
    table = next(shape.iter("{*}tbl"), None)
    if table is not None:
        out.table(
            [[" ".join(_paragraphs(cell)) for cell in elements(row, "tc")] for row in elements(table, "tr")]
        )
        return
    lines = list(_paragraphs(shape))
    if _placeholder(shape) in _TITLES:
        out.heading(" ".join(lines), 1)
        return
    for index, line in enumerate(lines):
        out.block(line, gap=1 if index else 2)


def _notes(root: etree._Element, out: Renderer) -> None:
    tree = child(root, "cSld", "spTree")
    bodies = [shape for shape in _shapes(tree) if _placeholder(shape) == "body"] if tree is not None else []
    for index, line in enumerate(line for body in bodies for line in _paragraphs(body)):
        out.block(line if index else f"Notes: {line}", gap=1 if index else 2)


def _paragraphs(parent: etree._Element) -> Iterator[str]:
    for paragraph in parent.iter("{*}p"):
        text = "".join(_runs(paragraph))
        if text.strip():
            yield text


def _runs(paragraph: etree._Element) -> Iterator[str]:
    for run in elements(paragraph):
        if local_name(run) == "br":
            yield "\n"
        else:
            yield from (text.text or "" for text in elements(run, "t"))
