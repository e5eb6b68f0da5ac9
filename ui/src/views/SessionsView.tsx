import type { SessionPage, SessionRow } from "../api/schema";
import { asCurl } from "../api/snippets";
import { href } from "../app/place";
import { Copy, Empty, Notice, Pill } from "../parts/small";
import { VirtualList } from "../parts/VirtualList";
import { ago, left } from "../text/amounts";
import { usePaged } from "./usePaged";

const PATH = "/v1/sessions?limit=50";
const pageOf = (page: SessionPage): { rows: SessionRow[]; next: string | null } => ({ rows: page.sessions, next: page.next_cursor });

/** Every session: whether it can be asked, and how long it will live. */
export function SessionsView() {
  const { rows, loading, problem, more, next } = usePaged<SessionRow>(PATH, pageOf);
  return (
    <div class="page">
      <div class="head-line">
        <h1>Sessions</h1>
        <Copy text={() => asCurl(PATH)} label="Copy as curl" />
      </div>
      {problem && <Notice>{problem}</Notice>}
      {rows.length > 0 && (
        <div class="rows">
          <div class="row row-head row-session" aria-hidden="true">
            <span>status</span>
            <span>session</span>
            <span>made</span>
            <span>time left</span>
            <span>search</span>
          </div>
          <VirtualList label="Sessions" items={rows} keyOf={(row) => row.session_id} estimate={40} render={(row) => <Row row={row} />} />
        </div>
      )}
      {!rows.length && !loading && !problem && (
        <Empty title="There is no session yet" command='./rlm ask "Which agreements renew automatically?" contracts/'>
          <p>
            A session is a set of documents. <a href="/">Drop some files</a>, or ask from a terminal:
          </p>
        </Empty>
      )}
      {more && (
        <p class="more">
          <button type="button" disabled={loading} onClick={() => void next()}>
            Show older ones
          </button>
        </p>
      )}
    </div>
  );
}

function Row({ row }: { row: SessionRow }) {
  return (
    <div class="row row-session">
      <span>
        <Pill status={row.status} />
      </span>
      <a href={href(`/sessions/${row.session_id}`)}>{row.session_id}</a>
      <span title={row.created_at}>{ago(row.created_at)}</span>
      <span title={row.expires_at ?? ""}>{left(row.expires_at)}</span>
      <span>{row.options.enable_search ? `indexed, ${String(row.options.readiness_mode).toLowerCase()}` : "not indexed"}</span>
    </div>
  );
}
