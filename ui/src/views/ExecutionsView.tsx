import { useEffect } from "preact/hooks";
import type { ExecutionPage, ExecutionRow } from "../api/schema";
import { asCurl } from "../api/snippets";
import { go, here, usePlace } from "../app/place";
import { Copy, Empty, Notice } from "../parts/small";
import { ExecutionRows } from "./ExecutionRows";
import { usePaged } from "./usePaged";

const STATUSES = ["RUNNING", "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "BUDGET_EXCEEDED", "MAX_TURNS_EXCEEDED"];
const PAGE = 50;
const LOOK_MS = 5000;

const pageOf = (page: ExecutionPage): { rows: ExecutionRow[]; next: string | null } => ({ rows: page.executions, next: page.next_cursor });

/** All executions, by status, mode and session. */
export function ExecutionsView() {
  const { query } = usePlace();
  const wanted = ["status", "mode", "session_id"] as const;
  const path = `/v1/executions?limit=${PAGE}${wanted.map((name) => (query.get(name) ? `&${name}=${encodeURIComponent(query.get(name) ?? "")}` : "")).join("")}`;
  const listed = usePaged<ExecutionRow>(path, pageOf);
  const running = listed.rows.some((row) => row.status === "RUNNING");
  const firstPage = listed.rows.length <= PAGE;
  useEffect(() => {
    // only the first page moves by itself: a reader further down stays where he is
    if (!running || !firstPage) return undefined;
    const timer = setInterval(listed.again, LOOK_MS);
    return () => clearInterval(timer);
  }, [running, firstPage, path]);
  const children = query.get("children") === "1";
  const shown = children ? listed.rows : listed.rows.filter((row) => !row.parent_id);
  const filtered = wanted.some((name) => query.get(name));
  const pick = (name: string) => (event: Event) => go(here({ [name]: (event.currentTarget as HTMLInputElement).value }), true);
  return (
    <div class="page">
      <div class="head-line">
        <h1>Executions</h1>
        <Copy text={() => asCurl(path)} label="Copy as curl" />
      </div>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          Status{" "}
          <select value={query.get("status") ?? ""} onChange={pick("status")}>
            <option value="">any</option>
            {STATUSES.map((status) => (
              <option key={status} value={status}>
                {status.replaceAll("_", " ").toLowerCase()}
              </option>
            ))}
          </select>
        </label>
        <label>
          Mode{" "}
          <select value={query.get("mode") ?? ""} onChange={pick("mode")}>
            <option value="">any</option>
            <option value="ANSWERER">answered by a model</option>
            <option value="RUNTIME">driven by a client</option>
          </select>
        </label>
        <label class="grow">
          <span class="sr">Session</span>
          <input type="search" placeholder="Session id" value={query.get("session_id") ?? ""} onChange={pick("session_id")} />
        </label>
        <label>
          <input type="checkbox" checked={children} onChange={(event) => go(here({ children: event.currentTarget.checked ? 1 : null }), true)} /> children
          too
        </label>
      </form>
      {listed.problem && <Notice>{listed.problem}</Notice>}
      {shown.length > 0 && <ExecutionRows rows={shown} changed={listed.again} />}
      {!shown.length && !listed.loading && !listed.problem && <None filtered={filtered || listed.rows.length > 0} />}
      {listed.more && (
        <p class="more">
          <button type="button" disabled={listed.loading} onClick={() => void listed.next()}>
            Show older ones
          </button>
        </p>
      )}
    </div>
  );
}

function None({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="None of the executions loaded fits" />;
  return (
    <Empty title="Nothing was asked yet" command='./rlm ask "Which agreements renew automatically?" contracts/'>
      <p>
        <a href="/">Ask a question here</a>, or from a terminal (with this server's data directory):
      </p>
    </Empty>
  );
}
