"""What a DOCX paragraph inherits from its styles: outline level and list numbering.

ECMA-376 part 1, section 17.7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from rlm_rs.parser.formats.ooxml import attribute, child, elements

_HEADING_NAME = re.compile(r"heading ([1-9])", re.IGNORECASE)
_BODY_TEXT_LEVEL = 9


class Styles:
    """The styles of a document (None: it has none)."""

    def __init__(self, root: etree._Element | None) -> None:
        found = elements(root, "style") if root is not None else iter(())
        self._styles = {attribute(style, "styleId") or "": style for style in found}

    def outline_level(self, properties: etree._Element | None) -> int | None:
        """The outline level of a paragraph with these properties, from 0; None for body text."""
        own = _level(properties)
        if own is not None:
            return own if own < _BODY_TEXT_LEVEL else None
        for style in self._chain(properties):
            heading = _HEADING_NAME.fullmatch(_style_name(style))
            level = int(heading.group(1)) - 1 if heading else _level(child(style, "pPr"))
            if level is not None:
                return level if level < _BODY_TEXT_LEVEL else None
        return None

    def is_title(self, properties: etree._Element | None) -> bool:
        """Whether the paragraph has the style Title."""
        return any(_style_name(style).lower() == "title" for style in self._chain(properties))

    def numbering(self, properties: etree._Element | None) -> tuple[str, int] | None:
        """The list (numId) and level of a paragraph, its own or its styles'; None outside lists."""
        num_id: str | None = None
        level: int | None = None
        for holder in (properties, *(child(style, "pPr") for style in self._chain(properties))):
            numbering = child(holder, "numPr")
            num_id = num_id or attribute(child(numbering, "numId"), "val")
            found = attribute(child(numbering, "ilvl"), "val")
            level = int(found) if level is None and found and found.isdigit() else level
        return (num_id, min(level or 0, 8)) if num_id and num_id != "0" else None

    def _chain(self, properties: etree._Element | None) -> Iterator[etree._Element]:
        """The paragraph's style and those it is based on."""
        style_id = attribute(child(properties, "pStyle"), "val")
        seen: set[str] = set()
        while style_id and style_id in self._styles and style_id not in seen:
            seen.add(style_id)
            style = self._styles[style_id]
            yield style
            style_id = attribute(child(style, "basedOn"), "val")


def _level(properties: etree._Element | None) -> int | None:
    value = attribute(child(properties, "outlineLvl"), "val")
    return int(value) if value and value.isdigit() else None


def _style_name(style: etree._Element) -> str:
    return attribute(child(style, "name"), "val") or ""
