import { useMemo } from "preact/hooks";
import { here } from "../app/place";
import { turnCalls, turnFailed } from "../fold/readings";
import { isRead, type Run, type Turn } from "../fold/run";
import { Code } from "../parts/Code";
import { Copy, LongText, RawJson } from "../parts/small";
import { VirtualList } from "../parts/VirtualList";
import { cost, count, oneLine, plural, seconds, short } from "../text/amounts";
import { CallRow } from "./CallRow";

interface Props {
  run: Run;
  revision: number;
  focus: string | null;
  call: string | null;
}

/** Each turn: what the root model said, its code, what came out. */
export function Turns({ run, revision, focus, call }: Props) {
  const turns = useMemo(() => [...run.turns], [run, revision]);
  if (!turns.length) return <p class="hint">No turn yet: the root model is reading the question.</p>;
  return (
    <VirtualList
      class="turns"
      label="Turns"
      items={turns}
      keyOf={(turn) => String(turn.index)}
      estimate={320}
      focus={focus}
      render={(turn) => <TurnCard run={run} turn={turn} call={call} picked={focus === String(turn.index)} />}
    />
  );
}

function TurnCard({ run, turn, call, picked }: { run: Run; turn: Turn; call: string | null; picked: boolean }) {
  const { reply, step } = turn;
  const calls = turnCalls(run, turn);
  const said = saidOf(reply.text, reply.code ?? null);
  const running = !step && !run.finished && turn === run.turns[run.turns.length - 1] && reply.code !== null;
  const own = run.execution.mode === "RUNTIME";
  return (
    <article class={`turn${turnFailed(turn) ? " turn-failed" : ""}${picked ? " turn-picked" : ""}`} id={`turn-${turn.index}`}>
      <header class="turn-head">
        <h2>
          <a href={here({ turn: turn.index, tab: null })}>Turn {turn.index + 1}</a>
        </h2>
        <span>{own ? "written by the client" : reply.model}</span>
        {!own && <span>{seconds(reply.seconds)}</span>}
        {reply.usage && (
          <span title="input and output tokens">
            {short(reply.usage.input_tokens)} in, {short(reply.usage.output_tokens)} out
          </span>
        )}
        {reply.cost_usd ? <span>{cost(reply.cost_usd)}</span> : null}
        {reply.cache_hit && <span>from the cache</span>}
        {reply.exhausted && <span class="pill pill-partial">asked for its best answer</span>}
        <span class="turn-tools">
          {reply.code && <Copy text={reply.code} label="Copy code" />}
          <Copy text={() => new URL(here({ turn: turn.index }), location.href).href} label="Copy link" />
        </span>
      </header>
      {reply.reasoning && (
        <details class="reasoning">
          <summary>Reasoning</summary>
          <LongText text={reply.reasoning} class="prose" />
        </details>
      )}
      {said && !own && <LongText text={said} class="prose said" />}
      {reply.problem && <p class="turn-problem">{reply.problem}</p>}
      {reply.code !== null && reply.code !== undefined && <Code text={reply.code} errorLine={step?.error?.line} />}
      {calls.length > 0 && (
        <div class="turn-calls">
          {calls.slice(0, 8).map((one) => (
            <CallRow key={one.request.key} call={one} open={call === one.request.key} />
          ))}
          {calls.length > 8 && <a href={here({ tab: "calls", turn: null })}>All {count(calls.length)} sub-calls of this turn</a>}
        </div>
      )}
      {running && <p class="hint working">{calls.length ? "waiting for sub-calls…" : "running…"}</p>}
      {step && <Output turn={turn} />}
      <footer class="turn-foot">
        {step && <span>step took {seconds(step.usage.wall_seconds)}</span>}
        {step && step.spans.length > 0 && <Reads turn={turn} />}
        <RawJson label="JSON of this turn" value={{ reply, step, subcalls: [...turn.subcalls.values()] }} />
      </footer>
    </article>
  );
}

function Output({ turn }: { turn: Turn }) {
  const step = turn.step;
  if (!step) return null;
  const empty = !step.stdout && !step.error && !step.final && step.yielded === null;
  return (
    <div class="output">
      {step.stdout && <LongText text={step.stdout} class="stdout" />}
      {step.stdout_dropped > 0 && <p class="hint">{count(step.stdout_dropped)} more characters were not kept</p>}
      {step.error && (
        <div class="step-error" role="group" aria-label="Error">
          <strong>{step.error.code}</strong>
          {step.error.line ? ` in line ${step.error.line}` : ""}: {step.error.message}
        </div>
      )}
      {step.yielded !== null && step.yielded !== undefined && <p class="hint">yielded: {step.yielded || "to wait for its sub-calls"}</p>}
      {step.not_kept.map((words) => (
        <p key={words} class="hint">
          not kept: {words}
        </p>
      ))}
      {step.final && (
        <p class="final">
          <strong>FINAL</strong> {oneLine(step.final.answer, 240)}
        </p>
      )}
      {empty && <p class="hint">no output</p>}
    </div>
  );
}

function Reads({ turn }: { turn: Turn }) {
  const spans = turn.step?.spans ?? [];
  const read = spans.filter(isRead);
  const chars = read.reduce((sum, span) => sum + span.end_char - span.start_char, 0);
  return (
    <details class="reads">
      <summary>
        read {plural(read.length, "passage")} ({short(chars)} characters), searched {plural(spans.length - read.length, "range")}
      </summary>
      <ul>
        {spans.slice(0, 200).map((span, index) => (
          <li key={index}>
            {span.doc_index < 0 ? (
              "all documents"
            ) : (
              <a href={here({ look: `${span.doc_index}:${span.start_char}:${span.end_char}`, cite: null })}>
                document {span.doc_index}, {count(span.start_char)}–{count(span.end_char)}
              </a>
            )}
            {span.tag && <span class="tag">{span.tag}</span>}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** What a reply says beside its code. */
function saidOf(text: string, code: string | null): string {
  if (code === null) return text.trim();
  return text.replace(/```[\s\S]*?(?:```|$)/g, "").trim();
}
