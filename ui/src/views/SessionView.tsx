import { useEffect, useState } from "preact/hooks";
import { ApiError, api, get, post, reasonOf } from "../api/client";
import type { DocumentView, ExecutionPage, ExecutionRow, SessionOut, StartedOut } from "../api/schema";
import { asCurl, asPython } from "../api/snippets";
import { go, here, href, usePlace } from "../app/place";
import { Viewer } from "../documents/Viewer";
import { Act, Copy, Empty, Notice, Pill, RawJson } from "../parts/small";
import { VirtualList } from "../parts/VirtualList";
import { ago, left, plural, short } from "../text/amounts";
import { ExecutionRows } from "./ExecutionRows";
import { usePaged } from "./usePaged";

const LOOK_MS = 800;
const pageOf = (page: ExecutionPage): { rows: ExecutionRow[]; next: string | null } => ({ rows: page.executions, next: page.next_cursor });

/** A session: its documents and how far each has come, their texts, and what was asked over them. */
export function SessionView({ id }: { id: string }) {
  const [session, setSession] = useState<SessionOut | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  useEffect(() => watch(id, setSession, setProblem), [id]);
  if (problem)
    return (
      <div class="page">
        <Empty title={problem.status === 410 ? "This session has expired" : "This session is not here"}>
          <p>{problem.message}</p>
          <a href="/sessions">All sessions</a>
        </Empty>
      </div>
    );
  return session ? <Shown session={session} /> : <p class="hint page">Loading…</p>;
}

function Shown({ session }: { session: SessionOut }) {
  const { query } = usePlace();
  const id = session.session_id;
  const open = session.docs.find((doc) => doc.doc_id === query.get("doc"));
  const executions = usePaged<ExecutionRow>(`/v1/executions?limit=20&session_id=${id}`, pageOf);
  const runtime = async (): Promise<void> => {
    const started = await post<StartedOut>(`/v1/sessions/${id}/executions/runtime`);
    go(href(`/executions/${started.execution_id}/runtime`));
  };
  const remove = async (): Promise<void> => {
    if (!confirm("Remove this session with its documents, texts, executions and journals?")) return;
    await api("DELETE", `/v1/sessions/${id}`);
    go("/sessions");
  };
  return (
    <div class="page">
      <h1>Session</h1>
      <p class="answer-meta">
        <Pill status={session.status} />
        <span>{id}</span>
        <span title={session.created_at}>made {ago(session.created_at)}</span>
        <span title={session.expires_at ?? ""}>{left(session.expires_at)}</span>
        <span>{session.readiness.ready ? "can be asked" : session.readiness.parsed_ready ? "parsed" : "not ready yet"}</span>
        {session.readiness.search_ready && <span>search index ready</span>}
      </p>
      <div class="actions">
        <a class="button" href={href("/", { session: id })}>
          Ask about these documents
        </a>
        <Act label="Write steps yourself" work={runtime} disabled={!session.readiness.ready} />
        <Copy text={() => asCurl(`/v1/sessions/${id}`)} label="Copy as curl" />
        <Copy text={() => asPython(`/v1/sessions/${id}`)} label="Copy as Python" />
        <Act label="Remove" class="quiet danger" work={remove} />
        <RawJson value={session} />
      </div>
      <section class="section">
        <h2>{plural(session.docs.length, "document")}</h2>
        <div class="rows">
          <VirtualList label="Documents" items={session.docs} keyOf={(doc) => doc.doc_id} estimate={40} render={(doc) => <DocumentRow doc={doc} />} />
        </div>
      </section>
      {open && (
        <div class="viewer" id="viewer">
          <Viewer sessionId={id} document={open} at={Number(query.get("at") ?? 0)} go={(char) => go(here({ at: char }), true)} />
        </div>
      )}
      <section class="section">
        <h2>Executions over it</h2>
        {executions.problem && <Notice>{executions.problem}</Notice>}
        {executions.rows.length ? <ExecutionRows rows={executions.rows} changed={executions.again} /> : <p class="hint">None yet.</p>}
        {executions.more && (
          <p class="more">
            <button type="button" onClick={() => void executions.next()}>
              Show older ones
            </button>
          </p>
        )}
      </section>
    </div>
  );
}

function DocumentRow({ doc }: { doc: DocumentView }) {
  const readable = doc.char_length > 0 && !doc.failure_reason;
  const words = doc.failure_reason ?? doc.warnings.join("; ");
  return (
    <div class="row row-document">
      {readable ? <a href={here({ doc: doc.doc_id, at: null })}>{doc.source_name}</a> : <span>{doc.source_name}</span>}
      <span>
        <Pill status={doc.ingest_status} />
      </span>
      <span>{readable ? `${short(doc.char_length)} characters` : ""}</span>
      <span>{doc.page_count ? plural(doc.page_count, "page") : ""}</span>
      <span class={doc.failure_reason ? "wrap bad" : "wrap"} title={doc.mime_type}>
        {words || kindOf(doc.mime_type)}
      </span>
    </div>
  );
}

const KINDS: Record<string, string> = { wordprocessingml: "Word", presentationml: "PowerPoint", spreadsheetml: "Excel" };

function kindOf(mimeType: string): string {
  const office = Object.keys(KINDS).find((part) => mimeType.includes(part));
  return office ? (KINDS[office] ?? "") : mimeType;
}

/** Look at a session until all of its documents are settled. */
function watch(id: string, found: (session: SessionOut) => void, failed: (error: ApiError) => void): () => void {
  let timer = 0;
  let wanted = true;
  const look = async (): Promise<void> => {
    try {
      const session = await get<SessionOut>(`/v1/sessions/${id}`);
      if (!wanted) return;
      found(session);
      const moving = session.status === "CREATING" || session.docs.some((doc) => ["REGISTERED", "PARSING", "INDEXING"].includes(doc.ingest_status));
      if (moving) timer = window.setTimeout(() => void look(), LOOK_MS);
    } catch (error) {
      if (wanted) failed(error instanceof ApiError ? error : new ApiError(0, "UNKNOWN", reasonOf(error)));
    }
  };
  void look();
  return () => {
    wanted = false;
    clearTimeout(timer);
  };
}
