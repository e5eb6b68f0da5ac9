import { useEffect, useState } from "preact/hooks";
import { post, reasonOf } from "../api/client";
import type { SpanRefView, VerifiedOut } from "../api/schema";
import { bare } from "../api/service";
import { asCurl, asPython } from "../api/snippets";
import { go, href, usePlace } from "../app/place";
import { useDocuments } from "../documents/useDocuments";
import { Viewer } from "../documents/Viewer";
import { Copy, Empty, Notice, RawJson } from "../parts/small";
import { count } from "../text/amounts";

const TEXTS = ["tenant_id", "session_id", "doc_id", "checksum"] as const;
const NUMBERS = ["doc_index", "start_char", "end_char"] as const;

/** A citation by itself: paste a SpanRef, or come by its URL, and see whether it holds and where it stands. */
export function CitationView() {
  const { query } = usePlace();
  const ref = refOf(query);
  const [text, setText] = useState(ref ? JSON.stringify(ref, null, 2) : "");
  const [problem, setProblem] = useState("");
  const open = (event: Event): void => {
    event.preventDefault();
    try {
      setProblem("");
      go(href("/citations", { ...parsed(text) }));
    } catch (error) {
      setProblem(reasonOf(error));
    }
  };
  return (
    <div class="page">
      <h1>Citation</h1>
      <p class="lead">
        Paste a SpanRef, as answers and <code>rlm ask --json</code> have them. Its checksum is recomputed from the stored text.
      </p>
      <form class="citation-form" onSubmit={open}>
        <label for="ref" class="sr">
          SpanRef as JSON
        </label>
        <textarea
          id="ref"
          rows={ref ? 4 : 9}
          spellcheck={false}
          placeholder='{"tenant_id": "…", "session_id": "sess_…", "doc_id": "doc_…", "doc_index": 0, "start_char": 0, "end_char": 10, "checksum": "sha256:…"}'
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button class="primary" disabled={!text.trim()}>
          Verify
        </button>
      </form>
      {problem && <Notice>{problem}</Notice>}
      {ref ? <Checked key={JSON.stringify(ref)} citation={ref} /> : <Empty title="No citation is open" command="rlm verify answer.json" />}
    </div>
  );
}

function Checked({ citation }: { citation: SpanRefView }) {
  const [found, setFound] = useState<VerifiedOut | null>(null);
  const [problem, setProblem] = useState("");
  const [at, setAt] = useState(citation.start_char);
  const { documents, gone } = useDocuments(citation.session_id);
  useEffect(() => {
    post<VerifiedOut>("/v1/citations/verify", { ref: citation }).then(setFound, (error: unknown) => setProblem(reasonOf(error)));
  }, []);
  const document = documents?.find((one) => one.doc_id === citation.doc_id);
  if (problem) return <Notice>{problem}</Notice>;
  return (
    <>
      <p class="verdict" role="status">
        {!found && <span class="check check-waiting">… checking</span>}
        {found?.valid && <strong class="check check-valid">✓ verified</strong>}
        {found && !found.valid && <strong class="check check-invalid">✗ does not hold</strong>}
        {found?.reason && <span>{found.reason}</span>}
        {found?.source_name && <span>{found.source_name}</span>}
        <span class="hint">
          characters {count(citation.start_char)} to {count(citation.end_char)}
        </span>
      </p>
      <div class="actions">
        <Copy text={() => asCurl("/v1/citations/verify", "POST", { ref: citation })} label="Copy as curl" />
        <Copy text={() => asPython("/v1/citations/verify", "POST", { ref: citation })} label="Copy as Python" />
        <Copy text={() => location.href} label="Copy link" />
        {found && <RawJson value={found} />}
      </div>
      {gone && <Notice>{gone}</Notice>}
      {document && (
        <div class="viewer">
          <Viewer
            sessionId={citation.session_id}
            document={document}
            at={at}
            marked={{ start: citation.start_char, end: Math.min(citation.end_char, document.char_length) }}
            go={setAt}
          />
        </div>
      )}
    </>
  );
}

/** A reference out of JSON: itself, or the `ref` of a citation. Throws with a sentence. */
function parsed(text: string): SpanRefView {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("This is not JSON. A SpanRef begins with { and holds tenant_id, session_id, doc_id and so on.");
  }
  const holder = value as { ref?: unknown } | null;
  const ref = (holder?.ref ?? holder) as Record<string, unknown> | null;
  const missing = [...TEXTS.filter((name) => typeof ref?.[name] !== "string"), ...NUMBERS.filter((name) => !Number.isInteger(ref?.[name]))];
  if (missing.length) throw new Error(`The SpanRef lacks ${missing.join(", ")}.`);
  return bare(ref as unknown as SpanRefView);
}

function refOf(query: URLSearchParams): SpanRefView | null {
  const texts = TEXTS.map((name) => [name, query.get(name)] as const);
  const numbers = NUMBERS.map((name) => [name, query.get(name)] as const);
  if ([...texts, ...numbers].some(([, value]) => value === null || value === "")) return null;
  if (numbers.some(([, value]) => !/^\d{1,15}$/.test(value ?? ""))) return null;
  return Object.fromEntries([...texts, ...numbers.map(([name, value]) => [name, Number(value)])]) as SpanRefView;
}
