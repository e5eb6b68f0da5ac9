"""Plots of a report as SVG, with no script and no font of their own: they follow the page's colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 284, 48, 40, 52
COLOURS = ("#2f6f9f", "#c8702a", "#4b8b5f", "#8a5aa8", "#9a8b2f")
PLOT = HEIGHT - BOTTOM - TOP


def bars(title: str, groups: Mapping[str, Mapping[str, float]], top: float, unit: str = "") -> str:
    """Bars for each name in each group, from 0 to `top`."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    room = (WIDTH - LEFT) / max(1, len(groups))
    width = room * 0.8 / max(1, len(names))
    drawn: list[str] = []
    for place, (label, group) in enumerate(groups.items()):
        left = LEFT + place * room + room * 0.1
        drawn.append(_text(left + room * 0.4, HEIGHT - BOTTOM + 16, label, "middle"))
        for number, name in enumerate(names):
            if name in group:
                drawn.append(_bar(left + number * width, width, group[name], top, number, f"{label}, {name}"))
    return _picture(title, names, [*_axis(top, unit), *drawn])


def _bar(left: float, width: float, value: float, top: float, colour: int, label: str) -> str:
    height = PLOT * min(1.0, value / top) if top else 0.0
    shown = escape(f"{label}: {value:.4g}")
    return (
        f'<rect x="{left:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{width * 0.9:.1f}" '
        f'height="{max(height, 1):.1f}" fill="{COLOURS[colour % len(COLOURS)]}"><title>{shown}</title></rect>'
    )


def _axis(top: float, unit: str) -> list[str]:
    lines = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        height = HEIGHT - BOTTOM - PLOT * share
        lines.append(
            f'<line x1="{LEFT}" x2="{WIDTH}" y1="{height}" y2="{height}" stroke="currentColor" '
            'stroke-opacity=".15"/>'
        )
        lines.append(_text(LEFT - 6, height + 4, f"{unit}{top * share:.3g}", "end"))
    return lines


def _picture(title: str, names: Sequence[str], drawn: Sequence[str]) -> str:
    legend = []
    left = float(LEFT)
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        legend.append(f'<rect x="{left}" y="28" width="10" height="10" fill="{colour}"/>')
        legend.append(_text(left + 14, 37, name, "start"))
        left += 30 + 7 * len(name)
    heading = [f"<title>{escape(title)}</title>", _text(LEFT, 15, title, "start")]
    inside = "".join([*heading, *legend, *drawn])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'color="#555" font-family="sans-serif" font-size="12">{inside}</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(text)}</text>'
