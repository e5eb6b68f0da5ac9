import { useMemo } from "preact/hooks";
import { post } from "../../api/client";
import type { DocumentView, SubcallRequest } from "../../api/schema";
import { go, here, usePlace } from "../../app/place";
import { Viewer } from "../../documents/Viewer";
import { isRead, type Run } from "../../fold/run";
import { Act, LongText, Tabs } from "../../parts/small";
import { count, plural } from "../../text/amounts";
import { JsonTree } from "./JsonTree";
import { asBody, waitingRequests } from "./requests";

interface Props {
  run: Run;
  revision: number;
  documents: readonly DocumentView[];
  closed: boolean;
}

/** Beside the cells: the state they share, what they read, and what waits for an answer. */
export function Inspector({ run, revision, documents, closed }: Props) {
  const { query } = usePlace();
  const side = query.get("side") ?? "state";
  const waiting = useMemo(() => waitingRequests(run), [run, revision]);
  const passages = run.turns.reduce((sum, turn) => sum + (turn.step?.spans.filter(isRead).length ?? 0), 0);
  const tabs = [
    { id: "state", label: "State" },
    { id: "requests", label: "Requests", mark: waiting.length },
    { id: "passages", label: "Passages", mark: passages },
    { id: "source", label: "Documents", mark: documents.length },
  ];
  return (
    <aside class="inspector" aria-label="State, requests, passages">
      <Tabs label="Inspector" tabs={tabs} picked={side} pick={(id) => go(here({ side: id }), true)} />
      <div class="inspector-body" id="tab-panel" role="tabpanel" aria-labelledby={`tab-${side}`} tabIndex={0}>
        {side === "state" && <State run={run} />}
        {side === "requests" && <Requests run={run} waiting={waiting} closed={closed} />}
        {side === "passages" && <Passages run={run} documents={documents} />}
        {side === "source" && <Source run={run} documents={documents} />}
      </div>
    </aside>
  );
}

function State({ run }: { run: Run }) {
  const { state, variables, toolResults, toolStatus } = run;
  return (
    <>
      <h2>state</h2>
      {Object.keys(state).length ? <JsonTree value={state} open /> : <p class="hint">
          empty: <code>state["name"] = value</code> keeps a JSON value
        </p>}
      <h2 class="section">variables kept</h2>
      {Object.keys(variables).length ? <JsonTree value={variables} open /> : <p class="hint">none yet</p>}
      {Object.keys(toolStatus).length > 0 && (
        <>
          <h2 class="section">results of sub-calls</h2>
          <JsonTree value={{ status: toolStatus, ...toolResults }} open />
        </>
      )}
    </>
  );
}

function Requests({ run, waiting, closed }: { run: Run; waiting: readonly SubcallRequest[]; closed: boolean }) {
  const resolve = (requests: readonly SubcallRequest[]): Promise<unknown> =>
    post(`/v1/executions/${run.execution.execution_id}/tools/resolve`, { tool_requests: asBody(requests) });
  const results = { ...run.toolResults.llm, ...run.toolResults.search };
  return (
    <>
      {waiting.length > 0 ? (
        <p>
          {plural(waiting.length, "sub-call waits", "sub-calls wait")}{" "}
          <Act label={waiting.length > 1 ? "Resolve all" : "Resolve"} class="primary" disabled={closed} work={() => resolve(waiting)} />
        </p>
      ) : (
        <p class="hint">
          Nothing waits. A step queues with <code>tool.queue_llm(key, prompt)</code>; <code>llm_query(prompt)</code> is answered at once.
        </p>
      )}
      {waiting.map((request) => (
        <article class="request" key={request.key}>
          <p class="request-head">
            <span class={`kind kind-${request.kind}`}>{request.kind}</span> <code>{request.key}</code>
            <Act label="Resolve" class="quiet" disabled={closed} work={() => resolve([request])} />
          </p>
          <LongText text={request.prompt} class="prose" most={500} />
        </article>
      ))}
      {Object.keys(results).length > 0 && (
        <>
          <h2 class="section">answered</h2>
          <JsonTree value={results} open />
        </>
      )}
    </>
  );
}

function Passages({ run, documents }: { run: Run; documents: readonly DocumentView[] }) {
  const rows = run.turns.flatMap((turn) => (turn.step?.spans ?? []).map((span) => ({ turn: turn.index, span })));
  if (!rows.length) return <p class="hint">No step has read or searched anything yet.</p>;
  return (
    <ul>
      {rows.slice(-500).map(({ turn, span }, index) => (
        <li key={index} class="request">
          {span.doc_index < 0 ? (
            "all documents"
          ) : (
            <a href={here({ side: "source", look: `${span.doc_index}:${span.start_char}:${span.end_char}` })}>
              {documents[span.doc_index]?.source_name ?? `document ${span.doc_index}`}, {count(span.start_char)}–{count(span.end_char)}
            </a>
          )}{" "}
          <span class="hint">turn {turn + 1}</span>
          {span.tag && <span class="tag">{span.tag}</span>}
        </li>
      ))}
    </ul>
  );
}

function Source({ run, documents }: { run: Run; documents: readonly DocumentView[] }) {
  const look = usePlace().query.get("look")?.match(/^(\d+):(\d+):(\d+)$/);
  const document = look ? documents[Number(look[1])] : undefined;
  if (!look || !document)
    return (
      <ul>
        {documents.map((one) => (
          <li key={one.doc_id} class="request">
            <a href={here({ look: `${one.doc_index}:0:0` })}>{one.source_name}</a> <span class="hint">context[{one.doc_index}]</span>
          </li>
        ))}
      </ul>
    );
  const [start, end] = [Number(look[2]), Number(look[3])];
  return (
    <>
      <p>
        <a href={here({ look: null })}>All documents</a>
      </p>
      <Viewer
        sessionId={run.execution.session_id}
        document={document}
        at={start}
        marked={end > start ? { start, end } : null}
        go={(char) => go(here({ look: `${document.doc_index}:${char}:${char}` }), true)}
      />
    </>
  );
}
