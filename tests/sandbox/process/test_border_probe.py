from rlm_rs.runners import probe
from rlm_rs.runners.probe import CONTROL, PROBES, Probe, all_held, prove
from rlm_rs.runners.process import ProcessRunner


async def test_nothing_is_in_reach_and_ordinary_code_runs(runner: ProcessRunner) -> None:
    checks = await prove(runner)
    assert [check for check in checks if not check.held] == []
    assert [check.name for check in checks] == [CONTROL.name, *(each.name for each in PROBES)]
    assert all_held(checks)


async def test_a_probe_that_gets_something_is_reported(runner: ProcessRunner) -> None:
    check = await probe._check(runner, Probe("memory is out of reach", "outcome = 'took memory'"))
    assert (check.held, check.detail) == (False, "took memory")


async def test_a_probe_that_breaks_is_no_proof(runner: ProcessRunner) -> None:
    check = await probe._check(runner, Probe("a file is out of reach", "1 / 0"))
    assert not check.held
    assert "ZeroDivisionError" in check.detail


async def test_a_control_that_is_ended_is_no_proof(runner: ProcessRunner) -> None:
    check = await probe._check(runner, Probe(CONTROL.name, "import os; os.fork()", CONTROL.expected))
    assert not check.held


async def test_the_layers_are_said_in_words(runner: ProcessRunner) -> None:
    layers = await runner.start()
    assert layers.seccomp
    assert layers.in_words().startswith("seccomp, ")


def test_no_checks_are_no_proof() -> None:
    assert not all_held([])
