import type {
  Execution,
  Finished,
  RootReplied,
  SpanEntry,
  Spend,
  StepResult,
  SubcallRequest,
  SubcallResolved,
  Usage,
} from "../api/schema";
import type { Event } from "../api/backend";

/** One root reply and what followed: its code, the step's last result, the sub-calls it asked for. */
export interface Turn {
  index: number;
  reply: RootReplied;
  step: StepResult | null;
  /** When the step's last part ended, seconds since the epoch. */
  stepAt: number;
  asked: SubcallRequest[];
  subcalls: Map<string, SubcallResolved>;
  /** Numbers of the events this turn is made of. */
  seqs: number[];
}

/** What an execution is after the events so far: the same fold as `core/execution.py`. It changes in place. */
export interface Run {
  execution: Execution;
  seq: number;
  turns: Turn[];
  code: string | null;
  pending: SubcallRequest[];
  spend: Spend;
  state: Record<string, unknown>;
  variables: Record<string, unknown>;
  toolResults: { llm: Record<string, unknown>; search: Record<string, unknown> };
  toolStatus: Record<string, string>;
  final: boolean;
  exhausted: string | null;
  consecutiveErrors: number;
  cancelRequested: boolean;
  finished: Finished | null;
  startedAt: number;
  lastAt: number;
}

const RESERVED = new Set(["_tool_results", "_tool_status", "_budgets", "_trace", "_tool_schema"]);

export function begun(execution: Execution, at: number): Run {
  return {
    execution,
    seq: 1,
    turns: [],
    code: null,
    pending: [],
    spend: noSpend(),
    state: { ...(execution.earlier?.state ?? {}) },
    variables: { ...(execution.earlier?.variables ?? {}) },
    toolResults: { llm: {}, search: {} },
    toolStatus: {},
    final: false,
    exhausted: null,
    consecutiveErrors: 0,
    cancelRequested: false,
    finished: null,
    startedAt: at || execution.created_at,
    lastAt: at || execution.created_at,
  };
}

/** The run after one more event; events that were applied already change nothing. */
export function apply(run: Run | null, seq: number, event: Event): Run {
  if (event.type === "Started") return run ?? begun(event.execution, event.at);
  if (!run) throw new Error(`a journal starts with Started, not ${event.type}`);
  if (seq < run.seq) return run;
  run.seq = seq + 1;
  run.lastAt = event.at;
  run.spend.seconds = event.elapsed;
  if (event.type === "RootReplied") rootReplied(run, seq, event);
  else if (event.type === "StepRan") stepRan(run, seq, event.result, event.at);
  else if (event.type === "SubcallResolved") subcallResolved(run, seq, event);
  else if (event.type === "CancelRequested") run.cancelRequested = true;
  else run.finished = event;
  return run;
}

function rootReplied(run: Run, seq: number, event: RootReplied): void {
  const turn = { index: event.turn, reply: event, step: null, stepAt: 0, asked: [], subcalls: new Map(), seqs: [seq] };
  run.turns.push(turn);
  run.code = event.code ?? null;
  run.final = event.final !== null && event.final !== undefined;
  run.exhausted = event.exhausted ?? null;
  run.pending = [];
  if (event.state) run.state = own(event.state);
  run.spend.turns += 1;
  paid(run.spend, event.usage ?? null, event.cost_usd ?? null);
  if (event.problem) run.consecutiveErrors += 1;
}

function stepRan(run: Run, seq: number, result: StepResult, at: number): void {
  const turn = run.turns[run.turns.length - 1];
  if (!turn) return;
  turn.seqs.push(seq);
  turn.stepAt = at;
  if (result.status === "suspended") {
    turn.asked.push(...result.requests);
    run.pending = [...result.requests];
    return;
  }
  const queued = result.error || result.final ? [] : result.requests;
  turn.step = result;
  turn.asked.push(...result.requests);
  run.code = null;
  run.pending = [...queued];
  run.state = own(result.state ?? {});
  run.variables = result.variables ?? {};
  for (const request of queued) run.toolStatus[request.key] = "pending";
  run.final = Boolean(result.final);
  run.spend.spans += result.spans.filter(isRead).length;
  run.consecutiveErrors = result.error ? run.consecutiveErrors + 1 : 0;
}

function subcallResolved(run: Run, seq: number, event: SubcallResolved): void {
  const turn = run.turns[run.turns.length - 1];
  if (!turn) return;
  turn.seqs.push(seq);
  turn.subcalls.set(event.request.key, event);
  if (!turn.asked.some((request) => request.key === event.request.key)) turn.asked.push(event.request);
  run.pending = run.pending.filter((request) => request.key !== event.request.key);
  added(run.spend, event.spend);
  if (event.request.called) return;
  run.toolStatus[event.request.key] = event.result.status;
  const { text, hits, meta } = event.result;
  if (event.request.kind === "search") run.toolResults.search[event.request.key] = { hits, meta };
  else run.toolResults.llm[event.request.key] = { text, meta };
}

/** Whether a span was read and not merely searched. */
export function isRead(span: SpanEntry): boolean {
  return span.doc_index >= 0 && span.end_char > span.start_char && !span.tag?.startsWith("scan:");
}

function own(state: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(state).filter(([name]) => !RESERVED.has(name)));
}

function paid(spend: Spend, usage: Usage | null, cost: number | null): void {
  spend.input_tokens += usage?.input_tokens ?? 0;
  spend.output_tokens += usage?.output_tokens ?? 0;
  spend.cached_input_tokens += usage?.cached_input_tokens ?? 0;
  spend.cost_usd = summed(spend.cost_usd, cost);
}

function added(spend: Spend, more: Spend): void {
  for (const name of SUMMED) spend[name] += more[name];
  spend.cost_usd = summed(spend.cost_usd, more.cost_usd ?? null);
}

function summed(one: number | null | undefined, other: number | null | undefined): number | null {
  return one === null || one === undefined || other === null || other === undefined ? null : one + other;
}

const SUMMED = [
  "turns",
  "child_turns",
  "llm_subcalls",
  "rlm_subcalls",
  "searches",
  "tool_calls",
  "spans",
  "prompt_chars",
  "input_tokens",
  "output_tokens",
  "cached_input_tokens",
] as const;

function noSpend(): Spend {
  const zeros = Object.fromEntries(SUMMED.map((name) => [name, 0])) as Record<(typeof SUMMED)[number], number>;
  return { ...zeros, cost_usd: 0, seconds: 0 };
}
