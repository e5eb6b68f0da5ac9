"""From files to a checked answer and on: `rlm serve`, the link it prints, and a model over the wire."""

from __future__ import annotations

from pathlib import Path

from api_server import until
from browsing import ASTRAL, CLAUSE, ROOT, expect_picked, model_server, picked_text, put_question, rlm_serve
from playwright.sync_api import Page, expect

PDF = ROOT / "examples/corpus/agreements/route_software.pdf"
LOOK = "I look for the sum first.\n```repl\nfor d in context:\n    print(d.name, len(d))\n```"
ANSWER = """I know enough.
```repl
text = context[0]
start = text.find('The carrier pays')[0]['start_char']
end = text.find('without exception.')[0]['end_char']
first = text.cite(start, end, note='the penalty')
text[start:end]
pdf = context[1]
hit = pdf.find('ninety days')[-1]
second = pdf.cite(hit['start_char'], hit['end_char'])
print(llm_query('Is that much? ' + text[start:end]))
FINAL(f'The carrier pays 4,711 pounds {first}; the software is ended on ninety days {second}.')
```"""
FOLLOW_UP = "```repl\nFINAL('As said before: ' + str(len(context)) + ' documents.')\n```"


def test_upload_ask_watch_check_and_ask_on(page: Page, tmp_path: Path) -> None:
    script = {
        "root_model": "gpt-5",
        "root": [{"reply": LOOK, "latency": 0.6}, {"reply": ANSWER, "latency": 0.6}, FOLLOW_UP],
        "rules": [{"model": "gpt-5-mini", "reply": "It is a good deal."}],
    }
    with model_server(tmp_path, script) as models, rlm_serve(tmp_path / "data", models) as link:
        page.goto(link)
        expect(page.get_by_role("heading", name="Ask your documents")).to_be_visible()
        assert "#" not in page.url, "the secret stays out of the history"
        files = {"penalties 🦊.txt": ASTRAL.encode(), "route_software.pdf": PDF.read_bytes()}
        put_question(page, files, "What does a late delivery cost, and how is the software ended?")

        # the turns arrive one by one
        expect(page.get_by_role("article")).to_have_count(1)
        expect(page.locator(".said").first).to_have_text("I look for the sum first.")
        expect(page.get_by_text("Asking the root model…")).to_be_visible()
        expect(page.get_by_role("article")).to_have_count(2)
        expect(page.locator(".answer-text")).to_contain_text("The carrier pays 4,711 pounds")
        expect(page.locator(".pill").first).to_have_text("completed")
        expect(page.locator(".stdout").first).to_contain_text(f"penalties 🦊.txt {len(ASTRAL)}")

        # the first citation is open at exactly its characters, far into text of wide characters
        expect_picked(page, CLAUSE)
        start = ASTRAL.index(CLAUSE)
        expect(page.locator(".source-facts")).to_contain_text(f"{start:,} to {start + len(CLAUSE):,}")
        expect(page.locator(".source-facts")).to_contain_text("✓ verified")
        expect(page.get_by_role("link", name="2 citations verified")).to_be_visible()

        # the next one is on a page of the PDF
        page.keyboard.press("n")
        expect(page.get_by_role("heading", name="route_software.pdf")).to_be_visible()
        expect_picked(page, "ninety days")
        expect(page.locator(".source-facts")).to_contain_text("page 2")
        expect(page.locator('.page-begin[data-page="2"]')).to_have_text("page 2")
        page.keyboard.press("p")
        expect_picked(page, CLAUSE)

        # a link to the citation leads to the same place
        page.get_by_role("link", name="Citation 2").click()
        page.reload()
        expect_picked(page, "ninety days")

        # by itself it can be checked too
        page.get_by_role("link", name="Open by URL").click()
        expect(page.get_by_role("status")).to_contain_text("✓ verified")
        expect_picked(page, "ninety days")
        page.go_back()

        page.get_by_label("Follow-up question").fill("How many documents were that?")
        page.locator(".follow-up").get_by_role("button", name="Ask").click()
        expect(page.locator(".answer-text")).to_have_text("As said before: 2 documents.")
        expect(page.get_by_text("follows 1 earlier question")).to_be_visible()

        # the used link signs nobody else in
        page.get_by_role("button", name="Sign out").click()
        page.goto(link)
        expect(page.get_by_role("alert")).to_contain_text("used already")


def test_passages_in_place_of_an_answer(page: Page, offline_url_and_key: tuple[str, str]) -> None:
    url, key = offline_url_and_key
    page.goto(url)
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Models, budgets, kind of result").click()
    page.get_by_label("the passages themselves").check()
    question = "On what notice may the Subscriber terminate for convenience?"
    put_question(page, {"route_software.pdf": PDF.read_bytes()}, question)
    expect(page.get_by_role("tab", name="Contexts")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".context").first).to_contain_text("terminate")
    until(lambda: "terminate" in picked_text(page))
