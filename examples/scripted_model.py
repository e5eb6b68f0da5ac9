"""Dry-run a policy of your own: a scripted model says what you wrote, everything else is real.

The documents are parsed, the steps run in the sandbox and the citations are checked, with no provider and
no key. This is also how to test code that uses RLM-RS.

usage: python examples/scripted_model.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rlm_rs import RLM
from rlm_rs.testing.models import ScriptedModel

CORPUS = Path(__file__).resolve().parent / "corpus"

LOOK = """
```repl
hits = context.find("for convenience", ignore_case=True)
passages = []
for hit in hits:
    start, end = max(0, hit["start_char"] - 200), hit["end_char"] + 200
    passages.append([hit["doc_index"], start, min(len(context[hit["doc_index"]]), end)])
print(len(passages), "passages in", len({hit["doc_index"] for hit in hits}), "documents")
```
"""

JUDGE = """
```repl
texts = [context[i][start:end] for i, start, end in passages]
verdicts = llm_query_batched(["Does this let a party end the agreement at will? " + text for text in texts])
agreed = [passage for passage, verdict in zip(passages, verdicts) if verdict == "yes"]
marks = [context[i].cite(start, end) for i, start, end in agreed]
FINAL(f"{len(marks)} passages let a party leave at will: {' '.join(marks)}")
```
"""


def main() -> None:
    """Print the scripted answer, its citations and what was asked of the sub model."""
    model = ScriptedModel(
        root=[LOOK, JUDGE],
        sub=lambda request: "no" if "neither party" in request.messages[-1].content.lower() else "yes",
    )
    with tempfile.TemporaryDirectory() as data_dir, RLM(provider=model, data_dir=data_dir) as rlm:
        answer = rlm.ask("Which agreements can be ended at will?", CORPUS)
        print(answer)
        for number, citation in enumerate(answer.citations, start=1):
            print(f"[{number}] {citation.source_name}: {' '.join(citation.text.split())[:90]}…")
    asked = [request for request in model.requests if request.model == model.sub_model]
    print(f"{len(asked)} sub-calls, {answer.spend.turns} turns")


if __name__ == "__main__":
    main()
