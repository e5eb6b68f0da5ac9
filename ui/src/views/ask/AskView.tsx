import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, post, reasonOf } from "../../api/client";
import type { SessionOut, StartedOut } from "../../api/schema";
import { asCurl, asPython } from "../../api/snippets";
import { go, href, usePlace } from "../../app/place";
import { Copy, Notice } from "../../parts/small";
import { plural } from "../../text/amounts";
import { budgetsOf, Choices, type Chosen, modelsOf, NOTHING_CHOSEN } from "./Choices";
import { DropZone } from "./DropZone";
import { type Upload, Uploads } from "./uploads";

const LOOK_MS = 400;

/** Drop files, ask, and be taken to the execution. With `?session=` the documents are those of a session. */
export function AskView() {
  const sessionId = usePlace().query.get("session");
  const [list, setList] = useState<Upload[]>([]);
  const uploads = useMemo(() => new Uploads(setList), []);
  const [question, setQuestion] = useState("");
  const [chosen, setChosen] = useState<Chosen>(NOTHING_CHOSEN);
  const [session, setSession] = useState<SessionOut | null>(null);
  const [stage, setStage] = useState("");
  const [problem, setProblem] = useState("");
  const shown = useRef(true);
  useEffect(() => () => void (shown.current = false), []);
  useEffect(() => {
    setSession(null);
    if (sessionId) get<SessionOut>(`/v1/sessions/${sessionId}`).then(setSession, (error: unknown) => setProblem(reasonOf(error)));
  }, [sessionId]);

  const stored = list.filter((one) => one.state === "stored");
  const sending = list.filter((one) => one.state === "waiting" || one.state === "sending").length;
  const ready = Boolean(question.trim()) && (sessionId ? session !== null : stored.length > 0 && !sending);
  const ask = async (): Promise<void> => {
    if (!ready || stage) return;
    setProblem("");
    setStage("Making the session…");
    try {
      const body = { question, models: modelsOf(chosen), budgets: budgetsOf(chosen), options: { output_mode: chosen.mode } };
      const made = sessionId ?? (await newSession(stored, chosen.ttl));
      await untilReady(made, (found) => shown.current && (setSession(found), setStage(stageOf(found))));
      const started = await post<StartedOut>(`/v1/sessions/${made}/executions`, body);
      if (shown.current) go(href(`/executions/${started.execution_id}`));
    } catch (error) {
      setProblem(reasonOf(error));
    }
    if (shown.current) setStage("");
  };
  const waiting = whatIsMissing(question, sessionId ? 1 : list.length, sending);
  return (
    <div class="page ask">
      <h1>Ask your documents</h1>
      <p class="lead">An answer whose every mark opens the passage it rests on. Nothing that was not read can be cited.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        {sessionId ? <SessionNote session={session} id={sessionId} /> : <DropZone uploads={uploads} list={list} />}
        <label for="question" class="question-label">
          Question
        </label>
        <textarea
          id="question"
          rows={3}
          value={question}
          placeholder="Which agreements can be ended for convenience, and on what notice?"
          onInput={(event) => setQuestion(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void ask();
          }}
        />
        <details class="options">
          <summary>Models, budgets, kind of result</summary>
          <Choices chosen={chosen} change={(now) => setChosen({ ...chosen, ...now })} keeps={!sessionId} />
        </details>
        <div class="ask-line">
          <button class="primary" disabled={!ready || Boolean(stage)}>
            Ask
          </button>
          <span class="hint" aria-live="polite">
            {stage || waiting}
          </span>
          {sessionId && question.trim() && (
            <span class="ask-tools">
              <Copy text={() => asCurl(`/v1/sessions/${sessionId}/executions`, "POST", { question })} label="Copy as curl" />
              <Copy text={() => asPython(`/v1/sessions/${sessionId}/executions`, "POST", { question })} label="Copy as Python" />
            </span>
          )}
        </div>
        {problem && <Notice>{problem}</Notice>}
        {stage && session && <ReadIn session={session} />}
      </form>
    </div>
  );
}

function SessionNote({ session, id }: { session: SessionOut | null; id: string }) {
  return (
    <p class="session-note">
      Over <a href={href(`/sessions/${id}`)}>{session ? plural(session.docs.length, "document") : "the documents"} of this session</a>.{" "}
      <a href="/">Other files</a>
    </p>
  );
}

/** How the documents are being read in. */
function ReadIn({ session }: { session: SessionOut }) {
  return (
    <ul class="read-in">
      {session.docs.slice(0, 30).map((doc) => (
        <li key={doc.doc_id}>
          {doc.source_name} <span class="hint">{doc.failure_reason ?? doc.ingest_status.toLowerCase()}</span>
        </li>
      ))}
    </ul>
  );
}

async function newSession(stored: readonly Upload[], ttl: number): Promise<string> {
  const docs = stored.map((one) => ({ source_name: one.name, raw_s3_uri: one.uri, ...(one.file.type && { mime_type: one.file.type }) }));
  return (await post<SessionOut>("/v1/sessions", { ttl_minutes: ttl, docs })).session_id;
}

async function untilReady(sessionId: string, tell: (found: SessionOut) => void): Promise<void> {
  for (;;) {
    const found = await get<SessionOut>(`/v1/sessions/${sessionId}`);
    tell(found);
    if (found.readiness.ready) return;
    const failed = found.docs.find((doc) => doc.failure_reason);
    if (found.status !== "CREATING") throw new Error(failed ? `${failed.source_name}: ${failed.failure_reason}` : `The session is ${found.status}.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function stageOf(session: SessionOut): string {
  const settled = session.docs.filter((doc) => !["REGISTERED", "PARSING"].includes(doc.ingest_status)).length;
  return `Reading the documents in: ${settled} of ${session.docs.length}…`;
}

function whatIsMissing(question: string, files: number, sending: number): string {
  if (!files) return "Add a file first.";
  if (sending) return `${plural(sending, "file")} still on the way…`;
  return question.trim() ? "Ctrl Enter asks, too." : "Write a question.";
}
