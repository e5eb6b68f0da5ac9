"""Search from the settings down: which engine, and what the library does with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rlm_rs import RLM
from rlm_rs.core.corpus import IngestStatus
from rlm_rs.core.errors import SettingInvalid
from rlm_rs.core.records import SessionStatus
from rlm_rs.settings import load_settings
from rlm_rs.testing.models import ScriptedModel
from rlm_rs.testing.openai_script import Prompt
from rlm_rs.testing.openai_server import OpenAITestServer
from rlm_rs.testing.opensearch_server import OpenSearchTestServer
from rlm_rs.wiring import wire

FIND = (
    "```repl\nhit = search('deposit')[0]\ndoc = context[hit['doc_index']]\n"
    "FINAL(doc.name + ': ' + doc[hit['start_char']:hit['end_char']].strip())\n```"
)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.txt").write_text("The rent is due monthly.\n")
    (folder / "b.txt").write_text("The deposit is two months' rent.\n")
    return folder


async def searched(
    notes: Path, data: Path, script: list[str], settings: Mapping[str, Any] | None = None, **options: Any
) -> tuple[str, set[str], list[str]]:
    """The answer, where the documents stand afterwards, and what the root was told first."""
    model = ScriptedModel(script)
    chosen = load_settings(rlm_data_dir=data, **(settings or {}))
    async with RLM(provider=model, settings=chosen, **options) as rlm:
        answer = await rlm.aask("What is the deposit?", notes)
        catalog = rlm.wiring.ports.catalog
        rows, _ = await catalog.list_sessions(rlm.tenant_id, status=SessionStatus.READY)
        documents = await catalog.list_documents(rlm.tenant_id, rows[0].session_id)
    prompts = [request.messages[0].content for request in model.requests]
    return str(answer.text), {row.document.ingest_status for row in documents}, prompts


@pytest.mark.parametrize("search", [None, True])
async def test_the_library_searches_with_an_index_made_when_it_is_needed_or_before(
    notes: Path, tmp_path: Path, search: bool | None
) -> None:
    text, statuses, prompts = await searched(notes, tmp_path / "data", [FIND], search=search)
    assert text == "b.txt: The deposit is two months' rent."
    assert statuses == {IngestStatus.INDEXED}
    assert "context.search(query" in prompts[0]


@pytest.mark.parametrize(
    ("settings", "search", "statuses"),
    [
        ({}, None, {IngestStatus.PARSED}),
        ({}, True, {IngestStatus.INDEXED}),
        ({"enable_search_default": True}, None, {IngestStatus.INDEXED}),
        ({"enable_search_default": True}, False, {IngestStatus.PARSED}),
    ],
)
async def test_an_index_is_made_before_only_where_it_was_wanted(
    notes: Path, tmp_path: Path, settings: dict[str, Any], search: bool | None, statuses: set[IngestStatus]
) -> None:
    script = ["```repl\nFINAL('x')\n```"]
    _, found, prompts = await searched(notes, tmp_path / "data", script, settings, search=search)
    assert found == statuses
    assert ("context.search(query" in prompts[0]) is (search is not False)


async def test_an_index_is_made_for_documents_that_are_known_already(notes: Path, tmp_path: Path) -> None:
    script = ["```repl\nFINAL('x')\n```"]
    for search, statuses in ((False, {IngestStatus.PARSED}), (True, {IngestStatus.INDEXED})):
        _, found, _ = await searched(notes, tmp_path / "data", script, search=search)
        assert found == statuses


async def test_opensearch_takes_the_place_of_the_embedded_engine(notes: Path, tmp_path: Path) -> None:
    pytest.importorskip("opensearchpy", reason="it needs rlm-rs[opensearch]")
    with OpenSearchTestServer() as server:
        settings = {"search_engine": "opensearch", "opensearch_url": server.url}
        text, _, _ = await searched(notes, tmp_path / "data", [FIND], settings)
        assert text.startswith("b.txt")
        assert len(server.indexes) == 1
    assert not (tmp_path / "data" / "indexes").exists()


async def test_meaning_is_found_with_one_setting(notes: Path, tmp_path: Path) -> None:
    pytest.importorskip("numpy", reason="it needs rlm-rs[embeddings]")

    def reply(prompt: Prompt) -> str:
        return FIND.replace("deposit", "security paid beforehand")

    def meaning(text: str) -> list[float]:
        return [1.0, 0.0] if "deposit" in text or "security" in text else [0.0, 1.0]

    async with OpenAITestServer(reply, embed=meaning) as server:
        settings = load_settings(
            rlm_data_dir=tmp_path / "data",
            openai_base_url=server.base_url,
            openai_api_key="any",
            search_embedding_model="meanings",
        )
        async with RLM(settings=settings, root_model="gpt-5") as rlm:
            answer = await rlm.aask("What is the deposit?", notes)
        assert str(answer.text).startswith("b.txt")
        assert server.embedded[-1] == "security paid beforehand"


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"search_engine": "opensearch"}, "OPENSEARCH_URL"),
        ({"search_embedding_model": "m", "llm_provider": "fake"}, "SEARCH_EMBEDDING_MODEL"),
        ({"search_engine": "sphinx"}, "SEARCH_ENGINE"),
        ({"search_cache_bytes": -1}, "SEARCH_CACHE_BYTES"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    tmp_path: Path, settings: dict[str, Any], variable: str
) -> None:
    with pytest.raises(SettingInvalid) as refused:
        wire(load_settings(rlm_data_dir=tmp_path, **settings))
    assert refused.value.message.startswith(variable)
    assert "\n" not in refused.value.message


async def test_what_searches_is_told(tmp_path: Path) -> None:
    wiring = wire(load_settings(rlm_data_dir=tmp_path))
    assert wiring.search_detail == "embedded"
    await wiring.close()


WITHOUT_ENGINE = "import sys; sys.modules['tantivy'] = None; from rlm_rs.cli import main; main(sys.argv[1:])"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 0, "deposit"),
        (("--search",), 2, "pip install 'rlm-rs[search]'"),
    ],
)
def test_without_the_engine_an_ask_works_and_only_what_needs_it_says_what_to_install(
    notes: Path, tmp_path: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RLM_DATA_DIR": str(tmp_path / "data")}
    asked = ["ask", *options, "What is the deposit?", str(notes)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ENGINE, *asked], env=environment, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
