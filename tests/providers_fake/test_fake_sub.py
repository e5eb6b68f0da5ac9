"""What the offline sub-model replies to prompts of any form."""

from __future__ import annotations

import json

from rlm_rs.providers.fake_sub import sub_reply

TEXT = "The mill was sold to Bolt Ltd. for 4,200 euros on 3 May 1901. The weather was fine."
PASSAGES = f"""Copy out what answers.

QUESTION: How much was paid for the mill that was sold?

[P3] north.txt
<passage>
{TEXT}
</passage>

[P7] south.txt
<passage>
Ships came and went.
</passage>"""


def test_quotes_come_with_the_label_of_their_passage_and_a_score() -> None:
    label, score, quote = sub_reply(PASSAGES).split(" | ", 2)
    assert label == "P3"
    assert 60 <= int(score) <= 100
    assert quote == '"The mill was sold to Bolt Ltd. for 4,200 euros on 3 May 1901."'


def test_nothing_to_quote_is_said_in_one_word() -> None:
    assert sub_reply(PASSAGES.replace(TEXT, "It rained.")) == "NONE"


def test_any_prompt_with_a_question_at_either_end_is_answered() -> None:
    expected = "The mill was sold to Bolt Ltd. for 4,200 euros on 3 May 1901."
    assert sub_reply(f"When was the mill sold?\n\n{TEXT}") == expected
    assert sub_reply(f"{TEXT}\n\nWhen was the mill sold?") == expected
    assert sub_reply(f"Context: {TEXT}\nQuestion: When was the mill sold?") == expected


def test_a_schema_is_filled_from_the_text() -> None:
    schema = {
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "sold": {"type": "boolean"},
            "price": {"type": "integer"},
            "quotes": {"type": "array", "items": {"type": "string"}},
            "buyer": {"enum": ["Acme", "Bolt"]},
        },
    }
    filled = json.loads(sub_reply(f"How much was the mill sold for?\n{TEXT}", schema))
    assert filled["sold"] is True
    assert filled["price"] == 4200
    assert filled["buyer"] == "Bolt"
    assert filled["quotes"] == [filled["answer"]]


def test_an_empty_prompt_gets_a_reply() -> None:
    assert sub_reply("") == "NONE"
