"""How good an answer is, on the page of its execution."""

from __future__ import annotations

from api_server import Running, ended, session, start
from browsing import sign_in
from playwright.sync_api import Page, expect


def test_an_answer_is_evaluated_and_scored_against_references(page: Page, offline: Running) -> None:
    with offline.client("judged") as client:
        execution_id = start(client, session(client))
        answer = str(ended(client, execution_id)["answer"])
        sign_in(page, offline.url, offline.key("judged"), f"/executions/{execution_id}")
        page.get_by_role("tab", name="Evaluation").click()
        expect(page.get_by_text("It costs up to 5 model calls")).to_be_visible()
        page.get_by_role("button", name="Evaluate", exact=True).click()
        panel = page.locator(".evaluation")
        expect(panel.get_by_role("status")).to_contain_text("completed")
        expect(panel.get_by_role("table", name="As the judge sees it")).to_be_visible()
        expect(panel.get_by_role("heading", name="Baseline")).to_be_visible()
        expect(panel.get_by_role("table", name="Against the reference answers")).to_have_count(0)

        # one line is one answer, and an empty one is none
        page.get_by_label("Reference answers, one per line").fill(f"{' '.join(answer.split())}\n\nnever\n")
        page.get_by_role("button", name="Evaluate again").click()
        scores = panel.get_by_role("table", name="Against the reference answers")
        row = scores.get_by_role("row").filter(has=page.get_by_role("rowheader", name="f1"))
        expect(row.get_by_role("cell").first).to_have_text("1.00")
        found = client.get(f"/v1/executions/{execution_id}/evaluation").json()
    assert len(found["reference_answers"]) == 2
    assert found["reference_scores"]["answerer"]["f1"] == 1

    # it is kept
    page.reload()
    expect(row.get_by_role("cell").first).to_have_text("1.00")
    kept = "\n".join(found["reference_answers"])
    expect(page.get_by_label("Reference answers, one per line")).to_have_value(kept)


def test_passages_are_not_evaluated(page: Page, offline: Running) -> None:
    with offline.client("judged") as client:
        execution_id = start(client, session(client), options={"output_mode": "CONTEXTS"})
        ended(client, execution_id)
    sign_in(page, offline.url, offline.key("judged"), f"/executions/{execution_id}")
    expect(page.get_by_role("tab", name="Budgets")).to_be_visible()
    expect(page.get_by_role("tab", name="Evaluation")).to_have_count(0)
