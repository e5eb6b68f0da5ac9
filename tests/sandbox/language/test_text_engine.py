"""The text engine against Python's own str and re, on every kind of text."""

from __future__ import annotations

import re
import time
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_rs.sandbox import charset
from rlm_rs.sandbox.regex import OVERLAP, WINDOW, regex
from rlm_rs.sandbox.text import STRIDE, Text

from .steps import corpus_of

ALPHABET = [
    "a", "b", "f", "o", "foo", "1", "_", " ", "\n", ".", "é", "ß", "ſ", "K", "S", "s", "日", "😀", "e\u0301",
    "٣", "\x1c", "\u2028",
]  # fmt: skip
texts = st.lists(st.sampled_from(ALPHABET), max_size=14).map("".join)
ascii_texts = st.lists(st.sampled_from([a for a in ALPHABET if a.isascii()]), max_size=14).map("".join)
long_texts = st.builds(
    lambda piece, count, tail: piece * count + tail, texts.filter(bool), st.integers(1, 2_000), texts
)
bounds = st.none() | st.integers(-30_000, 30_000)

PATTERNS = [
    r"\w+", r"\bfoo\b", r"\d{2,3}", r"(?i)straße", r"(?i)k", r"a*", r"|a", r"a??b", r"(a|b)*c?", r"\s+",
    r"[^\W\d]+", r"^\w+", r"(?m)^\w+$", r"(?m)$", r"\w+$", r"o$|b$", r"(?s).+", r".+", r"\bé\w*", r"x*$",
    r"$", r"\Z", r"\A.", r"(?<=a)b", r"(a)\1", r"a(?!b)", r"[^a]", r"(?i)[^a-k]+", r"\B.", r"\b",
    r"(?a)\w+", r"(?a)\bfoo\b", r"(?i)[à-ö]+", r"foo|foobar", r"(foo|f)(o*)", r"(?:a|ab)(?:f|fo)",
    r"\w+?\b", r"[\s\S]{3}", r"(?i)ſ", r"a$\n", r"(?m)^$", r"\n$", r"(?P<word>\w)(?P<rest>\w*)",
    r"(?x) a  b # spaced", r"[\u0300-\u036f]", r"(?i:F)oo", r"a{0}b", r"(?>a+)b", r"a++b",
]  # fmt: skip


def spans_of(pattern: str, text: str) -> list[tuple[int, int]]:
    subject = Text.of(text)
    return [subject.chars_of(*span) for span in regex(pattern).spans(subject.data, subject.is_ascii)]


@given(long_texts, bounds, bounds)
def test_slices_are_those_of_str(text: str, start: int | None, end: int | None) -> None:
    first, last, _ = slice(start, end).indices(len(text))
    assert Text.of(text).read(first, last) == text[start:end]


@given(long_texts, st.data())
def test_byte_and_character_offsets_are_inverse(text: str, data: st.DataObject) -> None:
    subject, at = Text.of(text), data.draw(st.integers(0, len(text)))
    assert subject.byte_of(at) == len(text[:at].encode())
    assert subject.char_of(subject.byte_of(at)) == at


@given(long_texts, st.sampled_from(ALPHABET))
def test_find_gives_every_place_that_str_find_gives(text: str, term: str) -> None:
    subject = Text.of(text)
    found = [subject.char_of(at) for at, _ in islice(subject.find(term.encode(), 0, len(subject.data)), 50)]
    assert found == list(islice((i for i in range(len(text)) if text.startswith(term, i)), 50))


@given(texts, st.sampled_from(["foo", "FOO", "strasse", "É", "s", "k", "日"]))
def test_find_without_case_is_by_full_case_folding(text: str, term: str) -> None:
    subject = Text.of(text)
    found = list(subject.find_uncased(term.encode(), 0, len(subject.data)))
    assert bool(found) == (term.casefold() in text.casefold())
    for start, end in found:
        first, last = subject.chars_of(start, end)
        assert term.casefold() in text[first:last].casefold()


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=40)
@given(text=texts | ascii_texts)
def test_regex_spans_are_those_of_re(pattern: str, text: str) -> None:
    try:
        wanted = [match.span() for match in re.finditer(pattern, text)]
    except re.error:
        pytest.skip("this Python does not know the construct")
    assert spans_of(pattern, text) == wanted


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if "(" in p])
@settings(max_examples=25)
@given(text=texts | ascii_texts)
def test_regex_groups_are_those_of_re(pattern: str, text: str) -> None:
    subject, compiled = Text.of(text), regex(pattern)
    for match, span in zip(
        re.finditer(pattern, text), compiled.spans(subject.data, subject.is_ascii), strict=True
    ):
        groups = compiled.groups(subject.data, subject.is_ascii, span)
        assert [subject.chars_of(*g) if g[0] >= 0 else g for g in groups] == [
            match.span(number) for number in range(match.re.groups + 1)
        ]


@given(
    st.sampled_from(["a", "k", "K", "ß", "ſ", "ı", "İ", "µ", "ς", "Ω", "é", "日"]),
    st.sampled_from(
        ["a", "k", "K", "ß", "ẞ", "ſ", "i", "I", "ı", "İ", "µ", "μ", "ς", "σ", "Ω", "Ω", "É", "日"]
    ),
    st.sampled_from(["{}", "[{}]", "[^{}]", "[!-{}]"]),
)
def test_ignoring_case_treats_the_same_letters_as_equal(char: str, other: str, shape: str) -> None:
    pattern = "(?i)" + shape.format(char)
    assert spans_of(pattern, other) == [match.span() for match in re.finditer(pattern, other)]


@pytest.mark.parametrize(("name", "pattern"), [("word", r"\w"), ("digit", r"\d"), ("space", r"\s")])
def test_no_letter_lies_beyond_the_planes_that_are_looked_at(name: str, pattern: str) -> None:
    known = re.compile(pattern)
    assert not any(known.match(chr(code)) for code in range(0x40000, 0x110000, 7))
    ranges = charset.category(name, ascii_flag=False, ascii_text=False)
    assert all(known.match(chr(edge)) for low, high in ranges for edge in (low, high))


CATASTROPHIC = [
    r"(a+)+$", r"(a|aa)+$", r"(a|a?)+$", r"^(\w+\s?)*$", r"(.*a){20}", r"(x+x+)+y", r"([a-zA-Z]+)*!",
    r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(?:a?){30}a{30}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", CATASTROPHIC)
@pytest.mark.parametrize("text", ["a" * 40 + "!", "é" + "a" * 40 + "!", "x" * 2_000 + "\n"])
def test_catastrophic_patterns_end_at_once(pattern: str, text: str) -> None:
    regex(r"\w").spans(Text.of("é").data, False)  # the tables of letters are made once per process
    began = time.perf_counter()
    list(islice(regex(pattern).spans(Text.of(text).data, text.isascii()), 20))
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("text", ["ab" * (WINDOW * 5 // 8), "éb" * (WINDOW * 5 // 8)])
def test_fallback_windows_miss_nothing_at_their_seams(text: str) -> None:
    pattern = rf"(?<=b){text[0]}(?!x)b"
    assert len(spans_of(pattern, text)) == len(text) // 2 - 1


def test_fallback_sees_a_match_that_lies_across_a_seam() -> None:
    text = "-" * (WINDOW - 10) + "<" + "y" * 100 + ">" + "-" * OVERLAP
    assert spans_of(r"(?<=-)<(y)\1*>", text) == [(WINDOW - 10, WINDOW + 92)]


def test_an_index_holds_one_entry_per_stride() -> None:
    text = "é" * (3 * STRIDE)
    subject = Text.of(text)
    assert subject.index is not None
    assert subject.index.tolist() == [0, 2 * STRIDE, 4 * STRIDE]
    assert subject.read(STRIDE - 1, STRIDE + 1) == "éé"


def test_a_corpus_reads_back_what_was_laid_out() -> None:
    texts = ["", "plain", "žluť" * 3_000, "😀", ""]
    corpus = corpus_of(*texts, alone=[2])
    assert [corpus.document(n).text.read(0, corpus.document(n).length) for n in range(len(corpus))] == texts
    assert corpus.document(2).info["name"] == "file2.txt"


def test_a_corpus_may_be_empty() -> None:
    assert len(corpus_of()) == 0
