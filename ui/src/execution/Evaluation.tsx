import { useEffect, useState } from "preact/hooks";
import { ApiError, get, post, reasonOf } from "../api/client";
import type { EvaluationOut, RecomputeBody } from "../api/schema";
import { statusOf } from "../fold/readings";
import type { Run } from "../fold/run";
import { Act, Empty, LongText, Notice, Pill, RawJson } from "../parts/small";
import { ago, cost, count } from "../text/amounts";
import { Fact } from "./Spend";

const POLL_MS = 1500;
const WHO = ["answerer", "baseline"];
const METRICS = ["answer_relevancy", "faithfulness"];
const REASONS: Record<string, string> = {
  BASELINE_OFF: "baselines are switched off",
  MISSING_PARSED_TEXT: "the text of the documents is not there",
  UNKNOWN_CONTEXT_WINDOW: "the window of the root model is not known",
  CONTEXT_WINDOW_EXCEEDED: "the text does not fit the window of the model",
  BASELINE_ERROR: "the root model gave no answer",
  JUDGE_REPLY_INVALID: "the reply of the judge could not be read",
  JUDGE_ERROR: "the judge gave no reply",
  NO_CONTEXTS: "no passage was read or cited",
  NO_CLAIMS: "the answer claims nothing",
};

/** Whether the answer of an execution can be evaluated. */
export function evaluable(run: Run): boolean {
  const { mode, output_mode, parent } = run.execution;
  return mode === "ANSWERER" && output_mode === "ANSWER" && !parent && statusOf(run) === "COMPLETED";
}

type Found = { evaluation: EvaluationOut | null } | { problem: string } | "loading";

/** How good the answer is: its evaluation, or the way to one. */
export function Evaluation({ id }: { id: string }) {
  const [found, show] = useEvaluation(id);
  const evaluate = async (body: Partial<RecomputeBody>): Promise<void> => {
    show({ evaluation: await post<EvaluationOut>(`/v1/executions/${id}/evaluation/recompute`, body) });
  };
  if (found === "loading") return <p class="hint">Loading…</p>;
  if ("problem" in found) return <Notice>{found.problem}</Notice>;
  if (!found.evaluation) return <Unevaluated evaluate={evaluate} />;
  return <Evaluated key={found.evaluation.revision} evaluation={found.evaluation} evaluate={evaluate} />;
}

/** What the service has, asked again for as long as a worker is at it. */
function useEvaluation(id: string): [Found, (found: Found) => void] {
  const [found, show] = useState<Found>("loading");
  const runs = typeof found === "object" && "evaluation" in found && found.evaluation?.status === "RUNNING";
  useEffect(() => {
    let wanted = true;
    const look = async (): Promise<void> => {
      const next = await lookUp(id);
      if (wanted) show(next);
    };
    if (!runs) void look();
    const timer = runs ? setInterval(() => void look(), POLL_MS) : 0;
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [id, runs]);
  return [found, show];
}

async function lookUp(id: string): Promise<Found> {
  try {
    return { evaluation: await get<EvaluationOut>(`/v1/executions/${id}/evaluation`) };
  } catch (error) {
    // the execution is on this page: what is not found is its evaluation
    if (error instanceof ApiError && error.status === 404) return { evaluation: null };
    return { problem: reasonOf(error) };
  }
}

interface Evaluating {
  evaluate: (body: Partial<RecomputeBody>) => Promise<void>;
}

function Unevaluated({ evaluate }: Evaluating) {
  return (
    <Empty title="This answer was not evaluated">
      <p>
        It costs up to 5 model calls: one asks the root model with all documents in its window, where they fit; two ask the judge
        about each of the two answers. A reply that cannot be read is asked for once more.
      </p>
      <p class="empty-act">
        <Act label="Evaluate" class="primary" work={() => evaluate({})} />
      </p>
    </Empty>
  );
}

function Evaluated({ evaluation, evaluate }: Evaluating & { evaluation: EvaluationOut }) {
  const { reference_scores: scores, judge_metrics: metrics, skip_reasons, status } = evaluation;
  return (
    <div class="evaluation">
      <p class="answer-meta" role="status">
        <Pill status={status} />
        <span>{status === "RUNNING" ? "a worker is at it" : ago(evaluation.updated_at)}</span>
        {evaluation.revision > 0 && <span>revision {evaluation.revision}</span>}
      </p>
      {evaluation.failure && <Notice>{evaluation.failure}</Notice>}
      {Object.keys(scores).length > 0 && <Scores title="Against the reference answers" names={namesOf(scores)} scores={scores} />}
      {Object.keys(metrics).length > 0 && <Scores title="As the judge sees it" names={METRICS} scores={metrics} reasons={skip_reasons} />}
      <Baseline evaluation={evaluation} />
      <Costs evaluation={evaluation} />
      <Again evaluation={evaluation} evaluate={evaluate} />
      <RawJson value={evaluation} />
    </div>
  );
}

interface ScoresProps {
  title: string;
  names: readonly string[];
  scores: Record<string, Record<string, number | null>>;
  reasons?: Record<string, Record<string, string>>;
}

/** Scores from 0 to 1, of the answer and of the baseline side by side. */
function Scores({ title, names, scores, reasons = {} }: ScoresProps) {
  const whose = WHO.filter((who) => scores[who]);
  return (
    <table class="scores">
      <caption>{title}</caption>
      <thead>
        <tr>
          <th scope="col">0 to 1</th>
          {whose.map((who) => (
            <th key={who} scope="col">
              {who}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {names.map((name) => (
          <tr key={name}>
            <th scope="row">{name.replaceAll("_", " ")}</th>
            {whose.map((who) => (
              <td key={who}>{scores[who]?.[name]?.toFixed(2) ?? <Skipped reason={reasons[who]?.[name]} />}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Skipped({ reason }: { reason: string | null | undefined }) {
  if (!reason) return <span class="hint">none</span>;
  return (
    <span class="hint">
      none: {REASONS[reason] ?? "left out"} <code>{reason}</code>
    </span>
  );
}

function Baseline({ evaluation }: { evaluation: EvaluationOut }) {
  const { baseline_answer: answer, baseline_skip_reason: reason, baseline_model: model } = evaluation;
  if (answer === null && !reason) return null;
  return (
    <section>
      <h2>Baseline</h2>
      <p class="hint">{model ? `${model} with all documents in its window` : "The root model with all documents in its window"}</p>
      {answer === null ? <Skipped reason={reason} /> : <LongText text={answer} class="reading" />}
    </section>
  );
}

function Costs({ evaluation }: { evaluation: EvaluationOut }) {
  const { spend, judge_model, contexts_used } = evaluation;
  return (
    <dl class="facts">
      <Fact name="cost" value={cost(spend.cost_usd)} />
      <Fact name="model calls" value={`${count(spend.calls)}, of these ${count(spend.cache_hits)} from the cache`} />
      <Fact name="input tokens" value={count(spend.input_tokens)} />
      <Fact name="output tokens" value={count(spend.output_tokens)} />
      {judge_model && <Fact name="judge" value={judge_model} />}
      {contexts_used && <Fact name="passages judged against" value={contexts_used} />}
    </dl>
  );
}

function Again({ evaluation, evaluate }: Evaluating & { evaluation: EvaluationOut }) {
  const held = evaluation.reference_answers.join("\n");
  const [text, setText] = useState(held);
  const [afresh, setAfresh] = useState(false);
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  // left as they are they are not sent: one of them may have lines of its own
  const references = text === held ? {} : { reference_answers: lines };
  return (
    <form class="again" onSubmit={(event) => event.preventDefault()}>
      <label for="references">Reference answers, one per line</label>
      <textarea id="references" rows={3} dir="auto" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <label>
        <input type="checkbox" checked={afresh} onChange={(event) => setAfresh(event.currentTarget.checked)} /> ask the baseline afresh
      </label>
      <p class="hint">What the judge was asked before comes from the cache and costs nothing.</p>
      <p>
        <Act
          label="Evaluate again"
          disabled={evaluation.status === "RUNNING"}
          work={() => evaluate({ recompute_baseline: afresh, ...references })}
        />
      </p>
    </form>
  );
}

function namesOf(scores: Record<string, Record<string, number>>): string[] {
  return [...new Set(WHO.flatMap((who) => Object.keys(scores[who] ?? {})))];
}
