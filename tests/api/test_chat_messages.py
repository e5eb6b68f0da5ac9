"""How a chat is read as a question over a corpus."""

from __future__ import annotations

from typing import Any

import pytest

from rlm_rs.api.chat_messages import CONVERSATION_CHARS, LONG_CHARS, Asked, ChatBody, asked, output_schema
from rlm_rs.core.errors import ValidationFailed

LONG = "word " * LONG_CHARS


def read(*messages: dict[str, Any]) -> Asked:
    return asked(ChatBody.model_validate({"model": "rlm", "messages": messages}).messages)


def test_long_messages_are_the_corpus_and_the_last_user_message_the_question() -> None:
    found = read({"role": "system", "content": LONG}, {"role": "user", "content": "What is it?"})
    assert found.question == "What is it?"
    assert [(p.name, p.text) for p in found.corpus] == [("message_1_system.txt", LONG)]


def test_the_last_paragraph_of_one_long_message_is_the_question() -> None:
    found = read({"role": "user", "content": f"{LONG}\n\nQuestion: what is it?"})
    assert found.question == "Question: what is it?"
    assert len(found.corpus) == 1


def test_a_short_part_beside_long_ones_is_the_question() -> None:
    parts = [{"type": "text", "text": LONG}, {"type": "text", "text": "What is it?"}]
    found = read({"role": "user", "content": parts})
    assert found.question == "What is it?"
    assert [p.name for p in found.corpus] == ["message_1_user_part_1.txt"]


def test_short_messages_before_it_are_part_of_the_question() -> None:
    found = read({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"})
    assert found.question == "system: Be brief.\n\nWhat is it?"
    assert [p.name for p in found.corpus] == ["conversation.txt"]


def test_a_long_conversation_is_a_document_and_its_newest_messages_go_with_the_question() -> None:
    said = [{"role": "user", "content": f"{number} " + "word " * 500} for number in range(100)]
    found = read(*said, {"role": "user", "content": "What is it?"})
    assert found.question.endswith("What is it?")
    assert CONVERSATION_CHARS - 3_000 < len(found.question) <= CONVERSATION_CHARS + 100
    assert "user: 99 word" in found.question
    assert [p.name for p in found.corpus] == ["conversation.txt"]
    assert all(f"user: {number} word" in found.corpus[0].text for number in range(100))


def test_of_many_parts_the_last_are_the_question_and_the_others_documents() -> None:
    parts = [{"type": "text", "text": f"{number} " + "word " * 500} for number in range(100)]
    found = read({"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]})
    assert found.question.endswith("What is it?")
    assert len(found.question) <= CONVERSATION_CHARS + 100
    assert found.corpus[0].text.startswith("0 word")
    assert "99 word" in found.question


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Hello"}],
        [{"role": "user", "content": "  "}],
        [{"role": "user", "content": [{"type": "image_url"}]}],
    ],
)
def test_what_cannot_be_answered_is_refused(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationFailed):
        read(*messages)


def test_a_response_format_is_an_output_schema() -> None:
    schema = {"type": "object"}
    body = {"model": "rlm", "messages": [{"role": "user", "content": "?"}]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert output_schema(ChatBody.model_validate({**body, "response_format": wanted})) == schema
    assert output_schema(ChatBody.model_validate({**body, "response_format": {"type": "text"}})) is None
    with pytest.raises(ValidationFailed):
        output_schema(ChatBody.model_validate({**body, "response_format": {"type": "json_schema"}}))
