import { useMemo, useState } from "preact/hooks";
import type { DocumentView } from "../api/schema";
import { RawJson } from "../parts/small";
import { count, plural } from "../text/amounts";
import type { Highlight } from "../text/segments";
import { DocumentText } from "./DocumentText";
import { Strip } from "./Strip";
import { usePages } from "./useDocuments";

interface Props {
  sessionId: string;
  document: DocumentView;
  at: number;
  /** What to mark: a range in code points. */
  marked?: { start: number; end: number } | null;
  go: (char: number) => void;
}

/** The canonical text of a document, from any page or character on; only what is looked at is loaded. */
export function Viewer({ sessionId, document, at, marked, go }: Props) {
  const pages = usePages(sessionId, document.doc_id, document.page_count > 0);
  const [seen, setSeen] = useState(at);
  const target = useMemo(
    () => ({ sessionId, docId: document.doc_id, charLength: document.char_length, pages }),
    [sessionId, document.doc_id, document.char_length, pages],
  );
  const highlights = useMemo<Highlight[]>(() => (marked ? [{ ...marked, id: "marked" }] : []), [marked?.start, marked?.end]);
  const page = pages.findLast((one) => one.start_char <= seen)?.page_num ?? pages[0]?.page_num;
  return (
    <section class="source" aria-label={`Text of ${document.source_name}`}>
      <header class="source-head">
        <div class="source-title">
          <h2 title={document.source_name}>{document.source_name}</h2>
        </div>
        <form class="viewer-tools" onSubmit={(event) => event.preventDefault()}>
          <span class="hint">
            {plural(document.char_length, "character")}
            {document.page_count > 0 && `, ${plural(document.page_count, "page")}`}
          </span>
          {pages.length > 0 && (
            <label>
              Page{" "}
              <select value={String(page)} onChange={(event) => go(pages.find((one) => String(one.page_num) === event.currentTarget.value)?.start_char ?? 0)}>
                {pages.map((one) => (
                  <option key={one.page_num} value={String(one.page_num)}>
                    {one.page_num}
                  </option>
                ))}
              </select>
            </label>
          )}
          <label>
            Character{" "}
            <input
              inputMode="numeric"
              placeholder={count(seen)}
              onChange={(event) => {
                const char = Number(event.currentTarget.value.replace(/\D/g, ""));
                event.currentTarget.value = "";
                go(Math.max(0, Math.min(char, document.char_length - 1)));
              }}
            />
          </label>
          <RawJson value={document} />
        </form>
        <Strip
          length={document.char_length}
          cited={marked ? [{ ...marked, number: 1 }] : []}
          at={seen}
          label={`Place in ${document.source_name}: character ${count(seen)} of ${count(document.char_length)}`}
          pick={go}
        />
      </header>
      <DocumentText target={target} at={at} highlights={highlights} picked={marked ? "marked" : null} onSeen={setSeen} />
    </section>
  );
}
