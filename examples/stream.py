"""Follow an execution event by event: documents parsed once, then a question streamed.

usage: python examples/stream.py [QUESTION PATH...]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rlm_rs import RLM, Answer, Event, Finished, RootReplied, StepRan, SubcallResolved

CORPUS = Path(__file__).resolve().parent / "corpus"
QUESTION = "How much did spoiled goods cost in 2024?"


async def main() -> None:
    """Print one line for each event, and at last the answer."""
    question, paths = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 2 else (QUESTION, [str(CORPUS)])
    async with RLM() as rlm:
        session = await rlm.asession(paths)
        unread = [document.source_name for document in session.documents if document.failure]
        print(f"{len(session.documents)} documents, {len(unread)} of them unreadable")
        async for item in session.astream(question):
            print(told(item))


def told(item: Event | Answer) -> str:
    """An event in words."""
    match item:
        case RootReplied(turn=turn, code=code):
            return f"turn {turn + 1}: the root model wrote {len((code or '').splitlines())} lines of code"
        case StepRan(result=result) if result.status == "suspended":
            return f"  the step waits for {len(result.requests)} sub-calls"
        case StepRan(result=result):
            return f"  the step ran: {len(result.spans)} spans read, {len(result.stdout)} characters printed"
        case SubcallResolved(request=request, seconds=seconds):
            return f"  {request.kind} sub-call answered in {seconds:.1f} s"
        case Finished(status=status):
            return f"finished: {status}"
        case Answer():
            return f"\n{item}"
        case _:
            return f"  {type(item).__name__}"


if __name__ == "__main__":
    asyncio.run(main())
