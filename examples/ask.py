"""Ask a question over files and show what the answer rests on.

usage: python examples/ask.py [QUESTION PATH...]
"""

from __future__ import annotations

import sys
from pathlib import Path

from rlm_rs import RLM, ExecutionFailed

CORPUS = Path(__file__).resolve().parent / "corpus"
QUESTION = "Which agreements can be ended for convenience, and on what notice?"


def main() -> int:
    """Print an answer and its citations, and return the exit code."""
    question, paths = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 2 else (QUESTION, [str(CORPUS)])
    with RLM(budgets={"max_turns": 8}) as rlm:
        try:
            answer = rlm.ask(question, paths)
        except ExecutionFailed as error:
            print(f"no answer: {error}", file=sys.stderr)
            return 1
        print(answer)
        for number, citation in enumerate(answer.citations, start=1):
            mark = "verified" if citation.verified else "NOT VERIFIED"
            page = f", page {citation.page}" if citation.page else ""
            print(f"[{number}] {citation.source_name}{page} ({citation.support}, {mark})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
