from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parser_reading import Reader

from rlm_rs.parser.canonical import CHECKPOINT_INTERVAL, TextWriter, clean
from rlm_rs.parser.encodings import BLOCK_BYTES, encoding_of, read_canonical

relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, min_size=1, max_size=200).filter(lambda text: text.strip("\0\ufeff").strip())
line_ends = st.sampled_from(["\n", "\r\n", "\r"])


def canonical(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


@relaxed
@given(text=texts, end=line_ends, codec=st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_marked_text_keeps_every_character(reader: Reader, text: str, end: str, codec: str) -> None:
    text = "A" + text.replace("\n", end)
    mark = "\ufeff".encode() if codec == "utf-8" else b""
    reading = reader.read("a.txt", mark + text.encode(codec))
    assert reading.text == canonical(text)
    assert reading.outcome.char_length == len(canonical(text))


@relaxed
@given(
    text=st.text(st.characters(codec="latin-1", exclude_categories=["Cc", "Cs"]), min_size=200, max_size=400)
)
def test_text_of_any_single_byte_page_keeps_its_length_and_ascii(reader: Reader, text: str) -> None:
    text = "plain words first " + text
    reading = reader.read("a.txt", text.encode("latin-1"))
    kept = [(a, b) for a, b in zip(text, reading.text, strict=True) if a < "\x80"]
    assert all(a == b for a, b in kept)


@relaxed
@given(pieces=st.lists(st.tuples(st.sampled_from("aé漢😀\n"), st.integers(1, 9000)), min_size=1, max_size=5))
def test_every_checkpoint_is_the_byte_offset_of_its_character(
    reader: Reader, pieces: list[tuple[str, int]]
) -> None:
    text = "x" + "".join(char * count for char, count in pieces)
    reading = reader.read("a.txt", text.encode())
    offsets = reading.offsets
    assert offsets["char_length"] == len(text)
    assert offsets["byte_length"] == len(text.encode())
    assert [point["char"] for point in offsets["checkpoints"]] == list(
        range(0, len(text), CHECKPOINT_INTERVAL)
    )
    for point in offsets["checkpoints"]:
        assert len(text[: point["char"]].encode()) == point["byte"]


def test_the_index_holds_every_4096th_character_and_only_for_text_that_needs_it(reader: Reader) -> None:
    text = "é" + "a" * 4095 + "漢" * 5000
    reading = reader.read("a.txt", text.encode())
    raw = (reading.folder / "offsets.u64").read_bytes()
    starts = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]
    assert starts == [len(text[:char].encode()) for char in range(0, len(text), 4096)]
    assert reading.outcome.has_index
    ascii_reading = reader.read("b.txt", b"plain" * 5000)
    assert not ascii_reading.outcome.has_index
    assert not (ascii_reading.folder / "offsets.u64").exists()


@pytest.mark.parametrize("shift", range(-3, 4))
@pytest.mark.parametrize("straddling", ["😀", "é", "\r\n", "漢\r\n"])
def test_blocks_never_cut_a_character_or_a_line_end(tmp_path: Path, shift: int, straddling: str) -> None:
    data = b"a" * (BLOCK_BYTES + shift) + straddling.encode() + b"tail"
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    whole = b"".join(read_canonical(path, encoding_of(path, data[:1000])))
    assert whole.decode() == canonical(data.decode())


@pytest.mark.parametrize("end", ["\r", "é", "漢", "😀", "a\r\r"])
def test_the_end_of_a_file_is_not_lost(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" + end.encode())
    assert b"".join(read_canonical(path, encoding_of(path, b"x"))).decode() == canonical("x" + end)


def test_a_long_text_has_a_coarser_interval_that_the_file_states(reader: Reader) -> None:
    text = "ab漢d" * (4096 * 1100)
    offsets = reader.read("a.txt", text.encode()).offsets
    interval = offsets["checkpoint_interval"]
    assert interval == 8192
    assert len(offsets["checkpoints"]) <= 4096
    point = offsets["checkpoints"][1000]
    assert point == {"char": 1000 * interval, "byte": 1000 * interval // 4 * 6}


def test_checksums_are_of_the_canonical_text_and_of_the_input(reader: Reader) -> None:
    outcome = reader.read("a.txt", b"one\r\ntwo").outcome
    assert outcome.text_checksum == "sha256:" + hashlib.sha256(b"one\ntwo").hexdigest()
    assert outcome.raw_checksum == "sha256:" + hashlib.sha256(b"one\r\ntwo").hexdigest()


def test_clean_joins_surrogate_pairs_and_replaces_lone_ones() -> None:
    assert clean("a\ud83d\ude00b\ud800c") == "a😀b\ufffdc"


def test_a_text_over_the_limit_is_refused(tmp_path: Path) -> None:
    writer = TextWriter(tmp_path / "t", max_bytes=10)
    writer.write("x" * 11)
    with pytest.raises(Exception, match="too large"):
        writer.finish()
    writer.abandon()


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1252", "Le contrat peut être résilié à tout moment — “préavis” écrit de 30 jours. "),
        ("cp1251", "Договор поставки может быть расторгнут в любое время. "),
        ("koi8_r", "Договор поставки может быть расторгнут в любое время. "),
        ("cp1250", "Smlouvu lze vypovědět kdykoli s třicetidenní výpovědní lhůtou. Žluťoučký kůň. "),
        ("cp1253", "Η συμφωνία μπορεί να λυθεί οποτεδήποτε με έγγραφη ειδοποίηση. "),
        ("shift_jis", "この契約は三十日前の書面による通知により解除することができる。"),
        ("gb18030", "本协议可在提前三十天书面通知的情况下终止。"),
        ("euc_kr", "이 계약은 30일 전 서면 통지로 해지할 수 있습니다. "),
    ],
)
def test_legacy_encodings_are_told_apart_and_said(reader: Reader, codec: str, text: str) -> None:
    reading = reader.read("a.txt", (text * 4).encode(codec))
    assert reading.text == text * 4
    assert any("guess" in warning for warning in reading.outcome.warnings)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_without_a_mark_is_recognised(reader: Reader, codec: str) -> None:
    reading = reader.read("a.txt", "Ordinary words, one after another.".encode(codec))
    assert reading.text == "Ordinary words, one after another."
    assert reading.outcome.warnings


def test_a_few_bad_bytes_in_utf8_do_not_change_the_encoding(reader: Reader) -> None:
    data = "Привет мир. ".encode() * 50 + b"\xff" + "Ещё раз. ".encode() * 50
    reading = reader.read("a.txt", data)
    assert reading.text.count("\ufffd") == 1
    assert reading.text.count("Привет") == 50
    assert "U+FFFD" in reading.outcome.warnings[0]


def test_bad_bytes_far_into_a_long_text_are_found(reader: Reader) -> None:
    data = b"ascii only\n" * 200_000 + "déjà vu ".encode("cp1252") * 20
    reading = reader.read("a.txt", data)
    assert reading.text.endswith("déjà vu " * 20)


def test_nul_characters_are_replaced_one_for_one(reader: Reader) -> None:
    assert reader.read("a.log", b"before\0after, and more text").text == "before\ufffdafter, and more text"


def test_the_text_is_not_normalised(reader: Reader) -> None:
    text = "cafe\u0301 \u00e9 \u212b \ufb01\u00a0x"
    assert reader.read("a.txt", text.encode()).text == text
