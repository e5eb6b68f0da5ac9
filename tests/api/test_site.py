"""The web UI is served from the wheel: one page for all addresses, assets that never change."""

from __future__ import annotations

import re

import httpx2
import pytest
from api_server import Running, code_of, ended, session, start

from rlm_rs.ui.report import report_page


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ask",
        "/sign-in",
        "/sessions",
        "/sessions/sess_1",
        "/executions/exec_1",
        "/executions/exec_1/runtime",
        "/citations?doc_id=x",
        "/debug",
    ],
)
def test_every_address_of_the_ui_shows_the_page(server: Running, path: str) -> None:
    found = httpx2.get(f"{server.url}{path}")
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert found.headers["cache-control"] == "no-cache"
    assert '<div id="app">' in found.text


def test_nothing_inline_may_run_and_nobody_may_frame_it(server: Running) -> None:
    found = httpx2.get(server.url)
    policy = found.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert found.headers["x-content-type-options"] == "nosniff"
    assert re.findall(r"<script(?![^>]*\bsrc=)", found.text) == []
    assert "<style" not in found.text


def test_assets_are_immutable_and_compressed(server: Running) -> None:
    names = re.findall(r'(?:src|href)="(/assets/[^"]+)"', httpx2.get(server.url).text)
    assert {name.rpartition(".")[2] for name in names} == {"js", "css", "svg"}
    for name in names:
        found = httpx2.get(f"{server.url}{name}", headers={"Accept-Encoding": "gzip"})
        assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert found.headers["content-encoding"] == "gzip"
        plain = httpx2.get(f"{server.url}{name}", headers={"Accept-Encoding": "identity"})
        assert plain.content == found.content
        again = httpx2.get(f"{server.url}{name}", headers={"If-None-Match": found.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/none.js", "/assets/..%2findex.html", "/nowhere", "/v1/nowhere"])
def test_what_is_not_there_is_an_envelope(server: Running, acme: httpx2.Client, path: str) -> None:
    found = acme.get(path)
    assert (found.status_code, code_of(found)) == (404, "NOT_FOUND")


def test_a_documents_pages_are_ranges_of_its_text(acme: httpx2.Client, globex: httpx2.Client) -> None:
    made = session(acme)
    doc = acme.get(f"/v1/sessions/{made}").json()["docs"][0]
    place = f"/v1/sessions/{made}/docs/{doc['doc_id']}/structure"
    found = acme.get(place).json()
    assert (found["char_length"], found["pages"]) == (doc["char_length"], [])
    assert code_of(globex.get(place)) == "SESSION_NOT_FOUND"
    assert code_of(acme.get(f"/v1/sessions/{made}/docs/doc_none/structure")) == "DOCUMENT_NOT_FOUND"


def test_a_report_is_one_file_for_its_own_tenant(acme: httpx2.Client, globex: httpx2.Client) -> None:
    execution_id = start(acme, session(acme))
    ended(acme, execution_id)
    found = acme.get(f"/v1/executions/{execution_id}/report")
    assert found.headers["content-disposition"] == f'attachment; filename="{execution_id}.html"'
    assert found.headers["content-security-policy"] == "sandbox"
    assert "six months' written notice" in found.text
    assert re.findall(r'(?:src|href)="(?!#)', found.text.partition("<script>")[0]) == []
    assert code_of(globex.get(f"/v1/executions/{execution_id}/report")) == "EXECUTION_NOT_FOUND"


def test_nothing_in_a_report_can_end_the_element_its_data_stands_in() -> None:
    page = report_page({"text": "</script><script>alert(1)</script><!--"}, "<b>title</b>")
    assert page.count("</script>") == 2
    assert "<!--" not in page.partition("report-data")[2].partition("</script>")[0]
    assert "<title>&lt;b&gt;title&lt;/b&gt;</title>" in page
