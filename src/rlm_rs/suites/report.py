"""The report of a run: `report.md` with its plots beside it, and `report.html` with the plots inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from rlm_rs.suites.plots import bars
from rlm_rs.suites.results import Result
from rlm_rs.suites.summary import PERCENTILES, Figures, grouped, length_class

MARKDOWN_FILE, HTML_FILE = "report.md", "report.html"
WORST_SHOWN = 10
EXPLANATION = (
    "The score is a mean from 0 to 1 with half of its 95 % interval. Citations: precision is the share of "
    "citations that touch a reference span, recall the share of spans that are touched. Costs are of one "
    "case, in US dollars, at the percentiles named; – where a price is unknown. Skipped cases do not fit the "
    "variant and count nowhere."
)
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "th,td{padding:.25rem .6rem;white-space:nowrap;text-align:right}"
    "th,td{border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent)}"
    "th:first-child,td:first-child{text-align:left}svg{max-width:100%}"
)


def write_report(folder: Path, results: Sequence[Result], run: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write both reports of a folder's results; returns their places. run: what the run was made with."""
    plots = _plots(results)
    for name, picture in plots.items():
        (folder / name).write_text(picture, encoding="utf-8")
    text = markdown(results, run, tuple(plots))
    markdown_place, html_place = folder / MARKDOWN_FILE, folder / HTML_FILE
    markdown_place.write_text(text, encoding="utf-8")
    html_place.write_text(_html(text, plots), encoding="utf-8")
    return markdown_place, html_place


def markdown(results: Sequence[Result], run: Mapping[str, Any], plots: Sequence[str] = ()) -> str:
    """The report as Markdown."""
    facts = [f"- {name}: {_plain(value)}" for name, value in run.items()]
    by_variant = grouped(results, lambda result: result.variant)
    by_kind = grouped(results, lambda result: (result.kind or "any", result.variant))
    parts = [
        "# Results",
        "\n".join(facts),
        "## By variant",
        table(by_variant),
        *(f"![]({name})" for name in plots),
        "## By kind of question",
        table({f"{kind}, {variant}": found for (kind, variant), found in by_kind.items()}),
        *_worst(results),
        EXPLANATION,
    ]
    return "\n\n".join(parts) + "\n"


def table(groups: Mapping[str, Figures]) -> str:
    """Groups as a Markdown table."""
    heads = ["", "cases", "skipped", "failed", "score", "citation precision", "recall"]
    heads += ["tokens p50", "seconds p50", *(f"cost p{share}" for share in PERCENTILES)]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *(_row(*group) for group in groups.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _row(name: str, found: Figures) -> list[str]:
    costs = found.costs or (None,) * len(PERCENTILES)
    score = "" if found.score is None else f"{found.score:.3f} ± {found.margin:.3f}"
    shares = [_figure(found.precision, ".2f"), _figure(found.recall, ".2f")]
    amounts = [_figure(found.tokens, ",.0f"), _figure(found.seconds, ".1f")]
    prices = [_figure(cost, ".4f") if found.cases else "" for cost in costs]
    counts = [str(found.cases), str(found.skipped), str(found.failed)]
    return [_plain(name), *counts, score, *shares, *amounts, *prices]


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _plain(value: Any) -> str:
    """A value as text that Markdown takes for nothing else."""
    text = " ".join(str(value).split())
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in text)


def _worst(results: Sequence[Result]) -> list[str]:
    low = sorted(
        (result for result in results if result.score < 1 and result.outcome.skipped is None),
        key=lambda result: result.score,
    )
    if not low:
        return []
    lines = [
        f"- {_plain(result.case_id)}, {_plain(result.variant)}: {result.score:.2f}, "
        f"{_plain(result.outcome.status)}; answered {_plain((result.outcome.answer or 'nothing')[:120])} "
        f"({_plain(result.outcome.execution_id)})"
        for result in low[:WORST_SHOWN]
    ]
    return ["## Lowest scores", "\n".join(lines)]


def _plots(results: Sequence[Result]) -> dict[str, str]:
    """File name to picture: scores by kind, scores by length, what cases cost."""
    scored = [result for result in results if result.outcome.skipped is None]
    kinds = grouped(scored, lambda result: (result.kind or "any", result.variant))
    by_length = sorted(scored, key=lambda result: result.length)
    lengths = grouped(by_length, lambda result: (f"{length_class(result.length):,}", result.variant))
    costs = {
        variant: {f"p{share}": cost for share, cost in zip(PERCENTILES, found.costs or (), strict=False)}
        for variant, found in grouped(scored, lambda result: result.variant).items()
    }
    dearest = max((cost for group in costs.values() for cost in group.values()), default=0.0)
    pictures = {
        "scores-by-kind.svg": bars("Score by kind of question", _scores(kinds), 1.0),
        "scores-by-length.svg": bars("Score by characters of the corpus", _scores(lengths), 1.0),
    }
    if dearest:
        pictures["costs.svg"] = bars("Cost of a case", costs, dearest, "$")
    return pictures


def _scores(groups: Mapping[tuple[str, str], Figures]) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    for (group, variant), found in groups.items():
        if found.score is not None:
            scores.setdefault(group, {})[variant] = found.score
    return scores


def _html(text: str, plots: Mapping[str, str]) -> str:
    body = MarkdownIt("js-default").render(text)
    for name, picture in plots.items():
        body = body.replace(f'<img src="{escape(name)}" alt="" />', picture)
        body = body.replace(f'<img src="{escape(name)}" alt="">', picture)
    head = f'<meta charset="utf-8"><title>Results</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'
