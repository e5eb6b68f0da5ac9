"""`rlm keys`: a key is shown once, listed without its secret, and revoked for good."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from invoking import Main

from rlm_rs.core.errors import Unauthorized
from rlm_rs.settings import load_settings
from rlm_rs.wiring import wire


def created(run_main: Main, *args: str) -> dict[str, Any]:
    ended = run_main("keys", "create", "--tenant", "acme", "--name", "laptop", "--json", *args)
    assert ended.code == 0, ended.err
    made: dict[str, Any] = json.loads(ended.out)
    return made


def listed(run_main: Main, *args: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run_main("keys", "list", "--json", *args).out)
    return rows


async def is_accepted(data_dir: Path, key: str) -> bool:
    wiring = wire(load_settings(rlm_data_dir=data_dir))
    try:
        await wiring.check_key(key)
    except Unauthorized:
        return False
    finally:
        await wiring.close()
    return True


def test_a_new_key_is_shown_whole_with_what_it_is_for(run_main: Main) -> None:
    made = created(run_main)
    assert made["key"].startswith("rlm_key_")
    assert (made["tenant_id"], made["name"], made["scopes"]) == ("acme", "laptop", ["read", "write"])
    assert "key_hash" not in made


def test_without_json_the_key_stands_alone_on_standard_output(run_main: Main) -> None:
    ended = run_main("keys", "create", "--tenant", "acme", "--name", "laptop")
    assert ended.code == 0
    assert ended.out.startswith("rlm_key_")
    assert ended.out.count("\n") == 1
    assert "not shown again" in ended.err


def test_scopes_and_an_end_can_be_given(run_main: Main) -> None:
    made = created(run_main, "--scope", "admin", "--scope", "read", "--expires-in", "2")
    assert made["scopes"] == ["read", "admin"]
    assert made["expires_at"] == pytest.approx(time.time() + 2 * 86_400, abs=100)


def test_a_list_shows_keys_without_their_secret(run_main: Main) -> None:
    made = created(run_main)
    run_main("keys", "create", "--tenant", "other", "--name", "theirs")
    text = run_main("keys", "list").out
    assert made["key_id"] in text
    assert "theirs" in text
    assert made["key"] not in text
    assert [row["key_id"] for row in listed(run_main, "--tenant", "acme")] == [made["key_id"]]
    assert len(listed(run_main)) == 2


def test_an_empty_list_says_what_to_do(run_main: Main) -> None:
    ended = run_main("keys", "list")
    assert (ended.code, ended.out) == (0, "")
    assert "rlm keys create" in ended.err


def test_a_revoked_key_stays_in_the_list_as_revoked(run_main: Main) -> None:
    made = created(run_main)
    assert run_main("keys", "revoke", made["key_id"]).code == 0
    assert listed(run_main)[0]["revoked_at"] is not None
    assert "revoked" in run_main("keys", "list").out


def test_an_unknown_key_is_one_line_of_complaint(run_main: Main) -> None:
    ended = run_main("keys", "revoke", "key_nobody")
    assert ended.code == 2
    assert "There is no key key_nobody" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "args",
    [
        ("--tenant", "a/b", "--name", "n"),
        ("--tenant", "a", "--name", ""),
        ("--tenant", "a"),
        ("--tenant", "a", "--name", "n", "--scope", "root"),
        ("--tenant", "a", "--name", "n", "--expires-in", "0"),
    ],
)
def test_a_key_that_cannot_be_is_refused_in_one_line(run_main: Main, args: tuple[str, ...]) -> None:
    ended = run_main("keys", "create", *args)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_the_service_accepts_a_key_until_it_is_revoked(run_main: Main, tmp_path: Path) -> None:
    import asyncio

    made = created(run_main)
    assert asyncio.run(is_accepted(tmp_path / "data", made["key"]))
    assert listed(run_main)[0]["last_used_at"] is not None
    run_main("keys", "revoke", made["key_id"])
    assert not asyncio.run(is_accepted(tmp_path / "data", made["key"]))


def test_a_pepper_of_ones_own_is_used(run_main: Main, tmp_path: Path) -> None:
    import asyncio

    made = json.loads(
        run_main(
            *("keys", "create", "--tenant", "acme", "--name", "n", "--json"), env={"API_KEY_PEPPER": "mine"}
        ).out
    )
    assert not (tmp_path / "data" / "api_key_pepper").exists()
    assert asyncio.run(is_accepted(tmp_path / "data", made["key"]))


def test_wrong_limits_are_one_line_that_names_the_setting(run_main: Main, notes: Path) -> None:
    ended = run_main("ask", "q", str(notes), env={"RATE_LIMITS_JSON": '{"max_requests": 0}'})
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("rlm: RATE_LIMITS_JSON is ")
    assert "Traceback" not in ended.err
