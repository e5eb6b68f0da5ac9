"""Where sentences begin and end."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rlm_rs.providers.fake_sentences import LONG, sentences


def shown(text: str) -> list[str]:
    return [" ".join(sentence.text.split()) for sentence in sentences(text)]


PIECES = st.sampled_from(
    [
        "The fee is due.",
        "No. 4",
        "4.2. ",
        "(a) ",
        "Acme Inc. ",
        "\n",
        "\n\n",
        " ",
        "; ",
        "U.S.",
        "- ",
        "é 漢",
        '"So?" ',
        "|",
    ]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=40).map("".join))
def test_offsets_are_exact_and_in_order(text: str) -> None:
    found = sentences(text)
    assert [sentence.text for sentence in found] == [text[s.start : s.end] for s in found]
    assert all(before.end <= after.start for before, after in pairwise(found))


def test_a_line_break_inside_a_sentence_does_not_end_it() -> None:
    text = (
        "Either Party shall have the right to terminate this\nAgreement with notice, and the effective date\n"
        "shall be the date it is received. The fee\nis paid in May."
    )
    assert shown(text) == [
        "Either Party shall have the right to terminate this Agreement with notice, and the effective date "
        "shall be the date it is received.",
        "The fee is paid in May.",
    ]


def test_abbreviations_do_not_end_a_sentence() -> None:
    text = "Acme Inc. and Dr. J. Smith of the U.S. Navy met on Jan. 4 with Bolt Ltd. See No. 7 for more."
    assert shown(text) == [text[:72], text[73:]] or len(shown(text)) <= 2


def test_numbers_of_clauses_are_left_out() -> None:
    text = "4.1. The fee is one euro.\n4.2. Client may leave at once.\n(a) It must pay.\n5.3Taxes are due."
    assert shown(text) == [
        "The fee is one euro.",
        "Client may leave at once.",
        "It must pay.",
        "Taxes are due.",
    ]


def test_a_number_at_the_end_of_a_sentence_ends_it() -> None:
    assert shown("It is subject to clause 4.0. The fee is due.") == [
        "It is subject to clause 4.0.",
        "The fee is due.",
    ]


def test_an_amount_at_the_start_is_kept() -> None:
    assert shown("30 days is the limit.") == ["30 days is the limit."]


def test_headings_are_told_apart() -> None:
    found = sentences("TERM AND TERMINATION\nThe term is one year.\n\nGoverning Law. It is that of France.")
    assert [(s.text, s.heading) for s in found] == [
        ("TERM AND TERMINATION", True),
        ("The term is one year.", False),
        ("Governing Law.", True),
        ("It is that of France.", False),
    ]


def test_lines_of_settings_tables_and_code_stand_alone() -> None:
    assert shown("server:\n  port: 8443\n  pool_size: 12") == ["server:", "port: 8443", "pool_size: 12"]
    assert shown("| Unit | Sum |\n| Mill | 12 |") == ["| Unit | Sum |", "| Mill | 12 |"]
    assert "x = f(1, 2)" in shown("x = f(1, 2)\ny = g(x)[0]\n")


def test_capitals_over_two_lines_are_one_sentence() -> None:
    text = (
        "THIS AGREEMENT SHALL BE CONSTRUED AND GOVERNED IN ACCORDANCE\nWITH THE LAWS OF THE STATE OF MAINE."
    )
    assert len(shown(text)) == 1


def test_a_very_long_sentence_is_cut_at_its_semicolons() -> None:
    text = (
        "The parties agree "
        + " ".join(f"that part {n} is painted in the colour of the day;" for n in range(40))
        + " end."
    )
    assert len(shown(text)) > 1
    assert max(map(len, shown(text))) <= LONG
