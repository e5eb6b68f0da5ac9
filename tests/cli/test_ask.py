"""`rlm ask` and what is done with its outcome: streams, forms, exit codes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from invoking import PROGRAM, Cli, Main, Serve

from rlm_rs.core.execution import Event

QUESTION = "On what notice can the lease be ended?"

LOOK = "```repl\nhits = context.find('notice')\nprint(len(hits))\n```"
ASK = "```repl\nreplies = llm_query_batched(['one?', 'two?', 'three?'])\nprint(replies)\n```"
ANSWER = "```repl\nd = context[0]\nFINAL('Ninety days. ' + d.cite(20, 80))\n```"
SCRIPT: dict[str, Any] = {
    "rules": [
        {"model": "gpt-5-mini", "reply": "a reply"},
        *({"model": "gpt-5", "turn": turn, "reply": reply} for turn, reply in enumerate([LOOK, ASK, ANSWER])),
    ]
}


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_answer_and_its_citations_are_on_stdout_and_progress_in_words_on_stderr(
    cli: Cli, notes: Path
) -> None:
    done = cli("ask", QUESTION, str(notes))
    assert done.returncode == 0, done.stderr
    assert "ninety days written notice" in done.stdout
    assert '[1] lease.txt: "Either party' in done.stdout
    assert "(quoted, verified)" in done.stdout
    notice, parsed, *turns, ended = done.stderr.splitlines()
    assert notice.startswith("No model is configured")
    assert parsed.startswith("parsed  2 documents, ")
    assert [line.split("  ")[0] for line in turns] == [f"turn {n + 1}" for n in range(len(turns))]
    assert ended.startswith(f"done    answered in {len(turns)} turns (")
    assert "\x1b" not in done.stdout + done.stderr


def test_quiet_gives_the_answer_alone(run_main: Main, notes: Path) -> None:
    done = run_main("ask", "-q", QUESTION, str(notes))
    assert "ninety days" in done.out
    assert "verified)" not in done.out
    assert done.err.startswith("No model is configured")
    assert len(done.err.splitlines()) == 1


def test_verify_accepts_the_json_until_the_stored_text_changes(
    run_main: Main, notes: Path, tmp_path: Path
) -> None:
    asked = run_main("ask", "--json", QUESTION, str(notes))
    answer = json.loads(asked.out)
    assert (answer["status"], answer["partial"]) == ("COMPLETED", False)
    assert {"ref", "source_name", "page", "text", "support", "verified"} <= answer["citations"][0].keys()
    assert {"turns", "llm_subcalls", "input_tokens", "output_tokens", "cost_usd", "seconds"} <= answer[
        "spend"
    ].keys()
    saved = tmp_path / "answer.json"
    saved.write_text(asked.out)
    held = run_main("verify", str(saved))
    assert held.code == 0
    assert "ok      [1] lease.txt, characters" in held.out

    change_stored_text(tmp_path / "data", "ninety", "thirty")
    changed = run_main("verify", str(saved))
    assert changed.code == 1
    cited = [number for number, c in enumerate(answer["citations"], 1) if "ninety" in c["text"]]
    broken = [
        line.split("]")[0].split("[")[1] for line in changed.out.splitlines() if line.startswith("CHANGED")
    ]
    assert broken == [str(number) for number in cited]
    assert "do not hold" in changed.out


def test_a_quote_that_was_made_up_does_not_verify(run_main: Main, notes: Path, tmp_path: Path) -> None:
    answer = json.loads(run_main("ask", "--json", QUESTION, str(notes)).out)
    answer["citations"][0]["text"] = "Either party may end this lease at once."
    saved = tmp_path / "forged.json"
    saved.write_text(json.dumps(answer))
    result = run_main("verify", str(saved), "--json")
    assert result.code == 1
    assert "not the text that stands there" in json.loads(result.out)["citations"][0]["reason"]


def test_every_event_is_a_line_of_json_and_the_answer_the_last(
    run_main: Main, notes: Path, serve: Serve
) -> None:
    done = run_main("ask", "--jsonl", QUESTION, str(notes), env=serve(SCRIPT).env)
    *events, answer = lines(done.out)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert {event["execution_id"] for event in events} == {answer["execution_id"]}
    assert [event["type"] for event in events if event["type"] != "SubcallResolved"] == [
        "Started", "RootReplied", "StepRan", "RootReplied", "StepRan", "StepRan", "RootReplied", "StepRan",
        "Finished",
    ]  # fmt: skip
    assert answer["type"] == "Answer"
    assert answer["answer"] == "Ninety days. [1]"
    shown = run_main("show", answer["execution_id"][:12], "--events")
    assert lines(shown.out) == events


def test_progress_says_what_each_turn_did_and_cost(run_main: Main, notes: Path, serve: Serve) -> None:
    done = run_main("ask", QUESTION, str(notes), env=serve(SCRIPT).env)
    turns = [line for line in done.err.splitlines() if line.startswith("turn")]
    assert "searched all documents for “notice”" in turns[0]
    assert "asked the sub-model 3 questions" in turns[1]
    assert "read 1 passage and answered" in turns[2]
    assert all(" s, " in line and " tokens, $0.0" in line for line in turns)


def test_verbose_shows_code_and_output(run_main: Main, notes: Path, serve: Serve) -> None:
    done = run_main("ask", "-v", QUESTION, str(notes), env=serve(SCRIPT).env)
    assert "│ hits = context.find('notice')" in done.err
    assert "│ ['a reply', 'a reply', 'a reply']" in done.err


def test_a_partial_answer_exits_3(run_main: Main, notes: Path, serve: Serve) -> None:
    script = {"rules": [{"model": "gpt-5", "turn": 0, "reply": LOOK}], "default": "Probably ninety days."}
    done = run_main("ask", QUESTION, str(notes), "--max-turns", "1", env=serve(script).env)
    assert done.code == 3
    assert done.out.startswith("Probably ninety days.")
    assert "a partial answer after 2 turns" in done.err


def test_an_execution_that_fails_still_gives_its_json(run_main: Main, notes: Path, serve: Serve) -> None:
    done = run_main(
        "ask", "--json", QUESTION, str(notes), env=serve({"keys": ["sk-other"], "default": LOOK}).env
    )
    assert done.code == 1
    assert json.loads(done.out)["error"]["code"] == "LLM_PROVIDER_ERROR"


def test_contexts_gives_the_passages(run_main: Main, notes: Path, serve: Serve) -> None:
    first, second = "context[0].slice(20, 80, tag='context')", "context[1].slice(0, 18, tag='context:b')"
    server = serve({"default": f"```repl\n{first}\n{second}\nFINAL('x')\n```"})
    done = run_main("ask", "--contexts", QUESTION, str(notes), env=server.env)
    assert done.code == 0
    assert "[1] lease.txt, characters 20 to 80\nEither party" in done.out
    assert "[2] loan.txt, characters 0 to 18\nLoan of the press." in done.out


def test_a_dry_run_asks_no_model(run_main: Main, notes: Path, serve: Serve) -> None:
    server = serve(SCRIPT)
    done = run_main("ask", "--dry-run", QUESTION, str(notes), "--max-turns", "7", env=server.env)
    assert done.code == 0
    assert "models        root gpt-5, sub gpt-5-mini" in done.out
    assert "max_turns 7" in done.out
    assert "lease.txt: " in done.out
    assert "$0.00" in done.out
    assert not server.requests("gpt-5")
    plan = json.loads(run_main("ask", "--dry-run", "--json", QUESTION, str(notes)).out)
    assert plan["messages"][0]["role"] == "system"
    assert "Nothing was asked yet" in run_main("list").err


def test_standard_input_is_a_document(cli: Cli) -> None:
    done = cli(
        "ask", "-q", "What is the code of the warehouse?", "-", stdin=b"The code of the warehouse is 4711.\n"
    )
    assert "4711" in done.stdout


def test_the_same_files_are_parsed_once(run_main: Main, notes: Path) -> None:
    assert "parsed  2 documents" in run_main("ask", QUESTION, str(notes)).err
    assert "known   2 documents" in run_main("ask", QUESTION, str(notes)).err
    assert "parsed  2 documents" in run_main("ask", QUESTION, str(notes), "--fresh").err


def test_list_and_show_tell_what_was_asked(run_main: Main, notes: Path, serve: Serve) -> None:
    asked = json.loads(run_main("ask", "--json", QUESTION, str(notes), env=serve(SCRIPT).env).out)
    listed = run_main("list").out.splitlines()
    assert [len(listed), listed[1].split()[1], listed[1].split()[-8:]] == [2, "COMPLETED", QUESTION.split()]
    assert json.loads(run_main("list", "--json").out)[0]["execution_id"] == asked["execution_id"]
    shown = run_main("show", listed[1].split()[0], "-v").out
    assert f"question  {QUESTION}" in shown
    assert "turn 2  asked the sub-model 3 questions" in shown
    assert "│ hits = context.find('notice')" in shown
    assert "Ninety days. [1]" in shown
    assert "[1] lease.txt" in shown
    assert json.loads(run_main("show", asked["execution_id"], "--json").out) == asked


def test_resume_of_a_finished_execution_gives_its_answer(run_main: Main, notes: Path, serve: Serve) -> None:
    server = serve(SCRIPT)
    asked = json.loads(run_main("ask", "--json", QUESTION, str(notes), env=server.env).out)
    before = len(server.requests("gpt-5"))
    assert json.loads(run_main("resume", "--json", asked["execution_id"]).out) == asked
    assert len(server.requests("gpt-5")) == before


def test_the_beginning_of_an_id_must_be_the_only_one(run_main: Main, notes: Path) -> None:
    for _ in range(2):
        run_main("ask", "-q", QUESTION, str(notes))
    result = run_main("show", "exec_")
    assert result.code == 2
    assert "give more of the id" in result.err


def test_doctor_proves_the_sandbox_and_prints_no_key(run_main: Main) -> None:
    done = run_main("doctor", env={"OPENAI_API_KEY": "sk-secret", "DEFAULT_ROOT_MODEL": "gpt-5"})
    assert done.code == 0, done.out
    assert "in a step, a socket is out of reach" in done.out
    assert "root gpt-5" in done.out
    assert "sk-secret" not in done.out + done.err


def test_doctor_says_what_to_do_and_exits_1(run_main: Main, serve: Serve) -> None:
    done = run_main("doctor", "--json", env={"PARSER_WORKERS": "lots"})
    failed = [check for check in json.loads(done.out)["checks"] if not check["ok"]]
    assert (done.code, [check["name"] for check in failed]) == (1, ["PARSER_WORKERS"])
    assert failed[0]["fix"]


def test_doctor_online_asks_the_provider_once(run_main: Main, serve: Serve) -> None:
    server = serve({"default": "OK"})
    assert "provider answers: gpt-5-mini" in run_main("doctor", "--online", env=server.env).out
    assert len(server.requests("gpt-5-mini")) == 1


def test_a_reader_that_leaves_is_no_error(cli: Cli, notes: Path) -> None:
    process = cli.start("ask", "--jsonl", QUESTION, str(notes))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 1
    told = process.stderr.read()
    process.stderr.close()
    assert "Traceback" not in told
    assert "rlm:" not in told


def test_a_damaged_database_is_one_line(run_main: Main, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rlm.sqlite").write_bytes(b"this is not a database" * 1000)
    done = run_main("list")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "RLM_DATA_DIR" in done.err


def test_an_unexpected_error_is_one_line_and_its_place_is_shown_with_v(
    run_main: Main, notes: Path, tmp_path: Path
) -> None:
    run_main("ask", "-q", QUESTION, str(notes))
    with sqlite3.connect(tmp_path / "data" / "rlm.sqlite") as database:
        database.execute("UPDATE events SET record = '{}' WHERE seq = 0")
    database.close()
    done = run_main("show", "exec_")
    assert (done.code, len(done.err.splitlines())) == (1, 1)
    assert done.err.startswith("rlm: KeyError: ")
    assert "-v" in done.err
    assert "Traceback" in run_main("show", "-v", "exec_").err


def test_output_that_cannot_be_encoded_is_replaced(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The code of the café is 4711 — naïve.\n")
    done = cli(
        "ask",
        "-q",
        "What is the code of the café?",
        str(tmp_path / "a.txt"),
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert "caf?" in done.stdout


def test_both_modules_are_the_program() -> None:
    for module in ("rlm_rs", "rlm_rs.cli"):
        done = subprocess.run(
            [PROGRAM[0], "-m", module, "--version"], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("rlm ")


def change_stored_text(data: Path, old: str, new: str) -> None:
    """Edit every stored text in place, as an intruder would."""
    assert len(old) == len(new)
    changed = 0
    for path in data.rglob("text.txt"):
        text = path.read_bytes()
        if old.encode() in text:
            path.chmod(0o600)
            path.write_bytes(text.replace(old.encode(), new.encode()))
            changed += 1
    assert changed


def test_events_are_complete(run_main: Main, notes: Path) -> None:
    """A line of JSON holds the event's own fields."""
    events = lines(run_main("ask", "--jsonl", QUESTION, str(notes)).out)[:-1]
    kinds = {kind.__name__: set(kind.__dataclass_fields__) for kind in Event.__args__}
    for event in events:
        assert kinds[event["type"]] | {"execution_id", "seq"} == event.keys()


pytestmark = pytest.mark.timeout(60)


def test_a_follow_up_names_an_execution_in_place_of_files(run_main: Main, notes: Path) -> None:
    first = json.loads(run_main("ask", "--json", QUESTION, str(notes)).out)
    done = run_main("ask", "--continue", first["execution_id"][:16], "--json", "And the loan?")
    assert done.code == 0, done.err
    assert json.loads(done.out)["session_id"] == first["session_id"]
    assert "known   2 documents" in done.err
    both = run_main("ask", "--continue", first["execution_id"], "And the loan?", str(notes))
    assert (both.code, both.err.splitlines()[-1].startswith("rlm: Name the files to ask about")) == (2, True)


def test_an_answer_held_to_a_schema_is_json(cli: Cli, serve: Serve, notes: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}')
    replies = ["```repl\nFINAL({'days': 'ninety'})\n```", "```repl\nFINAL({'days': 90})\n```"]
    rules = [{"model": "gpt-5", "turn": turn, "reply": reply} for turn, reply in enumerate(replies)]
    server = serve({"rules": rules})
    done = cli("ask", "--json", "--schema", str(schema), QUESTION, str(notes), env=server.env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["value"] == {"days": 90}
    assert "does not satisfy the output schema" in done.stderr
    for text, said in (("[1]", "is no JSON object"), ("{", "is not JSON"), ('{"type": 5}', "no JSON Schema")):
        schema.write_text(text)
        wrong = cli("ask", "--schema", str(schema), QUESTION, str(notes))
        assert (wrong.returncode, said in wrong.stderr) == (2, True), wrong.stderr
