"""Which sentences the offline sub-model takes for an answer."""

from __future__ import annotations

import pytest

from rlm_rs.providers.fake_judge import Source, judge
from rlm_rs.providers.fake_question import understand

CONVENIENCE = "Which agreements can be ended for convenience, and on what notice?"


def quoted(question: str, text: str, name: str = "doc.txt") -> list[str]:
    return [
        " ".join(q.sentence.text.split()) for q in judge(understand(question), [Source("P0", name, text)])
    ]


@pytest.mark.parametrize(
    "clause",
    [
        "Either party may terminate this Agreement without cause on sixty (60) days' written notice.",
        "The Customer is entitled to cancel this contract for any reason upon 30 days prior notice.",
        "This Agreement may be terminated at any time by either party by giving one month's notice.",
        "Licensee may, in its sole discretion, terminate this Agreement upon ten days' notice.",
        "Buyer shall have the right to terminate this Agreement on 90 days written notice to Seller.",
    ],
)
def test_an_end_for_convenience_is_recognised_in_many_words(clause: str) -> None:
    filler = "The fee is due in May. Goods are shipped by sea. "
    assert quoted(CONVENIENCE, filler + clause + " " + filler) == [clause]


@pytest.mark.parametrize(
    "clause",
    [
        "Either party may terminate this Agreement on 30 days notice if the other materially breaches it.",
        "This Agreement terminates automatically in the event of the bankruptcy of the Licensee.",
        "Sections 4 and 7 shall survive termination of this Agreement for any reason.",
        "All notices under this Agreement shall be in writing and sent within ten days.",
        "The Supplier may change prices at any time in its sole discretion.",
    ],
)
def test_an_end_for_cause_or_another_matter_is_not(clause: str) -> None:
    assert quoted(CONVENIENCE, clause) == []


def test_a_limited_liability_company_is_no_cap_on_liability() -> None:
    question = "Is there a cap on liability?"
    assert quoted(question, "Bolt LLC is a limited liability company of Delaware.") == []
    clause = "In no event shall the total liability of Bolt exceed the fees paid."
    assert quoted(question, clause) == [clause]


def test_a_pronoun_stands_for_the_name_before_it() -> None:
    text = "Ilse Brandt came in 1999. She leads the harbour project. The weather was fine."
    assert quoted("Which project does Ilse Brandt lead?", text)[0] == "She leads the harbour project."


def test_the_name_of_a_document_counts_for_its_text() -> None:
    text = "The fee is 40 euros a month. The colour is blue."
    assert quoted("What is the fee in the Zephyr offer?", text, "Zephyr_offer.txt") == [
        "The fee is 40 euros a month."
    ]


def test_what_a_sentence_adds_is_quoted_too_and_repetition_is_not() -> None:
    seller, date = (
        "Anna Bolt sold the mill with all its wheels.",
        "The mill was sold to the city on 3 May 1901.",
    )
    text = f"{seller} Ships came and went. {date} It rained. {date}"
    assert quoted("When did Anna Bolt sell the mill to the city?", text) == [date, seller]


def test_a_setting_is_an_answer() -> None:
    text = "server:\n  port: 8443\n  request_timeout_seconds: 45\n"
    assert quoted("What is the request timeout of the server?", text) == ["request_timeout_seconds: 45"]


def test_a_bare_heading_is_no_answer() -> None:
    assert quoted("What is the governing law?", "Governing Law.\n\nShips came and went.") == []


def test_an_overview_takes_how_a_text_begins() -> None:
    text = (
        "Report\n\nThe mill was sold in May to a firm from Lyon. The price was not told to the workers there."
    )
    assert quoted("Summarise the report", text)[0] == "The mill was sold in May to a firm from Lyon."


def test_another_subject_gets_nothing() -> None:
    assert quoted("Who discovered penicillin?", "The mill was sold in May. Nobody knew the buyer.") == []
