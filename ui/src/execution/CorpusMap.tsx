import { useMemo, useState } from "preact/hooks";
import type { Citation, DocumentView } from "../api/schema";
import { go, here } from "../app/place";
import { Strip } from "../documents/Strip";
import type { Coverage } from "../fold/readings";
import { VirtualList } from "../parts/VirtualList";
import { count, short } from "../text/amounts";

interface Props {
  documents: readonly DocumentView[];
  coverage: ReadonlyMap<number, Coverage>;
  citations: readonly Citation[];
}

interface Row {
  document: DocumentView;
  place: Coverage | undefined;
  cited: { start: number; end: number; number: number }[];
  read: number;
}

/** Which parts of which document were read, and which of these are cited. */
export function CorpusMap({ documents, coverage, citations }: Props) {
  const [all, setAll] = useState(false);
  const rows = useMemo(() => rowsOf(documents, coverage, citations), [documents, coverage, citations]);
  const touched = rows.filter((row) => row.place);
  const shown = all ? rows : touched;
  const chars = documents.reduce((sum, document) => sum + document.char_length, 0);
  const read = rows.reduce((sum, row) => sum + row.read, 0);
  return (
    <div class="corpus-map">
      <p class="hint">
        {count(touched.filter((row) => row.read).length)} of {count(documents.length)} documents were read from: {short(read)} of {short(chars)}{" "}
        characters{chars ? ` (${((100 * read) / chars).toPrecision(2)} %)` : ""}.{" "}
        <span class="key key-cited">cited</span> <span class="key key-read">read</span> <span class="key key-searched">searched</span>
        {touched.length < rows.length && (
          <label class="all">
            <input type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} /> all documents
          </label>
        )}
      </p>
      <VirtualList
        label="Documents"
        items={shown}
        keyOf={(row) => row.document.doc_id}
        estimate={44}
        render={(row) => <DocumentLine row={row} />}
      />
    </div>
  );
}

function DocumentLine({ row }: { row: Row }) {
  const { document, place, cited, read } = row;
  const first = cited[0];
  const goes = first ? here({ cite: first.number, look: null }) : here({ look: `${document.doc_index}:${place?.read[0]?.[0] ?? 0}:${place?.read[0]?.[1] ?? 0}` });
  return (
    <div class="document-line">
      <a href={goes} class="document-name">
        {document.source_name}
      </a>
      <Strip
        length={document.char_length}
        read={place?.read}
        searched={place?.searched}
        cited={cited}
        label={`${document.source_name}: ${count(read)} of ${count(document.char_length)} characters read, ${count(cited.length)} passages cited`}
        pick={(char) => go(here({ look: `${document.doc_index}:${char}:${char}` }), true)}
      />
      <span class="document-amount">
        {read ? `${short(read)} of ${short(document.char_length)}` : short(document.char_length)}
        {cited.length > 0 && `, ${cited.length} cited`}
      </span>
    </div>
  );
}

function rowsOf(documents: Props["documents"], coverage: Props["coverage"], citations: Props["citations"]): Row[] {
  const cited = new Map<number, Row["cited"]>();
  citations.forEach(({ ref }, index) => {
    const place = { start: ref.start_char, end: ref.end_char, number: index + 1 };
    cited.set(ref.doc_index, [...(cited.get(ref.doc_index) ?? []), place]);
  });
  return documents.map((document) => {
    const place = coverage.get(document.doc_index);
    const read = place?.read.reduce((sum, [start, end]) => sum + end - start, 0) ?? 0;
    return { document, place, cited: cited.get(document.doc_index) ?? [], read };
  });
}
