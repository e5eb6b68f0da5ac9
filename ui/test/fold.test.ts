import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "../src/api/backend";
import { coverageOf, joined } from "../src/fold/readings";
import { apply, type Run } from "../src/fold/run";
import journal from "./journal.json";

const events = journal.events as unknown as [number, Event][];

function folded(count: number): Run {
  let run: Run | null = null;
  for (const [seq, event] of events.slice(0, count)) run = apply(run, seq, event);
  assert.ok(run);
  return run;
}

// tests/project/test_web_ui.py holds the same expectations against the fold of the service
test("a journal is folded as the service folds it", () => {
  const run = folded(events.length);
  const { expected } = journal;
  assert.equal(run.finished?.status, expected.status);
  assert.equal(run.turns.length, expected.turns);
  assert.deepEqual({ ...run.spend }, expected.spend);
  assert.deepEqual(run.toolStatus, expected.tool_status);
  assert.deepEqual(run.state, expected.state);
  assert.deepEqual(run.pending, expected.pending);
  assert.equal(run.consecutiveErrors, expected.consecutive_errors);
  assert.deepEqual(
    run.turns.map((turn) => [...turn.subcalls.keys()].sort()),
    expected.subcalls.map((keys) => [...keys].sort()),
  );
});

test("the middle of a journal says what is waited for", () => {
  const run = folded(journal.part.events);
  assert.equal(run.turns.length, journal.part.turns);
  assert.deepEqual(run.pending.map((request) => request.key), journal.part.pending);
  assert.equal(run.finished, null);
});

test("events that come twice change nothing", () => {
  const run = folded(events.length);
  const before = JSON.stringify([run.spend, run.turns.length]);
  for (const [seq, event] of events) apply(run, seq, event);
  assert.equal(JSON.stringify([run.spend, run.turns.length]), before);
});

test("ranges that were read are joined where they touch", () => {
  assert.deepEqual(
    joined([
      [5, 9],
      [0, 3],
      [3, 5],
      [20, 30],
    ]),
    [
      [0, 9],
      [20, 30],
    ],
  );
  const read = coverageOf(folded(events.length)).get(0)?.read;
  assert.deepEqual(read, [[0, 21]]);
});
