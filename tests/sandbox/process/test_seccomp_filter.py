"""The filters, run by a small interpreter of classic BPF, so that both architectures are tested on either."""

import struct

import pytest

from rlm_rs.sandbox import seccomp, syscalls
from rlm_rs.sandbox.syscalls import ALLOWED, CHECKED, EARLY, EARLY_REFUSED, REFUSED

ARCHITECTURES = ("x86_64", "aarch64")
ALLOW, KILL, EPERM = 0x7FFF0000, 0x80000000, 0x00050001
PID = 4711
ALL = {**ALLOWED, **CHECKED, **REFUSED}


def verdict(program: bytes, number: int, architecture: str, *arguments: int) -> int:
    """What the kernel would decide for one system call (seccomp(2), `struct seccomp_data`)."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, seccomp.AUDIT_ARCHITECTURES[architecture], 0, *words)
    instructions = list(struct.iter_unpack("=HBBI", program))
    position = accumulator = 0
    while True:
        code, jump_true, jump_false, operand = instructions[position]
        position += 1
        if code == seccomp.RETURN:
            return int(operand)
        if code == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("<I", data, operand)
            continue
        holds = {
            seccomp.JUMP_EQUAL: accumulator == operand,
            seccomp.JUMP_AT_LEAST: accumulator >= operand,
            seccomp.JUMP_BITS: bool(accumulator & operand),
        }[code]
        position += jump_true if holds else jump_false


def at_birth(name: str, architecture: str, *arguments: int) -> int:
    number = getattr(ALL[name], architecture)
    return verdict(seccomp.birth_filter(architecture, PID), number, architecture, *arguments)


def in_step(name: str, architecture: str, *arguments: int) -> int:
    """The strictest of both filters, as the kernel combines them: KILL, then errno, then allow."""
    number = getattr(ALL[name], architecture)
    born = at_birth(name, architecture, *arguments)
    running = verdict(seccomp.step_filter(architecture), number, architecture, *arguments)
    return next(decision for decision in (KILL, EPERM, ALLOW) if decision in (born, running))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_number_outside_the_lists_ends_the_process(architecture: str) -> None:
    program = seccomp.birth_filter(architecture, PID)
    listed = {getattr(numbers, architecture) for numbers in ALL.values()}
    for number in (*range(600), 0x40000000, 0x40000001, 0xFFFFFFFF):
        if number not in listed:
            assert verdict(program, number, architecture) == KILL, number


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_lists_are_what_the_filter_does(architecture: str) -> None:
    for name, numbers in ALLOWED.items():
        if getattr(numbers, architecture) is not None and name not in EARLY:
            assert in_step(name, architecture) == ALLOW, name
    for name, numbers in REFUSED.items():
        if getattr(numbers, architecture) is not None:
            assert in_step(name, architecture) == EPERM, name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_receiving_a_step_needed_is_taken_away_from_the_step(architecture: str) -> None:
    for name in EARLY:
        assert at_birth(name, architecture) == ALLOW, name
        assert in_step(name, architecture) == (EPERM if name in EARLY_REFUSED else KILL), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("protection", "flags", "expected"),
    [
        (1, 0x02, ALLOW),  # PROT_READ, MAP_PRIVATE: a document
        (1, 0x01, ALLOW),  # PROT_READ, MAP_SHARED
        (3, 0x22, ALLOW),  # PROT_READ|WRITE, MAP_PRIVATE|ANONYMOUS: memory
        (3, 0x01, EPERM),  # PROT_READ|WRITE, MAP_SHARED
        (3, 0x03, EPERM),  # PROT_READ|WRITE, MAP_SHARED_VALIDATE
        (5, 0x02, EPERM),  # PROT_READ|EXEC
        (7, 0x22, EPERM),  # PROT_READ|WRITE|EXEC
    ],
)
def test_no_memory_is_executable_or_shared_for_writing(
    architecture: str, protection: int, flags: int, expected: int
) -> None:
    assert in_step("mmap", architecture, 0, 4096, protection, flags) == expected
    protected = in_step("mprotect", architecture, 0, 4096, protection)
    assert protected == (EPERM if protection & 4 else ALLOW)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fcntl_does_what_mapping_needs_and_no_more(architecture: str) -> None:
    allowed = {command for command in range(2000) if in_step("fcntl", architecture, 3, command) == ALLOW}
    assert allowed == {1, 2, 1030}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_process_may_signal_itself_alone(architecture: str) -> None:
    assert in_step("tgkill", architecture, PID, PID, 6) == ALLOW
    assert in_step("tgkill", architecture, PID + 1, PID, 6) == KILL
    assert in_step("tgkill", architecture, 1, 1, 9) == KILL


def test_a_call_of_another_architecture_ends_the_process() -> None:
    program = seccomp.birth_filter("x86_64", PID)
    assert verdict(program, ALLOWED["read"].aarch64 or 0, "aarch64") == KILL


def test_only_the_architectures_with_tables_are_served() -> None:
    assert syscalls.machine() in ARCHITECTURES


@pytest.mark.parametrize(
    ("platform", "name", "words"),
    [
        ("darwin", "arm64", "Linux only, and this is darwin"),
        ("win32", "AMD64", "Linux only, and this is win32"),
        ("linux", "riscv64", "this is riscv64"),
    ],
)
def test_other_machines_are_refused_in_words(platform: str, name: str, words: str) -> None:
    with pytest.raises(syscalls.SeccompUnavailable, match=words):
        syscalls.architecture_of(platform, name)


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_linux_on_known_processors_is_served(name: str) -> None:
    assert syscalls.architecture_of("linux", name) == name
