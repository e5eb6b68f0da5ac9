"""The offline policy through the whole system: parser, step program, loop and citations."""

from __future__ import annotations

import random
from pathlib import Path

from fake_asking import Ask

from rlm_rs.core.answers import Answer
from rlm_rs.library import RLM
from rlm_rs.providers.fake import FakeProvider

FILLER = """the harbour report shows that our team found a cheaper route for market orders in the old plan
of the north quay"""


def filler(seed: int, sentences: int = 12) -> str:
    chance = random.Random(seed)
    lines = (" ".join(chance.choices(FILLER.split(), k=9)).capitalize() + "." for _ in range(sentences))
    return "\n".join(lines)


def lease(clause: str, seed: int) -> str:
    """A short contract whose lines are wrapped as they are in a PDF."""
    wrapped = clause.replace("Agreement ", "Agreement\n")
    clauses = f"1. Rent is due in May.\n2. {wrapped}\n3. Keys are kept by the Landlord."
    return "\n\n".join(["LEASE AGREEMENT", filler(seed), clauses, filler(seed + 100)])


LEASES = {
    "alpha.txt": lease("Either party may terminate this Agreement without cause on 60 days' notice.", 1),
    "beta.txt": lease("The Tenant may cancel this Agreement at any time by giving 3 months notice.", 2),
    "gamma.txt": lease("Either party may terminate this Agreement if the other breaches it.", 3),
    "delta.txt": lease("This Agreement ends in the event of the insolvency of the Tenant.", 4),
}
ENDED = "Which agreements can be ended for convenience, and on what notice?"


def words_of(text: str) -> str:
    return " ".join(text.split())


def check_quotes(answer: Answer) -> None:
    """Every mark of the answer points to a citation whose text stands in the answer."""
    assert answer.text is not None
    shown = words_of(answer.text)
    assert answer.citations
    for number, citation in enumerate(answer.citations, 1):
        assert f"[{number}]" in shown
        assert words_of(citation.text) in shown
        assert (citation.verified, citation.support) == (True, "quoted")


def test_it_lists_the_right_documents_with_their_words_and_the_notice(ask: Ask) -> None:
    answer = ask(ENDED, LEASES)
    assert answer.text is not None
    assert {citation.source_name for citation in answer.citations} == {"alpha.txt", "beta.txt"}
    assert "2 of 4 documents" in answer.text
    assert "alpha.txt (60 days)" in answer.text
    assert "beta.txt (3 months)" in answer.text
    check_quotes(answer)


def test_a_fact_is_found_among_many_documents(ask: Ask) -> None:
    texts = {f"note_{n:03d}.txt": filler(n) for n in range(300)}
    texts["note_217.txt"] += "\nThe access code of the Zanzibar vault is 4471-K.\n"
    answer = ask("What is the access code of the Zanzibar vault?", texts)
    assert answer.text == '- note_217.txt: "The access code of the Zanzibar vault is 4471-K." [1]'
    check_quotes(answer)


def test_it_says_that_the_documents_do_not_say(ask: Ask) -> None:
    answer = ask("Who discovered penicillin?", LEASES)
    assert answer.text is not None
    assert answer.text.startswith("The documents do not say.")
    assert "penicillin" in answer.text
    assert not answer.citations


def test_the_same_question_gets_the_same_answer(tmp_path: Path) -> None:
    (tmp_path / "beta.txt").write_text(LEASES["beta.txt"], encoding="utf-8")
    answers = []
    for number in range(2):
        with RLM(provider=FakeProvider(), data_dir=tmp_path / f"data{number}") as rlm:
            answers.append(rlm.ask(ENDED, tmp_path / "beta.txt").text)
    assert answers[0] == answers[1]


def test_it_costs_nothing_and_counts_tokens(ask: Ask) -> None:
    spend = ask(ENDED, LEASES).spend
    assert spend.cost_usd == 0
    assert spend.turns == 3
    assert spend.llm_subcalls > 0
    assert spend.input_tokens > spend.output_tokens > 0


def test_contexts_are_the_passages_that_bear_on_the_question(ask: Ask) -> None:
    answer = ask(ENDED, LEASES, output_mode="CONTEXTS")
    assert answer.text is None
    assert {item.source_name for item in answer.contexts} == {"alpha.txt", "beta.txt"}
    assert all(item.tag == "context" and "notice" in item.text for item in answer.contexts)


def test_one_turn_is_enough_if_there_is_only_one(ask: Ask) -> None:
    answer = ask(ENDED, LEASES, budgets={"max_turns": 1})
    assert not answer.partial
    assert {citation.source_name for citation in answer.citations} == {"alpha.txt", "beta.txt"}


def test_with_no_sub_calls_left_it_goes_by_the_words(ask: Ask) -> None:
    texts = {
        "a.txt": "The mill was sold to Anna in May. It rained all day.",
        "b.txt": "Ships came and went for days.",
    }
    answer = ask("To whom was the mill sold?", texts, budgets={"max_llm_subcalls": 0})
    assert answer.text is not None
    assert "sold to Anna" in answer.text


def test_with_few_spans_left_it_judges_what_it_could_read(ask: Ask) -> None:
    answer = ask(ENDED, LEASES, budgets={"max_spans_per_step": 2})
    assert answer.text is not None
    assert "without cause on 60 days" in answer.text


def test_text_shape_answers_with_the_best_sentences(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(
        "\n".join([filler(1), LEASES["alpha.txt"], filler(2)]), encoding="utf-8"
    )
    with RLM(provider=FakeProvider(), data_dir=tmp_path / "data", context_shape="text") as rlm:
        answer = rlm.ask("Can the agreement be ended for convenience?", tmp_path / "long.txt")
    assert answer.text is not None
    assert "terminate this Agreement without cause" in words_of(answer.text)
    assert any(citation.support == "quoted" for citation in answer.citations)


def test_settings_tables_and_prose_are_read_too(ask: Ask) -> None:
    texts = {
        "server.yaml": "server:\n  port: 8443\n  request_timeout_seconds: 45\n",
        "story.txt": "Ilse Brandt came to Riga.\nShe bought the mill on Quarry Lane for 900 crowns.\n",
    }
    setting = ask("What is the request timeout of the server?", texts).text or ""
    assert "request_timeout_seconds: 45" in setting
    assert "bought the mill" in (ask("Who bought the mill on Quarry Lane?", texts).text or "")


def test_a_question_about_everything_gets_the_openings(ask: Ask) -> None:
    texts = {
        "report.txt": "Harbour report\n\nThe crane at the north quay fell over in May and was sold for scrap."
    }
    assert "crane at the north quay" in (ask("What is this document about?", texts).text or "")
