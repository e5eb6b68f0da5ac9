import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Citation, DocumentView } from "../api/schema";
import { bare } from "../api/service";
import { go, here, href } from "../app/place";
import { useKeys } from "../app/keys";
import { DocumentText } from "../documents/DocumentText";
import { Strip } from "../documents/Strip";
import { usePages } from "../documents/useDocuments";
import type { Coverage } from "../fold/readings";
import { Copy, RawJson } from "../parts/small";
import { count } from "../text/amounts";
import type { Highlight } from "../text/segments";
import { type Check, checkWords } from "./useChecks";

/** A passage to look at that is no citation: what a step read, or a place in a document. */
export interface Look {
  doc: number;
  start: number;
  end: number;
}

interface Props {
  sessionId: string;
  documents: readonly DocumentView[];
  citations: readonly Citation[];
  checks: ReadonlyMap<number, Check>;
  coverage: ReadonlyMap<number, Coverage>;
  picked: number | null;
  look: Look | null;
  live: boolean;
}

/** The source beside the answer, open at the picked citation. */
export function SourcePane({ sessionId, documents, citations, checks, coverage, picked, look, live }: Props) {
  const citation = look ? undefined : citations[(picked ?? 0) - 1];
  const ref = citation?.ref;
  const index = look?.doc ?? ref?.doc_index ?? null;
  const document = documents.find((one) => one.doc_index === index) ?? null;
  const start = look?.start ?? ref?.start_char ?? 0;
  const [seen, setSeen] = useState(start);
  const pane = useRef<HTMLElement>(null);
  const before = useRef(`${picked}:${start}`);
  useEffect(() => {
    // on a narrow screen the source is above or below what was clicked
    const moved = before.current !== `${picked}:${start}`;
    before.current = `${picked}:${start}`;
    if (moved && matchMedia("(max-width: 980px)").matches) pane.current?.scrollIntoView({ block: "start" });
  }, [picked, start]);
  const step = (by: number): void => {
    if (!citations.length) return;
    const next = picked === null ? 1 : ((picked - 1 + by + citations.length) % citations.length) + 1;
    go(here({ cite: next, look: null }), true);
  };
  useKeys({ n: () => step(1), p: () => step(-1) });
  const ofDocument = useMemo(
    () => citations.flatMap(({ ref: r }, i) => (r.doc_index === index ? [{ start: r.start_char, end: r.end_char, number: i + 1 }] : [])),
    [citations, index],
  );
  const highlights = useMemo<Highlight[]>(() => {
    const cited = ofDocument.map(({ start: s, end, number }) => ({ start: s, end, id: `cite-${number}` }));
    return look ? [...cited, { start: look.start, end: look.end, id: "look" }] : cited;
  }, [ofDocument, look?.start, look?.end]);
  const pages = usePages(sessionId, document?.doc_id ?? null, Boolean(document?.page_count));
  const target = useMemo(
    () => document && { sessionId, docId: document.doc_id, charLength: document.char_length, pages },
    [sessionId, document?.doc_id, document?.char_length, pages],
  );
  if (!document || !target) return <NothingPicked citations={citations.length} documents={documents} />;
  const place = coverage.get(document.doc_index);
  const { mark, words, kind } = checkWords(picked === null ? undefined : checks.get(picked));
  return (
    <section class="source" aria-label="Source" ref={pane}>
      <header class="source-head">
        <div class="source-title">
          <h2 title={document.source_name}>{document.source_name}</h2>
          {citations.length > 0 && (
            <nav aria-label="Citations" class="stepper">
              <button type="button" onClick={() => step(-1)} aria-label="Previous citation" title="Previous citation (p)">
                ‹
              </button>
              <span>
                {picked ?? "–"} of {citations.length}
              </span>
              <button type="button" onClick={() => step(1)} aria-label="Next citation" title="Next citation (n)">
                ›
              </button>
            </nav>
          )}
        </div>
        {citation && (
          <p class="source-facts">
            <span class={`check check-${kind}`}>
              {mark} {words}
            </span>
            <span>{citation.support}</span>
            {citation.page ? <span>page {citation.page}</span> : null}
            <span>
              characters {count(citation.ref.start_char)} to {count(citation.ref.end_char)}
            </span>
            {citation.note && <span>{citation.note}</span>}
          </p>
        )}
        {look && (
          <p class="source-facts">
            <span>read, not cited</span>
            <span>
              characters {count(look.start)} to {count(look.end)}
            </span>
            <a href={here({ look: null })}>back to the citation</a>
          </p>
        )}
        <Strip
          length={document.char_length}
          read={place?.read}
          searched={place?.searched}
          cited={ofDocument}
          at={seen}
          label={`Where ${document.source_name} was read and cited`}
          pick={(char) => go(here({ look: `${document.doc_index}:${char}:${char}` }), true)}
        />
        {citation && (
          <div class="source-tools">
            <Copy text={() => JSON.stringify(bare(citation.ref), null, 2)} label="Copy SpanRef" />
            {live && <a href={href("/citations", { ...bare(citation.ref) })}>Open by URL</a>}
            <RawJson value={citation} />
          </div>
        )}
      </header>
      <DocumentText
        target={target}
        at={start}
        highlights={highlights}
        picked={look ? "look" : picked === null ? null : `cite-${picked}`}
        onSeen={setSeen}
      />
    </section>
  );
}

function NothingPicked({ citations, documents }: { citations: number; documents: readonly DocumentView[] }) {
  return (
    <section class="source source-empty" aria-label="Source">
      <div class="empty">
        <p class="empty-title">{citations ? "Pick a citation" : "The source opens here"}</p>
        <p>
          {citations
            ? "A mark in the answer, or the keys n and p, shows the passage it rests on."
            : "Once there is an answer, each of its marks shows the passage it rests on."}
        </p>
        {documents.length > 0 && (
          <ul class="document-links">
            {documents.slice(0, 40).map((document) => (
              <li key={document.doc_id}>
                <a href={here({ look: `${document.doc_index}:0:0` })}>{document.source_name}</a>
              </li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}
