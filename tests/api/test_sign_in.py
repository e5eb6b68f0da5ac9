"""A browser is signed in by a link or a key, and only its own page's requests count."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from api_server import Running, code_of

from rlm_rs.orchestrator.keys import revoke_key

SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def browser(server: Running) -> Iterator[httpx2.Client]:
    """A client with a cookie jar, signed in with a key of acme."""
    with httpx2.Client(base_url=server.url, headers=SAME, timeout=30) as client:
        done = client.post("/sign-in", json={"key": server.key("acme")})
        assert done.status_code == 200, done.text
        yield client


def test_a_key_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(
    server: Running, browser: httpx2.Client
) -> None:
    done = browser.post("/sign-in", json={"key": server.key("acme")})
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "rlm_key_" not in cookie
    who = browser.get("/v1/whoami").json()
    assert (who["tenant_id"], who["scopes"]) == ("acme", ["read", "write", "admin"])


def test_a_link_signs_in_once(server: Running, acme: httpx2.Client) -> None:
    token = acme.post("/v1/sign-in-links").json()["token"]
    with httpx2.Client(base_url=server.url, headers=SAME) as first:
        assert first.post("/sign-in", json={"token": token}).json()["tenant_id"] == "acme"
        assert first.get("/v1/sessions").status_code == 200
    with httpx2.Client(base_url=server.url, headers=SAME) as second:
        refused = second.post("/sign-in", json={"token": token})
        assert (refused.status_code, code_of(refused)) == (401, "UNAUTHORIZED")
        assert second.get("/v1/sessions").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "", "Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {},
    ],
)
def test_a_change_asked_for_by_anything_but_the_page_is_refused(
    server: Running, browser: httpx2.Client, headers: dict[str, str]
) -> None:
    with httpx2.Client(base_url=server.url, cookies=browser.cookies) as elsewhere:
        refused = elsewhere.post("/v1/uploads?filename=a.txt", content=b"text", headers=headers)
        assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")


def test_another_site_cannot_read_with_the_cookie_either(server: Running, browser: httpx2.Client) -> None:
    with httpx2.Client(base_url=server.url, cookies=browser.cookies) as elsewhere:
        for site, status in (("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)):
            found = elsewhere.get("/v1/sessions", headers={"Sec-Fetch-Site": site})
            assert found.status_code == status, site


def test_a_browser_without_fetch_metadata_is_known_by_its_origin(
    server: Running, browser: httpx2.Client
) -> None:
    with httpx2.Client(base_url=server.url, cookies=browser.cookies) as old:
        done = old.post("/v1/uploads?filename=a.txt", content=b"text", headers={"Origin": server.url})
        assert done.status_code == 201


def test_a_cookie_that_was_changed_or_whose_key_was_revoked_is_worth_nothing(
    server: Running, browser: httpx2.Client
) -> None:
    (name, value) = next(iter(browser.cookies.items()))
    hashed, ends, seal = value.split(".")
    for wrong in (f"{hashed}.{int(ends) + 9}.{seal}", f"{hashed}.{ends}.{'0' * 64}", "x", "a.b.c", "é"):
        refused = httpx2.get(
            f"{server.url}/v1/sessions", headers={**SAME, "Cookie": f"{name}={wrong}".encode()}
        )
        assert refused.status_code == 401, wrong
    key_id = browser.get("/v1/whoami").json()["key_id"]
    server.wait(revoke_key(server.wiring.keys, key_id))
    assert browser.get("/v1/whoami").status_code == 401


def test_signing_out_takes_the_cookie_back(browser: httpx2.Client) -> None:
    assert browser.post("/sign-out").status_code == 204
    assert not browser.cookies
    assert browser.get("/v1/whoami").status_code == 401


def test_signing_in_needs_one_secret_and_the_page_itself(server: Running) -> None:
    key = server.key("acme")
    for body in ({}, {"key": key, "token": "x"}, {"key": ""}):
        assert httpx2.post(f"{server.url}/sign-in", json=body, headers=SAME).status_code == 422
    crossed = httpx2.post(
        f"{server.url}/sign-in", json={"key": key}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert crossed.status_code == 403


def test_a_stranger_cannot_send_much(server: Running) -> None:
    refused = httpx2.post(f"{server.url}/sign-in", json={"key": "x" * 10_000}, headers=SAME)
    assert (refused.status_code, code_of(refused)) == (413, "REQUEST_TOO_LARGE")


def test_a_key_in_the_header_goes_before_the_cookie(server: Running, browser: httpx2.Client) -> None:
    named = {"Authorization": f"Bearer {server.key('globex')}"}
    assert browser.get("/v1/whoami", headers=named).json()["tenant_id"] == "globex"
    refused = browser.get("/v1/whoami", headers={"Authorization": "Bearer rlm_key_wrong"})
    assert refused.status_code == 401
