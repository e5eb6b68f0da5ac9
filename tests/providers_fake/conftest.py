"""Asks the offline policy through the whole system, over texts that a test writes down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_asking import Ask

from rlm_rs.core.answers import Answer
from rlm_rs.library import RLM
from rlm_rs.providers.fake import FakeProvider


@pytest.fixture(scope="module")
def rlm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RLM]:
    with RLM(provider=FakeProvider(), data_dir=tmp_path_factory.mktemp("data")) as made:
        yield made


@pytest.fixture
def ask(rlm: RLM, tmp_path: Path) -> Ask:
    """`ask(question, {name: text}, **options)`."""

    def asked(question: str, texts: Mapping[str, str], **options: Any) -> Answer:
        for name, text in texts.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return rlm.ask(question, tmp_path, **options)

    return asked
