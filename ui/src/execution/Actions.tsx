import { useState } from "preact/hooks";
import { post } from "../api/client";
import type { ExecutionBody, StartedOut } from "../api/schema";
import { asCurl, asPython } from "../api/snippets";
import { go, href } from "../app/place";
import type { Run } from "../fold/run";
import { Act, Copy } from "../parts/small";

/** What can be done with an execution: stop it, take it elsewhere, look at it raw. */
export function Actions({ run, traces }: { run: Run; traces: boolean }) {
  const id = run.execution.execution_id;
  const asked = askedOf(run);
  const path = `/v1/sessions/${run.execution.session_id}/executions`;
  return (
    <div class="actions">
      {!run.finished && <Act label="Cancel" class="danger" work={() => post(`/v1/executions/${id}/cancel`)} />}
      {run.execution.mode === "RUNTIME" && (
        <a class="button" href={href(`/executions/${id}/runtime`)}>
          Open as cells
        </a>
      )}
      {run.execution.mode === "ANSWERER" && !run.execution.parent && (
        <>
          <Copy text={() => asCurl(path, "POST", asked)} label="Copy as curl" />
          <Copy text={() => asPython(path, "POST", asked)} label="Copy as Python" />
        </>
      )}
      <details class="menu">
        <summary>More</summary>
        <div>
          <Copy text={() => location.href} label="Copy link to this place" />
          <Copy text={id} label="Copy id" />
          <a href={`/v1/executions/${id}`} target="_blank" rel="noreferrer">
            Execution as JSON
          </a>
          <a href={`/v1/executions/${id}/events?limit=1000`} target="_blank" rel="noreferrer">
            Events as JSON
          </a>
          <a href={href("/debug", { execution: id })}>Events in the debug view</a>
          <a href={`/v1/executions/${id}/report`} download={`${id}.html`}>
            Download report
          </a>
          {traces && (
            <a href={`/v1/executions/${id}/trace`} download={`${id}.trace.json`}>
              Download trace
            </a>
          )}
        </div>
      </details>
    </div>
  );
}

function askedOf(run: Run): Partial<ExecutionBody> {
  const { question, models, output_mode } = run.execution;
  return {
    question,
    models: { root_model: models.root, sub_model: models.sub },
    ...(output_mode === "CONTEXTS" ? { options: { output_mode } as ExecutionBody["options"] } : {}),
  };
}

/** Ask on: the next question sees this one and its answer. */
export function FollowUp({ run }: { run: Run }) {
  const [question, setQuestion] = useState("");
  const { execution_id, session_id, models } = run.execution;
  const ask = async (): Promise<void> => {
    const body = {
      question,
      continue_from: execution_id,
      models: { root_model: models.root, sub_model: models.sub },
    };
    const started = await post<StartedOut>(`/v1/sessions/${session_id}/executions`, body);
    go(href(`/executions/${started.execution_id}`));
  };
  return (
    <form class="follow-up" onSubmit={(event) => event.preventDefault()}>
      <label for="follow-up" class="sr">
        Follow-up question
      </label>
      <textarea
        id="follow-up"
        rows={1}
        placeholder="Ask a follow-up question"
        value={question}
        onInput={(event) => setQuestion(event.currentTarget.value)}
      />
      <Act label="Ask" class="primary" disabled={!question.trim()} work={ask} />
    </form>
  );
}
