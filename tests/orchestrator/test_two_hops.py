"""Ten thousand documents, a question that takes two findings, two turns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stage import BUCKET, SESSION, TENANT, Stage, by_turn, outcome, step

from rlm_rs.core.corpus import Corpus, Document, IngestStatus
from rlm_rs.core.model import ModelRequest
from rlm_rs.core.records import ExecutionStatus
from rlm_rs.orchestrator.searches import Searches
from rlm_rs.search.embedded import EmbeddedIndex
from rlm_rs.storage.blobs import DirectoryBlobs
from rlm_rs.testing.models import ScriptedModel

DOCUMENTS = 10_000
PLACES = ("Brno", "Turku", "Porto", "Gdansk", "Malmo")


def corpus_texts() -> list[str]:
    """Delivery notes, each of a depot; one is of the zirconium, and a list names the head of its depot."""
    texts = [
        f"Delivery note {number}. Depot {PLACES[number % 5]}-{number:05d} received lot L{number:05d}. "
        f"The carrier was driver {number * 7 % DOCUMENTS:05d}."
        for number in range(DOCUMENTS)
    ]
    texts[6_123] += " The lot is zirconium powder, and is kept apart."
    texts[2_718] = "Staff list. Depot Gdansk-06123 is headed by Ilse Varga since March."
    return texts


FIRST = """
hit = context.search("where is the zirconium powder kept", k=3)[0]
print("FOUND", context[hit["doc_index"]][hit["start_char"]:hit["end_char"]])
"""


def second(request: ModelRequest) -> str:
    """What a model does that has read the first finding: it asks who heads the depot named there."""
    depot = re.search(r"FOUND .*Depot (\S+) received", request.messages[-1].content)
    assert depot
    return step(f"""
hit = context.search('"{depot[1]}" headed', k=3)[0]
doc = context[hit["doc_index"]]
name = re.search("headed by ([A-Z][a-z]+ [A-Z][a-z]+)", doc[hit["start_char"]:hit["end_char"]])
at = hit["start_char"] + name.start(1)
FINAL(f"{{name[1]}} {{doc.cite(at, at + len(name[1]))}}")
""")


def stored_as_files(directory: Path, texts: Sequence[str]) -> tuple[DirectoryBlobs, Corpus]:
    """The documents as the embedded store keeps them, written without its care for power cuts."""
    base = f"parsed/{TENANT}/{SESSION}"
    (directory / BUCKET / base).mkdir(parents=True)
    (directory / BUCKET / base / "meta.json").write_text("{}")
    documents = []
    for index, text in enumerate(texts):
        (directory / BUCKET / base / f"{index}.txt").write_text(text)
        documents.append(
            Document(
                doc_id=f"doc_{index}",
                doc_index=index,
                source_name=f"note-{index}.txt",
                mime_type="text/plain",
                ingest_status=IngestStatus.PARSED,
                text_s3_uri=f"s3://{BUCKET}/{base}/{index}.txt",
                meta_s3_uri=f"s3://{BUCKET}/{base}/meta.json",
                char_length=len(text),
                byte_length=len(text),
            )
        )
    return DirectoryBlobs(directory), Corpus(TENANT, SESSION, tuple(documents))


async def test_a_question_of_two_hops_over_ten_thousand_documents_takes_two_turns(tmp_path: Path) -> None:
    blobs, corpus = stored_as_files(tmp_path / "blobs", corpus_texts())
    stage = Stage(corpus, ScriptedModel(by_turn(step(FIRST), second)), blobs, tmp_path / "images")
    index = EmbeddedIndex(blobs, BUCKET, tmp_path / "indexes")
    stage.ports = replace(stage.ports, search=Searches(index, blobs, stage.ports.texts, BUCKET))
    await index.build(corpus)
    run = await stage.ask("Who heads the depot that keeps the zirconium powder?", search_enabled=True)
    end = outcome(run)
    assert (end.status, end.answer) == (ExecutionStatus.COMPLETED, "Ilse Varga [1]")
    assert (run.spend.turns, run.spend.searches) == (2, 2)
    (citation,) = end.citations
    assert citation.ref.doc_index == 2_718
