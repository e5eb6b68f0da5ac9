import type { Citation } from "../api/schema";
import { here, href } from "../app/place";
import { statusOf } from "../fold/readings";
import type { Followed } from "../fold/useRun";
import type { Run } from "../fold/run";
import { Pill } from "../parts/small";
import { cost, plural, seconds, short } from "../text/amounts";
import { AnswerText } from "./AnswerText";
import type { Check } from "./useChecks";

interface Props {
  run: Run;
  following: Followed["state"];
  citations: readonly Citation[];
  checks: ReadonlyMap<number, Check>;
  picked: number | null;
  now: number;
}

/** The question, the whole answer and its citations: it stays while the turns below it move. */
export function AnswerHead({ run, following, citations, checks, picked, now }: Props) {
  const { execution, finished, spend } = run;
  const answer = finished?.answer ?? null;
  const runs = finished ? spend.seconds : Math.max(spend.seconds, now - run.startedAt);
  return (
    <header class="answer">
      <p class="answer-meta">
        <Pill status={statusOf(run)} />
        {finished?.partial && <span class="pill pill-partial">partial</span>}
        <span>{seconds(runs)}</span>
        <span>{plural(spend.turns, "turn")}</span>
        {spend.llm_subcalls > 0 && <span>{plural(spend.llm_subcalls, "sub-call")}</span>}
        <span>{short(spend.input_tokens + spend.output_tokens)} tokens</span>
        <span>{cost(spend.cost_usd)}</span>
        {citations.length > 0 && <Verified citations={citations.length} checks={checks} />}
        {following === "reconnecting" && <span class="following">reconnecting…</span>}
        {execution.parent && (
          <a href={href(`/executions/${execution.parent.execution_id}`, { call: execution.parent.key })}>
            child of {execution.parent.execution_id.slice(0, 13)}…
          </a>
        )}
      </p>
      <h1 class="question" dir="auto">
        {execution.question || "Steps written by a client"}
      </h1>
      {execution.earlier?.exchanges.length ? <Earlier run={run} /> : null}
      {answer !== null ? (
        <AnswerText text={answer} citations={citations.length} picked={picked} />
      ) : (
        <p class={finished ? "answer-none" : "answer-none working"}>{waitingWords(run)}</p>
      )}
      {answer !== null && finished?.error && <p class="answer-why">{finished.error.message}</p>}
    </header>
  );
}

/** How many citations hold; the way to all of them. */
function Verified({ citations, checks }: { citations: number; checks: Props["checks"] }) {
  const found = [...checks.values()];
  const valid = found.filter((check) => "valid" in check && check.valid).length;
  const wrong = found.filter((check) => "valid" in check && !check.valid).length;
  const words = valid === citations ? `${plural(citations, "citation")} verified` : `${valid} of ${plural(citations, "citation")} verified`;
  return (
    <a href={here({ tab: "citations" })} class={`check ${wrong ? "check-invalid" : "check-valid"}`}>
      {wrong ? `✗ ${wrong} no longer hold` : `${valid === citations ? "✓ " : ""}${words}`}
    </a>
  );
}

function Earlier({ run }: { run: Run }) {
  const exchanges = run.execution.earlier?.exchanges ?? [];
  return (
    <details class="earlier">
      <summary>follows {plural(exchanges.length, "earlier question")}</summary>
      <ol>
        {exchanges.map((one) => (
          <li key={one.execution_id}>
            <a href={href(`/executions/${one.execution_id}`)}>{one.question}</a>
            <p>{one.answer}</p>
          </li>
        ))}
      </ol>
    </details>
  );
}

function waitingWords(run: Run): string {
  const { finished } = run;
  if (finished) {
    if (finished.error) return finished.error.message;
    if (finished.contexts.length) return `${plural(finished.contexts.length, "passage")} found, in place of an answer.`;
    return finished.status === "CANCELLED" ? "Cancelled before there was an answer." : "There is no answer.";
  }
  if (run.cancelRequested) return "Stopping…";
  if (run.execution.mode === "RUNTIME") return "Open: the next step is yours.";
  if (run.pending.length) return `Waiting for ${plural(run.pending.length, "sub-call")}…`;
  return run.code !== null ? "Running the step…" : "Asking the root model…";
}
