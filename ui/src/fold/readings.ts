import type { Citation, ExecutionStatus, SpanEntry, SubcallRequest, SubcallResolved } from "../api/schema";
import { isRead, type Run, type Turn } from "./run";

/** What views show of a run. */

export function statusOf(run: Run): ExecutionStatus {
  return run.finished?.status ?? "RUNNING";
}

export function citationsOf(run: Run): readonly Citation[] {
  return run.finished?.citations ?? [];
}

/** A sub-call as a row: asked, and answered or not yet. */
export interface Call {
  turn: number;
  request: SubcallRequest;
  resolved: SubcallResolved | null;
  /** The child execution of an `rlm` call, once it has one. */
  childId: string | null;
}

export function callsOf(run: Run): Call[] {
  return run.turns.flatMap((turn) => turnCalls(run, turn));
}

export function turnCalls(run: Run, turn: Turn): Call[] {
  return turn.asked.map((request) => {
    const resolved = turn.subcalls.get(request.key) ?? null;
    return { turn: turn.index, request, resolved, childId: childOf(run, request, resolved) };
  });
}

function childOf(run: Run, request: SubcallRequest, resolved: SubcallResolved | null): string | null {
  if (resolved) return resolved.child_id ?? null;
  const starts = request.kind === "rlm" && run.execution.budgets.max_depth > 0;
  // a child's id is its parent's and the call's key
  return starts ? `${run.execution.execution_id}-${request.key}` : null;
}

export function failed(call: Call): boolean {
  return call.resolved?.result.status === "error";
}

export function turnFailed(turn: Turn): boolean {
  return Boolean(turn.step?.error || turn.reply.problem);
}

/** Something that took time, in seconds since the epoch. */
export interface Stretch {
  kind: "root" | "step" | "llm" | "rlm" | "search" | "tool";
  turn: number;
  key: string;
  begin: number;
  end: number;
  failed: boolean;
  running: boolean;
}

export function stretchesOf(run: Run, now: number): Stretch[] {
  const last = run.finished ? run.lastAt : now;
  return run.turns.flatMap((turn) => [...ownStretches(run, turn, last), ...callStretches(run, turn, last)]);
}

function ownStretches(run: Run, turn: Turn, last: number): Stretch[] {
  const { reply, step, index } = turn;
  const root: Stretch = {
    kind: "root",
    turn: index,
    key: "",
    begin: reply.at - reply.seconds,
    end: reply.at,
    failed: Boolean(reply.problem),
    running: false,
  };
  const at = { kind: "step", turn: index, key: "" } as const;
  if (step) {
    const begin = Math.max(reply.at, turn.stepAt - step.usage.wall_seconds);
    return [root, { ...at, begin, end: turn.stepAt, failed: Boolean(step.error), running: false }];
  }
  const running = run.code !== null && turn === run.turns[run.turns.length - 1] && !run.finished && !run.pending.length;
  return running ? [root, { ...at, begin: reply.at, end: last, failed: false, running }] : [root];
}

function callStretches(run: Run, turn: Turn, last: number): Stretch[] {
  return turnCalls(run, turn).map(({ request, resolved }) => ({
    kind: request.kind,
    turn: turn.index,
    key: request.key,
    begin: resolved ? resolved.at - resolved.seconds : turn.stepAt,
    end: resolved?.at ?? last,
    failed: resolved?.result.status === "error",
    running: !resolved && !run.finished,
  }));
}

/** Ranges of a document that were read, joined where they overlap, and those that were only searched. */
export interface Coverage {
  read: [number, number][];
  searched: [number, number][];
}

export function coverageOf(run: Run): Map<number, Coverage> {
  const found = new Map<number, Coverage>();
  const add = (span: SpanEntry): void => {
    if (span.doc_index < 0 || span.end_char <= span.start_char) return;
    let place = found.get(span.doc_index);
    if (!place) found.set(span.doc_index, (place = { read: [], searched: [] }));
    (isRead(span) ? place.read : place.searched).push([span.start_char, span.end_char]);
  };
  for (const turn of run.turns) {
    turn.step?.spans.forEach(add);
    for (const call of turn.subcalls.values()) call.citations.forEach(add);
  }
  for (const place of found.values()) {
    place.read = joined(place.read);
    place.searched = joined(place.searched);
  }
  return found;
}

export function joined(ranges: [number, number][]): [number, number][] {
  const found: [number, number][] = [];
  for (const [start, end] of ranges.sort((a, b) => a[0] - b[0])) {
    const last = found[found.length - 1];
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else found.push([start, end]);
  }
  return found;
}

/** How far each bounded budget is used. */
export interface Use {
  name: string;
  label: string;
  used: number;
  limit: number;
  unit: "count" | "seconds" | "usd" | "chars";
}

export function usesOf(run: Run): Use[] {
  const { budgets } = run.execution;
  const { spend } = run;
  const uses: (Use | null)[] = [
    use("max_turns", "turns", spend.turns, budgets.max_turns),
    use("max_total_seconds", "time at work", spend.seconds, budgets.max_total_seconds, "seconds"),
    use("max_llm_subcalls", "sub-calls", spend.llm_subcalls, budgets.max_llm_subcalls),
    use("max_total_tokens", "tokens", spend.input_tokens + spend.output_tokens, budgets.max_total_tokens),
    use("max_cost_usd", "cost", spend.cost_usd ?? 0, budgets.max_cost_usd, "usd"),
    use("max_spans_total", "passages read", spend.spans, budgets.max_spans_total),
    use("max_total_llm_prompt_chars", "characters of prompts", spend.prompt_chars, budgets.max_total_llm_prompt_chars, "chars"),
    use("max_consecutive_errors", "errors in a row", run.consecutiveErrors, budgets.max_consecutive_errors),
  ];
  return uses.filter((one): one is Use => one !== null);
}

function use(name: string, label: string, used: number, limit: number | null | undefined, unit: Use["unit"] = "count"): Use | null {
  return limit === null || limit === undefined ? null : { name, label, used, limit, unit };
}
