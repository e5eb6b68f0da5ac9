"""What the offline policy makes of questions and words."""

from __future__ import annotations

import re

import pytest

from rlm_rs.providers.fake_phrases import either, forms, pattern, stem_of
from rlm_rs.providers.fake_question import understand


def names(question: str) -> list[str]:
    return [idea.name for idea in understand(question).ideas]


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("planned", ["plan", "plans", "planning"]),
        ("terminates", ["terminate", "terminated", "termination"]),
        ("policy", ["policies"]),
        ("hidden", ["hid", "hide"]),
        ("left", ["leave", "leaves"]),
        ("price", ["prices", "pricing"]),
    ],
)
def test_a_word_is_found_in_its_other_forms(word: str, others: list[str]) -> None:
    found = re.compile(forms(word), re.IGNORECASE)
    assert [other for other in others if not found.fullmatch(other)] == []


@pytest.mark.parametrize(("word", "other"), [("end", "endeavour"), ("law", "lawn"), ("cap", "capital")])
def test_a_word_is_not_found_in_another_word(word: str, other: str) -> None:
    assert not re.search(forms(word), f"the {other} is")


def test_a_stem_keeps_three_letters() -> None:
    assert all(len(stem_of(word)) >= 3 for word in ("used", "bees", "ties", "sing", "only", "over"))


def test_a_word_is_found_within_a_name_of_code() -> None:
    assert re.search(forms("timeout"), "request_timeout_seconds: 45")


def test_a_phrase_bridges_line_breaks_hyphens_and_gaps() -> None:
    assert re.search(pattern("for convenience"), "for\n   convenience")
    assert re.search(pattern("non compete"), "a non-compete clause")
    assert re.search(pattern("may ... cancel*"), "may at any time be cancelled")
    assert not re.search(pattern("may ... cancel*"), "may go. " + "and so on " * 9 + "cancel")


def test_no_phrases_match_nothing() -> None:
    assert not either([]).search("anything")


def test_other_words_raise_the_same_idea() -> None:
    for question in (
        "Can we cancel for convenience?",
        "May it be terminated without cause?",
        "Can I exit at any time?",
    ):
        assert {"end", "without cause"} <= set(names(question))


def test_a_qualifier_needs_what_it_qualifies() -> None:
    assert "without cause" not in names("Can the price be changed at any time?")


def test_a_longer_phrase_wins_over_the_words_in_it() -> None:
    assert names("Is there a cap on liability?") == ["cap on liability"]


def test_names_numbers_and_quotations_are_kept_whole() -> None:
    assert names("Did Maria Keller sign form 27B?") == ["Maria Keller", "sign", "form", "27B"]
    assert '"force is met"' in names('Where does it say "force is met"?')


def test_a_capital_at_the_start_is_no_name() -> None:
    assert names("Lighthouse keepers: when were they paid?")[0] == "lighthouse"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("On what notice can it be ended?", "duration"),
        ("When was the mill sold?", "date"),
        ("How much does the licence cost?", "money"),
        ("How many ships were there?", "count"),
        ("Who keeps the key?", "person"),
        ("Where is the office?", "place"),
        ("What percentage is retained?", "percent"),
    ],
)
def test_the_kind_of_fact_is_recognised(question: str, kind: str) -> None:
    assert kind in understand(question).kinds


@pytest.mark.parametrize(
    ("question", "listing"),
    [
        ("Which agreements renew?", True),
        ("What does each report recommend?", True),
        ("List the suppliers.", True),
        ("How many documents mention rain?", True),
        ("Do the contracts limit liability?", True),
        ("Who keeps the key?", False),
        ("What is the deadline in the letter?", False),
    ],
)
def test_a_list_is_recognised(question: str, listing: bool) -> None:
    assert understand(question).listing is listing


def test_what_is_asked_besides_weighs_less() -> None:
    weights = {idea.name: idea.weight for idea in understand("Who may cancel, and on what notice?").ideas}
    assert weights["notice"] < weights["end"]


@pytest.mark.parametrize("question", ["", "?", "What is this about?", "Summarise the report", "the of and"])
def test_a_question_without_content_has_nothing_weighty_to_search_for(question: str) -> None:
    asked = understand(question)
    assert asked.overview or not any(not idea.generic for idea in asked.ideas)
