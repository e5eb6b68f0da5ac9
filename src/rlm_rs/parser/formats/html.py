"""HTML as readable text: headings become sections, data tables become tables, scripts and styles go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rlm_rs.parser.encodings import decode
from rlm_rs.parser.failures import DocumentBomb, DocumentTooLarge
from rlm_rs.parser.outcome import ParseLimits, SourceFile
from rlm_rs.parser.renderer import Renderer

_MAX_BYTES = 256 << 20
# fmt: off
_DROPPED = frozenset((
    "head", "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed",
    "canvas", "audio", "video", "-comment", "-doctype",
))
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend",
    "li", "main", "nav", "ol", "p", "section", "summary", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "ul", "caption",
))
# fmt: on
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_SPACE = re.compile(r"[ \t\n\r\f]+")
# Elements that need no end tag: counting their start tags would overestimate the depth.
_UNCLOSED = (
    "area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr|"
    "p|li|td|th|tr|dt|dd|option|tbody|thead"
)
_TAG = re.compile(rf"<(/?)(?!(?:{_UNCLOSED})\b)[a-zA-Z][^\s/>]*", re.IGNORECASE)


def render(source: SourceFile, out: Renderer) -> None:
    """Render a file."""
    if source.byte_length > _MAX_BYTES:
        raise DocumentTooLarge(what="an HTML file", limit=f"{_MAX_BYTES >> 20} MB")
    text, warning = decode(source.path.read_bytes())
    if warning:
        out.warn(warning)
    render_html(text, out, source.limits)
    out.end()


def render_html(text: str, out: Renderer, limits: ParseLimits) -> None:
    """Render HTML text into `out`; the `<title>` becomes the document's title if it has none yet."""
    check_depth(text, limits.html_depth)
    tree = LexborHTMLParser(text)
    title = tree.css_first("title")
    if title is not None and out.title is None:
        out.title = _squeeze(title.text()).strip() or None
    if tree.body is not None:
        _Page(out).render(tree.body)


def check_depth(text: str, limit: int) -> None:
    """Refuse markup nested deeper than `limit`: building its tree takes time with the square of the depth."""
    if text.count("<") <= limit:
        return
    depth = deepest = 0
    for tag in _TAG.finditer(text):
        depth = max(0, depth - 1) if tag.group(1) else depth + 1
        if depth > deepest:
            deepest = depth
    if deepest > limit:
        raise DocumentBomb(reason=f"its tags are nested more than {limit} deep")


class _Page:
    """Turns a tree into paragraphs: inline text gathers until a block element starts or ends."""

    def __init__(self, out: Renderer) -> None:
        self._out = out
        self._inline: list[str] = []
        self._gap = 2
        self._prefix = ""
        self._preformatted = 0

    def render(self, root: LexborNode) -> None:
        """Walk the tree without recursion: a tree may be deeper than Python's stack."""
        for node, entering in _walk(root, self._is_leaf):
            if entering:
                self._enter(node)
            else:
                self._leave(node)
        self._flush()

    def _is_leaf(self, node: LexborNode) -> bool:
        tag = node.tag
        return tag in _DROPPED or tag in _HEADINGS or (tag == "table" and _is_data_table(node))

    def _enter(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == "-text":
            self._inline.append(node.text_content or "")
        elif tag == "br":
            self._line_break()
        elif tag in _HEADINGS:
            self._flush()
            self._out.heading(_squeeze(node.text(separator=" ")).strip(), _HEADINGS[tag])
        elif tag == "table" and _is_data_table(node):
            self._flush()
            self._out.table(_rows(node))
        elif tag == "pre":
            self._flush()
            self._preformatted += 1
        elif tag in _BLOCKS:
            self._flush()
            self._start_block(tag)

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag
        if tag == "pre":
            self._flush()
            self._preformatted -= 1
        elif tag in _BLOCKS:
            self._flush()
            self._gap = 2

    def _start_block(self, tag: str) -> None:
        if tag == "li":
            self._prefix, self._gap = "- ", 1
        elif tag == "dd":
            self._gap = 1

    def _line_break(self) -> None:
        if self._preformatted:
            self._inline.append("\n")
        else:
            self._flush()
            self._gap = 1

    def _flush(self) -> None:
        text = "".join(self._inline)
        self._inline.clear()
        if not self._preformatted:
            text = _squeeze(text).strip(" ")
        if text.strip():
            self._out.block(self._prefix + text, self._gap)
            self._gap, self._prefix = 2, ""


def _squeeze(text: str) -> str:
    return _SPACE.sub(" ", text)


def _walk(root: LexborNode, is_leaf: Callable[[LexborNode], bool]) -> Iterator[tuple[LexborNode, bool]]:
    """Nodes in document order, each entered and left; leaves are only entered."""
    stack: list[tuple[LexborNode, bool]] = [(root, True)]
    while stack:
        node, entering = stack.pop()
        if entering and is_leaf(node):
            if node.tag not in _DROPPED:
                yield node, True
            continue
        yield node, entering
        if entering:
            stack.append((node, False))
            stack.extend((child, True) for child in reversed(list(node.iter(include_text=True))))


def _is_data_table(table: LexborNode) -> bool:
    """Tables with a table or a heading inside, or one column, only lay out a page."""
    if table.css_first("td table, th table, h1, h2, h3, h4, h5, h6, ul, ol, p + p") is not None:
        return False
    return any(len(_cells(row)) > 1 for row in table.css("tr"))


def _rows(table: LexborNode) -> list[list[str]]:
    rows = [[_squeeze(cell.text(separator=" ")).strip() for cell in _cells(row)] for row in table.css("tr")]
    return [row for row in rows if any(row)]


def _cells(row: LexborNode) -> list[LexborNode]:
    return [cell for cell in row.iter() if cell.tag in ("td", "th")]
