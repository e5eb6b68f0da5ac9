import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useBackend } from "../api/backend";
import { reasonOf } from "../api/client";
import type { PageView } from "../api/schema";
import { Notice } from "../parts/small";
import type { Highlight } from "../text/segments";
import { Passage } from "./Passage";

export interface Target {
  sessionId: string;
  docId: string;
  charLength: number;
  pages: readonly PageView[];
}

interface Props {
  target: Target;
  /** Where to begin, in code points; what is marked there is brought into view. */
  at: number;
  highlights?: readonly Highlight[];
  picked?: string | null;
  onSeen?: (start: number) => void;
}

interface Chunk {
  start: number;
  end: number;
  text: string;
}

export const CHUNK_CHARS = 6000;
const MOST_CHUNKS = 14;
const NEAR_PX = 900;
const LEAD_CHARS = 1200;
const NOTHING: Chunk[] = [];

/** A document by ranges: what is near the window is loaded, what is far from it is dropped. */
export function DocumentText({ target, at, highlights = [], picked = null, onSeen }: Props) {
  const backend = useBackend();
  const { sessionId, docId, charLength } = target;
  const [loaded, setLoaded] = useState<{ of: string; chunks: Chunk[] }>({ of: "", chunks: [] });
  // of another document nothing is shown, also not for a moment
  const chunks = loaded.of === docId ? loaded.chunks : NOTHING;
  const [problem, setProblem] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const busy = useRef(false);
  const wanted = useRef("");
  const kept = useRef<{ start: number; top: number } | null>(null);

  const bounds = backend.bounds(docId, charLength, at);
  const [least, most] = bounds ?? [0, 0];
  const load = useCallback(
    async (start: number, end: number): Promise<Chunk> => {
      const [from, to] = [Math.max(least, start), Math.min(most, end)];
      return { start: from, end: to, text: from < to ? await backend.read(sessionId, docId, from, to) : "" };
    },
    [backend, sessionId, docId, least, most],
  );

  // begin anew wherever the reader is sent, unless that is on the screen already
  useEffect(() => {
    const place = `${docId}:${at}:${picked}`;
    wanted.current = place;
    if (chunks.some((chunk) => chunk.start <= at && at < chunk.end)) {
      bringIn(scroller.current, picked, at);
      return;
    }
    setProblem("");
    const start = Math.max(least, at - LEAD_CHARS);
    load(start, start + CHUNK_CHARS).then(
      (chunk) => {
        if (wanted.current !== place) return;
        kept.current = null;
        setLoaded({ of: docId, chunks: [chunk] });
        requestAnimationFrame(() => bringIn(scroller.current, picked, at));
      },
      (error: unknown) => wanted.current === place && setProblem(reasonOf(error)),
    );
  }, [docId, at, picked, load]);

  const look = useCallback(async (): Promise<void> => {
    const element = scroller.current;
    const [first, last] = [chunks[0], chunks[chunks.length - 1]];
    if (!element || !first || !last || busy.current) return;
    const above = element.scrollTop < NEAR_PX && first.start > least;
    const below = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX && last.end < most;
    if (!above && !below) return;
    busy.current = true;
    try {
      const place = wanted.current;
      const chunk = below ? await load(last.end, last.end + CHUNK_CHARS) : await load(first.start - CHUNK_CHARS, first.start);
      if (place !== wanted.current) return;
      const shown = element.querySelector<HTMLElement>(`[data-start="${below ? last.start : first.start}"]`);
      kept.current = shown ? { start: below ? last.start : first.start, top: shown.offsetTop - element.scrollTop } : null;
      setLoaded({ of: docId, chunks: below ? [...chunks, chunk].slice(-MOST_CHUNKS) : [chunk, ...chunks].slice(0, MOST_CHUNKS) });
    } catch (error) {
      setProblem(reasonOf(error));
    } finally {
      busy.current = false;
    }
  }, [chunks, docId, least, most, load]);

  // what is on the screen stays where it was, whatever was added or dropped above it
  useLayoutEffect(() => {
    const element = scroller.current;
    const shown = kept.current && element?.querySelector<HTMLElement>(`[data-start="${kept.current.start}"]`);
    if (element && shown && kept.current) element.scrollTop = shown.offsetTop - kept.current.top;
    kept.current = null;
    void look();
  }, [chunks, look]);

  const scrolled = (): void => {
    void look();
    const element = scroller.current;
    if (!element || !onSeen) return;
    for (const child of element.querySelectorAll<HTMLElement>("[data-start]")) {
      if (child.offsetTop + child.offsetHeight <= element.scrollTop) continue;
      const share = Math.max(0, element.scrollTop - child.offsetTop) / Math.max(1, child.offsetHeight);
      const [start, end] = [Number(child.dataset.start), Number(child.dataset.end)];
      onSeen(Math.round(start + share * (end - start)));
      return;
    }
  };

  return (
    <div class="document-text" ref={scroller} onScroll={scrolled} tabIndex={0} role="region" aria-label="Text of the document">
      {!bounds && <Notice kind="note">This report holds only the text around its citations.</Notice>}
      {problem && <Notice>{problem}</Notice>}
      {chunks.map((chunk) => (
        <div key={chunk.start} class="chunk" data-start={chunk.start} data-end={chunk.end} dir="auto">
          <Passage text={chunk.text} start={chunk.start} end={chunk.end} highlights={highlights} picked={picked} pages={target.pages} />
        </div>
      ))}
    </div>
  );
}

/** Scroll the picked highlight, or else the character, to the upper third of this pane. */
function bringIn(element: HTMLElement | null, picked: string | null, at: number): void {
  if (!element) return;
  const mark = picked === null ? null : element.querySelector<HTMLElement>(`[data-marks~="${CSS.escape(picked)}"]`);
  if (mark) {
    const top = mark.getBoundingClientRect().top - element.getBoundingClientRect().top;
    element.scrollTop += top - element.clientHeight / 3;
    return;
  }
  for (const chunk of element.querySelectorAll<HTMLElement>("[data-start]")) {
    const [start, end] = [Number(chunk.dataset.start), Number(chunk.dataset.end)];
    if (at < start || at >= end) continue;
    element.scrollTop = chunk.offsetTop + ((at - start) / (end - start)) * chunk.offsetHeight;
  }
}
