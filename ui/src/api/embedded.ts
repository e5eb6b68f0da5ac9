import { slicePoints } from "../text/codepoints";
import type { Backend, Event } from "./backend";
import type { DocumentView, PageView, SpanRefView, VerifiedOut } from "./schema";

/** What a report holds: `rlm_rs.ui.report` writes it. */
export interface ReportData {
  version: string;
  made_at: number;
  root: string;
  journals: Record<string, [number, Event][]>;
  documents: DocumentView[];
  pages: Record<string, PageView[]>;
  excerpts: Record<string, [number, number, string][]>;
  checks: Record<string, VerifiedOut>;
}

/** A report as the place that views read from; nothing leaves the file. */
export function embedded(data: ReportData): Backend {
  const excerpt = (docId: string, at: number) => data.excerpts[docId]?.find(([start, end]) => start <= at && at <= end);
  return {
    live: false,
    follow(executionId, follower) {
      const journal = data.journals[executionId];
      let wanted = true;
      queueMicrotask(() => {
        if (!wanted) return;
        if (!journal) return follower.state("failed", "It is not in this report.");
        follower.events(journal);
        follower.state("ended");
      });
      return () => {
        wanted = false;
      };
    },
    documents: () => Promise.resolve(data.documents),
    structure: (_, doc_id) =>
      Promise.resolve({ doc_id, title: null, char_length: 0, pages: data.pages[doc_id] ?? [], sections: [], tables: [] }),
    read(_, docId, start, end) {
      const found = excerpt(docId, start);
      return Promise.resolve(found ? slicePoints(found[2], start - found[0], end - found[0]) : "");
    },
    bounds(docId, _, at) {
      const found = excerpt(docId, at);
      return found ? [found[0], found[1]] : null;
    },
    verify(ref) {
      const found = data.checks[keyOf(ref)];
      return found ? Promise.resolve(found) : Promise.reject(new Error("it was not checked for this report"));
    },
  };
}

const keyOf = (ref: SpanRefView): string => `${ref.doc_id}:${ref.start_char}:${ref.end_char}:${ref.checksum}`;
