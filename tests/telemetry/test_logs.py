"""A log line is one JSON object with the ids that were bound."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging
from rlm_rs.core.records import WorkItem, WorkKind
from rlm_rs.telemetry.logs import at_work, bind, configure_logging, logger, unbind
configure_logging()
bind(request_id="req_1")
logger("here").info("request", status=200)
logging.getLogger("library").warning("old %s", "style")
unbind()
at_work(WorkItem(WorkKind.INGESTION, "acme", "sess_1", request_id="req_2"))
logging.getLogger("worker").error("it failed")
unbind()
try:
    1 / 0
except ZeroDivisionError as error:
    logger("here").error("unexpected", exc_info=error)
"""


def test_lines_are_json_with_ids_for_libraries_too() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    first, second, worker, third = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["event"], first["status"], first["request_id"]) == ("request", 200, "req_1")
    assert (second["event"], second["logger"], second["request_id"]) == ("old style", "library", "req_1")
    ids = {"tenant_id": "acme", "session_id": "sess_1", "request_id": "req_2"}
    assert {name: worker[name] for name in ids} == ids
    assert "ZeroDivisionError" in third["exception"]
    assert "request_id" not in third
